/*
** switch.c - the limit of a task switch: 1000 Lua coroutines resumed round
** robin by a C loop, each yielding from a C function. Prints ns per pair of
** resume and yield.
*/
#include "bench.h"

#define TASKS 1000

static int pause_thread(lua_State *L) {
  return lua_yield(L, 0);
}

int main(int argc, char **argv) {
  int rounds = count_argument(argc, argv) / TASKS;
  lua_State *L = open_state();
  static lua_State *threads[TASKS];
  double start;
  int i, round, nresults;
  lua_pushcfunction(L, pause_thread);
  run_chunk(L, "local pause = ... "
               "return function() while true do pause() end end", 1);
  luaL_checkstack(L, TASKS + 1, NULL);
  for (i = 0; i < TASKS; i++) {
    threads[i] = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, threads[i], 1);
  }
  start = clock_now();
  for (round = 0; round < rounds; round++) {
    for (i = 0; i < TASKS; i++) {
      if (lua_resume(threads[i], L, 0, &nresults) != LUA_YIELD)
        fail("a thread did not yield");
      lua_pop(threads[i], nresults);
    }
  }
  printf("%.3f\n", (clock_now() - start) * 1e9 / ((double)rounds * TASKS));
  lua_close(L);
  return 0;
}
