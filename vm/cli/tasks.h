/*
** tasks.h - what the interactive mode does to all tasks of the VM.
*/
#ifndef NEAP_CLI_TASKS_H
#define NEAP_CLI_TASKS_H

#include <lua.h>

#include "chunk.h"

/* Pushes the module asyncio, whatever has become of the global `require`. */
void neap__tasks_push_asyncio(lua_State *L);

/* Ctrl-C has come: the second within a second names the tasks that have not
   ended, on stderr. */
void neap__tasks_interrupted(lua_State *L);

/* Cancels all tasks, and lets them clean up: until they have ended, or
   nothing can wake those that are left; or Ctrl-C, or a signal to end. */
void neap__tasks_end(neap__runner *runner, lua_State *L);

#endif
