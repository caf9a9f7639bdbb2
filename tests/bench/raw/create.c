/*
** create.c - the limit of a task's life: run a Lua function to its end on
** a thread that has run others before. Prints ns per run.
*/
#include "bench.h"

int main(int argc, char **argv) {
  int n = count_argument(argc, argv);
  lua_State *L = open_state();
  lua_State *thread;
  double start;
  lua_Integer sum = 0;
  int i, nresults;
  run_chunk(L, "return function() return 1 end", 0);
  thread = lua_newthread(L);
  start = clock_now();
  for (i = 0; i < n; i++) {
    lua_pushvalue(L, 1);
    lua_xmove(L, thread, 1);
    if (lua_resume(thread, L, 0, &nresults) != LUA_OK)
      fail("the thread did not return");
    sum += lua_tointeger(thread, -1);
    lua_pop(thread, nresults);
  }
  printf("%.3f\n", (clock_now() - start) * 1e9 / n);
  if (sum != n)
    fail("wrong sum");
  lua_close(L);
  return 0;
}
