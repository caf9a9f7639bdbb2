/*
** json.c - the module `json`: its table, marks of arrays and objects,
** json.null, the class of its errors, and options.
*/
#include "json.h"

#if defined(__GNUC__)
#define JSON_API __attribute__((visibility("default")))
#else
#define JSON_API
#endif

JSON_API int luaopen_json(lua_State *L);

#define P8 1, 1, 1, 1, 1, 1, 1, 1
#define N8 0, 0, 0, 0, 0, 0, 0, 0

const unsigned char json_plain[256] = {
  N8, N8, N8, N8,                     /* controls */
  1, 1, 0, 1, 1, 1, 1, 1, P8, P8, P8, /* not '"' */
  P8, P8, P8, 1, 1, 1, 1, 0, 1, 1, 1, /* not '\\' */
  P8, P8, P8, P8                      /* the others are 0 */
};


/*
** {======================================================
** Options
** =======================================================
*/

void json_checkoptions(lua_State *L, int arg, const char *const *names) {
  if (lua_isnoneornil(L, arg))
    return;
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2)
                                                      : NULL;
    const char *const *known = names;
    while (*known != NULL && (name == NULL || strcmp(name, *known) != 0))
      known++;
    if (*known == NULL)
      luaL_argerror(L, arg, lua_pushfstring(L, "unknown option '%s'",
                                            luaL_tolstring(L, -2, NULL)));
    lua_pop(L, 1);
  }
}


/* Pushes an option; returns whether it was given. */
static int getoption(lua_State *L, int arg, const char *name) {
  if (lua_isnoneornil(L, arg))
    lua_pushnil(L);
  else {
    lua_pushstring(L, name);
    lua_rawget(L, arg);
  }
  return !lua_isnil(L, -1);
}


lua_Number json_numberoption(lua_State *L, int arg, const char *name,
                             lua_Number otherwise) {
  lua_Number n = otherwise;
  if (getoption(L, arg, name)) {
    n = lua_tonumber(L, -1);
    if (lua_type(L, -1) != LUA_TNUMBER || !(n >= 0))
      luaL_argerror(L, arg, lua_pushfstring(L,
        "%s must be a number, zero or more", name));
  }
  lua_pop(L, 1);
  return n;
}


int json_booleanoption(lua_State *L, int arg, const char *name,
                       int otherwise) {
  int given = otherwise;
  if (getoption(L, arg, name)) {
    if (!lua_isboolean(L, -1))
      luaL_argerror(L, arg, lua_pushfstring(L, "%s must be true or false",
                                            name));
    given = lua_toboolean(L, -1);
  }
  lua_pop(L, 1);
  return given;
}

/* }====================================================== */


/*
** {======================================================
** Marks
** =======================================================
*/

void json_cleanmark(lua_State *L, int metatable) {
  lua_pushliteral(L, "__gc");
  lua_pushnil(L);
  lua_rawset(L, metatable);
}


static int nothing(lua_State *L) {
  (void)L;
  return 0;
}

void json_checkpoint(lua_State *L) {
  luaL_checkstack(L, 1, NULL);
  lua_pushcfunction(L, nothing);
  lua_call(L, 0, 0);
}


/* Gives the table (a new one if there is none) the mark, and returns it. */
static int mark(lua_State *L, int metatable) {
  if (lua_isnone(L, 1))
    lua_newtable(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  if (lua_getmetatable(L, 1)) {
    luaL_argcheck(L, lua_rawequal(L, -1, JSON_ARRAY) ||
                       lua_rawequal(L, -1, JSON_OBJECT),
                  1, "the table has a metatable of its own");
    lua_pop(L, 1);
  }
  json_cleanmark(L, metatable);
  lua_pushvalue(L, metatable);
  lua_setmetatable(L, 1);
  return 1;
}


/* json.array([t]) -> t, which is written as an array */
static int json_array(lua_State *L) {
  return mark(L, JSON_ARRAY);
}


/* json.object([t]) -> t, which is written as an object */
static int json_object(lua_State *L) {
  return mark(L, JSON_OBJECT);
}


/* tostring(json.null) */
static int nullname(lua_State *L) {
  lua_pushliteral(L, "null");
  return 1;
}

/* }====================================================== */


static const luaL_Reg functions[] = {
  {"array", json_array},
  {"decode", json_decode},
  {"encode", json_encode},
  {"is_array", json_is_array},
  {"object", json_object},
  {NULL, NULL}
};


/* Pushes a new metatable with a name. */
static void pushmetatable(lua_State *L, const char *name) {
  lua_newtable(L);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
}


/* Pushes asyncio.Exception:subclass("JSONDecodeError"). */
static void pusherrorclass(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "asyncio");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "Exception");
  lua_getfield(L, -1, "subclass");
  lua_insert(L, -2);
  lua_pushliteral(L, "JSONDecodeError");
  lua_call(L, 2, 1);
  lua_remove(L, -2);
}


int luaopen_json(lua_State *L) {
  luaL_newlibtable(L, functions);
  lua_newuserdatauv(L, 1, 0); /* json.null */
  pushmetatable(L, "json.null");
  lua_pushcfunction(L, nullname);
  lua_setfield(L, -2, "__tostring");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "null");
  pushmetatable(L, "json.array");
  pushmetatable(L, "json.object");
  pusherrorclass(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, -6, "JSONDecodeError");
  pushmetatable(L, "json.memory");
  lua_pushcfunction(L, json_release);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, json_release);
  lua_setfield(L, -2, "__close");
  luaL_setfuncs(L, functions, JSON_UPVALUES);
  return 1;
}
