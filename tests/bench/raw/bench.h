/*
** bench.h - what every C program here needs: a state with one chunk
** loaded, the processor time, the memory, and a way to give up.
*/
#ifndef BENCH_H
#define BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

/* Where the code of Lua lies in the program decides over up to a tenth of the
   time of a loop of few instructions: so the shortest ones are measured in
   several layouts. */
#ifndef LAYOUT
#define LAYOUT 0
#endif
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
__asm__(".text\n.skip 48 * " TEXT(LAYOUT) "\n");

static inline void fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

/* seconds of processor time this process has used */
static inline double clock_now(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) != 0)
    fail("no processor clock");
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* bytes of memory that this process has resident */
static inline double resident(void) {
  char line[256];
  double kib = -1;
  FILE *file = fopen("/proc/self/status", "r");
  if (file == NULL)
    fail("no /proc/self/status");
  while (kib < 0 && fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, "VmRSS:", 6) == 0)
      kib = atof(line + 6);
  fclose(file);
  return kib * 1024;
}

/* the program's first argument, a positive count */
static inline int count_argument(int argc, char **argv) {
  int n = argc > 1 ? atoi(argv[1]) : 0;
  if (n <= 0)
    fail("usage: program COUNT");
  return n;
}

/* a new state with the standard libraries */
static inline lua_State *open_state(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL)
    fail("not enough memory");
  luaL_openlibs(L);
  return L;
}

/* runs `code` with the `nargs` values on the top; leaves its one result */
static inline void run_chunk(lua_State *L, const char *code, int nargs) {
  if (luaL_loadstring(L, code) != LUA_OK)
    fail(lua_tostring(L, -1));
  lua_insert(L, -1 - nargs);
  if (lua_pcall(L, nargs, 1, 0) != LUA_OK)
    fail(lua_tostring(L, -1));
}

/* calls the function on the top, which is to add n ones; prints ns each */
static inline void time_sum(lua_State *L, int n) {
  double start;
  lua_pushinteger(L, n);
  start = clock_now();
  if (lua_pcall(L, 1, 1, 0) != LUA_OK)
    fail(lua_tostring(L, -1));
  printf("%.3f\n", (clock_now() - start) * 1e9 / n);
  if (lua_tointeger(L, -1) != n)
    fail("wrong sum");
}

#endif
