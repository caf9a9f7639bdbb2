/*
** sleeping.c - the limit of a sleeping task: a Lua thread suspended in a
** yield, kept in a table, and a started uv_timer_t. Prints bytes of
** resident memory for each and the seconds it took to make them.
*/
#include <uv.h>

#include "bench.h"

static int pause_thread(lua_State *L) {
  return lua_yield(L, 0);
}

static void wake(uv_timer_t *timer) {
  (void)timer;  /* an hour from now: never, here */
}

int main(int argc, char **argv) {
  int n = count_argument(argc, argv);
  lua_State *L = open_state();
  uv_loop_t *loop = uv_default_loop();
  double before, start, spent;
  int i, nresults;
  lua_pushcfunction(L, pause_thread);
  run_chunk(L, "local pause = ... return function() pause() end", 1);
  lua_newtable(L);
  before = resident();
  start = clock_now();
  for (i = 0; i < n; i++) {
    lua_State *thread = lua_newthread(L);
    uv_timer_t *timer = malloc(sizeof *timer);
    lua_rawseti(L, 2, i + 1);
    lua_pushvalue(L, 1);
    lua_xmove(L, thread, 1);
    if (lua_resume(thread, L, 0, &nresults) != LUA_YIELD)
      fail("a thread did not yield");
    if (timer == NULL || uv_timer_init(loop, timer) != 0 ||
        uv_timer_start(timer, wake, (uint64_t)(3600 + i % 1000) * 1000, 0))
      fail("no timer");
  }
  spent = clock_now() - start;
  printf("%.1f %.4f\n", (resident() - before) / n, spent);
  return 0;  /* what comes after is not measured */
}
