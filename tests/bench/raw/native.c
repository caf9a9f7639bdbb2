/*
** native.c - the limit of a native function: a Lua loop calls a lua_CFunction
** that adds two integers. Prints ns a call.
*/
#include "bench.h"

static int add(lua_State *L) {
  lua_pushinteger(L, luaL_checkinteger(L, 1) + luaL_checkinteger(L, 2));
  return 1;
}

int main(int argc, char **argv) {
  int n = count_argument(argc, argv);
  lua_State *L = open_state();
  double start;
  lua_register(L, "add", add);
  run_chunk(L, "local add = add "
               "return function(n) "
               "  local sum = 0 "
               "  for _ = 1, n do sum = add(sum, 1) end "
               "  return sum "
               "end", 0);
  lua_pushinteger(L, n);
  start = clock_now();
  if (lua_pcall(L, 1, 1, 0) != LUA_OK)
    fail(lua_tostring(L, -1));
  printf("%.3f\n", (clock_now() - start) * 1e9 / n);
  if (lua_tointeger(L, -1) != n)
    fail("wrong sum");
  lua_close(L);
  return 0;
}
