/*
** timers.c - the limit of a timer: set n uv_timer_t at 1000 distinct times
** and let each call a Lua function when it fires. Prints ns of processor
** time per timer.
*/
#include <uv.h>

#include "bench.h"

static void fire(uv_timer_t *timer) {
  lua_State *L = timer->data;
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK)
    fail(lua_tostring(L, -1));
}

int main(int argc, char **argv) {
  int n = count_argument(argc, argv);
  lua_State *L = open_state();
  uv_loop_t *loop = uv_default_loop();
  double start;
  int i;
  run_chunk(L, "fired = 0 "
               "return function() fired = fired + 1 end", 0);
  start = clock_now();
  for (i = 0; i < n; i++) {
    uv_timer_t *timer = malloc(sizeof *timer);
    if (timer == NULL || uv_timer_init(loop, timer) != 0)
      fail("no timer");
    timer->data = L;
    if (uv_timer_start(timer, fire, (uint64_t)(1 + i % 1000), 0) != 0)
      fail("the timer did not start");
  }
  uv_run(loop, UV_RUN_DEFAULT);
  printf("%.3f\n", (clock_now() - start) * 1e9 / n);
  lua_getglobal(L, "fired");
  if (lua_tointeger(L, -1) != n)
    fail("a timer did not fire");
  return 0;  /* what comes after is not measured */
}
