/*
** script.h - what the command line asks to be run, short of the REPL.
*/
#ifndef NEAP_CLI_SCRIPT_H
#define NEAP_CLI_SCRIPT_H

#include <lua.h>

#include "chunk.h"
#include "options.h"

/*
** All but the first return LUA_OK, or what went wrong, reported already.
** They raise errors (out of memory) and so belong in a protected call.
*/

/* Sets the global `arg`: the script at 0, its arguments from 1. */
void neap__script_setarg(lua_State *L, const neap__options *options);

/* Runs LUA_INIT_5_4 or else LUA_INIT, from the environment. */
int neap__script_init(neap__runner *runner, lua_State *L);

/* Does -e, -l and -W, in the order in which they were given. */
int neap__script_options(neap__runner *runner, lua_State *L,
                         const neap__options *options);

/* Runs the script that the command line names, with its arguments. */
int neap__script_named(neap__runner *runner, lua_State *L,
                       const neap__options *options);

/* Runs standard input as a script, without arguments. */
int neap__script_stdin(neap__runner *runner, lua_State *L);

#endif
