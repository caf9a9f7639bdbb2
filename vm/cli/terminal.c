/*
** terminal.c - the interactive mode on a terminal: calls the module `repl`,
** and is called by it when it waits for a key.
*/
#include "terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>

#include "turn.h"

static const char session_key; /* in the registry: functions of the module */

static uint64_t ended; /* tasks, when they were last counted */
static int look_in = -1; /* ms until errors are to be looked for; -1: none */
static uint64_t looked; /* for them, when */

#define BUSY 1000000000 /* ns without time for a look */

/* Pushes a function of the session. */
static void push_function(lua_State *L, const char *name) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &session_key);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

/* Have tasks ended? Some may have failed. */
static void count_tasks(neap__runner *runner) {
  neap_statistics stats;
  if (neap_stats(runner->vm, &stats) != NEAP_OK)
    return;
  if (stats.tasks_ended != ended && look_in < 0)
    look_in = 0;
  ended = stats.tasks_ended;
}

/* Looks for errors that nobody has seen, when there is time; if there never
   is, now and then. */
static void look_for_errors(neap__runner *runner, lua_State *L) {
  if (look_in < 0 || (neap_backend_timeout(runner->vm) == 0 &&
                      uv_hrtime() - looked < BUSY))
    return;
  looked = uv_hrtime();
  push_function(L, "look");
  if (lua_pcall(L, 0, 1, 0) == LUA_OK) /* else Ctrl-C, or no memory */
    look_in = (int)lua_tointeger(L, -1);
  else
    look_in = -1;
  lua_pop(L, 1);
}

/*
** Lua: what the editor calls when it has no key; the runner is its upvalue.
** Waits for one thing and tells which: "key", "turn" (something may have been
** printed), "resize", "suspend", "interrupt", "end".
*/
static int wait_for_key(lua_State *L) {
  neap__runner *runner = lua_touserdata(L, lua_upvalueindex(1));
  const char *what;
  int event = runner->exits ? SIGTERM
                            : neap__turn(runner, STDIN_FILENO, look_in);
  count_tasks(runner);
  switch (event) {
  case NEAP__INPUT:
    what = "key";
    break;
  case 0:
    look_for_errors(runner, L);
    what = "turn";
    break;
  case SIGINT:
    what = "interrupt";
    break;
  case SIGWINCH:
    what = "resize";
    break;
  case SIGTSTP:
    what = "suspend";
    break;
  default:
    if (!runner->exits)
      runner->signal = event;
    what = "end";
    break;
  }
  lua_pushstring(L, what);
  return 1;
}

/* Lua: asks for the end. */
static int quit(lua_State *L) {
  neap__runner *runner = lua_touserdata(L, lua_upvalueindex(1));
  runner->exits = 1;
  runner->status = EXIT_SUCCESS;
  return 0;
}

/* Whether it makes sense to look for the module. */
static int is_terminal(void) {
  const char *term = getenv("TERM");
  return term != NULL && *term != '\0' && strcmp(term, "dumb") != 0 &&
         isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

int neap__terminal_open(neap__runner *runner, lua_State *L) {
  int opened;
  if (!is_terminal())
    return 0;
  lua_getglobal(L, "require");
  lua_pushliteral(L, "neap.repl.session");
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) { /* it is not installed */
    lua_pop(L, 1);
    return 0;
  }
  lua_getfield(L, -1, "open");
  lua_pushlightuserdata(L, runner);
  lua_pushcclosure(L, wait_for_key, 1);
  lua_pushlightuserdata(L, runner);
  lua_pushcclosure(L, quit, 1);
  lua_call(L, 2, 1);
  opened = lua_toboolean(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &session_key);
  lua_pop(L, 1); /* the module */
  return opened;
}

void neap__terminal_close(lua_State *L) {
  push_function(L, "close");
  lua_call(L, 0, 0);
}

int neap__terminal_read(lua_State *L, int before) {
  push_function(L, "read");
  lua_insert(L, -2);
  if (before != 0)
    lua_pushvalue(L, before);
  else
    lua_pushliteral(L, "");
  neap__turn_editing(1);
  lua_call(L, 2, 2);
  neap__turn_editing(0);
  if (lua_isnil(L, -2)) {
    lua_remove(L, -2);
    return 0;
  }
  lua_pop(L, 1);
  return 1;
}

/* Calls a function of the session's with a value. A script may have broken
   what it needs: that is reported, and ends nothing. */
static int call(neap__runner *runner, lua_State *L, const char *name,
                int index, int nres) {
  push_function(L, name);
  lua_pushvalue(L, index);
  return neap__chunk_report(runner, L, lua_pcall(L, 1, nres, 0));
}

void neap__terminal_remember(neap__runner *runner, lua_State *L, int index) {
  look_in = 0; /* what is typed may leave something */
  (void)call(runner, L, "remember", index, 0);
}

int neap__terminal_command(neap__runner *runner, lua_State *L, int index) {
  if (call(runner, L, "command", index, 1) != LUA_OK)
    return 0;
  if (!lua_isnil(L, -1))
    return 1;
  lua_pop(L, 1);
  return 0;
}

void neap__terminal_show(neap__runner *runner, lua_State *L) {
  push_function(L, "show");
  lua_insert(L, 1);
  neap__chunk_report(runner, L,
                     neap__turn_call(runner, L, lua_gettop(L) - 1, 0));
}
