/*
** evaluate.h - runs what was typed, as a task.
*/
#ifndef NEAP_CLI_EVALUATE_H
#define NEAP_CLI_EVALUATE_H

#include "chunk.h"

/* neap__evaluate: there is no outcome; no status of Lua is negative */
#define NEAP__LEFT (-2)

/*
** Runs the function at the top of the stack, popped, in a task, which may
** await, and takes turns of the loop until it is over. Leaves the results,
** or the error with its traceback, and returns the status of Lua; or
** NEAP__LEFT with nothing: the user has cancelled it; or did not want to wait
** even for that, and it goes on in the background; or the end was asked for:
** runner->signal.
*/
int neap__evaluate(neap__runner *runner, lua_State *L);

/*
** Starts the task of the function at the top, popped, as `*task`, and that is
** all: nobody asks for its outcome. Returns 0, or an error of neap.h.
*/
int neap__evaluate_start(neap__runner *runner, lua_State *L, neap_task *task);

#endif
