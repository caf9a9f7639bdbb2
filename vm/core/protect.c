/*
** protect.c - errors that pass: CancelledError and KeyboardInterrupt go
** through pcall, xpcall and load, so that a program which catches all
** errors can still be cancelled.
**
** The functions are Lua's but for that. asyncio.catch is the pcall that
** catches everything.
**
** Lua calls the handler of an xpcall where the error is raised, before
** anybody can look at the error. So whoever raises an error that passes
** does it by neap__throw, which first takes the handler out of the xpcall
** that the error comes to next: it is a value on the stack. That one throws
** it on.
*/
#include "vm.h"

#define DEEPEST 10000 /* levels searched for an xpcall */

enum { HANDLER = 2 }; /* stack index in a running xpcall */

/* The message handler of an xpcall that an error passes. */
static int keep_error(lua_State *L) {
  lua_settop(L, 1);
  return 1;
}

/*
** Whether the thread has ever called xpcall: a mark in its extra space, but
** for the main thread, whose extra space every new thread copies.
*/
static int has_xpcall(neap_vm *vm, lua_State *L) {
  return L == vm->main ? vm->main_xpcall
                       : (*neap__extra(L) & NEAP__XPCALL) != 0;
}

static void mark_xpcall(neap_vm *vm, lua_State *L) {
  if (L == vm->main)
    vm->main_xpcall = 1;
  else
    *neap__extra(L) |= NEAP__XPCALL;
}

/* Takes the handler out of the protected call that the running function
   stands in, if that is an xpcall; there may be thousands around it. */
static void disarm(lua_State *L) {
  lua_CFunction f = NULL;
  lua_Debug ar;
  int level;
  if (!has_xpcall(neap__vm(L), L) || !lua_checkstack(L, 4))
    return;
  for (level = 1; f != neap__xpcall; level++) {
    if (level > DEEPEST || f == neap__pcall || f == neap__catch ||
        !lua_getstack(L, level, &ar))
      return;
    lua_getinfo(L, "f", &ar);
    f = lua_tocfunction(L, -1);
    lua_pop(L, 1);
  }
  lua_pushcfunction(L, keep_error);
  if (lua_setlocal(L, &ar, HANDLER) == NULL)
    lua_pop(L, 1);
}

int neap__throw(lua_State *L) {
  int flags = neap__error_flags(L, -1);
  if ((flags & NEAP__IS_PASSING) && neap__vm(L)->limits == NULL)
    disarm(L); /* else each handler passes it: limited_handler */
  if (flags & NEAP__IS_KILL) /* nothing that it passes is to run, either */
    neap__interrupt_arm(neap__vm(L), L, 1);
  return lua_error(L);
}

/* Lua: error(message [, level]) */
int neap__error(lua_State *L) {
  int level = (int)luaL_optinteger(L, 2, 1);
  lua_settop(L, 1);
  if (lua_type(L, 1) == LUA_TSTRING && level > 0) {
    luaL_where(L, neap__level(L, level));
    lua_insert(L, 1);
    lua_concat(L, 2);
  }
  return neap__throw(L);
}

/* Lua: assert(v [, message, ...]) */
int neap__assert(lua_State *L) {
  if (lua_toboolean(L, 1))
    return lua_gettop(L);
  luaL_checkany(L, 1);
  lua_remove(L, 1);
  lua_pushliteral(L, "assertion failed!"); /* unless there is a message */
  lua_settop(L, 1);
  return neap__error(L);
}

/* An error goes on through a protected call. A kill need not: in each Lua
   looks at the whole stack, and a script may stand in a hundred thousand. */
static int pass(lua_State *L) {
  neap__checkpoint(L);
  return neap__throw(L);
}

/* The results of a protected call, all but the `extra` values below them; or
   false and the error at the top, unless it is one of `passing`. */
static int results(lua_State *L, int status, lua_KContext extra, int passing) {
  if (status == LUA_OK || status == LUA_YIELD)
    return lua_gettop(L) - (int)extra;
  if (neap__error_flags(L, -1) & passing)
    return pass(L);
  neap__raising_clear(L); /* this error has come to its end */
  lua_pushboolean(L, 0);
  lua_pushvalue(L, -2);
  return 2;
}

static int finish(lua_State *L, int status, lua_KContext extra) {
  return results(L, status, extra, NEAP__IS_PASSING);
}

static int catch_finish(lua_State *L, int status, lua_KContext extra) {
  return results(L, status, extra, NEAP__IS_KILL);
}

/* Calls f, ... from the stack; `k` makes the results of it. */
static int protected_call(lua_State *L, lua_KFunction k) {
  int status;
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1); /* the first result, if all goes well */
  lua_insert(L, 1);
  status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, k);
  return status == LUA_OK ? lua_gettop(L) : k(L, status, 0);
}

/* Lua: pcall(f, ...) */
int neap__pcall(lua_State *L) { return protected_call(L, finish); }

/* Lua: asyncio.catch(f, ...) */
int neap__catch(lua_State *L) { return protected_call(L, catch_finish); }

/* The message handler where there are limits, upvalue: the script's. The way
   to those that are to be disarmed would be too long: for a kill there must
   be no way around it, and a script could make it take as long as it likes. */
static int limited_handler(lua_State *L) {
  if (neap__error_flags(L, 1) & NEAP__IS_PASSING)
    return keep_error(L);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* Lua: xpcall(f, handler, ...) */
int neap__xpcall(lua_State *L) {
  int status, n = lua_gettop(L);
  luaL_checktype(L, HANDLER, LUA_TFUNCTION);
  if (neap__vm(L)->limits != NULL) {
    lua_pushvalue(L, HANDLER);
    lua_pushcclosure(L, limited_handler, 1);
    lua_replace(L, HANDLER);
  }
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2); /* f, handler, true, f, arguments */
  mark_xpcall(neap__vm(L), L);
  status = lua_pcallk(L, n - 2, LUA_MULTRET, HANDLER, 2, finish);
  return finish(L, status, 2);
}

/* {======================================================
** load
** ======================================================= */

enum { PIECE = 5 }; /* stack index of the string that the parser reads */

static const char *read_piece(lua_State *L, void *ud, size_t *size) {
  (void)ud;
  luaL_checkstack(L, 2, "too many nested functions");
  lua_pushvalue(L, 1);
  lua_call(L, 0, 1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    *size = 0;
    return NULL;
  }
  if (!lua_isstring(L, -1))
    luaL_error(L, "reader function must return a string");
  lua_replace(L, PIECE);
  return lua_tolstring(L, PIECE, size);
}

/* Lua: load(chunk [, name [, mode [, env]]]) */
int neap__load(lua_State *L) {
  size_t len;
  const char *text = lua_tolstring(L, 1, &len);
  const char *mode = luaL_optstring(L, 3, "bt");
  int env = lua_isnone(L, 4) ? 0 : 4, status;
  if (text != NULL) {
    const char *name = luaL_optstring(L, 2, text);
    status = luaL_loadbufferx(L, text, len, name, mode);
  }
  else {
    const char *name = luaL_optstring(L, 2, "=(load)");
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, PIECE);
    status = lua_load(L, read_piece, NULL, name, mode);
  }
  if (status == LUA_OK) {
    if (env != 0) {
      lua_pushvalue(L, env);
      if (lua_setupvalue(L, -2, 1) == NULL)
        lua_pop(L, 1); /* the chunk uses no globals */
    }
    return 1;
  }
  if (neap__error_flags(L, -1) & NEAP__IS_PASSING)
    return neap__throw(L);
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

/* ====================================================== } */
