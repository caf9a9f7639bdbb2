/*
** limit.h - what a script may use, and how it is stopped: limits.c; the
** thread that looks how long it runs: watchdog.c. Included by vm.h.
*/
#ifndef NEAP_LIMIT_H
#define NEAP_LIMIT_H

#include "state.h"

/* Makes vm->limits when the configuration has limits of memory or of time;
   Lua is to be given neap__limits_alloc then, with vm->limits, which asks
   `alloc`. NEAP_OK, NEAP_ENOMEM, NEAP_ELOOP. */
int neap__limits_open(neap_vm *vm, const neap_config *config, lua_Alloc alloc,
                      void *alloc_ud);
void neap__limits_close(neap_vm *vm);
void *neap__limits_alloc(void *ud, void *block, size_t old, size_t size);
int neap__limits_valid(const neap_limits *limits);
/* NEAP_OK, or NEAP_EINVAL; and what of neap_stats there is here. */
int neap__limits_set(neap_vm *vm, const neap_limits *limits);
void neap__limits_stats(const neap_vm *vm, neap_statistics *stats);
/* Around everything that runs scripts, when there are limits; they nest. The
   outermost begin returns until when (uv_hrtime) a turn may go on, or 0. */
uint64_t neap__limits_begin(neap_vm *vm);
void neap__limits_end(neap_vm *vm);
/* An error has left a turn of the loop: ends what was begun there. */
void neap__limits_unwind(neap_vm *vm);
/* Inside: one of the loop's jobs begins on vm->running, which has a slice of
   its own. */
void neap__limits_step(neap_vm *vm);
/* The hook's part: 1 when L has yielded, and the hook has to return; raises
   the kill where L cannot yield. `counted`: it is a count event. */
int neap__limits_hook(neap_vm *vm, lua_State *L, int counted);
/* Counts what is about to be written; false, with nothing counted: it would
   go beyond the limit of output. */
static inline int neap__output_count(neap_vm *vm, size_t len) {
  if (vm->output_limit == 0)
    return 1;
  if (len > vm->output_limit || vm->output_count > vm->output_limit - len)
    return 0;
  vm->output_count += len;
  return 1;
}
/* The code by which the code that runs is to die, its deadline being looked
   at; or 0. */
int neap__limits_reached(neap_vm *vm);
/* For functions in C that take long: does not return when the call that runs,
   or the VM, has reached a limit. */
void neap__checkpoint(lua_State *L);

/* A budget with one user, a part of `outer`, or of none; `seconds` as of
   neap_call. NULL: no memory. */
neap__budget *neap__budget_new(neap_vm *vm, neap__budget *outer,
                               double seconds);
/* One user more, or less; of NULL, too. */
neap__budget *neap__budget_use(neap__budget *budget);
void neap__budget_drop(neap_vm *vm, neap__budget *budget);
/* That of the code that runs, or NULL. */
static inline neap__budget *neap__budget_current(const neap_vm *vm) {
  neap__task *task = vm->current;
  if (vm->inner != NULL)
    return vm->inner;
  return task == NULL ? vm->budget : neap__task_budget(task);
}
/* The code by which what has this budget is killed, or 0. */
static inline int neap__killed(const neap_vm *vm, const neap__budget *budget) {
  int code = vm->killed;
  for (; code == 0 && budget != NULL; budget = budget->outer)
    code = budget->killed;
  return code;
}
/* Whether what has this budget is a part of `whole` (NULL: of anything). */
static inline int neap__is_part(const neap__budget *budget,
                                const neap__budget *whole) {
  while (budget != NULL && budget != whole)
    budget = budget->outer;
  return budget == whole || whole == NULL;
}
/* Kills all that has the budget, or all there is: it runs no Lua any more. */
void neap__budget_kill(neap_vm *vm, neap__budget *budget, int code);
void neap__vm_kill(neap_vm *vm, int code);
/* Any thread, while the VM is not closed: asks for neap__vm_kill, which the
   next hook does, where signals can call it, or who drains the port. */
void neap__kill_request(neap_vm *vm);

/* {======================================================
** watchdog.c: the thread that looks
** ======================================================= */

/* What the watchdog looks at; the VM's limits have it. */
typedef struct neap__watched {
  struct neap__watched *previous;
  struct neap__watched *next;
  _Atomic uint32_t serial; /* odd while a script runs; counts up */
  _Atomic uint32_t over;   /* the serial whose slice is over */
  uint32_t seen;           /* the watchdog's: serial at its last look */
  uint64_t seen_at;        /* uv_hrtime when it was new */
  uint64_t slice;          /* ns */
  uv_thread_t thread;      /* to be signalled */
  int signal;
} neap__watched;

/* Begins and ends watching; the thread and the signal handler are there
   while anything is watched. Any thread. NEAP_OK, or NEAP_ELOOP. */
int neap__watchdog_add(neap__watched *w);
void neap__watchdog_set(neap__watched *w, uint64_t slice);
void neap__watchdog_remove(neap__watched *w);
/* `vm` runs a script on this thread, from now on; NULL: none does. Returns
   which one did before. Wakes the watchdog up. */
neap_vm *neap__watchdog_run(neap_vm *vm);
/* Whom the signal handler tells: async-signal-safe, on the VM's thread. */
void neap__limits_signal(neap_vm *vm);
/* Any thread: signals the watched one now. */
void neap__watchdog_signal(const neap__watched *w);

/* ====================================================== } */

#endif
