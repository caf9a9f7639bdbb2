/*
** threads.h - what tests of tasks share: scripts that run as tasks, a promise
** that somebody opens for all, the loss of a capability, threads, and chance.
*/
#ifndef THREADS_H
#define THREADS_H

#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "capi.h"

/* Compiles a script, which has asyncio. */
static inline neap_value load_script(neap_vm *vm, const char *code) {
  char text[2000];
  int size = snprintf(text, sizeof text,
                      "local asyncio = require 'asyncio'; %s", code);
  assert_in_range(size, 0, sizeof text - 1);
  return load_text(vm, "script", text);
}

/* Starts one as a task. */
static inline neap_task spawn(neap_vm *vm, const char *code, neap_done_fn done,
                              void *ud) {
  neap_value function = load_script(vm, code);
  neap_task task;
  assert_int_equal(neap_spawn(vm, &function, NULL, 0, 0, done, ud, &task),
                   NEAP_OK);
  return task;
}

/* A neap_done_fn for a script that has to succeed. */
static inline void succeeded(void *ud, neap_vm *vm, int status,
                             const neap_value *results, int nresults) {
  int *count = ud;
  neap_error_info info;
  (void)results;
  (void)nresults;
  neap_error(vm, &info);
  if (status != NEAP_OK)
    fail_msg("%s\n%s", info.message, info.traceback);
  ++*count;
}

/* One that stores the status. */
static inline void note_status(void *ud, neap_vm *vm, int status,
                               const neap_value *results, int nresults) {
  int *noted = ud;
  (void)vm;
  (void)results;
  (void)nresults;
  *noted = status;
}

/* For neap_close: it is done. */
static inline void set_flag(void *ud) {
  int *flag = ud;
  *flag = 1;
}

/* Runs a script, in a VM that has nothing else to do, to its good end. */
static inline void run_script(neap_vm *vm, const char *code) {
  int count = 0;
  spawn(vm, code, succeeded, &count);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(count, 1);
}

/* A promise for scripts, which await(gate()). */
typedef struct gate {
  neap_promise *promise;
  int cancelled; /* calls of `cancel` */
} gate;

static inline void gate_cancelled(void *ud) {
  gate *g = ud;
  g->cancelled++;
}

/* A native function; `ud` is a gate. */
static inline int gate_wait(neap_frame *frame, void *ud) {
  gate *g = ud;
  return neap_promise_open(frame, gate_cancelled, g, &g->promise);
}

static inline void gate_open(gate *g) {
  assert_int_equal(neap_resolve(g->promise, NULL, 0), NEAP_OK);
  neap_promise_release(g->promise);
}

static inline void add_gate(neap_vm *vm, gate *g) {
  memset(g, 0, sizeof *g);
  assert_int_equal(neap_register_async(vm, "gate", gate_wait, g), NEAP_OK);
}

/* A native function; `ud` is the capability itself. */
static inline int drop(neap_frame *frame, void *ud) {
  return neap_drop(neap_frame_vm(frame), (unsigned)(uintptr_t)ud);
}

/* Lets scripts drop() the capability. */
static inline void add_drop(neap_vm *vm, unsigned capability) {
  assert_int_equal(neap_register(vm, "drop", drop,
                                 (void *)(uintptr_t)capability), NEAP_OK);
}

static inline void thread_start(uv_thread_t *thread, void (*f)(void *ud),
                                void *ud) {
  assert_int_equal(uv_thread_create(thread, f, ud), 0);
}

static inline void thread_join(uv_thread_t *thread) {
  assert_int_equal(uv_thread_join(thread), 0);
}

/* Runs f to its end on another thread. */
static inline void elsewhere(void (*f)(void *ud), void *ud) {
  uv_thread_t thread;
  thread_start(&thread, f, ud);
  thread_join(&thread);
}

#if defined(__SANITIZE_THREAD__)
/* Lua's library may leave functions by this one, and the sanitizer does not
   see it: the stack that it keeps grows, until it gives up. */
void __longjmp_chk(jmp_buf target, int value);
void __longjmp_chk(jmp_buf target, int value) { longjmp(target, value); }
#endif

/* {======================================================
** Chance: NEAP_SEED=n repeats a run
** ======================================================= */

static inline uint64_t first_seed(void) {
  const char *given = getenv("NEAP_SEED");
  uint64_t seed = given != NULL ? strtoull(given, NULL, 10)
                                : (uint64_t)time(NULL);
  print_message("NEAP_SEED=%llu\n", (unsigned long long)seed);
  return seed;
}

/* A number below n (xorshift64*). */
static inline unsigned chance(uint64_t *seed, unsigned n) {
  *seed += *seed == 0;
  *seed ^= *seed >> 12;
  *seed ^= *seed << 25;
  *seed ^= *seed >> 27;
  return (unsigned)((*seed * 2685821657736338717u) >> 32) % n;
}

/* Lets so much time pass that threads meet in another order. */
static inline void dawdle(uint64_t *seed) {
  for (volatile unsigned i = chance(seed, 2000); i > 0; i--)
    ;
  if (chance(seed, 4) == 0)
    sched_yield();
}

/* ====================================================== } */

#endif
