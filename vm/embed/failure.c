/*
** failure.c - what went wrong, as neap_error tells it: the code, message
** and traceback of the last function that failed.
*/
#include <string.h>

#include "embed.h"

struct neap__failure {
  char *message;   /* NULL: the text of the code */
  char *traceback; /* NULL: none */
};

static void drop(neap_vm *vm, char **text) {
  if (*text != NULL)
    (void)neap__alloc(vm, *text, strlen(*text) + 1, 0);
  *text = NULL;
}

/* Without memory there is no copy. */
static char *copy(neap_vm *vm, const char *text) {
  size_t size;
  char *result;
  if (text == NULL || *text == '\0')
    return NULL;
  size = strlen(text) + 1;
  result = (char *)neap__alloc(vm, NULL, 0, size);
  if (result != NULL)
    memcpy(result, text, size);
  return result;
}

int neap__fail(neap_vm *vm, int code, const char *message,
               const char *traceback) {
  struct neap__failure *f = vm->failure;
  vm->failure_code = code;
  if (f == NULL) {
    if (message == NULL)
      return code;
    f = (struct neap__failure *)neap__alloc(vm, NULL, 0, sizeof *f);
    if (f == NULL)
      return code;
    memset(f, 0, sizeof *f);
    vm->failure = f;
  }
  drop(vm, &f->message);
  drop(vm, &f->traceback);
  f->message = copy(vm, message);
  f->traceback = copy(vm, traceback);
  return code;
}

void neap__failure_free(neap_vm *vm) {
  struct neap__failure *f = vm->failure;
  if (f == NULL)
    return;
  drop(vm, &f->message);
  drop(vm, &f->traceback);
  (void)neap__alloc(vm, f, sizeof *f, 0);
  vm->failure = NULL;
}

NEAP_API void neap_error(neap_vm *vm, neap_error_info *info) {
  const struct neap__failure *f = vm->failure;
  info->code = vm->failure_code;
  info->message = f != NULL && f->message != NULL ? f->message
                                                  : neap_strerror(info->code);
  info->traceback = f != NULL && f->traceback != NULL ? f->traceback : "";
}

/* Lua: error -> its text, its traceback or nil */
static int describe(lua_State *L) {
  lua_settop(L, 1);
  neap__error_message(L, 1, 1);
  lua_pushvalue(L, 1);
  neap__raised_traceback(L);
  lua_replace(L, -2);
  return 2;
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
  int top = lua_gettop(L);
  int code = code_of(vm, neap__error_flags(L, -1), status);
  if (code != NEAP_ENOMEM && !(neap__error_flags(L, -1) & NEAP__IS_KILL) &&
      lua_checkstack(L, 4)) {
    lua_pushcfunction(L, describe);
    lua_pushvalue(L, top);
    if (lua_pcall(L, 1, 2, 0) == LUA_OK)
      (void)neap__fail(vm, code, lua_tostring(L, -2), lua_tostring(L, -1));
    else
      (void)neap__fail(vm, code, NULL, NULL);
  }
  else
    (void)neap__fail(vm, code, NULL, NULL);
  neap__raising_clear(L);
  lua_settop(L, top - 1);
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
  if (killed != 0 || !lua_checkstack(L, 4))
    return neap__fail(vm, code, NULL, NULL);
  lua_pushcfunction(L, describe_task);
  lua_pushvalue(L, -2);
  if (lua_pcall(L, 1, 2, 0) != LUA_OK) {
    lua_pop(L, 1);
    return neap__fail(vm, code, NULL, NULL);
  }
  (void)neap__fail(vm, code, lua_tostring(L, -2), lua_tostring(L, -1));
  lua_pop(L, 2);
  return code;
}
