/*
** turn.h - the loop's turns in the interactive mode, and the signals that
** come meanwhile.
*/
#ifndef NEAP_CLI_TURN_H
#define NEAP_CLI_TURN_H

#include "chunk.h"

/* neap__turn: the descriptor is readable; no signal has this number */
#define NEAP__INPUT (-1)

/*
** From now on signals are kept for neap__turn: SIGINT, SIGTERM, SIGHUP,
** SIGWINCH; and SIGQUIT makes a dump of the tasks. Those that are ignored, or
** have a handler of a script's, are left alone. To be called again when
** scripts have run: what has lost its handler gets it back. Returns 0, or -1:
** no descriptors.
*/
int neap__turn_open(neap__runner *runner);

/* What neap__turn_open has changed is as before. A signal that has asked for
   the end comes again in a second: finalizers may go on for ever. */
void neap__turn_close(const neap__runner *runner);

/* While a line is edited, SIGTSTP is kept, too; else it stops the program. */
void neap__turn_editing(int editing);

/*
** Waits until the descriptor is readable (-1: none), the VM has something to
** do, a signal has come, or so many ms have passed (-1: for ever); lets the VM
** do what it has to. Returns NEAP__INPUT, the number of a signal, or 0:
** neither, to be called again.
**
** A SIGINT comes to the caller when no step of a task goes on for long;
** else it ends the step with the error "interrupted!", and that is all.
** SIGTERM and SIGHUP end such a step as well, and come to the caller. What
** does not let itself be ended goes with the whole program: by a second
** signal, or soon after those two.
*/
int neap__turn(neap__runner *runner, int fd, int ms);

/* Forgets SIGINTs that have come. */
void neap__turn_forget(void);

/* Calls a function in which a script may run, as lua_pcall does: a signal
   that ends a step ends it, too. */
int neap__turn_call(neap__runner *runner, lua_State *L, int narg, int nres);

#endif
