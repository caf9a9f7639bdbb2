/*
** vm.h - what the files of the core share: the VM, and every function that
** one file offers to the others. Its objects: objects.h.
**
** Invariants, each kept by the file named:
**  1. A future leaves PENDING once, in neap__future_settle (future.c);
**     that call also makes ready all that waits for it, in the order of
**     registration. (A waitlist never does: it is a future in name only.)
**  2. A job stands in at most one queue: the list of one future, the
**     ready queue, the line of a waitlist, or (as a timer) the heap. Who
**     takes it out decides what it does next; so no wake-up can be stale
**     or double.
**  3. What the core points to from C is anchored (anchor.c) as long as
**     the pointer lives: unfinished tasks, scheduled handles, gathers
**     with unfinished children, Lua threads.
**  4. Lua runs only in the loop's jobs (loop.c: one job at a time);
**     libuv's callbacks settle futures and make jobs ready.
**  5. A Lua thread that the loop may resume suspends in await.c or
**     suspend.c, with vm->suspending set; any other yield belongs to a
**     generator.
*/
#ifndef NEAP_VM_H
#define NEAP_VM_H

#include <signal.h>
#include <stdint.h>

#include <lauxlib.h>
#include <lua.h>
#include <uv.h>

#include "neap.h"
#include "objects.h"

/* Where Lua's small blocks come from (alloc.c). */
#define NEAP__LARGEST 768
#define NEAP__GRAIN 8

typedef struct neap__memory {
  struct neap__block *idle[NEAP__LARGEST / NEAP__GRAIN + 1]; /* by size */
  char *fresh; /* what was never used of the newest region, up to */
  char *end;
  struct neap__region *regions;
  size_t count;    /* of regions */
  size_t sweep_at; /* this many */
} neap__memory;

/* An idle Lua thread, ready for the next task. */
typedef struct neap__thread {
  lua_State *L;
  uint32_t anchor;
} neap__thread;

#define NEAP__POOL_SIZE 1024

/* The VM's handles in libuv. A block of their own: a host's loop closes
   them after the VM has gone. */
typedef struct neap__pollers {
  uv_timer_t alarm;  /* ends a poll when the first timer is due */
  uv_async_t wakeup; /* ends a poll when a signal has come */
  uv_prepare_t prepare; /* no poll sleeps while something is ready */
  neap_vm *vm;
  lua_Alloc alloc;   /* frees the block when all are closed */
  void *ud;
  int open;
} neap__pollers;

/*
** Lua values that the core needs at any time, each a reference in the
** registry: an integer key, since these are looked up for every task. Never
** nil: luaL_ref gives a key away that seems to be free.
*/
typedef enum neap__ref {
  NEAP__METATABLES,                /* of each kind */
  NEAP__WATCHED = NEAP__KINDS,     /* metatable: coroutine.c */
  NEAP__REPORTER,                  /* metatable: future.c */
  NEAP__GUARD,                     /* metatable: lock.c */
  NEAP__ANCHORS,                   /* table: anchor.c */
  NEAP__NAMES,                     /* of async functions, coroutine.c */
  NEAP__FRESH,                     /* vm->fresh, coroutine.c */
  NEAP__WARNED,                    /* set of texts, coroutine.c */
  NEAP__AWAIT,                     /* the Lua function await */
  NEAP__CLASSES,                   /* error classes by name, error.c */
  NEAP__KEYBOARD,                  /* the KeyboardInterrupt raised, run.c */
  NEAP__REFS
} neap__ref;

struct neap_vm {
  int refs[NEAP__REFS];      /* see neap__ref */
  lua_Alloc alloc;           /* the host's, or malloc: for all but Lua */
  void *alloc_ud;
  neap__memory memory;       /* for Lua, unless the host's allocator is */
  lua_State *main;           /* the VM's first Lua thread */
  lua_State *volatile L;     /* the one that is in `run`, or NULL */
  neap__task *volatile current; /* the task whose step runs, or NULL */
  lua_State *volatile running; /* the Lua thread that runs, for hooks */
  uint8_t suspending;        /* an await is on its way to the loop */
  uint8_t debug;             /* debug mode */
  uint8_t async_used;        /* a script has made an async function */
  uint8_t ending;            /* run cancels all tasks, each once */
  uint8_t main_xpcall;       /* the main thread has called xpcall */
  uint8_t main_interrupted;  /* Ctrl-C has cancelled the main task */
  uint8_t stopping;          /* the loop ends after this turn */
  uint8_t keyboard;          /* a step raised KeyboardInterrupt */
  uint32_t noyield;          /* coroutine.resume calls that cannot yield */
  uint32_t close_depth;      /* nested coroutine.close calls */
  neap__coroutine *bare_yield; /* the shared object of sleep(0), */
  uint8_t bare_yield_out;    /* given out and not yet awaited */
  neap__coroutine *fresh;    /* newest coroutine object (coroutine.c) */

  neap__queue ready;         /* jobs of the next turn */
  neap__heap timers;
  neap__gather *gathers;     /* with unfinished children */
  neap__task *tasks;         /* unfinished ones, oldest first */
  neap__task *last_task;
  uint64_t task_count;       /* for names */
  uint8_t raised;            /* report.c remembers an error */
  uint32_t leftovers;        /* tasks cancelled at the end, not yet ended */

  uint32_t anchors_used;     /* anchor.c */
  uint32_t anchors_free;
  uint32_t anchors_total;
  uint32_t anchors_capacity;
  uint32_t *anchor_slots;
  neap__thread pool[NEAP__POOL_SIZE];
  uint32_t pool_count;
  uint8_t starved;           /* memory ended: keep no idle threads */

  uv_loop_t *loop;           /* NULL before the first `run` */
  uv_loop_t own_loop;        /* `loop` points here unless the host gave one */
  neap__pollers *pollers;    /* NULL before the first `run` */
  uint8_t owns_loop;
  uint32_t unpolled;         /* turns since the last poll */

  neap__task *main_task;     /* of `run`, or NULL */
  neap__job stop;            /* waits for the main task */
  volatile sig_atomic_t interrupts; /* neap_interrupt calls in this run */
  int interrupts_seen;       /* of these, handled by the loop */
  uint64_t interrupt_time;   /* of the last one, when a step saw it */
  volatile sig_atomic_t dump_requested; /* a neap_dump not yet answered */
  lua_State *volatile hooked; /* Lua thread whose own hook interrupt.c has
                                 replaced; it had: */
  lua_Hook hook;
  int hook_mask;
  int hook_count;

  neap_report_fn report;     /* diagnostics; NULL: stderr */
  void *report_ud;
  char *warning;             /* Lua's warning so far (warn.c) */
  size_t warning_len;
  size_t warning_size;
  uint8_t warnings_on;
};

/*
** The VM of a Lua thread, from the thread's extra space, which new
** threads copy from the main one. Its low bits are marks of the thread.
*/
#define NEAP__TASK_THREAD ((uintptr_t)1)  /* runs a task */
#define NEAP__AWAITING ((uintptr_t)2)     /* a generator inside an await */
#define NEAP__XPCALL ((uintptr_t)4)       /* has called xpcall (protect.c) */
#define NEAP__MARKS ((uintptr_t)7)

static inline uintptr_t *neap__extra(lua_State *L) {
  return (uintptr_t *)lua_getextraspace(L);
}

static inline neap_vm *neap__vm(lua_State *L) {
  return (neap_vm *)(*neap__extra(L) & ~NEAP__MARKS);
}

/* Pushes the value of a reference; pops one into it. */
static inline void neap__ref_push(lua_State *L, int ref) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, neap__vm(L)->refs[ref]);
}
static inline void neap__ref_set(lua_State *L, int ref) {
  lua_rawseti(L, LUA_REGISTRYINDEX, neap__vm(L)->refs[ref]);
}

/* {======================================================
** alloc.c: memory
** ======================================================= */

/* malloc as a lua_Alloc; and one for Lua, `ud` is a neap__memory. */
void *neap__malloc(void *ud, void *block, size_t old, size_t size);
void *neap__memory_alloc(void *ud, void *old, size_t old_size, size_t size);
/* Gives idle memory back to the system. Cannot fail. */
void neap__memory_trim(neap__memory *m);
/* Frees all of it. */
void neap__memory_free(neap__memory *m);

/* Memory of the core's own, by the rules of a lua_Alloc. */
static inline void *neap__alloc(neap_vm *vm, void *block, size_t old,
                                size_t size) {
  return vm->alloc(vm->alloc_ud, block, old, size);
}

/* ====================================================== } */

/* {======================================================
** object.c: userdata, metatables, usage errors
** ======================================================= */

/* Makes the references; all are false. */
void neap__refs_init(lua_State *L);

/* The object at `index`, known to be one. */
static inline void *neap__known(lua_State *L, int index) {
  return lua_touserdata(L, index);
}

/* The object at `index`, or NULL for any other value. `block`: what
   lua_touserdata gives for it. */
neap__object *neap__object_of(lua_State *L, int index, void *block);
static inline neap__object *neap__object_at(lua_State *L, int index) {
  return neap__object_of(L, index, lua_touserdata(L, index));
}

/* The same for one kind; neap__future_at takes tasks and gathers, too. */
neap__coroutine *neap__coroutine_at(lua_State *L, int index);
neap__future *neap__future_at(lua_State *L, int index);
neap__task *neap__task_at(lua_State *L, int index);

/* Makes the metatable of a type, and pushes it. */
void neap__metatable_new(lua_State *L, const neap__type *type,
                         const luaL_Reg *methods, const luaL_Reg *metamethods);
static inline void neap__metatable_push(lua_State *L, const neap__type *type) {
  neap__ref_push(L, NEAP__METATABLES + (int)type->kind);
}

/* Whether a function is a Lua function of Neap's own; `ar` with "S". */
static inline int neap__is_own(const lua_Debug *ar) {
  return ar->source[0] == '=' && ar->source[1] == '[' && *ar->what != 'C';
}

/*
** Raises a usage error with the position of the Lua function `level`
** calls up (1: who called the running C function), or of the first above
** it that is not one of Neap's own.
*/
int neap__usage(lua_State *L, int level, const char *format, ...);

/* Raises one outside a run. */
void neap__check_running(lua_State *L, const char *function);

/* Raises one when the value is no table, or has a field but `option`. */
void neap__check_options(lua_State *L, int index, const char *function,
                         const char *option, const char *example);

/* Pushes a short description of the value at `index` for such messages. */
const char *neap__describe(lua_State *L, int index);

/* ====================================================== } */

/* {======================================================
** anchor.c: references from C, and the pool of Lua threads
** ======================================================= */

void neap__anchor_init(lua_State *L);
/* Frees the numbers; all anchors are dropped, or Lua has closed. */
void neap__anchor_free(neap_vm *vm);
/* Keeps the top value, which stays, alive until neap__anchor_drop. Raises
   only "not enough memory", with nothing changed. */
uint32_t neap__anchor(neap_vm *vm, lua_State *L);
void neap__anchor_push(lua_State *L, uint32_t anchor);
/* Cannot fail; L needs 2 free stack slots. */
void neap__anchor_drop(neap_vm *vm, lua_State *L, uint32_t anchor);

/* A thread with an empty stack; raises "not enough memory". */
neap__thread neap__thread_acquire(neap_vm *vm, lua_State *L);
/* Takes back a thread that has ended, its stack empty. */
void neap__thread_release(neap_vm *vm, lua_State *L, neap__thread thread);
/* Frees the idle threads and the room that a burst of tasks took. Cannot
   fail. */
void neap__pool_trim(neap_vm *vm, lua_State *L);

/* ====================================================== } */

/* {======================================================
** timer.c: the heap
** ======================================================= */

/* Starts a stopped timer. 0, or NEAP_ENOMEM with nothing changed. */
int neap__timer_start(neap_vm *vm, neap__timer *timer, uint64_t deadline);
void neap__timer_stop(neap_vm *vm, neap__timer *timer);
/* When a started one is due. */
uint64_t neap__timer_deadline(const neap_vm *vm, const neap__timer *timer);
/* Moves the timers due at `now` to the ready queue, in their order. */
void neap__timers_expire(neap_vm *vm, uint64_t now);
/* The first deadline, or UINT64_MAX. */
uint64_t neap__timers_next(const neap_vm *vm);
void neap__timers_free(neap_vm *vm);
/* Now + seconds (may be negative), rounded up to a ns; never wraps. seconds
   is no NaN. */
uint64_t neap__deadline(double seconds);

/* ====================================================== } */

/* {======================================================
** coroutine.c: async functions and coroutine objects
** ======================================================= */

/* Lua: async(fn), and async.name = fn. */
int neap__async(lua_State *L);
int neap__async_define(lua_State *L);
/* Lua: sleep(seconds [, result]) */
int neap__sleep(lua_State *L);
int neap__iscoroutine(lua_State *L);
/* Whether the value is an async function. */
int neap__is_async_function(lua_State *L, int index);
/* Pushes the name of the coroutine object at `index`. */
const char *neap__coroutine_name(lua_State *L, int index);
/* Pushes the name of the function at `index` when it is the body of an
   async function; pushes nothing and returns NULL when it is not. */
const char *neap__function_name(lua_State *L, int index);
/* Makes one of `size` bytes with so many user values, which may be set
   later; pushes it. */
neap__coroutine *neap__coroutine_new(lua_State *L, neap__coroutine_body body,
                                     size_t size, int values);
/* Makes a coroutine object that calls the function at `function` with the
   value at `argument`; pushes it. */
void neap__coroutine_of(lua_State *L, int function, int argument);
/* Takes one that is not NEW: that of sleep(0), or raises why it cannot. */
void neap__coroutine_take_again(lua_State *L, int index, int level);
/* Marks a coroutine object as taken; raises why it cannot be. */
static inline void neap__coroutine_take(lua_State *L, int index,
                                        neap__coroutine *c,
                                        neap__coroutine_state to, int level) {
  if (c->state == NEAP__NEW)
    c->state = (uint8_t)to;
  else
    neap__coroutine_take_again(L, index, level);
}
/* Replaces a LUA one, the last value on the stack, by its function and its
   arguments, which leave the object. Returns the number of arguments. */
int neap__coroutine_open(lua_State *L, int index, neap__coroutine *c);
/* Lets go of the newest coroutine object; one nobody took is watched. */
void neap__coroutine_settle_fresh(neap_vm *vm, lua_State *L);
void neap__coroutine_init(lua_State *L);

/* ====================================================== } */

/* {======================================================
** future.c: state and outcome; cancel.c
** ======================================================= */

/*
** Settles the future at `index`: its outcome has been stored by one of
** neap__result_set or neap__error_set. Runs no Lua but finalizers.
*/
void neap__future_settle(lua_State *L, int index, neap__state state);

/* Pops n results, or one error, into the future at `index`. */
void neap__result_set(lua_State *L, int index, int n);
void neap__error_set(lua_State *L, int index);

/* Pushes the results and returns how many, or raises the error. */
int neap__outcome(lua_State *L, int index);
/* Gives the future at `to` the error of the one at `from`, with the
   traceback, and marks it as seen. May raise "not enough memory". */
void neap__error_copy(lua_State *L, int from, int to);
/* Lua: what the library calls (stdlib/asyncio). */
int neap__outcome_copy(lua_State *L);
int neap__future_failure(lua_State *L);
/* Pushes the CancelledError that the future's cancel() asked for. */
void neap__cancelled_push(lua_State *L, int index);
/* Raises the error of a FAILED or CANCELLED future. */
int neap__outcome_raise(lua_State *L, int index);

/* cancel.c. Cancels with the message at the top of the stack, which is
   popped. True when the future, task or gather took the request. */
int neap__cancel(lua_State *L, int index);

/* Field of the future's extra table: pushed (nil without one) or popped. */
void neap__extra_get(lua_State *L, int index, const char *field);
void neap__extra_set(lua_State *L, int index, const char *field);
/* Pushes the function that created the task at `index`, or nil. */
void neap__creator_push(lua_State *L, int index);

/* Reports the error of a failed future under a title. */
void neap__future_report(lua_State *L, int index, const char *title);
/* The methods that tasks and gathers have, too. */
extern const luaL_Reg neap__future_methods[];
/* Fills in a new one; Lua: Future(). */
void neap__future_prepare(neap__future *f, const neap__type *type);
int neap__future_make(lua_State *L);
int neap__isfuture(lua_State *L);
/* The future at index 1; raises when it is none. */
neap__future *neap__future_check(lua_State *L);
void neap__future_init(lua_State *L);
/* Appends a job to what waits for a pending future. */
static inline void neap__future_wait(neap__future *f, neap__job *job) {
  neap__queue_push(&f->waiters, job);
}

/* ====================================================== } */

/* {======================================================
** task.c, await.c, suspend.c, waitlist.c, lock.c, gather.c, group.c, handle.c
** ======================================================= */

/* Makes a task of the coroutine object at `index`, which it takes, ready to
   start, and pushes it. `level`: where the creating Lua function stands. */
neap__task *neap__task_new(lua_State *L, int index, int level);
/* Pushes the task (any unfinished one). */
void neap__task_push(lua_State *L, const neap__task *task);
/* Makes one that is in no queue ready, to raise a CancelledError. */
static inline void neap__task_interrupt(neap_vm *vm, neap__task *task) {
  task->interrupted = 1;
  neap__queue_push(&vm->ready, &task->timer.job);
}
/* Cancels it, on behalf of run or Ctrl-C. */
void neap__task_cancel(lua_State *L, const neap__task *task);
/* Pushes what the task at `index` waits for; nil for nothing, a waitlist, or
   a wait in C. */
void neap__task_push_awaited(lua_State *L, int index);
/* Pushes its name. */
const char *neap__task_name(lua_State *L, int index);
/* Ends all tasks without running them again. Cannot fail. */
void neap__tasks_abandon(neap_vm *vm, lua_State *L);
/* Replaces the object with __await at the top by a task that awaits it. */
void neap__task_awaiting(lua_State *L, int level);
/* Lua: asyncio's functions that make or find tasks. */
int neap__create_task(lua_State *L);
int neap__create_member(lua_State *L);
int neap__ensure_future(lua_State *L);
int neap__current_task(lua_State *L);
int neap__all_tasks(lua_State *L);
void neap__task_init(lua_State *L);
/* Raises a usage error of `function` when the value is no coroutine object. */
void neap__check_coroutine(lua_State *L, int index, const char *function);
/* Raises one about a value that cannot be awaited. */
void neap__refuse_awaitable(lua_State *L, int index, const char *function,
                            int level);

/* Lua: the C halves of await (vm/lua/await.lua). */
int neap__await_enter(lua_State *L);
int neap__await_arguments(lua_State *L);
/* Lua: gives up one turn; the body of a task of sleep(0). */
int neap__await_turn(lua_State *L);

/* Raises a usage error, `level` calls up, where a task cannot suspend. */
void neap__cannot_suspend(const neap_vm *vm, lua_State *L, int level);
static inline int neap__can_suspend(const neap_vm *vm, lua_State *L) {
  return vm->current != NULL && vm->noyield == 0 && vm->running == L &&
         lua_isyieldable(L);
}
static inline void neap__check_suspend(const neap_vm *vm, lua_State *L,
                                       int level) {
  if (!neap__can_suspend(vm, L))
    neap__cannot_suspend(vm, L, level);
}
/* Raises the CancelledError that was asked for. */
int neap__raise_cancelled(lua_State *L, neap__task *task);

/* Whether the wait in C (suspend.c) of a task is over, so that it is ready. */
static inline int neap__wait_is_over(const neap__task *task) {
  const neap_wait *wait = task->wait;
  return wait->task == NULL || (wait->timed && task->timer.position == 0);
}
/* Takes a task out of it: false when it is over. Or whether it is over or
   not. Neither can fail. */
int neap__wait_cancel(neap_vm *vm, neap__task *task);
void neap__wait_abandon(neap_vm *vm, neap__task *task);
/* What it waits for, in words. */
static inline const char *neap__wait_what(const neap_wait *wait) {
  return wait->what != NULL ? wait->what : "a C function";
}

/* Fills in a new one, whose user values, if it is a userdata, are 1 to 3. */
void neap__waitlist_prepare(neap__waitlist *list, const char *what);
/* Puts the running task at the end of the line, and yields; it goes on with
   k(L, status, list): woken, or cancelled in line (`interrupted`), or woken
   and cancelled before it ran (`must_cancel` alone). */
int neap__waitlist_suspend(neap_vm *vm, lua_State *L, neap__waitlist *list,
                           lua_KFunction k);
/* Wakes the first in line; false when there is none. */
int neap__waitlist_wake_first(neap_vm *vm, neap__waitlist *list);
/* Takes the task out of the line it is in. */
void neap__waitlist_remove(neap__task *task);
static inline int neap__is_waitlist(const neap__future *f) {
  return f != NULL && f->type == &neap__waitlist_type;
}
/* Lua: what the library calls. */
int neap__waitlist_make(lua_State *L);
int neap__waitlist_line_up(lua_State *L);
int neap__waitlist_wake(lua_State *L);
int neap__waitlist_waiting(lua_State *L);

/* Takes a permit for the hold at index 1, or says who waits for one: answers
   as await does. */
int neap__hold_await(neap_vm *vm, lua_State *L, neap__hold *hold);
/* Pushes the name of the function that gave it. */
const char *neap__hold_name(lua_State *L, const neap__hold *hold);
/* The same by the C function in which a task waits; NULL for any other. */
const char *neap__acquire_name(lua_CFunction f);
/* Lua: Lock(), Semaphore([n]), BoundedSemaphore([n]) */
int neap__lock_make(lua_State *L);
int neap__semaphore_make(lua_State *L);
int neap__bounded_semaphore_make(lua_State *L);
/* Lua: for Condition. */
int neap__lock_present(lua_State *L);
void neap__lock_init(lua_State *L);

/* Lua: gather(...) */
int neap__gather_make(lua_State *L);
/* Notes a cancellation; false when no child is left to cancel, so that it
   comes too late. */
int neap__gather_cancel(neap__gather *g);
/* On top of the gather at `index` stands how many children were looked at:
   pushes the next pending one, or pops both. */
void neap__gather_push_next(lua_State *L, int index);
/* Counts a child whose job was dropped. Runs no Lua; cannot fail. */
int neap__is_gather_job(const neap__job *job);
void neap__gather_drop_child(neap_vm *vm, lua_State *L, neap__job *job);
/* Cancels the gathers that wait for what outlives the run. Cannot fail. */
void neap__gathers_abandon(neap_vm *vm, lua_State *L);

/* The group at `index`; raises when it is none. */
neap__group *neap__group_check(lua_State *L, int index);
/* Makes a new task a member; the group is its user value NEAP__GROUP. */
void neap__group_add(neap__group *group, neap__member *member);
/* Lets go of a member whose job was dropped. Runs no Lua; cannot fail. */
int neap__is_group_job(const neap__job *job);
void neap__group_drop_member(neap_vm *vm, lua_State *L, neap__job *job);
/* Lua: what TaskGroup calls. */
int neap__group_make(lua_State *L);
int neap__group_count(lua_State *L);
int neap__group_cancel(lua_State *L);

/* Calls the function below the n values at the top of vm->L, outside any
   task: an error is reported, with the handle or task at index `subject`.
   What is left above those is the caller's to pop. */
void neap__callback(neap_vm *vm, int subject, int n);
/* Lua: call_soon(fn, ...) and call_later(seconds, fn, ...) */
int neap__call_soon(lua_State *L);
int neap__call_later(lua_State *L);
int neap__add_done_callback(lua_State *L);
int neap__remove_done_callback(lua_State *L);
/* Keeps the callbacks of a settled future alive until they have run. */
void neap__callbacks_anchor(lua_State *L, int index);
/* Takes a job out of a queue that may have it. */
void neap__queue_remove(neap__queue *q, const neap__job *job);
/* Drops a handle that is in no queue any more. */
void neap__handle_drop(neap_vm *vm, lua_State *L, neap__handle *handle);
int neap__is_handle_job(const neap__job *job);
neap__handle *neap__handle_of(neap__job *job);
void neap__handle_init(lua_State *L);

/* ====================================================== } */

/* {======================================================
** loop.c: the turn; run.c: run(); interrupt.c: Ctrl-C and its like
** ======================================================= */

/* 0, or a libuv error code. */
int neap__loop_open(neap_vm *vm);
void neap__loop_close(neap_vm *vm);
/* Runs turns until vm->stopping. False: nothing can ever wake a task. */
int neap__loop_run(neap_vm *vm);

/* Empties the ready queue without running Lua. */
void neap__ready_drop(neap_vm *vm, lua_State *L);
/* Lua: run(coro [, {debug=}]) */
int neap__run(lua_State *L);

/* Debug mode: reports the step of the task or handle at the top, which is
   popped, when it took long. `begin`: of uv_hrtime. */
void neap__step_end(neap_vm *vm, uint64_t begin);

/* A step has ended with the KeyboardInterrupt at the top, which is popped:
   stops the loop. */
void neap__keyboard(lua_State *L);
/* Takes the interrupt's hook, if it is there, off a Lua thread. */
void neap__interrupt_clear(lua_State *L);
/* Handles a pending interrupt between two jobs; may stop the loop. */
void neap__interrupt_check(neap_vm *vm);

/* ====================================================== } */

/* {======================================================
** error.c: error objects; report.c: texts for people
** ======================================================= */

/* Pushes an object of the class, its message popped from the top. */
void neap__error_new(lua_State *L, const char *class_name);
/* Raises one, with a formatted message. */
int neap__error_raise(lua_State *L, const char *class_name, const char *format,
                      ...);
/* What the value at `index` is, as an error: a set of NEAP__IS flags. */
enum {
  NEAP__IS_EXCEPTION = 1, /* an object of a class under BaseException */
  NEAP__IS_PASSING = 2,   /* pcall lets it pass */
  NEAP__IS_CANCELLED = 4, /* a CancelledError */
  NEAP__IS_KEYBOARD = 8   /* a KeyboardInterrupt */
};
int neap__error_flags(lua_State *L, int index);
/* Whether the value at `index` is an error class. */
int neap__error_is_class(lua_State *L, int index);
/* Replaces the top value, an error as raised, by what asyncio hands out
   as a value: itself, or an Exception that wraps it, the same for the
   future at `index` every time. */
void neap__error_as_value(lua_State *L, int index);
void neap__error_init(lua_State *L);

/* Raises the error at the top; all errors that pcall lets pass are raised
   by it. Lua: the protected calls, and error. protect.c */
int neap__throw(lua_State *L);
int neap__error(lua_State *L);
int neap__assert(lua_State *L);
int neap__pcall(lua_State *L);
int neap__catch(lua_State *L);
int neap__xpcall(lua_State *L);
int neap__load(lua_State *L);

/* generator.c: replaces functions of the coroutine table at the top */
void neap__generator_init(lua_State *L);
/* The generator in which a suspended Lua thread awaits, or NULL. */
lua_State *neap__generator_of(lua_State *L);

/* Hands a text to the host, or to stderr. Runs no Lua. */
void neap__report_text(neap_vm *vm, const char *text, size_t len);
/* Hands the text at the top of the stack to the host and pops it. */
void neap__report(lua_State *L);
/* Pushes a text for the error at `index` and its traceback (may be nil,
   at the top, popped), with those of the exceptions in a group. May run
   __tostring. */
void neap__error_text(lua_State *L, int index);
/* Pushes the traceback of a thread: async functions named, the loop's
   own frames left out. `from`: the first level. No title line. */
void neap__traceback(lua_State *L, lua_State *thread, int from);
/* Message handlers: keep the traceback for what follows the error. */
int neap__task_handler(lua_State *L);
int neap__callback_handler(lua_State *L);
/* Remembers that the error at the top (stays) was raised with the
   traceback below it (removed), until the next handler asks. */
void neap__raising(lua_State *L);
/* Lets the value at the top stand for the remembered error at `old` (its
   position was added). */
void neap__raising_replace(lua_State *L, int old);
/* Pushes the traceback that belongs to the error at the top, or nil. */
void neap__raised_traceback(lua_State *L);
/* Forgets error and traceback: the error was caught. */
void neap__raising_clear(lua_State *L);
/* Pushes the name of the C function at the top by which a module has it;
   pushes nothing and returns NULL when none does. */
const char *neap__library_name(lua_State *L);
/* How many levels the stack of a thread has. */
int neap__count_levels(lua_State *L);
/* Pushes "file:line" of the function at `level`, or nil. */
void neap__where(lua_State *L, int level);

/* Lua: tostring of objects; repr.c. */
int neap__coroutine_tostring(lua_State *L);
int neap__future_tostring(lua_State *L);
int neap__handle_tostring(lua_State *L);
/* Lua: task:get_stack() */
int neap__task_get_stack(lua_State *L);
/* Each pushes a text about the task at `index`: */
/* "task 'name'" */
void neap__task_label(lua_State *L, int index);
/* "<f() running at file:line>" */
void neap__task_coroutine(lua_State *L, int index);
/* the lines of its traceback, innermost first, each after "\n\t" */
void neap__task_frames(lua_State *L, int index);
/* About the task or future at `index`: */
/* `before` and "created at file:line", or "" when that is not known; a
   plain future knows it in debug mode only */
void neap__created_push(lua_State *L, int index, const char *before);
/* ", awaited by task 'name'", or ""; takes as long as there are tasks */
void neap__awaiter_push(lua_State *L, int index);
/* tostring, the former if `created`, and the latter */
void neap__described_push(lua_State *L, int index, int created);

/* Lua: asyncio.dump([file]); dump.c */
int neap__dump(lua_State *L);
/* Makes the dump that neap_dump has asked for, on the Lua thread that runs;
   raises nothing. */
void neap__dump_requested(neap_vm *vm, lua_State *L);

/* ====================================================== } */

#endif
