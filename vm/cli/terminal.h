/*
** terminal.h - the interactive mode on a terminal: the module `repl`.
*/
#ifndef NEAP_CLI_TERMINAL_H
#define NEAP_CLI_TERMINAL_H

#include <lua.h>

#include "chunk.h"

/* All of them may raise errors. The others are for when this has said true:
   there is a terminal that can be edited on, and the module is installed. */
int neap__terminal_open(neap__runner *runner, lua_State *L);

/* The terminal is as it was before. */
void neap__terminal_close(lua_State *L);

/* Shows the prompt at the top, popped, and reads; `before`: index of the
   lines that come before this one, or 0. Pushes the line, or several that
   were pasted; or "interrupt" or "end" and returns 0. */
int neap__terminal_read(lua_State *L, int before);

/* Adds what was typed, at the index, to the history. */
void neap__terminal_remember(neap__runner *runner, lua_State *L, int index);

/* If the line at the index is a command, pushes a function that runs it. */
int neap__terminal_command(neap__runner *runner, lua_State *L, int index);

/* Shows all values on the stack, popped. */
void neap__terminal_show(neap__runner *runner, lua_State *L);

#endif
