/*
** await.c - the C half of await: where a task suspends.
**
** `await` itself is a Lua function (vm/lua/await.lua): it asks
** neap__await_enter what to do, and runs a coroutine object by a tail
** call, in the same Lua thread and without a C call. The answers:
**    nothing        the await is over, without a result
**    nil, value     it is over, with one result, neither nil nor false
**    fn             call fn
**    fn, true, arg  call fn(arg)
**    fn, object     call fn with what neap__await_arguments(object) gives:
**                   with a coroutine object's arguments; or, to return all
**                   other results, with those of a future or a sleep
** Whatever is not done suspends the task here. A task that awaits a plain
** future keeps it in its own NEAP__RESULT slot, empty until the task
** ends: C code finds the userdata there.
*/
#include "vm.h"

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

/* Lua: returns its arguments. */
static int pass(lua_State *L) { return lua_gettop(L); }

/* Answers with the n results of the object at index 1; `value`: the user
   value that holds a single one. */
static int answer(lua_State *L, uint32_t n, int value) {
  if (n == 0)
    return 0;
  lua_pushnil(L);
  if (n == 1) {
    lua_getiuservalue(L, 1, value);
    if (lua_toboolean(L, -1))
      return 2;
  }
  lua_pushcfunction(L, pass);
  lua_pushvalue(L, 1);
  return 2;
}

/* Answers with the outcome of the future at index 1. */
static int answer_future(lua_State *L, neap__future *f) {
  if (f->state != NEAP__FINISHED)
    return neap__outcome_raise(L, 1);
  return answer(L, f->nresults, NEAP__RESULT);
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
    return answer_future(L, f);
  return answer(L, lua_gettop(L) > 0, 1);
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

/* A million sleepers need not keep what they awaited: neither in this
   frame nor as the parameter of `await`. */
static void forget(lua_State *L) {
  lua_Debug ar;
  lua_settop(L, 0);
  if (lua_getstack(L, 1, &ar)) {
    lua_pushnil(L);
    if (lua_setlocal(L, &ar, 1) == NULL)
      lua_pop(L, 1);
  }
}

static int await_coroutine(neap_vm *vm, lua_State *L, neap__coroutine *c) {
  neap__task *task = vm->current;
  double delay;
  if (c->body == NEAP__LUA) {
    neap__coroutine_take(L, 1, c, NEAP__AWAITED, 2);
    lua_getiuservalue(L, 1, 1);
    if (c->nargs == 0)
      return 1;
    if (c->nargs > 1) {
      lua_pushvalue(L, 1);
      return 2;
    }
    lua_pushboolean(L, 1);
    lua_getiuservalue(L, 1, 2);
    return 3;
  }
  if (c->body == NEAP__HOLD)
    return neap__hold_await(vm, L, (neap__hold *)c);
  neap__check_suspend(vm, L, 2);
  neap__coroutine_take(L, 1, c, NEAP__AWAITED, 2);
  delay = ((neap__sleeper *)c)->delay;
  if (delay > 0 && !task->must_cancel) {
    uint64_t deadline = neap__deadline(delay);
    if (neap__timer_start(vm, &task->timer, deadline) != 0)
      return luaL_error(L, "not enough memory");
  }
  else
    neap__queue_push(&vm->ready, &task->timer.job);
  if (c->nargs == 0)
    forget(L);
  return suspend(vm, L, NULL);
}

static int await_future(neap_vm *vm, lua_State *L, neap__future *f) {
  neap__task *task = vm->current;
  if (f->state != NEAP__PENDING)
    return answer_future(L, f);
  if (f == &task->future)
    return neap__usage(L, 2, "Task cannot await on itself");
  neap__check_suspend(vm, L, 2);
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
  while (luaL_getmetafield(L, 1, "__await") != LUA_TNIL) {
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    lua_replace(L, 1);
    if (neap__object_at(L, 1) != NULL)
      return;
    if (++steps == 100)
      neap__usage(L, 2, "await: __await gives objects with __await endlessly");
  }
  neap__refuse_awaitable(L, 1, "await", 2);
}

int neap__await_turn(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  neap__queue_push(&vm->ready, &vm->current->timer.job);
  vm->suspending = 1;
  return lua_yieldk(L, 0, 0, turned);
}

/* await(sleep(0)): the fastest way to let others run. */
static int await_bare_yield(neap_vm *vm, lua_State *L) {
  neap__check_suspend(vm, L, 2);
  if (!vm->bare_yield_out)
    neap__coroutine_take_again(L, 1, 2); /* raises */
  vm->bare_yield_out = 0;
  return neap__await_turn(L);
}

int neap__await_enter(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  void *block = lua_touserdata(L, 1);
  neap__object *o;
  if (block == vm->bare_yield && vm->current != NULL)
    return await_bare_yield(vm, L);
  o = neap__object_of(L, 1, block);
  if (vm->current == NULL)
    neap__cannot_suspend(vm, L, 2);
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
