/*
** handle.c - callbacks: of call_soon, call_later and add_done_callback.
**
** A handle is a function with its arguments. It is anchored while it is
** in the ready queue, the heap, or among those that wait for a task, which
** will end. A plain future may never settle: it keeps its callbacks in a
** set of its own, and they are anchored when it does.
*/
#include <math.h>

#include "vm.h"

#define MOST_ARGUMENTS 60000 /* user values a userdata can have, nearly */

enum { HANDLE_FUNCTION = 1 }; /* user value; the arguments follow */

static void handle_run(neap_vm *vm, neap__job *job);

int neap__is_handle_job(const neap__job *job) { return job->run == handle_run; }

neap__handle *neap__handle_of(neap__job *job) {
  return (neap__handle *)((char *)job - offsetof(neap__handle, timer));
}

static neap__handle *handle_at(lua_State *L, int index) {
  neap__object *o = neap__object_at(L, index);
  return (o != NULL && o->type->kind == NEAP__HANDLE) ? (neap__handle *)o
                                                      : NULL;
}

neap__handle *neap__handle_new(lua_State *L, int index, int n) {
  int i, first = lua_gettop(L) - n + 1;
  neap__handle *h;
  if (n > MOST_ARGUMENTS)
    luaL_error(L, "too many arguments for a callback (%d; at most %d)", n,
               MOST_ARGUMENTS);
  h = (neap__handle *)lua_newuserdatauv(L, sizeof *h, n + 1);
  h->type = &neap__handle_type;
  h->timer.job.run = handle_run;
  h->timer.position = 0;
  h->anchor = 0;
  h->budget = NULL;
  h->nargs = (uint32_t)n;
  h->cancelled = 0;
  neap__metatable_push(L, &neap__handle_type);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, HANDLE_FUNCTION);
  lua_insert(L, first);
  for (i = n; i > 0; i--)
    lua_setiuservalue(L, first, HANDLE_FUNCTION + i);
  return h;
}

/* Anchors the handle at the top, which stays. */
static void anchor(neap_vm *vm, lua_State *L, neap__handle *h) {
  h->anchor = neap__anchor(vm, L);
  h->budget = neap__budget_use(neap__budget_current(vm));
}

void neap__handle_drop(neap_vm *vm, neap__handle *h) {
  uint32_t number = h->anchor;
  h->anchor = 0;
  if (number != 0)
    neap__anchor_drop(vm, number);
  neap__budget_drop(vm, h->budget);
  h->budget = NULL;
}

/* Lua: the handle; calls its function. */
static int call(lua_State *L) {
  neap__handle *h = handle_at(L, 1);
  int i, n = (int)h->nargs;
  luaL_checkstack(L, n + 1, "too many arguments for a callback");
  for (i = 0; i <= n; i++)
    lua_getiuservalue(L, 1, HANDLE_FUNCTION + i);
  lua_call(L, n, 0);
  return 0;
}

/* Lua: handle, task or function; error, traceback or nil */
static int report(lua_State *L) {
  neap__handle *h = handle_at(L, 1);
  neap__error_text(L, 2);
  if (lua_isfunction(L, 1))
    neap__callable_push(L, 1);
  else
    luaL_tolstring(L, 1, NULL);
  lua_pushliteral(L, "");
  if (h != NULL && h->nargs > 0) { /* a done callback? */
    lua_getiuservalue(L, 1, HANDLE_FUNCTION + 1);
    if (neap__future_at(L, -1) != NULL) {
      neap__described_push(L, -1, 1);
      lua_pushfstring(L, ", called with %s", lua_tostring(L, -1));
      lua_replace(L, 5);
    }
  }
  lua_pushfstring(L, "Exception in callback\nhandle: %s%s\n%s",
                  lua_tostring(L, 4), lua_tostring(L, 5), lua_tostring(L, 3));
  neap__report(L);
  return 0;
}

void neap__callback(neap_vm *vm, neap__budget *budget, int subject, int n) {
  lua_State *L = vm->L;
  int handler = lua_gettop(L) - n;
  uint64_t begin = vm->debug ? uv_hrtime() : 0;
  if (neap__killed(vm, budget) != 0)
    return;
  vm->budget = budget;
  if (vm->limits != NULL)
    neap__limits_step(vm);
  lua_pushcfunction(L, neap__callback_handler);
  lua_insert(L, handler);
  neap__interrupt_meet(vm, L);
  if (lua_pcall(L, n, 0, handler) != LUA_OK) {
    int flags = neap__error_flags(L, -1);
    if (flags & NEAP__IS_KEYBOARD) {
      lua_pushvalue(L, -1);
      neap__keyboard(L);
    }
    else if (!(flags & NEAP__IS_KILL)) {
      lua_pushcfunction(L, report);
      lua_pushvalue(L, subject);
      lua_pushvalue(L, -3);
      neap__raised_traceback(L);
      if (lua_pcall(L, 3, 0, 0) != LUA_OK)
        (void)neap__error_drop(L); /* no memory even for the report? */
    }
  }
  if (begin != 0) {
    lua_pushvalue(L, subject);
    neap__step_end(vm, begin);
  }
  neap__raising_clear(L);
  vm->budget = NULL;
}

static void handle_run(neap_vm *vm, neap__job *job) {
  neap__handle *h = neap__handle_of(job);
  neap__budget *budget = neap__budget_use(h->budget);
  lua_State *L = vm->L;
  int top = lua_gettop(L);
  neap__anchor_push(L, h->anchor);
  neap__handle_drop(vm, h);
  if (!h->cancelled) {
    lua_pushcfunction(L, call);
    lua_pushvalue(L, top + 1);
    neap__callback(vm, budget, top + 1, 1);
  }
  neap__budget_drop(vm, budget);
  lua_settop(L, top);
}

/* Downwards, and at each place again: what timer_stop moves to a place not
   behind this one comes from behind, or is looked at when it is its turn. */
void neap__handles_kill(neap_vm *vm, const neap__budget *budget) {
  uint32_t place = vm->timers.count;
  while (place-- > 0) {
    neap__timer *timer;
    while ((timer = neap__timer_at(vm, place)) != NULL &&
           neap__is_handle_job(&timer->job) &&
           neap__is_part(neap__handle_of(&timer->job)->budget, budget)) {
      neap__timer_stop(vm, timer);
      neap__queue_push(&vm->ready, &timer->job);
    }
  }
}

void neap__handle_cancel(neap_vm *vm, neap__handle *h) {
  h->cancelled = 1;
  if (h->timer.position != 0) {
    neap__timer_stop(vm, &h->timer);
    neap__handle_drop(vm, h);
  }
}

/* Lua: handle:cancel() */
static int handle_cancel(lua_State *L) {
  neap__handle *h = handle_at(L, 1);
  if (h == NULL)
    return luaL_typeerror(L, 1, neap__handle_type.name);
  neap__handle_cancel(neap__vm(L), h);
  return 0;
}

/* Lua: handle:cancelled() */
static int handle_cancelled(lua_State *L) {
  neap__handle *h = handle_at(L, 1);
  if (h == NULL)
    return luaL_typeerror(L, 1, neap__handle_type.name);
  lua_pushboolean(L, h->cancelled);
  return 1;
}

/* {======================================================
** Scheduling
** ======================================================= */

static void check_callback(lua_State *L, int index, const char *function) {
  if (lua_isfunction(L, index) && !neap__is_async_function(L, index))
    return;
  if (neap__is_async_function(L, index) || neap__coroutine_at(L, index) != NULL)
    neap__usage(L, 1, "%s: a plain function expected, got %s: for async code "
                      "write create_task(f())",
                function, neap__describe(L, index));
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL)
    luaL_checktype(L, index, LUA_TFUNCTION); /* raises */
  lua_pop(L, 1); /* a callable object */
}

void neap__schedule(lua_State *L, int function, int argument) {
  neap_vm *vm = neap__vm(L);
  neap__handle *h;
  lua_pushvalue(L, argument);
  h = neap__handle_new(L, function, 1);
  h->anchor = neap__anchor(vm, L);
  neap__queue_push(&vm->ready, &h->timer.job);
  lua_pop(L, 1);
}

void neap__handle_call_soon(lua_State *L, neap__handle *h) {
  neap_vm *vm = neap__vm(L);
  anchor(vm, L, h);
  neap__queue_push(&vm->ready, &h->timer.job);
}

void neap__handle_call_later(lua_State *L, neap__handle *h, double delay) {
  neap_vm *vm = neap__vm(L);
  anchor(vm, L, h);
  if (neap__timer_start(vm, &h->timer, neap__deadline(delay)) != 0) {
    neap__handle_drop(vm, h);
    luaL_error(L, "not enough memory");
  }
}

int neap__call_soon(lua_State *L) {
  check_callback(L, 1, "call_soon");
  neap__check_running(L, "call_soon");
  neap__handle_call_soon(L, neap__handle_new(L, 1, lua_gettop(L) - 1));
  return 1;
}

int neap__call_later(lua_State *L) {
  double delay = luaL_checknumber(L, 1);
  if (isnan(delay))
    return neap__usage(L, 1, "call_later: the delay is not a number (NaN)");
  check_callback(L, 2, "call_later");
  neap__check_running(L, "call_later");
  neap__handle_call_later(L, neap__handle_new(L, 2, lua_gettop(L) - 2), delay);
  return 1;
}

/* ====================================================== } */

/* {======================================================
** Done callbacks
** ======================================================= */

/* Pushes the set of callbacks of the future at index 1, which it gets if it has
   none. */
static void push_set(lua_State *L) {
  neap__extra_get(L, 1, "callbacks");
  if (!lua_isnil(L, -1))
    return;
  lua_pop(L, 1);
  lua_newtable(L);
  neap__extra_push(L, 1);
  if (lua_getfield(L, -1, "callbacks") != LUA_TNIL)
    lua_replace(L, -3); /* a finalizer was faster */
  else {
    lua_pushvalue(L, -3);
    lua_setfield(L, -3, "callbacks");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Lua: f:add_done_callback(fn) */
int neap__add_done_callback(lua_State *L) {
  enum { SELF = 1, FUNCTION, SET };
  neap_vm *vm = neap__vm(L);
  neap__future *f = neap__future_check(L);
  neap__handle *h;
  lua_settop(L, FUNCTION);
  check_callback(L, FUNCTION, "add_done_callback");
  if (f->state != NEAP__PENDING)
    neap__check_running(L, "add_done_callback");
  if (f->state != NEAP__PENDING || f->type == &neap__task_type)
    lua_pushnil(L);
  else
    push_set(L);
  lua_pushvalue(L, SELF);
  h = neap__handle_new(L, FUNCTION, 1); /* called with the future */
  if (f->state != NEAP__PENDING) { /* maybe by a finalizer, just now */
    anchor(vm, L, h);
    neap__queue_push(&vm->ready, &h->timer.job);
    return 0;
  }
  if (f->type == &neap__task_type)
    anchor(vm, L, h);
  else {
    lua_rawsetp(L, SET, h);
    f->callbacks = 1;
  }
  neap__future_wait(f, &h->timer.job);
  return 0;
}

void neap__queue_remove(neap__queue *q, const neap__job *job) {
  neap__job *before = q->last;
  if (before == NULL)
    return;
  do { /* once around the ring */
    neap__job *j = before->next;
    if (j == job) {
      before->next = j->next;
      if (q->last == j)
        q->last = before == j ? NULL : before;
      return;
    }
    before = j;
  } while (before != q->last);
}

/* Pushes a handle in the queue of the future at index 1. */
static void push_waiting(lua_State *L, const neap__handle *h) {
  if (h->anchor != 0)
    neap__anchor_push(L, h->anchor);
  else {
    neap__extra_get(L, 1, "callbacks");
    lua_rawgetp(L, -1, h);
    lua_replace(L, -2);
  }
}

/* Lets go of one that was taken out of that queue. */
static void drop_waiting(neap_vm *vm, lua_State *L, neap__handle *h) {
  if (h->anchor != 0)
    neap__handle_drop(vm, h);
  else {
    neap__extra_get(L, 1, "callbacks");
    lua_pushnil(L);
    lua_rawsetp(L, -2, h);
    lua_pop(L, 1);
  }
}

/* Lua: f:remove_done_callback(fn) -> how many were removed */
int neap__remove_done_callback(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  neap__future *f = neap__future_check(L);
  neap__job *last = f->waiters.last, *job = NULL;
  lua_Integer removed = 0;
  check_callback(L, 2, "remove_done_callback");
  lua_settop(L, 2);
  /* once around the ring; a finalizer run here may settle the future */
  while (job != last && f->waiters.last != NULL) {
    int same = 0;
    job = f->waiters.last->next; /* the first one */
    if (neap__is_handle_job(job)) {
      push_waiting(L, neap__handle_of(job));
      lua_getiuservalue(L, -1, HANDLE_FUNCTION);
      same = lua_rawequal(L, -1, 2);
      lua_pop(L, 2);
      if (f->waiters.last == NULL)
        break;
    }
    (void)neap__queue_pop(&f->waiters);
    if (same) {
      drop_waiting(vm, L, neap__handle_of(job));
      removed++;
    }
    else
      neap__queue_push(&f->waiters, job);
  }
  lua_pushinteger(L, removed);
  return 1;
}

/* How many callbacks of the future are in its set. */
static uint32_t count_kept(neap__future *f) {
  neap__job *last = f->waiters.last, *job = last;
  uint32_t n = 0;
  if (last == NULL)
    return 0;
  do { /* once around the ring */
    n += neap__is_handle_job(job) && neap__handle_of(job)->anchor == 0;
    job = job->next;
  } while (job != last);
  return n;
}

void neap__callbacks_anchor(lua_State *L, int index, neap__future *f) {
  neap_vm *vm = neap__vm(L);
  while (neap__anchor_reserve(vm, L, count_kept(f)))
    ; /* a finalizer may have added one */
  if (f->state != NEAP__PENDING)
    return;
  neap__extra_get(L, index, "callbacks");
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    anchor(vm, L, handle_at(L, -1));
  lua_pop(L, 1);
  lua_pushnil(L);
  neap__extra_set(L, index, "callbacks");
}

void neap__handle_init(lua_State *L) {
  static const luaL_Reg methods[] = {{"cancel", handle_cancel},
                                     {"cancelled", handle_cancelled},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", neap__handle_tostring},
                                         {NULL, NULL}};
  neap__metatable_new(L, &neap__handle_type, methods, metamethods);
  lua_pop(L, 1);
}

/* ====================================================== } */
