/*
** call.c - compiling scripts, and calling their functions; callbacks.
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
  status = neap__own_pcall(vm, L, 1, 1);
  if (status != LUA_OK)
    return neap__fail_lua(vm, L, status);
  if (s.status != LUA_OK) /* also too deep for the parser */
    return neap__fail_lua(vm, L, s.status == LUA_ERRMEM ? LUA_ERRMEM
                                                        : LUA_ERRSYNTAX);
  if (!neap__value_get(vm, L, -1, function))
    status = neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
  lua_pop(L, 1);
  return status;
}

/* ====================================================== } */

/* {======================================================
** Calling
** ======================================================= */

/* Whether a call is to have a budget of its own in this one, which a chain of
   calls does not make longer and longer. */
static int is_shorter(const neap__budget *outer, double deadline) {
  if (outer == NULL)
    return 1;
  return deadline != 0 && outer->outer == NULL &&
         neap__deadline(deadline) < outer->deadline;
}

/* Calls what is pushed above a message handler, as lua_pcall does, with a
   budget of its own; inside a task or another call only if it is to have less
   time. An error leaves nothing but the handler. */
NEAP__APART int call_limited(neap_vm *vm, lua_State *L, int nargs,
                             int nresults, double deadline) {
  neap__budget *own = NULL, *inner = vm->inner;
  int status;
  if (is_shorter(neap__budget_current(vm), deadline)) {
    own = neap__budget_new(vm, neap__budget_current(vm), deadline);
    if (own == NULL) {
      lua_pop(L, nargs + 1);
      return neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
    }
    vm->inner = own;
  }
  (void)neap__limits_begin(vm);
  if (own != NULL && own->outer == NULL)
    neap__limits_step(vm); /* a host's callback may make many calls */
  status = lua_pcall(L, nargs, nresults, -2 - nargs);
  neap__limits_end(vm);
  if (status != LUA_OK)
    status = neap__fail_lua(vm, L, status);
  if (own != NULL) {
    vm->inner = inner;
    neap__budget_drop(vm, own);
  }
  return status;
}

/* The same without limits. */
static int call_unlimited(neap_vm *vm, lua_State *L, int nargs, int nresults) {
  int status = lua_pcall(L, nargs, nresults, -2 - nargs);
  return status == LUA_OK ? NEAP_OK : neap__fail_lua(vm, L, status);
}

/* Stores the n values at the top. */
static inline int get_results(neap_vm *vm, lua_State *L, neap_value *results,
                              int n) {
  for (; n > 0; n--, results++) {
    if (!neap__value_get(vm, L, -n, results))
      return neap__fail(vm, NEAP_ENOMEM, NULL, NULL);
  }
  return NEAP_OK;
}

/* There are no results; returns the status. */
NEAP__APART int without(neap_value *results, int n, int status) {
  int i;
  for (i = 0; i < n; i++)
    results[i] = neap_nil();
  return status;
}

/* The call, which may begin. The results may stand where the function or an
   argument stands: they are written when these have been pushed. */
NEAP__INLINE int call(neap_vm *vm, const neap_value *function,
                      const neap_value *args, int nargs, neap_value *results,
                      int nresults, int limited, double deadline) {
  lua_State *L = vm->running;
  int status = neap__call_room(vm, L, nargs, nresults);
  if (status != NEAP_OK)
    return without(results, nresults, status);
  lua_pushcfunction(L, neap__callback_handler);
  status = neap__call_push(vm, L, function, args, nargs);
  if (status == NEAP_OK) {
    neap__scope_reset(vm);
    neap__enter(vm);
    status = limited ? call_limited(vm, L, nargs, nresults, deadline)
                     : call_unlimited(vm, L, nargs, nresults);
    neap__leave(vm);
  }
  if (status != NEAP_OK)
    lua_pop(L, 1);
  else {
    status = get_results(vm, L, results, nresults);
    lua_pop(L, nresults + 1);
  }
  return status == NEAP_OK ? NEAP_OK : without(results, nresults, status);
}

/* Where there is more to look at. */
NEAP__APART int call_checked(neap_vm *vm, const neap_value *function,
                             const neap_value *args, int nargs,
                             neap_value *results, int nresults,
                             double deadline) {
  int status = neap__call_check(vm, deadline);
  if (status != NEAP_OK)
    return without(results, nresults, status);
  return call(vm, function, args, nargs, results, nresults,
              vm->limits != NULL, deadline);
}

NEAP_API int neap_call(neap_vm *vm, const neap_value *function,
                       const neap_value *args, int nargs, neap_value *results,
                       int nresults, double deadline) {
  if (vm->plain == &neap__here && deadline >= 0) /* nor NaN */
    return call(vm, function, args, nargs, results, nresults, 0, deadline);
  return call_checked(vm, function, args, nargs, results, nresults, deadline);
}

/* ====================================================== } */

/* {======================================================
** Callbacks
** ======================================================= */

/* Calls the function below the arguments at the top of vm->L. */
static void run_callback(neap_vm *vm, int nargs) {
  lua_State *L = vm->L;
  int subject = lua_gettop(L) - nargs;
  lua_pushvalue(L, subject);
  lua_insert(L, subject);
  if (vm->limits != NULL)
    (void)neap__limits_begin(vm);
  neap__callback(vm, vm->budget, subject, nargs); /* outside of any */
  if (vm->limits != NULL)
    neap__limits_end(vm);
  lua_settop(L, subject - 1);
}

NEAP_API void neap_callback(lua_State *L, int nargs) {
  neap_vm *vm = neap__vm(L);
  int top = lua_gettop(L) - nargs - 1;
  if (neap__check(vm) == NEAP_OK && vm->killed == 0 &&
      neap__attach(vm) == NEAP_OK) {
    neap__scope_reset(vm);
    neap__enter(vm);
    if (lua_checkstack(vm->L, nargs + LUA_MINSTACK)) {
      if (vm->L != L)
        lua_xmove(L, vm->L, nargs + 1);
      run_callback(vm, nargs);
    }
    neap__leave(vm);
  }
  lua_settop(L, top);
}

/* ====================================================== } */
