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
  lua_register(L, "add", add);
  run_chunk(L, "local add = add "
               "return function(n) "
               "  local sum = 0 "
               "  for _ = 1, n do sum = add(sum, 1) end "
               "  return sum "
               "end", 0);
  time_sum(L, n);
  lua_close(L);
  return 0;
}
