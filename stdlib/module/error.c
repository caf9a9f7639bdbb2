/*
** error.c - errors of the system and of use, and the arguments of functions.
*/
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "module.h"

/* Whether the function at that level is a script's. */
static int is_foreign(lua_State *L, lua_Debug *ar) {
  lua_getinfo(L, "S", ar);
  return *ar->what != 'C' && strncmp(ar->source, "=[", 2) != 0;
}

int module_refuse(lua_State *L, const char *format, ...) {
  va_list args;
  lua_Debug ar;
  int level = 0;
  while (lua_getstack(L, level, &ar) && !is_foreign(L, &ar))
    level++;
  luaL_where(L, level);
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  lua_concat(L, 2);
  return lua_error(L);
}

void module_os_error_push(lua_State *L, int status, const char *syscall,
                          const char *field, const char *value) {
  char code[32], text[256];
  uv_err_name_r(status, code, sizeof code);
  uv_strerror_r(status, text, sizeof text);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "asyncio");
  lua_getfield(L, -1, "OSError");
  lua_replace(L, -3);
  lua_pop(L, 1);
  if (value != NULL)
    lua_pushfstring(L, "%s '%s': %s (%s)", syscall, value, text, code);
  else
    lua_pushfstring(L, "%s: %s (%s)", syscall, text, code);
  lua_createtable(L, 0, 3);
  lua_pushstring(L, code);
  lua_setfield(L, -2, "code");
  lua_pushstring(L, syscall);
  lua_setfield(L, -2, "syscall");
  if (value != NULL) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, field);
  }
  lua_call(L, 2, 1);
}

int module_os_error(lua_State *L, int status, const char *syscall,
                    const char *field, const char *value) {
  module_os_error_push(L, status, syscall, field, value);
  return lua_error(L);
}

void module_check(lua_State *L, unsigned capability, const char *function) {
  if (!neap_can(neap_from_lua(L), capability))
    module_refuse(L, "%s: the capability %s was taken away", function,
                  capability == NEAP_CAN_FS    ? "fs"
                  : capability == NEAP_CAN_NET ? "net"
                  : capability == NEAP_CAN_ENV ? "env"
                                               : "process");
}

/* Refuses the argument: something else was expected. */
static int expected(lua_State *L, int arg, const char *function,
                    const char *what, const char *type) {
  return module_refuse(L, "%s: %s expected as %s, got %s", function, type, what,
                       luaL_typename(L, arg));
}

const char *module_string(lua_State *L, int arg, const char *function,
                          const char *what, size_t *len) {
  if (lua_type(L, arg) != LUA_TSTRING)
    expected(L, arg, function, what, "a string");
  return lua_tolstring(L, arg, len);
}

const char *module_path(lua_State *L, int arg, const char *function,
                        const char *what) {
  size_t len;
  const char *s = module_string(L, arg, function, what, &len);
  if (strlen(s) != len)
    module_refuse(L, "%s: a zero byte in %s", function, what);
  return s;
}

lua_Integer module_integer(lua_State *L, int arg, const char *function,
                           const char *what, lua_Integer least,
                           lua_Integer most) {
  int ok;
  lua_Integer n = lua_tointegerx(L, arg, &ok);
  if (lua_type(L, arg) != LUA_TNUMBER)
    expected(L, arg, function, what, "an integer");
  if (!ok)
    module_refuse(L, "%s: an integer expected as %s, got %s", function, what,
                  luaL_tolstring(L, arg, NULL));
  if (n < least || n > most)
    module_refuse(L, "%s: %s is %I, but has to be from %I to %I", function,
                  what, (LUAI_UACINT)n, (LUAI_UACINT)least, (LUAI_UACINT)most);
  return n;
}

int module_boolean(lua_State *L, int arg, const char *function,
                   const char *what) {
  if (!lua_isnoneornil(L, arg) && !lua_isboolean(L, arg))
    expected(L, arg, function, what, "a boolean");
  return lua_toboolean(L, arg);
}

/* Refuses the option whose name is at the top. */
static int unknown_option(lua_State *L, const char *function,
                          const char *const *known) {
  luaL_Buffer names;
  luaL_tolstring(L, -1, NULL);
  luaL_buffinit(L, &names);
  luaL_addstring(&names, *known);
  while (*++known != NULL) {
    luaL_addstring(&names, ", ");
    luaL_addstring(&names, *known);
  }
  luaL_pushresult(&names);
  return module_refuse(L, "%s: unknown option '%s' (there are %s)", function,
                       lua_tostring(L, -2), lua_tostring(L, -1));
}

void module_options(lua_State *L, int arg, const char *function,
                    const char *const *known) {
  const char *const *each;
  lua_settop(L, arg);
  if (!lua_isnil(L, arg)) {
    if (!lua_istable(L, arg))
      expected(L, arg, function, "options", "a table");
    for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
      lua_insert(L, -2); /* the key to the top: only a string has a name */
      for (each = known; *each != NULL; each++)
        if (lua_type(L, -1) == LUA_TSTRING &&
            strcmp(lua_tostring(L, -1), *each) == 0)
          break;
      if (*each == NULL)
        unknown_option(L, function, known);
      lua_insert(L, -2);
    }
  }
  for (each = known; *each != NULL; each++) {
    if (lua_istable(L, arg))
      lua_getfield(L, arg, *each);
    else
      lua_pushnil(L);
  }
}

lua_Number module_seconds(lua_State *L, int arg, const char *function,
                          const char *what) {
  lua_Number seconds;
  if (lua_isnoneornil(L, arg))
    return HUGE_VAL;
  if (lua_type(L, arg) != LUA_TNUMBER)
    expected(L, arg, function, what, "a number of seconds");
  seconds = lua_tonumber(L, arg);
  if (!(seconds >= 0)) /* nor NaN */
    module_refuse(L, "%s: %s is %f, but cannot be negative", function, what,
                  (LUAI_UACNUMBER)seconds);
  return seconds;
}
