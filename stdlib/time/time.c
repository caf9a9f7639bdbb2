/*
** time.c - the module `time`: clocks, a sleep that blocks the thread; iso.c
** writes moments as text.
**
** The sleep is here for two readers: synchronous scripts, which have no
** loop to wait on, and whoever wants to see what a blocking call does to
** one. Async code awaits the global `sleep` instead.
*/
#include "clock.h"

#include <errno.h>
#include <string.h>

#include "../module/module.h"

MODULE_API int luaopen_time(lua_State *L);

#define NANOS 1000000000L /* nanoseconds in a second */

/*
** The longest sleep, in seconds: some 31 years, and a number every time_t
** can add to an uptime. math.huge, "until I am interrupted", becomes this.
*/
#define LONGEST 1e9


struct timespec time__clock(lua_State *L, clockid_t id) {
  struct timespec now;
  module_check(L, NEAP_CAN_PROCESS, "time");
  if (clock_gettime(id, &now) != 0)
    luaL_error(L, "cannot read the clock: %s", strerror(errno));
  return now;
}


static int pushclock(lua_State *L, clockid_t id) {
  struct timespec now;
  now = time__clock(L, id);
  lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / NANOS);
  return 1;
}


/* time.time() -> seconds since 1970-01-01 00:00 UTC */
static int time_time(lua_State *L) {
  return pushclock(L, CLOCK_REALTIME);
}


/* time.monotonic() -> seconds since some moment, never set back */
static int time_monotonic(lua_State *L) {
  return pushclock(L, CLOCK_MONOTONIC);
}


/* A duration from the script: a number, not NaN, not below zero. */
static lua_Number checkseconds(lua_State *L, int arg) {
  lua_Number seconds = luaL_checknumber(L, arg);
  luaL_argcheck(L, seconds == seconds, arg, "seconds is NaN");
  luaL_argcheck(L, seconds >= 0, arg, "seconds must not be negative");
  return seconds < LONGEST ? seconds : LONGEST;
}


/*
** The moment `seconds` after `start`. The fraction is cut to whole
** nanoseconds and gets one more, so that no sleep ends early.
*/
static struct timespec after(struct timespec start, lua_Number seconds) {
  time_t whole = (time_t)seconds;
  start.tv_sec += whole;
  start.tv_nsec += (long)((seconds - (lua_Number)whole) * NANOS) + 1;
  if (start.tv_nsec >= NANOS) { /* carry? (never more than one second) */
    start.tv_nsec -= NANOS;
    start.tv_sec++;
  }
  return start;
}


/*
** time.sleep(seconds): blocks the thread. The deadline is absolute, so a
** signal on the way costs no precision.
*/
static int time_sleep(lua_State *L) {
  lua_Number seconds = checkseconds(L, 1);
  struct timespec deadline;
  int err;
  deadline = after(time__clock(L, CLOCK_MONOTONIC), seconds);
  while ((err = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME,
                                &deadline, NULL)) == EINTR) {
    /* does somebody want to get at the Lua code? All that a handler (that
       of Ctrl-C) can do is set a hook, which fires when C has returned */
    if (lua_gethook(L) != NULL)
      return 0;
  }
  if (err != 0)
    return luaL_error(L, "cannot sleep: %s", strerror(err));
  return 0;
}


static const luaL_Reg functions[] = {
  {"iso", time__iso},
  {"monotonic", time_monotonic},
  {"parse", time__parse},
  {"sleep", time_sleep},
  {"time", time_time},
  {NULL, NULL}
};


int luaopen_time(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
