/*
** error.c - asyncio's error objects, as C code makes and raises them. Their
** classes: error_class.c.
*/
#include <stdarg.h>

#include "vm.h"

void neap__error_new(lua_State *L, const char *class_name) {
  lua_createtable(L, 0, 2);
  lua_insert(L, -2);
  lua_setfield(L, -2, "message");
  neap__ref_push(L, NEAP__CLASSES);
  lua_getfield(L, -1, class_name);
  lua_replace(L, -2);
  neap__error_set_class(L);
}

int neap__error_raise(lua_State *L, const char *class_name, const char *format,
                      ...) {
  va_list args;
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  neap__error_new(L, class_name);
  return lua_error(L);
}

void neap__error_as_value(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (neap__error_flags(L, -1) & NEAP__IS_EXCEPTION) {
    lua_pushliteral(L, "traceback");
    lua_rawget(L, -2);
    if (lua_isnil(L, -1)) {
      neap__extra_get(L, index, "traceback");
      if (!lua_isnil(L, -1)) {
        lua_pushliteral(L, "traceback");
        lua_insert(L, -2);
        lua_rawset(L, -4);
      }
      else
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return;
  }
  neap__extra_get(L, index, "exception");
  if (lua_isnil(L, -1)) { /* the first time it is asked for */
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    if (lua_type(L, -1) != LUA_TSTRING) { /* the message is a text */
      lua_pushnil(L);
      neap__error_text(L, -2);
      lua_replace(L, -2);
    }
    neap__error_new(L, "Exception");
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "value");
    neap__extra_get(L, index, "traceback");
    lua_setfield(L, -2, "traceback");
    lua_pushvalue(L, -1);
    neap__extra_set(L, index, "exception");
  }
  lua_replace(L, -2);
}

NEAP_API int neap_iskeyboardinterrupt(lua_State *L, int index) {
  return (neap__error_flags(L, index) & NEAP__IS_KEYBOARD) != 0;
}
