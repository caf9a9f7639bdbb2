/*
** tasks.h - what the interactive mode does to all tasks of the VM.
*/
#ifndef NEAP_CLI_TASKS_H
#define NEAP_CLI_TASKS_H

#include "chunk.h"

/* Ctrl-C has come: the second within a second names the tasks that have not
   ended, on stderr. */
void neap__tasks_interrupted(neap__runner *runner);

/* Cancels all tasks, and lets them clean up: until they have ended, or
   nothing can wake those that are left; or Ctrl-C, or a signal to end. */
void neap__tasks_end(neap__runner *runner);

#endif
