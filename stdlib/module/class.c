/*
** class.c - userdata with methods. A class is its metatable, known by
** identity alone: no name in the registry leads a script to it.
*/
#include "module.h"

void module_class(lua_State *L, const char *name, const luaL_Reg *metamethods,
                  const luaL_Reg *methods) {
  lua_newtable(L);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -1);
  luaL_setfuncs(L, metamethods, 1);
  lua_newtable(L);
  lua_pushvalue(L, -2);
  luaL_setfuncs(L, methods, 1);
  lua_setfield(L, -2, "__index");
}

void *module_object(lua_State *L, int index, int class) {
  int is_one = lua_isuserdata(L, index) && lua_getmetatable(L, index);
  if (!is_one)
    return NULL;
  is_one = lua_rawequal(L, -1, class);
  lua_pop(L, 1);
  return is_one ? lua_touserdata(L, index) : NULL;
}

void *module_object_p(lua_State *L, int index, const void *key) {
  void *object;
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  object = module_object(L, index, lua_gettop(L));
  lua_pop(L, 1);
  return object;
}
