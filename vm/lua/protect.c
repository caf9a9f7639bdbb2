/*
** protect.c - pcall, xpcall and catch.
**
** pcall and xpcall are Lua's, but CancelledError and KeyboardInterrupt
** pass: a program that catches all errors can still be cancelled. Lua's
** own pcall, which catches everything, is asyncio.catch.
*/
#include <lualib.h>

#include "bindings.h"

/* The stack of the protected call is [..., error]. */
static int finish(lua_State *L, int status, lua_KContext extra) {
  if (status == LUA_OK || status == LUA_YIELD)
    return lua_gettop(L) - (int)extra; /* all but what stands below */
  if (neap__error_flags(L, -1) & NEAP__IS_PASSING)
    return lua_error(L);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

/* Lua: pcall(f, ...) */
int neap__pcall(lua_State *L) {
  int status;
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1); /* the first result, if all goes well */
  lua_insert(L, 1);
  status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish);
  return finish(L, status, 0);
}

/* Lua: whether pcall lets the error pass */
static int passes(lua_State *L) {
  lua_pushboolean(L, neap__error_flags(L, 1) & NEAP__IS_PASSING);
  return 1;
}

/* debug.traceback as a message handler: one frame, this one, less. */
static int traceback_handler(lua_State *L) {
  if (neap__error_flags(L, 1) & NEAP__IS_PASSING)
    return 1;
  if (!lua_isstring(L, 1) && !lua_isnoneornil(L, 1))
    return 1; /* as debug.traceback does */
  luaL_traceback(L, L, lua_tostring(L, 1), 1);
  return 1;
}

/* Replaces the handler at index 2 by one that is not called for errors
   that pass. */
static void wrap_handler(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, LUA_DBLIBNAME) == LUA_TTABLE)
    lua_getfield(L, -1, "traceback");
  if (lua_rawequal(L, -1, 2))
    lua_pushcfunction(L, traceback_handler);
  else {
    neap__ref_push(L, NEAP__WRAP_HANDLER);
    lua_pushvalue(L, 2);
    lua_pushcfunction(L, passes);
    lua_call(L, 2, 1);
  }
  lua_replace(L, 2);
}

/* Lua: xpcall(f, handler, ...) */
int neap__xpcall(lua_State *L) {
  int status, n = lua_gettop(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (neap__vm(L)->async_used) { /* a synchronous program: no such errors */
    wrap_handler(L);
    lua_settop(L, n);
  }
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2); /* f, handler, true, f, arguments */
  status = lua_pcallk(L, n - 2, LUA_MULTRET, 2, 2, finish);
  return finish(L, status, 2);
}
