/*
** chunk.c - runs one chunk: Ctrl-C, traceback, report of its error.
*/
#include "chunk.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>

/*
** What the signal handler needs. A signal handler has no other way to
** find the VM; the program has one VM, on the thread of main.
*/
static neap_vm *volatile running;
static pthread_t running_thread;
static volatile sig_atomic_t interrupts; /* in the chunk that runs */

static void set_handler(void (*handler)(int)) {
  struct sigaction action;
  action.sa_handler = handler;
  action.sa_flags = 0; /* no SA_RESTART: a read that blocks must end */
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL); /* SIGINT is valid: cannot fail */
}

/*
** In a run, two interrupts ask the VM: to cancel, then to end at once; the
** third finds the default disposition, in case the VM cannot answer. In
** synchronous code the second one does, as in lua.
*/
static void on_interrupt(int sig) {
  int saved_errno = errno; /* of the code that was interrupted */
  if (!pthread_equal(pthread_self(), running_thread)) {
    pthread_kill(running_thread, sig); /* another thread got it: pass it on */
    return;
  }
  interrupts = interrupts + 1;
  if (!neap_interrupt(running) || interrupts >= 2)
    set_handler(SIG_DFL);
  errno = saved_errno;
}

int neap__chunk_call(neap__runner *runner, lua_State *L, int narg, int nres) {
  int status;
  int base = lua_gettop(L) - narg; /* where the function is */
  lua_pushcfunction(L, neap_traceback);
  lua_insert(L, base);
  running = runner->vm;
  running_thread = pthread_self();
  interrupts = 0;
  set_handler(on_interrupt);
  status = lua_pcall(L, narg, nres, base);
  set_handler(SIG_DFL);
  lua_remove(L, base);
  return status;
}

void neap__chunk_message(const char *name, const char *text) {
  if (name != NULL)
    fprintf(stderr, "%s: ", name);
  fprintf(stderr, "%s\n", text);
  fflush(stderr);
}

int neap__chunk_report(neap__runner *runner, lua_State *L, int status) {
  const char *text;
  char buffer[80];
  if (status == LUA_OK)
    return status;
  runner->status = EXIT_FAILURE;
  if (neap_iskeyboardinterrupt(L, -1)) { /* the user knows what happened */
    neap__chunk_message(NULL, "KeyboardInterrupt");
    runner->status = NEAP__EXIT_INTERRUPTED;
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
