/*
** failure.c - what went wrong, as neap_error tells it: the code, message
** and traceback of the last function that failed, and what exit code a script
** has asked for.
*/
#include <string.h>

#include "embed.h"

static void drop(neap_vm *vm, char **text) {
  if (*text != NULL)
    (void)neap__alloc(vm, *text, strlen(*text) + 1, 0);
  *text = NULL;
}

/* Without memory there is no copy. */
static void copy(neap_vm *vm, char **to, const char *text) {
  size_t size;
  drop(vm, to);
  if (text == NULL || *text == '\0')
    return;
  size = strlen(text) + 1;
  *to = (char *)neap__alloc(vm, NULL, 0, size);
  if (*to != NULL)
    memcpy(*to, text, size);
}

int neap__fail(neap_vm *vm, int code, const char *message,
               const char *traceback) {
  vm->failure_code = code;
  vm->failure_exit = -1;
  copy(vm, &vm->failure_message, message);
  copy(vm, &vm->failure_traceback, traceback);
  return code;
}

void neap__failure_free(neap_vm *vm) {
  drop(vm, &vm->failure_message);
  drop(vm, &vm->failure_traceback);
}

NEAP_API void neap_error(neap_vm *vm, neap_error_info *info) {
  const char *message = vm->failure_message, *traceback = vm->failure_traceback;
  info->code = vm->failure_code;
  info->message = message != NULL ? message : neap_strerror(info->code);
  info->traceback = traceback != NULL ? traceback : "";
  info->exit_code = info->code == NEAP_EINTR ? vm->failure_exit : -1;
}

/* The same as neap__fail, with the texts, and perhaps the exit code, that the C
   function f gives for the value at the top of L, which stays. */
static int fail_with(neap_vm *vm, lua_State *L, int code, lua_CFunction f) {
  int top = lua_gettop(L), described = 0;
  if (lua_checkstack(L, 4)) {
    lua_pushcfunction(L, f);
    lua_pushvalue(L, top);
    described = neap__own_pcall(vm, L, 1, 3) == LUA_OK;
  }
  if (described) {
    (void)neap__fail(vm, code, lua_tostring(L, -3), lua_tostring(L, -2));
    if (lua_isinteger(L, -1))
      vm->failure_exit = (int)lua_tointeger(L, -1) & 0xFF;
  } else
    (void)neap__fail(vm, code, NULL, NULL);
  lua_settop(L, top);
  return code;
}

/* Lua: error -> its text, its traceback or nil; what KeyboardInterrupts have
   as `code` */
static int describe(lua_State *L) {
  lua_settop(L, 1);
  neap__error_message(L, 1, 1);
  lua_pushvalue(L, 1);
  neap__raised_traceback(L);
  lua_replace(L, -2);
  if (!neap_iskeyboardinterrupt(L, 1))
    return 2;
  lua_pushliteral(L, "code");
  lua_rawget(L, 1);
  return 3;
}

static int code_of(neap_vm *vm, int flags, int status) {
  int killed = neap__killed(vm, neap__budget_current(vm));
  if ((flags & NEAP__IS_KILL) && killed != 0)
    return killed;
  if (flags & NEAP__IS_CANCELLED)
    return NEAP_ECANCELED;
  if (flags & NEAP__IS_KEYBOARD)
    return NEAP_EINTR;
  if (status == LUA_ERRMEM)
    return NEAP_ENOMEM;
  return status == LUA_ERRSYNTAX ? NEAP_ESYNTAX : NEAP_ESCRIPT;
}

int neap__fail_lua(neap_vm *vm, lua_State *L, int status) {
  int flags = neap__error_flags(L, -1);
  int code = code_of(vm, flags, status);
  if (code != NEAP_ENOMEM && !(flags & NEAP__IS_KILL))
    (void)fail_with(vm, L, code, describe);
  else
    (void)neap__fail(vm, code, NULL, NULL);
  neap__raising_clear(L);
  lua_pop(L, 1);
  return code;
}

/* Lua: the future -> the text of its error, its traceback or nil */
static int describe_task(lua_State *L) {
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, NEAP__RESULT);
  neap__error_message(L, 2, 1);
  neap__extra_get(L, 1, "traceback");
  return 2;
}

/* Whether it is Lua's own, of the future at the top. */
static int is_memory_error(lua_State *L) {
  int is;
  lua_getiuservalue(L, -1, NEAP__RESULT);
  is = lua_type(L, -1) == LUA_TSTRING &&
       strcmp(lua_tostring(L, -1), "not enough memory") == 0;
  lua_pop(L, 1);
  return is;
}

int neap__fail_task(neap_vm *vm, lua_State *L, int killed) {
  neap__future *f = (neap__future *)neap__known(L, -1);
  int code = killed;
  if (code == 0)
    code = f->state == NEAP__CANCELLED ? NEAP_ECANCELED : NEAP_ESCRIPT;
  if (f->state == NEAP__FAILED && is_memory_error(L))
    code = NEAP_ENOMEM;
  f->observed = 1;
  if (killed != 0)
    return neap__fail(vm, code, NULL, NULL);
  return fail_with(vm, L, code, describe_task);
}
