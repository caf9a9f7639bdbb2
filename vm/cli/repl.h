/*
** repl.h - the interactive mode.
*/
#ifndef NEAP_CLI_REPL_H
#define NEAP_CLI_REPL_H

#include <lua.h>

#include "chunk.h"

/*
** Reads lines from standard input until it ends, runs them and prints
** their results. Errors of what is typed are reported and stop nothing;
** one that is raised here (by a prompt, or out of memory) gets out.
*/
void neap__repl_run(neap__runner *runner, lua_State *L);

#endif
