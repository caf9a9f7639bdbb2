/*
** call.c - the limit of a call from C: a Lua function, by a reference in
** the registry, that adds two integers. Prints ns a call.
*/
#include "bench.h"

int main(int argc, char **argv) {
  int n = count_argument(argc, argv), ref;
  lua_State *L = open_state();
  lua_Integer sum = 0;
  double start;
  run_chunk(L, "return function(a, b) return a + b end", 0);
  ref = luaL_ref(L, LUA_REGISTRYINDEX);
  start = clock_now();
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    lua_pushinteger(L, sum);
    lua_pushinteger(L, 1);
    if (lua_pcall(L, 2, 1, 0) != LUA_OK)
      fail(lua_tostring(L, -1));
    sum = lua_tointeger(L, -1);
    lua_pop(L, 1);
  }
  printf("%.3f\n", (clock_now() - start) * 1e9 / n);
  if (sum != n)
    fail("wrong sum");
  lua_close(L);
  return 0;
}
