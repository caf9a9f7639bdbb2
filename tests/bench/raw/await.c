/*
** await.c - the limit of an await in line: a plain call of a Lua function
** by a Lua function. Prints ns per call.
*/
#include "bench.h"

int main(int argc, char **argv) {
  int n = count_argument(argc, argv);
  lua_State *L = open_state();
  run_chunk(L, "local function one() return 1 end "
               "return function(n) "
               "  local sum = 0 "
               "  for _ = 1, n do sum = sum + one() end "
               "  return sum "
               "end", 0);
  time_sum(L, n);
  lua_close(L);
  return 0;
}
