/*
** generator.c - the functions of `coroutine` that must know the loop.
**
** An await inside a coroutine of the user's own (here: a generator)
** suspends the task. Its yield is marked by vm->suspending; resume and
** wrap hand it on to whoever resumed the task, level by level, and go on
** inside the generator when they are resumed themselves. The generator's
** own yields go to its consumer as ever.
**
** Outside tasks everything behaves exactly as in stock Lua.
*/
#include "vm.h"

#define MOST_STACK 300000 /* bytes, in nested coroutine.close */
#define DEEPEST_CLOSE 190 /* nested coroutine.close; the C stack is finite */

enum { FAILED = -1, SUSPENDED = -2 };

/* {======================================================
** Resuming
** ======================================================= */

/* The body of the generator has ended, inside its protected call. */
static int generator_finish(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status != LUA_OK && status != LUA_YIELD)
    return neap__throw(L);
  return lua_gettop(L) - 1;
}

/*
** The function at the base of a generator that a task starts: the
** protected call lets its to-be-closed variables await when an error or a
** cancellation ends it. And of all where there are limits: hooks are off in
** a Lua thread that a hook's error has ended, but not behind such a call.
*/
static int generator_main(lua_State *L) {
  int n = lua_gettop(L) - 1;
  lua_pushcfunction(L, neap__callback_handler);
  lua_insert(L, 1);
  return generator_finish(
      L, lua_pcallk(L, n, LUA_MULTRET, 1, 0, generator_finish), 0);
}

/* Whether only the loop may resume it now. */
static int is_taken(lua_State *co) {
  return (*neap__extra(co) & (NEAP__TASK_THREAD | NEAP__AWAITING)) != 0;
}

/* Pushes the status that scripts see. */
static const char *push_status(lua_State *L, lua_State *co) {
  if (L == co)
    return lua_pushliteral(L, "running");
  if (is_taken(co) && lua_status(co) == LUA_YIELD)
    return lua_pushliteral(L, "normal"); /* it waits: for the loop */
  switch (lua_status(co)) {
  case LUA_YIELD:
    return lua_pushliteral(L, "suspended");
  case LUA_OK: {
    lua_Debug ar;
    if (lua_getstack(co, 0, &ar))
      return lua_pushliteral(L, "normal");
    return lua_gettop(co) == 0 ? lua_pushliteral(L, "dead")
                               : lua_pushliteral(L, "suspended");
  }
  default:
    return lua_pushliteral(L, "dead");
  }
}

static int is_fresh(lua_State *co) {
  lua_Debug ar;
  return lua_status(co) == LUA_OK && lua_gettop(co) > 0 &&
         !lua_getstack(co, 0, &ar);
}

/*
** Resumes co with its arguments on its stack. Returns the number of
** results, moved to L; FAILED with the error moved to L; or SUSPENDED:
** the generator awaits, and L has to yield.
*/
static int resume(lua_State *L, lua_State *co, int nargs) {
  neap_vm *vm = neap__vm(L);
  lua_State *outer = vm->running;
  int in_task = vm->current != NULL, blocked = 0, status, n;
  if (in_task) {
    blocked = !lua_isyieldable(L);
    vm->noyield += (uint32_t)blocked;
  }
  vm->running = co;
  neap__interrupt_meet(vm, co);
  status = lua_resume(co, L, nargs, &n);
  vm->running = outer;
  neap__interrupt_pass(co, L);
  vm->noyield -= (uint32_t)blocked;
  if (status == LUA_YIELD && vm->suspending) {
    *neap__extra(co) |= NEAP__AWAITING;
    return SUSPENDED;
  }
  if (status == LUA_OK || status == LUA_YIELD) {
    if (!lua_checkstack(L, n + 1)) {
      lua_pop(co, n);
      lua_pushliteral(L, "too many results to resume");
      return FAILED;
    }
    lua_xmove(co, L, n);
    return n;
  }
  lua_xmove(co, L, 1);
  return FAILED;
}

/* The same for the first call of a resume, arguments on top of L. */
static int resume_with(lua_State *L, lua_State *co, int nargs) {
  neap_vm *vm = neap__vm(L);
  if (!lua_checkstack(co, nargs + 1)) {
    lua_pushliteral(L, "too many arguments to resume");
    return FAILED;
  }
  if (is_taken(co)) {
    const char *name = push_status(L, co);
    lua_pushfstring(L, "cannot resume %s coroutine",
                    *name == 'd' ? name : "non-suspended");
    return FAILED;
  }
  if ((vm->current != NULL || vm->limits != NULL) && is_fresh(co)) {
    lua_pushcfunction(co, generator_main);
    lua_insert(co, 1);
    lua_xmove(L, co, nargs);
    return resume(L, co, nargs + 1);
  }
  lua_xmove(L, co, nargs);
  return resume(L, co, nargs);
}

/* The generator goes on after an await. */
static int resume_again(lua_State *L, lua_State *co) {
  *neap__extra(co) &= ~NEAP__AWAITING;
  return resume(L, co, 0);
}

/* ====================================================== } */

/* {======================================================
** coroutine.resume
** ======================================================= */

static lua_State *check_thread(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "thread");
  return co;
}

static int resume_continue(lua_State *L, int status, lua_KContext ctx);

static int resume_results(lua_State *L, int n) {
  if (n == SUSPENDED)
    return lua_yieldk(L, 0, 0, resume_continue);
  if (n == FAILED) {
    if (neap__error_flags(L, -1) & NEAP__IS_PASSING)
      return neap__throw(L);
    neap__raising_clear(L);
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
  }
  lua_pushboolean(L, 1);
  lua_insert(L, -(n + 1));
  return n + 1;
}

static int resume_continue(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return resume_results(L, resume_again(L, lua_tothread(L, 1)));
}

/* Lua: coroutine.resume(co, ...) */
static int generator_resume(lua_State *L) {
  lua_State *co = check_thread(L);
  return resume_results(L, resume_with(L, co, lua_gettop(L) - 1));
}

/* ====================================================== } */

/* {======================================================
** coroutine.wrap
** ======================================================= */

static int wrap_continue(lua_State *L, int status, lua_KContext ctx);

/* As lua_resetthread, which runs Lua on co. */
static int reset(neap_vm *vm, lua_State *co) {
  lua_State *outer = vm->running;
  int status;
  vm->running = co;
  neap__interrupt_meet(vm, co);
  status = lua_resetthread(co); /* raises nothing */
  vm->running = outer;
  neap__interrupt_pass(co, outer);
  return status;
}

static int wrap_results(lua_State *L, lua_State *co, int n) {
  int status;
  if (n == SUSPENDED)
    return lua_yieldk(L, 0, 0, wrap_continue);
  if (n != FAILED)
    return n;
  status = lua_status(co);
  if (neap__error_flags(L, -1) & NEAP__IS_KILL)
    return neap__throw(L); /* the rest of it does not run */
  if (status != LUA_OK && status != LUA_YIELD) { /* an error inside it? */
    status = reset(neap__vm(L), co); /* closes its to-be-closed variables */
    lua_pop(L, 1);
    lua_xmove(co, L, 1);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    lua_pushvalue(L, -1);
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
    if (neap__vm(L)->current != NULL)
      neap__raising_replace(L, -2);
  }
  return neap__throw(L);
}

static int wrap_continue(lua_State *L, int status, lua_KContext ctx) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  (void)status;
  (void)ctx;
  return wrap_results(L, co, resume_again(L, co));
}

static int wrap_call(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  return wrap_results(L, co, resume_with(L, co, lua_gettop(L)));
}

/* Lua: coroutine.wrap(f) */
static int generator_wrap(lua_State *L) {
  lua_State *co;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, wrap_call, 1);
  return 1;
}

/* ====================================================== } */

/* {======================================================
** coroutine.yield, close, status
** ======================================================= */

/* Lua: coroutine.yield(...) */
static int generator_yield(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  if (vm->current != NULL && vm->current->thread == L)
    return neap__usage(L, 1, "attempt to yield from a task: only a generator "
                             "(coroutine.wrap, coroutine.create) can yield; "
                             "use await(sleep(0)) to let other tasks run");
  return lua_yield(L, lua_gettop(L));
}

/* Lua: coroutine.status(co) */
static int generator_status(lua_State *L) {
  push_status(L, check_thread(L));
  return 1;
}

/* Where the C stack is. A local variable may stand elsewhere: the address
   sanitizer keeps them on the heap. */
#if defined(__GNUC__)
#define STACK_NOW() ((uintptr_t)__builtin_frame_address(0))
#else
#define STACK_NOW() ((uintptr_t)&(char){0})
#endif

/* Bytes of the C stack since the outermost close: each one of them brings the
   count of C calls that its coroutine had, so that Lua's does not hold. */
static uintptr_t stack_used(const neap_vm *vm, uintptr_t now) {
  uintptr_t base = vm->close_base;
  return now < base ? base - now : now - base;
}

/* Lua: coroutine.close(co) */
static int generator_close(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  lua_State *co = check_thread(L);
  const char *name = push_status(L, co);
  int status, dead, flags;
  if (*name == 'r' || *name == 'n')
    return luaL_error(L, "cannot close a %s coroutine", name);
  if (*neap__extra(co) & NEAP__TASK_THREAD) { /* a task's, which has ended */
    lua_pushboolean(L, 1);
    return 1;
  }
  if (vm->close_depth == 0)
    vm->close_base = STACK_NOW();
  if (vm->close_depth >= DEEPEST_CLOSE ||
      stack_used(vm, STACK_NOW()) > MOST_STACK)
    return luaL_error(L, "C stack overflow");
  dead = *name == 'd';
  vm->close_depth++;
  status = reset(vm, co);
  vm->close_depth--;
  if (status == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_xmove(co, L, 1);
  flags = neap__error_flags(L, -1);
  if ((flags & NEAP__IS_KILL) &&
      neap__killed(vm, neap__budget_current(vm)) == 0) {
    lua_pushliteral(L, "the coroutine was killed"); /* in an earlier call */
    lua_replace(L, -2);
    flags = 0;
  }
  if ((flags & NEAP__IS_KILL) || (!dead && (flags & NEAP__IS_PASSING)))
    return neap__throw(L); /* a new one: an old one has passed already */
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

/* ====================================================== } */

lua_State *neap__generator_of(lua_State *L) {
  lua_Debug ar;
  lua_CFunction f;
  lua_State *co = NULL;
  if (!lua_checkstack(L, 2) || !lua_getstack(L, 0, &ar) ||
      !lua_getinfo(L, "f", &ar))
    return NULL;
  f = lua_tocfunction(L, -1);
  if (f == wrap_call && lua_getupvalue(L, -1, 1) != NULL) {
    co = lua_tothread(L, -1);
    lua_pop(L, 1);
  }
  else if (f == generator_resume && lua_getlocal(L, &ar, 1) != NULL) {
    co = lua_tothread(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return co;
}

void neap__generator_init(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"resume", generator_resume}, {"wrap", generator_wrap},
      {"yield", generator_yield},   {"status", generator_status},
      {"close", generator_close},   {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
