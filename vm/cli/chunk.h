/*
** chunk.h - runs one chunk of a program and reports how it ended.
*/
#ifndef NEAP_CLI_CHUNK_H
#define NEAP_CLI_CHUNK_H

#include <lua.h>

#include "neap.h"

/* The exit status after Ctrl-C, as shells have it: 128 + SIGINT. */
#define NEAP__EXIT_INTERRUPTED 130

/* What the parts of the program share while it runs. */
typedef struct neap__runner {
  neap_vm *vm;
  const char *name; /* stands before error messages; NULL: nothing does */
  int status;       /* the exit status, were the program to end now */
  int exits;        /* a script has asked for the end, with that status */
  int signal;       /* has asked for it; 0: none */
  int edits;        /* the REPL has a terminal and the line editor */
} neap__runner;

/*
** Calls a function with `narg` arguments, both on the stack, as lua_pcall
** does. Ctrl-C stops it, and SIGQUIT makes a run tell of its tasks. An error
** comes with its traceback.
*/
int neap__chunk_call(neap__runner *runner, lua_State *L, int narg, int nres);

/*
** Unless `status` is LUA_OK: takes the error from the stack, prints it,
** and sets the exit status. Returns `status`.
*/
int neap__chunk_report(neap__runner *runner, lua_State *L, int status);

/*
** What luaL_loadstring and its like leave: when `status` is LUA_OK, the
** chunk on the stack is run. Errors of either kind are reported.
*/
int neap__chunk_run(neap__runner *runner, lua_State *L, int status);

/* Prints one line on stderr, after the program's name if there is one. */
void neap__chunk_message(const char *name, const char *text);

#endif
