/*
** await.c - the limit of an await in line: a plain call of a Lua function
** by a Lua function. Prints ns per call.
*/
#include "bench.h"

int main(int argc, char **argv) {
  int n = count_argument(argc, argv);
  lua_State *L = open_state();
  double start;
  run_chunk(L, "local function one() return 1 end "
               "return function(n) "
               "  local sum = 0 "
               "  for _ = 1, n do sum = sum + one() end "
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
