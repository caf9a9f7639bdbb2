/*
** chunk.c - runs one chunk: Ctrl-C, Ctrl-\, traceback, report of its error.
*/
#include "chunk.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>

/*
** What the signal handlers need. A signal handler has no other way to
** find the VM; the program has one VM, on the thread of main.
*/
static neap_vm *volatile running;
static pthread_t running_thread;
static struct sigaction quit_before; /* what SIGQUIT did before the chunk */

static void set_handler(int sig, void (*handler)(int), int flags) {
  struct sigaction action;
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  sigaction(sig, &action, NULL); /* a valid signal: cannot fail */
}

/* Whether a signal has come to another thread: passes it on, then. */
static int is_elsewhere(int sig) {
  if (pthread_equal(pthread_self(), running_thread))
    return 0;
  pthread_kill(running_thread, sig);
  return 1;
}

/*
** In each run, two interrupts ask the VM: to cancel, then to end at once; the
** third finds the default disposition, in case the VM cannot answer. In
** synchronous code the second one does, as in lua.
*/
static void on_interrupt(int sig) {
  int saved_errno = errno; /* of the code that was interrupted */
  if (is_elsewhere(sig))
    return;
  if (neap_interrupt(running) != 1)
    set_handler(SIGINT, SIG_DFL, 0);
  errno = saved_errno;
}

/*
** In a run, asks for a dump of its tasks; in synchronous code SIGQUIT does
** what it does in lua.
*/
static void on_quit(int sig) {
  int saved_errno = errno;
  if (is_elsewhere(sig))
    return;
  if (!neap_dump(running) && quit_before.sa_handler != SIG_IGN) {
    sigaction(SIGQUIT, &quit_before, NULL);
    raise(sig); /* comes when this handler has returned */
  }
  errno = saved_errno;
}

int neap__chunk_call(neap__runner *runner, lua_State *L, int narg, int nres) {
  int status;
  int base = lua_gettop(L) - narg; /* where the function is */
  lua_pushcfunction(L, neap_traceback);
  lua_insert(L, base);
  running = runner->vm;
  running_thread = pthread_self();
  /* only for Ctrl-C must a read that blocks end */
  set_handler(SIGINT, on_interrupt, 0);
  sigaction(SIGQUIT, NULL, &quit_before);
  set_handler(SIGQUIT, on_quit, SA_RESTART);
  status = lua_pcall(L, narg, nres, base);
  sigaction(SIGQUIT, &quit_before, NULL);
  set_handler(SIGINT, SIG_DFL, 0);
  lua_remove(L, base);
  return status;
}

void neap__chunk_message(const char *name, const char *text) {
  if (name != NULL)
    fprintf(stderr, "%s: ", name);
  fprintf(stderr, "%s\n", text);
  fflush(stderr);
}

/* Whether the error object at the top asks for an end with a certain exit
   code, as process.exit does: its field `code`. */
static int has_exit_code(lua_State *L, int *code) {
  int is_integer;
  lua_pushliteral(L, "code");
  lua_rawget(L, -2);
  *code = (int)lua_tointegerx(L, -1, &is_integer);
  lua_pop(L, 1);
  return is_integer;
}

int neap__chunk_report(neap__runner *runner, lua_State *L, int status) {
  const char *text;
  char buffer[80];
  if (status == LUA_OK)
    return status;
  runner->status = EXIT_FAILURE;
  if (neap_iskeyboardinterrupt(L, -1)) {
    runner->exits = has_exit_code(L, &runner->status);
    if (!runner->exits) { /* the user knows what happened */
      neap__chunk_message(NULL, "KeyboardInterrupt");
      runner->status = NEAP__EXIT_INTERRUPTED;
    }
  } else {
    text = lua_tostring(L, -1);
    if (text == NULL) { /* raised outside any chunk, without neap_traceback? */
      snprintf(buffer, sizeof(buffer), "(error object is a %s value)",
               luaL_typename(L, -1));
      text = buffer;
    }
    neap__chunk_message(runner->name, text);
  }
  lua_pop(L, 1);
  return status;
}

int neap__chunk_run(neap__runner *runner, lua_State *L, int status) {
  if (status == LUA_OK)
    status = neap__chunk_call(runner, L, 0, 0);
  return neap__chunk_report(runner, L, status);
}
