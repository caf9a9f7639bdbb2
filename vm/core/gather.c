/*
** gather.c - one future for many awaitables.
**
** A gather is a future with an array of jobs, one for each child, that
** wait for the children. It is anchored until the last child is done, as
** the children point into it. Its user value NEAP__CORO is the list of
** the children, in argument order.
*/
#include <string.h>

#include "vm.h"

static neap__gather *gather_of(neap__child *child) {
  char *first = (char *)(child - child->index);
  return (neap__gather *)(first - offsetof(neap__gather, children));
}

/* Keeps the gather at the top, which stays, alive: it has children. */
static void anchor(neap_vm *vm, lua_State *L, neap__gather *g) {
  g->anchor = neap__anchor(vm, L);
  g->budget = neap__budget_use(neap__budget_current(vm));
  g->previous = NULL;
  g->next = vm->gathers;
  if (vm->gathers != NULL)
    vm->gathers->previous = g;
  vm->gathers = g;
}

static void release(neap_vm *vm, neap__gather *g) {
  uint32_t number = g->anchor;
  if (g->previous != NULL)
    g->previous->next = g->next;
  else
    vm->gathers = g->next;
  if (g->next != NULL)
    g->next->previous = g->previous;
  g->anchor = 0;
  neap__budget_drop(vm, g->budget);
  g->budget = NULL;
  neap__anchor_drop(vm, number); /* may be collected from now on */
}

/* {======================================================
** Outcome
** ======================================================= */

/* Pushes the list of results. stack: gather at `index` */
static void push_results(lua_State *L, int index) {
  neap__gather *g = (neap__gather *)neap__known(L, index);
  uint32_t i;
  lua_createtable(L, (int)g->count, 1);
  lua_getiuservalue(L, index, NEAP__CORO);
  for (i = 0; i < g->count; i++) {
    neap__future *f = g->children[i].future;
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    lua_getiuservalue(L, -1, NEAP__RESULT);
    if (f->state != NEAP__FINISHED) /* only with return_exceptions */
      neap__error_as_value(L, -2);
    else if (f->nresults > 1) { /* keep the first of them */
      lua_rawgeti(L, -1, 1);
      lua_replace(L, -2);
    }
    lua_rawseti(L, -4, (lua_Integer)i + 1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  lua_pushinteger(L, g->count);
  lua_setfield(L, -2, "n");
}

/* All children are done. Lua: gather at 1; may raise "not enough memory" */
static int finish(lua_State *L) {
  neap__gather *g = (neap__gather *)neap__known(L, 1);
  uint32_t i;
  for (i = 0; i < g->count; i++) /* it answers for all of them */
    g->children[i].future->observed = 1;
  if (g->cancel_requested) { /* children may have refused; it counts */
    neap__cancelled_push(L, 1);
    neap__error_set(L, 1);
    neap__future_settle(L, 1, &g->future, NEAP__FAILED);
  }
  else {
    push_results(L, 1);
    neap__result_set(L, 1, &g->future, 1);
    neap__future_settle(L, 1, &g->future, NEAP__FINISHED);
  }
  return 0;
}

/* Gives the gather at the top the error of its child. May raise. */
static void fail(lua_State *L, neap__gather *g, const neap__child *child) {
  int self = lua_gettop(L);
  lua_getiuservalue(L, self, NEAP__CORO);
  lua_rawgeti(L, -1, (lua_Integer)child->index + 1);
  neap__error_copy(L, -1, self);
  neap__future_settle(L, self, &g->future, NEAP__FAILED);
  lua_settop(L, self);
}

/* Lua: gather at 1, child light userdata at 2 */
static int child_settled(lua_State *L) {
  neap__child *child = (neap__child *)lua_touserdata(L, 2);
  neap__gather *g = gather_of(child);
  lua_settop(L, 1);
  if (child->future->state == NEAP__FINISHED || g->return_exceptions) {
    if (g->finished == g->count)
      finish(L);
  }
  else {
    child->future->observed = 1;
    fail(L, g, child);
  }
  return 0;
}

/* A child is done: its gather, which is anchored, looks at it. */
static void child_done(neap_vm *vm, lua_State *L, neap__child *child) {
  neap__gather *g = gather_of(child);
  neap__future *f = child->future;
  g->finished++;
  if (g->future.state != NEAP__PENDING)
    f->observed = 1; /* too late for this error to matter */
  else if (g->finished == g->count ||
           (f->state != NEAP__FINISHED && !g->return_exceptions)) {
    int top = lua_gettop(L);
    neap__anchor_push(L, g->anchor);
    lua_pushcfunction(L, child_settled);
    lua_pushvalue(L, -2);
    lua_pushlightuserdata(L, child);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) { /* no memory? */
      if (g->future.state == NEAP__PENDING) {
        lua_pushvalue(L, -1);
        neap__error_set(L, -3);
        neap__future_settle(L, -2, &g->future, NEAP__FAILED);
      }
      (void)neap__error_drop(L);
    }
    lua_settop(L, top);
  }
  if (neap__killed(vm, g->budget) != 0)
    g->future.observed = 1; /* nobody is left to look at its error */
  if (g->finished == g->count && g->anchor != 0)
    release(vm, g);
}

void neap__gather_drop_child(neap_vm *vm, neap__job *job) {
  neap__gather *g = gather_of((neap__child *)job);
  g->finished++;
  if (g->future.state == NEAP__PENDING) {
    g->future.state = NEAP__CANCELLED;
    neap__queue_splice(&vm->ready, &g->future.waiters);
  }
  if (g->finished == g->count)
    release(vm, g);
}

void neap__gathers_abandon(neap_vm *vm) {
  while (vm->gathers != NULL) {
    neap__gather *g = vm->gathers;
    uint32_t i;
    for (i = 0; i < g->count; i++) {
      neap__child *child = &g->children[i];
      if (child->future->state == NEAP__PENDING)
        neap__queue_remove(&child->future->waiters, &child->job);
    }
    if (g->future.state == NEAP__PENDING) {
      g->future.state = NEAP__CANCELLED;
      neap__queue_splice(&vm->ready, &g->future.waiters);
    }
    neap__ready_drop(vm); /* of gathers around this one */
    if (g == vm->gathers)
      release(vm, g);
  }
}

static void child_job(neap_vm *vm, neap__job *job) {
  neap__child *child = (neap__child *)job;
  vm->budget = neap__budget_use(gather_of(child)->budget);
  child_done(vm, vm->L, child);
  neap__budget_drop(vm, vm->budget);
  vm->budget = NULL;
}

/* ====================================================== } */

int neap__is_gather_job(const neap__job *job) { return job->run == child_job; }

/* {======================================================
** Cancellation (called by neap__cancel)
** ======================================================= */

#define DEEPEST 200 /* gathers in gathers that are looked into */

/* Marks a gather that has a child left to cancel, and those on the way to
   that child; too deep there is taken to be one. When none is left, none
   ever will be: a gather shared by others is looked into once. */
static int request(neap__gather *g, int depth) {
  uint32_t i;
  if (g->too_late)
    return 0;
  for (i = 0; i < g->count; i++) {
    neap__future *f = g->children[i].future;
    if (f->state != NEAP__PENDING)
      continue;
    if (f->type->kind != NEAP__GATHER || depth == DEEPEST ||
        request((neap__gather *)f, depth + 1)) {
      g->cancel_requested = 1;
      return 1;
    }
  }
  g->too_late = 1;
  return 0;
}

int neap__gather_cancel(neap__gather *g) { return request(g, 0); }

void neap__gather_push_next(lua_State *L, int index) {
  neap__gather *g = (neap__gather *)neap__known(L, index);
  lua_Integer i = lua_tointeger(L, index + 1);
  while (i < (lua_Integer)g->count &&
         g->children[i].future->state != NEAP__PENDING)
    i++;
  if (i == (lua_Integer)g->count) {
    lua_settop(L, index - 1);
    return;
  }
  lua_pushinteger(L, i + 1);
  lua_replace(L, index + 1);
  lua_getiuservalue(L, index, NEAP__CORO);
  lua_rawgeti(L, -1, i + 1);
  lua_replace(L, -2);
}

/* ====================================================== } */

/* {======================================================
** Construction
** ======================================================= */

/* Whether the value at the top can be awaited. */
static int is_awaitable(lua_State *L) {
  neap__object *o = neap__object_at(L, -1);
  if (o != NULL)
    return o->type->kind != NEAP__HANDLE;
  if (luaL_getmetafield(L, -1, "__await") == LUA_TNIL)
    return 0;
  lua_pop(L, 1);
  return 1;
}

/* Lua: is_awaitable(value): for the library */
int neap__is_awaitable(lua_State *L) {
  lua_settop(L, 1);
  lua_pushboolean(L, is_awaitable(L));
  return 1;
}

/* The list form: one table without __await. Pushes return_exceptions. */
static int is_list(lua_State *L) {
  if (lua_gettop(L) != 1 || lua_type(L, 1) != LUA_TTABLE || is_awaitable(L))
    return 0;
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
    const char *key =
        lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    if (key != NULL && strcmp(key, "return_exceptions") != 0 &&
        strcmp(key, "n") != 0) /* of table.pack */
      neap__usage(L, 1, "gather: unknown option '%s' (there is "
                        "'return_exceptions')", key);
  }
  lua_getfield(L, 1, "return_exceptions");
  return 1;
}

/* Pushes the i-th argument. */
static void push_argument(lua_State *L, int list, int i) {
  if (list)
    lua_rawgeti(L, 1, i);
  else
    lua_pushvalue(L, i);
}

/* Nothing is started before all arguments are known to be right. */
static void check_arguments(lua_State *L, int list, int n) {
  int i;
  for (i = 1; i <= n; i++) {
    push_argument(L, list, i);
    if (!is_awaitable(L)) {
      const char *what = neap__describe(L, -1);
      if (neap__is_async_function(L, -2))
        what = "an async function: call it, as in gather(f(), g())";
      else if (lua_isfunction(L, -2))
        what = "a function: make it an async function and call it, as in "
               "gather(f(), g())";
      neap__usage(L, 1, "gather: argument %d: an awaitable expected, got %s",
                  i, what);
    }
    lua_pop(L, 1);
  }
}

/*
** Replaces the argument at the top by its future. `seen`, at index `map`,
** leads from the coroutine objects already wrapped to their tasks; it is
** filled from the first repetition on.
*/
static void ensure_future(lua_State *L, int map, int children, int i,
                          int list) {
  neap__coroutine *c = neap__coroutine_at(L, -1);
  if (c == NULL) {
    if (neap__future_at(L, -1) == NULL)
      neap__task_awaiting(L, 1);
    return;
  }
  if (c->body == NEAP__YIELD ? !neap__vm(L)->bare_yield_out
                             : c->state == NEAP__OWNED) { /* given twice? */
    if (lua_isnil(L, map)) {
      int j;
      lua_newtable(L);
      for (j = 1; j < i; j++) {
        push_argument(L, list, j);
        lua_rawgeti(L, children, j);
        lua_rawset(L, -3);
      }
      lua_replace(L, map);
    }
    lua_pushvalue(L, -1);
    lua_rawget(L, map);
    if (!lua_isnil(L, -1)) {
      lua_replace(L, -2);
      return;
    }
    lua_pop(L, 1);
  }
  neap__task_new(L, -1, 1);
  if (!lua_isnil(L, map)) {
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, map);
  }
  lua_replace(L, -2);
}

/* Makes the gather with room for n children; pushes it. */
static neap__gather *gather_new(lua_State *L, int n) {
  size_t size = sizeof(neap__gather) + (size_t)n * sizeof(neap__child);
  neap__gather *g = (neap__gather *)lua_newuserdatauv(L, size, NEAP__CORO);
  neap__future_prepare(&g->future, &neap__gather_type);
  g->anchor = 0;
  g->count = 0;
  g->finished = 0;
  g->return_exceptions = 0;
  g->cancel_requested = 0;
  g->too_late = 0;
  neap__metatable_push(L, &neap__gather_type);
  lua_setmetatable(L, -2);
  return g;
}

int neap__gather_make(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  int list = is_list(L);
  int n = list ? (int)lua_rawlen(L, 1) : lua_gettop(L);
  int return_exceptions = list && lua_toboolean(L, -1), i, self, children, map;
  neap__gather *g;
  if (list)
    lua_settop(L, 1);
  neap__check_running(L, "gather");
  luaL_checkstack(L, 12, "too many arguments");
  check_arguments(L, list, n);
  lua_createtable(L, n, 0);
  children = lua_gettop(L);
  lua_pushnil(L);
  map = children + 1;
  g = gather_new(L, n);
  self = map + 1;
  g->return_exceptions = (uint8_t)return_exceptions;
  for (i = 1; i <= n; i++) {
    push_argument(L, list, i);
    ensure_future(L, map, children, i, list);
    g->children[i - 1].future = (neap__future *)neap__known(L, -1);
    g->children[i - 1].index = (uint32_t)i - 1;
    lua_rawseti(L, children, i);
  }
  lua_pushvalue(L, children);
  lua_setiuservalue(L, self, NEAP__CORO);
  g->count = (uint32_t)n;
  lua_settop(L, self);
  anchor(vm, L, g);
  for (i = 0; i < n; i++) {
    neap__child *child = &g->children[i];
    child->job.run = NULL; /* done already? */
    if (child->future->state == NEAP__PENDING) {
      child->job.run = child_job;
      neap__future_wait(child->future, &child->job);
    }
  }
  for (i = 0; i < n; i++) { /* only now: this may run finalizers */
    if (g->children[i].job.run == NULL)
      child_done(vm, L, &g->children[i]);
  }
  if (n == 0) {
    release(vm, g);
    lua_settop(L, self);
    lua_replace(L, 1);
    lua_settop(L, 1);
    return finish(L), 1;
  }
  lua_settop(L, self);
  return 1;
}

/* ====================================================== } */
