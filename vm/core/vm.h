/*
** vm.h - every function that one file of the core offers to the others; those
** about errors and texts: errors.h; about limits: limit.h. The VM: state.h;
** its objects: objects.h.
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
**  5. A Lua thread that the loop may resume suspends in await.c, suspend.c,
**     or, preempted, in the hook (limits.c), with vm->suspending set; any
**     other yield belongs to a generator.
*/
#ifndef NEAP_VM_H
#define NEAP_VM_H

#include "errors.h"
#include "limit.h"
#include "state.h"

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

/* Whether a frame is that of an await; the thread has a free stack slot. */
int neap__is_await(lua_State *L, lua_Debug *ar);
/* The level of the function that is `level` calls up (1: who called the
   running one), the awaits between them not counted. */
int neap__level(lua_State *L, int level);

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
/* Frees the pool; its threads' anchors are dropped, or Lua has closed. */
void neap__pool_free(neap_vm *vm);
/* Keeps the top value, which stays, alive until neap__anchor_drop. The number
   is never 0. May run finalizers. Raises only "not enough memory", with nothing
   changed. */
uint32_t neap__anchor(neap_vm *vm, lua_State *L);
/* Sees to it that the next n do neither. True: finalizers may have run. */
int neap__anchor_reserve(neap_vm *vm, lua_State *L, uint32_t n);
void neap__anchor_push(lua_State *L, uint32_t anchor);
/* Cannot fail. */
void neap__anchor_drop(neap_vm *vm, uint32_t anchor);

/* A thread with an empty stack; raises "not enough memory". */
neap__thread neap__thread_acquire(neap_vm *vm, lua_State *L);
/* Makes a thread whose task has ended as good as a new one. */
void neap__thread_reset(neap_vm *vm, lua_State *L);
/* Takes back one that has ended, its stack empty. */
void neap__thread_release(neap_vm *vm, neap__thread thread);
/* Frees the idle threads and the room that a burst of tasks took. Cannot
   fail; may run finalizers. */
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
/* The timer at a place of the heap, from 0; NULL beyond the last. */
neap__timer *neap__timer_at(const neap_vm *vm, uint32_t place);
/* The first deadline, or UINT64_MAX. */
uint64_t neap__timers_next(const neap_vm *vm);
void neap__timers_free(neap_vm *vm);
/* Now + seconds (may be negative), rounded up to a ns; never wraps. seconds
   is no NaN. */
uint64_t neap__deadline(double seconds);
/* The clock of asyncio.time(): seconds. */
static inline double neap__time(void) { return (double)uv_hrtime() / 1e9; }

/* ====================================================== } */

/* {======================================================
** coroutine.c: async functions and coroutine objects; generator.c
** ======================================================= */

/* Lua: async(fn), and async.name = fn. */
int neap__async(lua_State *L);
int neap__async_define(lua_State *L);
/* Replaces the function at the top by an async function of it. */
void neap__async_of(lua_State *L);
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
/* Whether it calls a function. */
static inline int neap__coroutine_calls(const neap__coroutine *c) {
  return c->body <= NEAP__NATIVE;
}
/* Pushes that function. */
void neap__coroutine_function(lua_State *L, int index,
                              const neap__coroutine *c);
/* Pushes its arguments, if it has any; they leave the object, which may live
   longer. Returns how many. */
int neap__coroutine_arguments_push(lua_State *L, int index,
                                   neap__coroutine *c);
static inline int neap__coroutine_arguments(lua_State *L, int index,
                                            neap__coroutine *c) {
  return c->nargs == 0 ? 0 : neap__coroutine_arguments_push(L, index, c);
}
/* Replaces such a one, which is all of the stack, by its function and its
   arguments. */
void neap__coroutine_open(lua_State *L, neap__coroutine *c);
/* Replaces a NATIVE one, which is all of the stack, by its arguments: the
   function's stack. They stay in the object as well. Returns the function. */
lua_CFunction neap__coroutine_open_native(lua_State *L, neap__coroutine *c);
/* Lets go of the newest coroutine object; one nobody took is watched. */
void neap__coroutine_settle_fresh(neap_vm *vm);
void neap__coroutine_init(lua_State *L);

/* generator.c: replaces functions of the coroutine table at the top */
void neap__generator_init(lua_State *L);
/* The generator in which a suspended Lua thread awaits, or NULL. */
lua_State *neap__generator_of(lua_State *L);

/* ====================================================== } */

/* {======================================================
** future.c: state and outcome; cancel.c
** ======================================================= */

/*
** Settles the future f, which is at `index`: its outcome has been stored by
** one of neap__result_set or neap__error_set. Runs no Lua but finalizers.
*/
void neap__future_settle(lua_State *L, int index, neap__future *f,
                         neap__state state);

/* Pops n results, or one error, into the future (f) at `index`. */
void neap__result_set(lua_State *L, int index, neap__future *f, int n);
void neap__error_set(lua_State *L, int index);

/* Pushes the results and returns how many, or raises the error. */
int neap__outcome(lua_State *L, int index, const neap__future *f);
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
/* Takes a task out of its sleep, a line, or a wait in C; false when it is in
   none of these, or that is over. Cannot fail. */
int neap__task_take_out(neap_vm *vm, neap__task *task);
/* Takes a request for cancellation back, if there is one; returns how many
   are left. */
static inline uint32_t neap__uncancel(neap__task *task) {
  if (task->cancel_requests > 0 && --task->cancel_requests == 0)
    task->must_cancel = 0;
  return task->cancel_requests;
}

/* Pushes the future's extra table, which it gets if it has none: that may run
   finalizers. A field of it: pushed (nil without a table), or popped. */
void neap__extra_push(lua_State *L, int index);
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
** task.c, task_class.c, await.c, suspend.c, waitlist.c, lock.c, gather.c,
** group.c, handle.c
** ======================================================= */

/* Makes a task of the coroutine object at `index`, which it takes, ready to
   start, and pushes it. `level`: where the creating Lua function stands. */
neap__task *neap__task_new(lua_State *L, int index, int level);
/* Makes a new one, which is anchored, ready to start. */
void neap__task_begin(neap_vm *vm, neap__task *task);
/* Pushes the task (any unfinished one). */
void neap__task_push(lua_State *L, const neap__task *task);
/* Lets go of one that has ended: it may be collected from now on. */
void neap__task_release(neap_vm *vm, neap__task *task);
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
/* Takes the tasks that have the budget (NULL: all) out of whatever they wait
   for, and lets them end as cancelled in the next turn, without running Lua;
   the one that runs is only marked. Linear; cannot fail. */
void neap__tasks_kill(neap_vm *vm, const neap__budget *budget);
int neap__is_task_job(const neap__job *job);
/* Runs what is ready now (something is), until so late, if that is not 0. */
void neap__ready_run(neap_vm *vm, uint64_t until);
/* Tells of the unfinished tasks that they will not be run again. May run
   finalizers; cannot fail. */
void neap__tasks_report(neap_vm *vm, lua_State *L);
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
/* The coroutine object at `index`; raises a usage error of `function` when it
   is none. */
neap__coroutine *neap__check_coroutine(lua_State *L, int index,
                                       const char *function);
/* Raises one about a value that cannot be awaited. */
void neap__refuse_awaitable(lua_State *L, int index, const char *function,
                            int level);

/* Lua: await(awaitable) -> its results; raises its error */
int neap__await(lua_State *L);
/* What await does with a function, at index 1, and its arguments, which are
   the rest of the stack: calls it. */
int neap__await_call(neap_vm *vm, lua_State *L);
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
/* The task of this Lua thread, which has suspended, is not to run on: if it was
   woken for something, the next in line is, in its place. Runs no Lua; what
   waits with a list of the library's looks itself whether it is its turn. */
void neap__wakeup_pass_on(neap_vm *vm, lua_State *thread);
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

/* The part of neap__wakeup_pass_on for locks; the thread stands in `f`. */
void neap__hold_pass_on(neap_vm *vm, lua_State *thread, lua_CFunction f);
/* Awaits the hold at index 1: takes a permit, or waits for one. */
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

/* Lua: gather(...), and what the library calls. */
int neap__gather_make(lua_State *L);
int neap__is_awaitable(lua_State *L);
/* Notes a cancellation; false when no child is left to cancel, so that it
   comes too late. */
int neap__gather_cancel(neap__gather *g);
/* On top of the gather at `index` stands how many children were looked at:
   pushes the next pending one, or pops both. */
void neap__gather_push_next(lua_State *L, int index);
/* Counts a child whose job was dropped. Runs no Lua; cannot fail. */
int neap__is_gather_job(const neap__job *job);
void neap__gather_drop_child(neap_vm *vm, neap__job *job);
/* Cancels the gathers that wait for what outlives the run. Cannot fail. */
void neap__gathers_abandon(neap_vm *vm);

/* The group at `index`; raises when it is none. */
neap__group *neap__group_check(lua_State *L, int index);
/* Makes a new task a member; the group is its user value NEAP__GROUP. */
void neap__group_add(neap__group *group, neap__member *member);
/* Lets go of a member whose job was dropped. Runs no Lua; cannot fail. */
int neap__is_group_job(const neap__job *job);
void neap__group_drop_member(neap_vm *vm, neap__job *job);
/* Lua: what TaskGroup calls. */
int neap__group_make(lua_State *L);
int neap__group_count(lua_State *L);
int neap__group_cancel(lua_State *L);

/* Calls the function below the n values at the top of vm->L, outside any
   task, with this budget, unless that is killed: an error is reported, with
   the handle, task or function at index `subject`. What is left above those is
   the caller's to pop. */
void neap__callback(neap_vm *vm, neap__budget *budget, int subject, int n);
/* The next turn calls the function at that index with the value at the other,
   at nobody's expense. */
void neap__schedule(lua_State *L, int function, int argument);
/* Makes a handle of the function at `index` and the n values at the top,
   which are popped; pushes it. */
neap__handle *neap__handle_new(lua_State *L, int index, int n);
/* The new handle at the top, which stays, will be called: in the next turn, or
   in so many seconds. Raises only "not enough memory". */
void neap__handle_call_soon(lua_State *L, neap__handle *h);
void neap__handle_call_later(lua_State *L, neap__handle *h, double delay);
/* It will not be called. */
void neap__handle_cancel(neap_vm *vm, neap__handle *h);
/* Lua: call_soon(fn, ...) and call_later(seconds, fn, ...) */
int neap__call_soon(lua_State *L);
int neap__call_later(lua_State *L);
int neap__add_done_callback(lua_State *L);
int neap__remove_done_callback(lua_State *L);
/* Keeps the callbacks of the future f, which is about to settle, alive until
   they have run; unless a finalizer, run here, has settled it. */
void neap__callbacks_anchor(lua_State *L, int index, neap__future *f);
/* Takes a job out of a queue that may have it. */
void neap__queue_remove(neap__queue *q, const neap__job *job);
/* Drops a handle that is in no queue any more. */
void neap__handle_drop(neap_vm *vm, neap__handle *handle);
/* Makes the scheduled ones with the budget, which is killed, ready: they do
   nothing then. */
void neap__handles_kill(neap_vm *vm, const neap__budget *budget);
int neap__is_handle_job(const neap__job *job);
neap__handle *neap__handle_of(neap__job *job);
void neap__handle_init(lua_State *L);

/* Lua: timeout(seconds), timeout_at(when), and what wait_for calls */
int neap__timeout_make(lua_State *L);
int neap__timeout_at(lua_State *L);
int neap__timeout_of(lua_State *L);
void neap__timeout_init(lua_State *L);

/* ====================================================== } */

/* {======================================================
** loop.c: the turn; run.c: run(); interrupt.c: Ctrl-C and its like
** ======================================================= */

/* What takes the mail, or NULL. */
static inline neap__job *neap__mail(const neap_vm *vm) {
  return atomic_load_explicit(&vm->mail, memory_order_relaxed);
}
/* Whether a script's `run` turns the loop, or a host that does: one may only
   ever make calls. */
static inline int neap__has_next_turn(const neap_vm *vm) {
  return (vm->L != NULL && vm->entered == 0) || (vm->driven && !vm->closing);
}
/* Whether it has something to do. */
static inline int neap__is_ready(const neap_vm *vm) {
  return vm->ready.last != NULL || neap__mail(vm) != NULL;
}

/* 0, or a libuv error code. */
int neap__loop_open(neap_vm *vm);
/* Closes the handles, which are open; calls `closed` then. */
void neap__loop_close(neap_vm *vm, void (*closed)(neap_vm *vm));
/* Runs turns until vm->stopping. False: nothing can ever wake a task. */
int neap__loop_run(neap_vm *vm);
/* One turn, without a poll; ends early at `until` (of uv_hrtime), if not 0,
   with what is left still ready. */
void neap__loop_turn(neap_vm *vm, uint64_t until);
/* Milliseconds until the first timer, or -1. */
int neap__loop_timeout(const neap_vm *vm);
/* Outside of all turns, when something may have become ready, or a timer
   begun: sees to it that a host's loop neither ends nor waits too long. */
void neap__loop_kick(neap_vm *vm);

/* Drops what scripts have in the ready queue, without running Lua; the jobs
   of the host stay. */
void neap__ready_drop(neap_vm *vm);
/* Lua: run(coro [, {debug=}]) */
int neap__run(lua_State *L);

/* Debug mode: reports the step of the task or handle at the top, which is
   popped, when it took long. `begin`: of uv_hrtime. */
void neap__step_end(neap_vm *vm, uint64_t begin);

/* A step has ended with the KeyboardInterrupt at the top, which is popped:
   stops the loop, and ends the turn. */
void neap__keyboard(lua_State *L);
/* Pops an error of the core's own code that nobody is told of (no memory for a
   report); one that the interrupt's hook has raised there stops the loop: then
   true. */
int neap__error_drop(lua_State *L);
/* Pushes it, or false, and keeps it no longer. */
void neap__keyboard_take(lua_State *L);
/* Takes the interrupt's hook, if it is there, off a Lua thread; or any
   hook: the thread is as a new one. */
void neap__interrupt_clear(lua_State *L);
void neap__interrupt_reset(neap_vm *vm, lua_State *L);
/* Puts the interrupt's hook on a Lua thread: it is called after so many
   instructions; 1: also at the next call. Async-signal-safe on the VM's
   thread. */
void neap__interrupt_arm(neap_vm *vm, lua_State *L, int count);
/* The same, and whenever a function returns. */
void neap__interrupt_arm_return(neap_vm *vm, lua_State *L, int count);
/* Whether it is, for the next call. */
int neap__interrupt_is_armed(lua_State *L);
/* A Lua thread has come back to another: the hook, should it wait there still,
   goes with it. */
void neap__interrupt_pass(lua_State *from, lua_State *to);
/* The thread is to run, as vm->running tells: what came before, and nobody has
   dealt with, gets its hook there. */
static inline void neap__interrupt_meet(neap_vm *vm, lua_State *L) {
  if (__builtin_expect(vm->interrupts != vm->interrupts_seen, 0))
    neap__interrupt_arm(vm, L, 1);
}
/* How many have come in this run. */
static inline int neap__interrupt_count(const neap_vm *vm) {
  return vm->interrupts - vm->interrupts_before;
}
/* The host has what it has run back: what is still pending is for it. */
void neap__interrupt_leave(neap_vm *vm);
/* Handles a pending interrupt between two jobs; may stop the loop. */
void neap__interrupt_check(neap_vm *vm);

/* ====================================================== } */

#endif
