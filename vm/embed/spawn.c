/*
** spawn.c - tasks that the host starts: neap_spawn, and what it may do with
** them. Each has a slot while it is not done; its number tells the slot, and
** which one it was of all.
*/
#include <string.h>

#include "embed.h"

#define SLOT_BITS 24 /* of a neap_task; the others count up */

typedef struct neap__spawned {
  neap__job job; /* waits for the task */
  neap_task number;
  neap_done_fn done;
  void *ud;
  uint32_t anchor;      /* of the task, until `done` has been called */
  neap__budget *budget; /* of the task and all that comes of it */
} spawned;

/* {======================================================
** Slots
** ======================================================= */

/* One that was not done; or NULL. */
static spawned *find(neap_vm *vm, neap_task number) {
  uint32_t slot = (uint32_t)(number & ((1u << SLOT_BITS) - 1));
  spawned *s = slot < vm->spawned_size ? vm->spawned[slot] : NULL;
  return s != NULL && s->number == number ? s : NULL;
}

/* Room for one more. */
static int reserve(neap_vm *vm) {
  uint32_t size = vm->spawned_size, larger = size == 0 ? 8 : 2 * size;
  spawned **slots;
  if (vm->spawned_used < size)
    return 1;
  if (larger > 1u << SLOT_BITS)
    return 0;
  slots = (spawned **)neap__alloc(vm, vm->spawned, size * sizeof *slots,
                                  larger * sizeof *slots);
  if (slots == NULL)
    return 0;
  memset(slots + size, 0, (larger - size) * sizeof *slots);
  vm->spawned = slots;
  vm->spawned_size = larger;
  return 1;
}

/* A new one in a slot; NULL: no memory. */
static spawned *open_slot(neap_vm *vm) {
  spawned *s;
  uint32_t i = vm->spawned_next;
  if (!reserve(vm))
    return NULL;
  s = (spawned *)neap__alloc(vm, NULL, 0, sizeof *s);
  if (s == NULL)
    return NULL;
  while (vm->spawned[i % vm->spawned_size] != NULL)
    i++;
  i %= vm->spawned_size;
  vm->spawned[i] = s;
  vm->spawned_next = i + 1;
  vm->spawned_used++;
  s->number = ++vm->spawned_count << SLOT_BITS | i;
  return s;
}

static void close_slot(neap_vm *vm, spawned *s) {
  vm->spawned[s->number & ((1u << SLOT_BITS) - 1)] = NULL;
  vm->spawned_used--;
  neap__budget_drop(vm, s->budget);
  (void)neap__alloc(vm, s, sizeof *s, 0);
}

/* Of what is left at the end, without memory to do it better, the host is
   told, too. */
void neap__spawned_free(neap_vm *vm) {
  uint32_t i;
  for (i = 0; i < vm->spawned_size; i++) {
    spawned *s = vm->spawned[i];
    if (s == NULL)
      continue;
    if (s->done != NULL)
      s->done(s->ud, vm, neap__fail(vm, NEAP_ECLOSED, NULL, NULL), NULL, 0);
    close_slot(vm, s);
  }
  if (vm->spawned != NULL)
    (void)neap__alloc(vm, vm->spawned,
                      vm->spawned_size * sizeof *vm->spawned, 0);
  vm->spawned = NULL;
}

/* ====================================================== } */

/* {======================================================
** The end of a task
** ======================================================= */

#define MOST_RESULTS 16 /* given without memory from the heap */

/* Calls `done` with the results of the task at the top. */
static void give_results(neap_vm *vm, lua_State *L, neap_done_fn done,
                         void *ud) {
  neap_value few[MOST_RESULTS], *values = few;
  const neap__future *f = (neap__future *)neap__known(L, -1);
  int n = (int)f->nresults, i;
  int top = lua_gettop(L), status = NEAP_OK;
  if (n > MOST_RESULTS)
    values = (neap_value *)neap__alloc(vm, NULL, 0, n * sizeof *values);
  if (values == NULL || !lua_checkstack(L, n + LUA_MINSTACK))
    status = neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
  else {
    (void)neap__outcome(L, top, f); /* cannot raise: there is room */
    for (i = 0; i < n; i++) {
      if (!neap__value_get(vm, L, top + 1 + i, &values[i]))
        status = neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
    }
  }
  done(ud, vm, status, values, status == NEAP_OK ? n : 0);
  if (values != few && values != NULL)
    (void)neap__alloc(vm, values, n * sizeof *values, 0);
}

/* Lua: the task; reports its error, as nobody else will. */
static int report(lua_State *L) {
  neap__future_report(L, 1, "unhandled exception in a task of the host");
  return 0;
}

static void report_killed(neap_vm *vm, int code) {
  const char *text = neap_strerror(code);
  neap__report_text(vm, text, strlen(text));
}

/* The task has ended. */
static void ended(neap_vm *vm, neap__job *job) {
  spawned *s = (spawned *)job;
  lua_State *L = vm->L;
  neap_done_fn done = s->done;
  void *ud = s->ud;
  int top = lua_gettop(L), killed = neap__killed(vm, s->budget);
  int scope = neap__scope_open(vm);
  neap__future *f;
  neap__anchor_push(L, s->anchor);
  neap__anchor_drop(vm, s->anchor);
  close_slot(vm, s);
  f = (neap__future *)neap__known(L, -1);
  if (f->state != NEAP__CANCELLED)
    killed = 0; /* it came to its end before */
  if (done != NULL && f->state == NEAP__FINISHED)
    give_results(vm, L, done, ud);
  else if (done != NULL)
    done(ud, vm, neap__fail_task(vm, L, killed), NULL, 0);
  else if (killed != 0 && killed != NEAP_ECLOSED)
    report_killed(vm, killed);
  else if (f->state == NEAP__FAILED) {
    f->observed = 1;
    lua_pushcfunction(L, report);
    lua_insert(L, -2);
    if (neap__own_pcall(vm, L, 1, 0) != LUA_OK)
      lua_pop(L, 1); /* no memory for the report */
  }
  lua_settop(L, top);
  neap__scope_close(vm, scope);
}

/* ====================================================== } */

/* {======================================================
** The API
** ======================================================= */

/* Replaces the function at the index, and all that stands above it, its
   arguments, by a coroutine object. */
static void make_coroutine(lua_State *L, int function) {
  if (!neap__is_async_function(L, function)) {
    lua_pushvalue(L, function);
    neap__async_of(L);
    lua_replace(L, function);
  }
  lua_call(L, lua_gettop(L) - function, 1);
}

/* Lua: its slot, light userdata; function and arguments */
static int spawn(lua_State *L) {
  spawned *s = (spawned *)lua_touserdata(L, 1);
  neap__task *task;
  make_coroutine(L, 2);
  task = neap__task_new(L, -1, 0);
  s->anchor = neap__anchor(neap__vm(L), L); /* an error leaves a task, which
                                                is killed */
  neap__future_wait(&task->future, &s->job);
  return 0;
}

/* Starts the task of a slot. */
static int start(neap_vm *vm, spawned *s, const neap_value *function,
                 const neap_value *args, int nargs) {
  lua_State *L = vm->running;
  neap__budget *inner = vm->inner;
  int top = lua_gettop(L), status = neap__call_room(vm, L, nargs, 0);
  if (status != NEAP_OK)
    return status;
  lua_pushcfunction(L, spawn);
  lua_pushlightuserdata(L, s);
  status = neap__call_push(vm, L, function, args, nargs);
  if (status != NEAP_OK) {
    lua_settop(L, top);
    return status;
  }
  neap__enter(vm);
  vm->inner = s->budget; /* what it makes has this one */
  status = neap__own_pcall(vm, L, nargs + 2, 0);
  vm->inner = inner;
  if (status != LUA_OK) {
    status = neap__fail_lua(vm, L, status);
    neap__budget_kill(vm, s->budget, NEAP_ENOMEM);
  }
  neap__leave(vm);
  return status;
}

NEAP_API int neap_spawn(neap_vm *vm, const neap_value *function,
                        const neap_value *args, int nargs, double deadline,
                        neap_done_fn done, void *ud, neap_task *task) {
  spawned *s;
  int status = neap__call_check(vm, deadline);
  if (task != NULL)
    *task = 0;
  if (status != NEAP_OK)
    return status;
  s = open_slot(vm);
  if (s == NULL)
    return neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
  s->job.run = ended;
  s->done = done;
  s->ud = ud;
  s->budget = neap__budget_new(vm, NULL, deadline);
  if (s->budget == NULL)
    status = neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
  else {
    s->budget->number = s->number;
    status = start(vm, s, function, args, nargs);
  }
  if (status != NEAP_OK)
    close_slot(vm, s);
  else if (task != NULL)
    *task = s->number;
  return status;
}

NEAP_API int neap_pending(neap_vm *vm, neap_task task) {
  return neap__check(vm) == NEAP_OK && find(vm, task) != NULL;
}

typedef struct cancellation {
  spawned *s;
  const char *message;
} cancellation;

/* Lua: the cancellation, light userdata */
static int cancel(lua_State *L) {
  cancellation *c = (cancellation *)lua_touserdata(L, 1);
  neap__anchor_push(L, c->s->anchor);
  lua_pushstring(L, c->message); /* nil for NULL */
  (void)neap__cancel(L, -2);
  return 0;
}

NEAP_API int neap_cancel(neap_vm *vm, neap_task task, const char *message) {
  cancellation c = {NULL, message};
  int status = neap__check(vm);
  if (status != NEAP_OK)
    return status;
  c.s = find(vm, task);
  if (c.s == NULL)
    return neap__fail(vm, NEAP_ENOENT, "the task has ended", NULL);
  neap__enter(vm);
  status = neap__protect(vm, cancel, &c);
  neap__leave(vm);
  return status;
}

/* The budget of the task, or of what it has left behind; NULL: there is none
   any more. */
static neap__budget *find_budget(neap_vm *vm, neap_task task) {
  const spawned *s = find(vm, task);
  neap__budget *b = vm->budgets;
  if (s != NULL)
    return s->budget;
  while (b != NULL && (b->number != task || b->killed != 0))
    b = b->next;
  return b;
}

NEAP_API int neap_kill(neap_vm *vm, neap_task task) {
  neap__budget *budget = NULL;
  int status = neap__check(vm);
  if (status != NEAP_OK)
    return status;
  if (task != 0 && (budget = find_budget(vm, task)) == NULL)
    return neap__fail(vm, NEAP_ENOENT, "the task has ended", NULL);
  neap__enter(vm);
  if (budget == NULL)
    neap__vm_kill(vm, NEAP_EKILLED);
  else
    neap__budget_kill(vm, budget, NEAP_EKILLED);
  neap__leave(vm);
  return NEAP_OK;
}

/* ====================================================== } */
