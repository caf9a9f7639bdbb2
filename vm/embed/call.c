/*
** call.c - compiling scripts, and calling their functions.
*/
#include <string.h>

#include "embed.h"

/* {======================================================
** Loading
** ======================================================= */

typedef struct script {
  const char *name;
  const char *text;
  size_t size;
  int status; /* of Lua */
} script;

/* Lua: the script, light userdata; leaves the function, or the message. */
static int load(lua_State *L) {
  script *s = (script *)lua_touserdata(L, 1);
  const char *name = lua_pushfstring(L, "=%s", s->name);
  s->status = luaL_loadbufferx(L, s->text, s->size, name, "t");
  return 1;
}

/* Leaves out a first line "#!...", but not its end, which counts. */
static void skip_shebang(script *s) {
  const char *end;
  if (s->size == 0 || *s->text != '#')
    return;
  end = (const char *)memchr(s->text, '\n', s->size);
  s->size = end != NULL ? s->size - (size_t)(end - s->text) : 0;
  s->text = end;
}

NEAP_API int neap_load(neap_vm *vm, const char *name, const char *text,
                       size_t size, neap_value *function) {
  script s = {name, text, size, LUA_OK};
  lua_State *L;
  int status = neap__check(vm);
  *function = neap_nil();
  if (status != NEAP_OK)
    return status;
  L = vm->running;
  if (!lua_checkstack(L, 4))
    return neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
  skip_shebang(&s);
  lua_pushcfunction(L, load);
  lua_pushlightuserdata(L, &s);
  status = lua_pcall(L, 1, 1, 0);
  if (status != LUA_OK)
    return neap__fail_lua(vm, L, status);
  if (s.status != LUA_OK) /* also too deep for the parser */
    return neap__fail_lua(vm, L, s.status == LUA_ERRMEM ? LUA_ERRMEM
                                                        : LUA_ERRSYNTAX);
  if (!neap__value_pop(vm, L, function))
    return neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
  return NEAP_OK;
}

/* ====================================================== } */

/* {======================================================
** Calling
** ======================================================= */

/* Pushes the function and its arguments. An error, with nothing pushed. */
static int push_call(neap_vm *vm, lua_State *L, const neap_value *function,
                     const neap_value *args, int nargs) {
  int i, top = lua_gettop(L);
  if (!neap__value_push(vm, L, function) || !lua_isfunction(L, -1)) {
    lua_settop(L, top);
    return neap__fail(vm, NEAP_EINVAL, "a function expected", NULL);
  }
  for (i = 0; i < nargs; i++) {
    if (!neap__value_push(vm, L, &args[i])) {
      lua_settop(L, top);
      return neap__fail(vm, NEAP_EINVAL,
                        "an argument that is borrowed no longer", NULL);
    }
  }
  return NEAP_OK;
}

/* Whether pushing them can raise an error: strings need memory. */
static int has_text(const neap_value *args, int nargs) {
  int i;
  for (i = 0; i < nargs; i++) {
    if (args[i].type == NEAP_STRING)
      return 1;
  }
  return 0;
}

typedef struct call {
  neap_vm *vm;
  const neap_value *function;
  const neap_value *args;
  int nargs;
  int status;
} call;

/* Lua: the call, light userdata; leaves function and arguments. */
static int push_protected(lua_State *L) {
  call *c = (call *)lua_touserdata(L, 1);
  luaL_checkstack(L, c->nargs + 2, NULL);
  c->status = push_call(c->vm, L, c->function, c->args, c->nargs);
  return c->status == NEAP_OK ? c->nargs + 1 : 0;
}

int neap__call_push(neap_vm *vm, lua_State *L, const neap_value *function,
                    const neap_value *args, int nargs) {
  call c = {vm, function, args, nargs, NEAP_OK};
  if (nargs < 0)
    return neap__fail(vm, NEAP_EINVAL, "less than no arguments", NULL);
  if (!lua_checkstack(L, nargs + LUA_MINSTACK))
    return neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
  if (!has_text(args, nargs))
    return push_call(vm, L, function, args, nargs);
  lua_pushcfunction(L, push_protected);
  lua_pushlightuserdata(L, &c);
  if (lua_pcall(L, 1, LUA_MULTRET, 0) != LUA_OK) {
    lua_pop(L, 1);
    return neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
  }
  return c.status;
}

/* Moves the n values at the top into `results`. */
static int pop_results(neap_vm *vm, lua_State *L, neap_value *results, int n) {
  int status = NEAP_OK;
  while (n-- > 0) {
    if (!neap__value_pop(vm, L, &results[n]))
      status = neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
  }
  return status;
}

/* Whether a call is to have a budget of its own in this one, which a chain of
   calls does not make longer and longer. */
static int is_shorter(const neap__budget *outer, double deadline) {
  if (outer == NULL)
    return 1;
  return deadline != 0 && outer->outer == NULL &&
         neap__deadline(deadline) < outer->deadline;
}

/* Calls what is pushed above a message handler, with a budget of its own where
   there are limits; inside a task or another call only if it is to have less
   time. */
static int run_call(neap_vm *vm, lua_State *L, int handler, int nargs,
                    int nresults, double deadline) {
  neap__budget *own = NULL, *inner = vm->inner;
  int status;
  if (vm->limits == NULL) {
    status = lua_pcall(L, nargs, nresults, handler);
    return status == LUA_OK ? NEAP_OK : neap__fail_lua(vm, L, status);
  }
  if (is_shorter(neap__budget_current(vm), deadline)) {
    own = neap__budget_new(vm, neap__budget_current(vm), deadline);
    if (own == NULL)
      return neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
    vm->inner = own;
  }
  (void)neap__limits_begin(vm);
  if (own != NULL && own->outer == NULL)
    neap__limits_step(vm); /* a host's callback may make many calls */
  status = lua_pcall(L, nargs, nresults, handler);
  neap__limits_end(vm);
  if (status != LUA_OK)
    status = neap__fail_lua(vm, L, status);
  if (own != NULL) {
    vm->inner = inner;
    neap__budget_drop(vm, own);
  }
  return status;
}

/* Whether it may begin; then there is room for the results. */
static int check_call(neap_vm *vm, double deadline, int nresults) {
  if (vm->killed != 0)
    return neap__fail(vm, vm->killed, NULL, NULL);
  if (!(deadline >= 0)) /* nor NaN */
    return neap__fail(vm, NEAP_EINVAL, "a deadline is not negative", NULL);
  if (nresults < 0)
    return neap__fail(vm, NEAP_EINVAL, "less than no results", NULL);
  if (!lua_checkstack(vm->running, nresults + LUA_MINSTACK))
    return neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
  return neap__attach(vm); /* it may create tasks */
}

/* They may stand where the function or an argument stands. */
static void clear(neap_value *results, int nresults) {
  int i;
  for (i = 0; i < nresults; i++)
    results[i] = neap_nil();
}

NEAP_API int neap_call(neap_vm *vm, const neap_value *function,
                       const neap_value *args, int nargs, neap_value *results,
                       int nresults, double deadline) {
  lua_State *L;
  int handler, status = neap__check(vm);
  if (status == NEAP_OK)
    status = check_call(vm, deadline, nresults);
  if (status != NEAP_OK) {
    clear(results, nresults);
    return status;
  }
  L = vm->running;
  handler = lua_gettop(L) + 1;
  lua_pushcfunction(L, neap__callback_handler);
  status = neap__call_push(vm, L, function, args, nargs);
  clear(results, nresults);
  if (status == NEAP_OK) {
    neap__scope_reset(vm);
    neap__enter(vm);
    status = run_call(vm, L, handler, nargs, nresults, deadline);
    neap__leave(vm);
    if (status == NEAP_OK)
      status = pop_results(vm, L, results, nresults);
  }
  lua_settop(L, handler - 1);
  return status;
}

/* ====================================================== } */
