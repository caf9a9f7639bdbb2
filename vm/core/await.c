/*
** await.c - await: where a task suspends.
**
** An await of a coroutine object calls its function, in the same Lua
** thread. Such a call takes a C stack level, and Lua has 200 of them: so
** where many awaits stand in each other, the next one yields, which frees
** them all, and the task's step (task.c) resumes it at once. A C function
** without upvalues needs no call of Lua's: it runs in the frame of await.
**
** Whatever is not done suspends the task here. A task that awaits a plain
** future keeps it in its own NEAP__RESULT slot, empty until the task
** ends: C code finds the userdata there.
*/
#include "vm.h"

#define MOST_NESTED 16 /* awaits that call, inside each other */

/* Raises the error that a yield of this Lua thread cannot reach the loop. */
void neap__cannot_suspend(const neap_vm *vm, lua_State *L, int level) {
  if (vm->current == NULL)
    neap__usage(L, level, "await outside a task: write an async function and "
                          "start it with run(main())");
  if (vm->running != L && lua_isyieldable(L))
    neap__usage(L, level, "await: this coroutine was not resumed by "
                          "coroutine.resume or coroutine.wrap");
  neap__usage(L, level, "await: attempt to yield across a C-call boundary: a "
                        "callback of a C function (table.sort, string.gsub, "
                        "a metamethod called from C) cannot await; await "
                        "before the call instead");
}

int neap__raise_cancelled(lua_State *L, neap__task *task) {
  task->must_cancel = 0;
  task->interrupted = 0;
  neap__task_push(L, task);
  neap__cancelled_push(L, -1);
  return neap__throw(L);
}

/* Whether the future at index 1 gives a CancelledError. */
static int ends_cancelled(lua_State *L, const neap__future *f) {
  int flags = 0;
  if (f->state == NEAP__FAILED) { /* a gather's future may */
    lua_getiuservalue(L, 1, NEAP__RESULT);
    flags = neap__error_flags(L, -1);
    lua_pop(L, 1);
  }
  return f->state == NEAP__CANCELLED || (flags & NEAP__IS_CANCELLED);
}

/* The loop runs the task on. ctx: the future it awaited, or 0. What it
   awaited is still at index 1, but for a sleep without a result. */
static int resumed(lua_State *L, int status, lua_KContext ctx) {
  neap__task *task = neap__vm(L)->current;
  neap__future *f = (neap__future *)ctx;
  (void)status;
  task->waiting_on = NULL;
  if (f != NULL && f->type == &neap__future_type) { /* no longer kept */
    neap__task_push(L, task);
    lua_pushnil(L);
    lua_setiuservalue(L, -2, NEAP__RESULT);
    lua_pop(L, 1);
  }
  if (task->must_cancel && f != NULL && ends_cancelled(L, f))
    task->must_cancel = 0; /* this error will do */
  if (task->must_cancel || task->interrupted)
    return neap__raise_cancelled(L, task);
  if (f != NULL)
    return neap__outcome(L, 1, f);
  if (lua_gettop(L) == 0)
    return 0;
  lua_getiuservalue(L, 1, 1);
  return 1;
}

/* The same for a turn given up, without a result. */
static int turned(lua_State *L, int status, lua_KContext ctx) {
  neap__task *task = neap__vm(L)->current;
  (void)status;
  (void)ctx;
  if (task->must_cancel || task->interrupted)
    return neap__raise_cancelled(L, task);
  return 0;
}

static int suspend(neap_vm *vm, lua_State *L, neap__future *f) {
  vm->suspending = 1;
  return lua_yieldk(L, 0, (lua_KContext)f, resumed);
}

/* {======================================================
** Calls
** ======================================================= */

/* The function has suspended, and has ended since. */
static int called(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return lua_gettop(L);
}

int neap__await_call(neap_vm *vm, lua_State *L) {
  vm->nested++;
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, called);
  vm->nested--;
  return lua_gettop(L);
}

/* Calls a C function without upvalues; its arguments are the stack. It runs,
   and suspends, in the frame of await, as if that were its name. */
static int call_native(neap_vm *vm, lua_State *L, lua_CFunction f) {
  int n;
  vm->nested++;
  n = f(L);
  vm->nested--;
  return n;
}

/* The loop has resumed the task at once. */
static int await_again(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return neap__await(L);
}

/* ====================================================== } */

static int await_coroutine(neap_vm *vm, lua_State *L, neap__coroutine *c) {
  neap__task *task = vm->current;
  double delay;
  int deep = vm->nested >= MOST_NESTED;
  if (deep && neap__can_suspend(vm, L)) { /* empty the C stack? */
    vm->suspending = NEAP__COMES_BACK;
    return lua_yieldk(L, 0, 0, await_again);
  }
  if (neap__coroutine_calls(c)) {
    neap__coroutine_take(L, 1, c, NEAP__AWAITED, 1);
    lua_settop(L, 1);
    if (c->body == NEAP__NATIVE && !deep) /* it may await: calls are counted */
      return call_native(vm, L, neap__coroutine_open_native(L, c));
    neap__coroutine_open(L, c);
    return neap__await_call(vm, L);
  }
  if (c->body == NEAP__HOLD)
    return neap__hold_await(vm, L, (neap__hold *)c);
  neap__check_suspend(vm, L, 1);
  neap__coroutine_take(L, 1, c, NEAP__AWAITED, 1);
  delay = ((neap__sleeper *)c)->delay;
  if (delay > 0 && !task->must_cancel) {
    uint64_t deadline = neap__deadline(delay);
    if (neap__timer_start(vm, &task->timer, deadline) != 0)
      return luaL_error(L, "not enough memory");
  }
  else
    neap__queue_push(&vm->ready, &task->timer.job);
  if (c->nargs == 0) /* a million sleepers need not keep what they awaited */
    lua_settop(L, 0);
  return suspend(vm, L, NULL);
}

static int await_future(neap_vm *vm, lua_State *L, neap__future *f) {
  neap__task *task = vm->current;
  if (f->state != NEAP__PENDING)
    return neap__outcome(L, 1, f);
  if (f == &task->future)
    return neap__usage(L, 1, "Task cannot await on itself");
  neap__check_suspend(vm, L, 1);
  neap__future_wait(f, &task->timer.job);
  task->waiting_on = f;
  if (f->type == &neap__future_type) {
    neap__task_push(L, task);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, NEAP__RESULT);
    lua_pop(L, 1);
  }
  if (task->must_cancel) { /* cancelled itself before: strikes here */
    neap__task_push(L, task);
    neap__extra_get(L, -1, "cancel_message");
    if (neap__cancel(L, 1))
      task->must_cancel = 0;
  }
  return suspend(vm, L, f);
}

/* Replaces an object with __await by the awaitable it gives. */
static void resolve(lua_State *L) {
  int steps = 0;
  lua_settop(L, 1);
  while (luaL_getmetafield(L, 1, "__await") != LUA_TNIL) {
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    lua_replace(L, 1);
    if (neap__object_at(L, 1) != NULL)
      return;
    if (++steps == 100)
      neap__usage(L, 1, "await: __await gives objects with __await endlessly");
  }
  neap__refuse_awaitable(L, 1, "await", 1);
}

int neap__await_turn(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  neap__queue_push(&vm->ready, &vm->current->timer.job);
  vm->suspending = 1;
  return lua_yieldk(L, 0, 0, turned);
}

/* await(sleep(0)): the fastest way to let others run. */
static int await_bare_yield(neap_vm *vm, lua_State *L) {
  neap__check_suspend(vm, L, 1);
  if (!vm->bare_yield_out)
    neap__coroutine_take_again(L, 1, 1); /* raises */
  vm->bare_yield_out = 0;
  return neap__await_turn(L);
}

int neap__await(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  void *block = lua_touserdata(L, 1);
  neap__object *o;
  if (block == vm->bare_yield && vm->current != NULL)
    return await_bare_yield(vm, L);
  o = neap__object_of(L, 1, block);
  if (vm->current == NULL)
    neap__cannot_suspend(vm, L, 1);
  if (o == NULL || o->type->kind == NEAP__HANDLE) {
    resolve(L);
    o = neap__object_at(L, 1);
    if ((void *)o == (void *)vm->bare_yield)
      return await_bare_yield(vm, L);
  }
  if (o->type->kind == NEAP__COROUTINE)
    return await_coroutine(vm, L, (neap__coroutine *)o);
  return await_future(vm, L, (neap__future *)o);
}
