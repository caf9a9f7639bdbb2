/*
** task.c - tasks: a coroutine object run by the loop.
**
** The life of a task: neap__task_begin makes it ready; its first step
** (`step`) takes a Lua thread from the pool and runs task_main on it;
** each await suspends the thread (await.c) until the task's job is ready
** again; task_main ends with the outcome in the task, and the thread goes
** back to the pool.
*/
#include "vm.h"

static void task_step(neap_vm *vm, neap__job *job);
static void killed_step(neap_vm *vm, neap__job *job);

static neap__task *task_of(neap__job *job) {
  return (neap__task *)((char *)job - offsetof(neap__task, timer));
}

int neap__is_task_job(const neap__job *job) {
  return job->run == task_step || job->run == killed_step;
}

void neap__task_push(lua_State *L, const neap__task *task) {
  neap__anchor_push(L, task->anchor);
}

void neap__task_cancel(lua_State *L, const neap__task *task) {
  neap__task_push(L, task);
  lua_pushnil(L); /* without a message */
  neap__cancel(L, -2);
  lua_pop(L, 1);
}

void neap__task_push_awaited(lua_State *L, int index) {
  neap__task *task = (neap__task *)neap__known(L, index);
  neap__future *f = task->waiting_on;
  if (task->in_c || f == NULL || task->future.state != NEAP__PENDING ||
      neap__is_waitlist(f))
    lua_pushnil(L);
  else if (f->type->kind == NEAP__FUTURE)
    lua_getiuservalue(L, index, NEAP__RESULT);
  else if (f->state != NEAP__PENDING) /* no longer anchored */
    lua_pushnil(L);
  else if (f->type->kind == NEAP__TASK)
    neap__task_push(L, (neap__task *)f);
  else
    neap__anchor_push(L, ((neap__gather *)f)->anchor);
}

/* {======================================================
** Birth
** ======================================================= */

static void list_append(neap_vm *vm, neap__task *task) {
  task->next = NULL;
  task->previous = vm->last_task;
  if (vm->last_task != NULL)
    vm->last_task->next = task;
  else
    vm->tasks = task;
  vm->last_task = task;
  vm->tasks_alive++;
}

static void list_remove(neap_vm *vm, neap__task *task) {
  if (task->previous != NULL)
    task->previous->next = task->next;
  else
    vm->tasks = task->next;
  if (task->next != NULL)
    task->next->previous = task->previous;
  else
    vm->last_task = task->previous;
  vm->tasks_alive--;
}

void neap__task_release(neap_vm *vm, neap__task *task) {
  neap__budget_drop(vm, neap__task_budget(task));
  task->budgeted = 0;
  neap__anchor_drop(vm, task->anchor);
}

void neap__task_begin(neap_vm *vm, neap__task *task) {
  task->timer.job.run = task_step;
  task->id = ++vm->task_count & 0x1fffffffffffff;
  list_append(vm, task);
  neap__queue_push(&vm->ready, &task->timer.job);
}

/* ====================================================== } */

/* {======================================================
** Death
** ======================================================= */

/* Settles the task, which stands at `index`, counted from the bottom as in
   all of these; its outcome is stored. */
static void settle(lua_State *L, int index, neap__task *task,
                   neap__state state) {
  neap_vm *vm = neap__vm(L);
  /* first, as it can raise */
  neap__future_settle(L, index, &task->future, state);
  list_remove(vm, task);
  if (!task->kept)
    neap__task_release(vm, task);
  if (task->leftover) {
    if (--vm->leftovers == 0)
      neap__queue_push(&vm->ready, &vm->last_ended);
    lua_getiuservalue(L, index, NEAP__RESULT);
    if (state == NEAP__FAILED &&
        !(neap__error_flags(L, -1) & NEAP__IS_KEYBOARD)) { /* run raises it */
      task->future.observed = 1;
      neap__future_report(L, index, "unhandled exception during shutdown");
    }
    lua_pop(L, 1);
  }
}

/* The task ends as cancelled, by its own must_cancel. */
static void settle_cancelled(lua_State *L, int index, neap__task *task) {
  neap__cancelled_push(L, index);
  neap__error_set(L, index);
  settle(L, index, task, NEAP__CANCELLED);
}

/* The task ends with the error at the top. */
static void settle_error(lua_State *L, int index, neap__task *task) {
  int flags = neap__error_flags(L, -1);
  if (flags & NEAP__IS_KILL) { /* no value for scripts */
    lua_pop(L, 1);
    lua_pushnil(L);
    flags |= NEAP__IS_CANCELLED;
  }
  neap__error_set(L, index);
  if (flags & NEAP__IS_CANCELLED) {
    settle(L, index, task, NEAP__CANCELLED);
    return;
  }
  if (flags & NEAP__IS_KEYBOARD) { /* ends the loop, too */
    lua_getiuservalue(L, index, NEAP__RESULT);
    neap__keyboard(L);
  }
  settle(L, index, task, NEAP__FAILED);
  if (flags & NEAP__IS_KEYBOARD) /* run raises it */
    task->future.observed = 1;
}

#define MOST_REPORTS 20

/* Lua: the task, and whether it is the last one reported of more; tells
   that it is destroyed. */
static int report_destroyed(lua_State *L) {
  int more = lua_toboolean(L, 2);
  neap__described_push(L, 1, 1);
  lua_pushfstring(L, "Task was destroyed but it is pending!\ntask: %s%s",
                  lua_tostring(L, -1),
                  more ? "\n(and so were more tasks)" : "");
  neap__report(L);
  return 0;
}

void neap__tasks_report(neap_vm *vm, lua_State *L) {
  neap__task *task;
  /* who is in a hurry need not be told */
  int reports = neap__interrupt_count(vm) > 1 ? 0 : MOST_REPORTS;
  for (task = vm->tasks; task != NULL && reports > 0; task = task->next) {
    lua_pushcfunction(L, report_destroyed);
    neap__task_push(L, task);
    lua_pushboolean(L, --reports == 0 && task->next != NULL);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
      lua_pop(L, 1);
      return; /* no memory for a report */
    }
  }
}

/*
** All tasks are detached from each other and from plain futures before
** the first anchor is dropped: from then on the collector may free them.
*/
void neap__tasks_abandon(neap_vm *vm, lua_State *L) {
  neap__task *task;
  for (task = vm->tasks; task != NULL; task = task->next) {
    neap__task_push(L, task);
    if (task->in_c)
      neap__wait_abandon(vm, task);
    if (neap__is_waitlist(task->waiting_on))
      neap__waitlist_remove(task);
    if (task->waiting_on != NULL) {
      neap__task_push_awaited(L, -1);
      if (!lua_isnil(L, -1))
        neap__queue_remove(&task->waiting_on->waiters, &task->timer.job);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  for (task = vm->tasks; task != NULL; task = task->next) {
    neap__task_push(L, task);
    lua_pushnil(L);
    neap__error_set(L, -2);
    task->waiting_on = NULL;
    task->kept = 0;
    task->future.state = NEAP__CANCELLED;
    neap__queue_splice(&vm->ready, &task->future.waiters);
    lua_pop(L, 1);
  }
  neap__ready_drop(vm);
  while (vm->tasks != NULL) {
    lua_State *thread = vm->tasks->thread;
    uint32_t anchor = vm->tasks->thread_anchor;
    task = vm->tasks;
    list_remove(vm, task);
    neap__task_release(vm, task);
    if (thread != NULL) /* collected; no code of it runs any more */
      neap__anchor_drop(vm, anchor);
  }
}

static int has_budget(neap__task *task, const neap__budget *b) {
  return neap__is_part(neap__task_budget(task), b);
}

/* Kills the tasks in a queue that have the budget. */
static void kill_waiting(neap_vm *vm, neap__queue *q, const neap__budget *b) {
  neap__job *last = q->last, *job = NULL;
  while (job != last) { /* once around the ring */
    job = neap__queue_pop(q);
    if (!neap__is_task_job(job) ||
        !has_budget(task_of(job), b)) {
      neap__queue_push(q, job);
      continue;
    }
    task_of(job)->waiting_on = NULL;
    job->run = killed_step;
    neap__queue_push(&vm->ready, job);
  }
}

/* The task was killed where it could not end, and has suspended since. */
static void kill_suspended(neap_vm *vm, neap__task *task) {
  neap__future *f = task->in_c ? NULL : task->waiting_on;
  if (neap__task_take_out(vm, task))
    neap__task_interrupt(vm, task);
  else if (f != NULL && f->state == NEAP__PENDING) {
    neap__queue_remove(&f->waiters, &task->timer.job);
    task->waiting_on = NULL;
    neap__queue_push(&vm->ready, &task->timer.job);
  }
}

void neap__tasks_kill(neap_vm *vm, const neap__budget *b) {
  neap__task *task;
  for (task = vm->tasks; task != NULL; task = task->next) {
    neap__future *f = task->in_c ? NULL : task->waiting_on;
    if (!has_budget(task, b) || task->timer.job.run == killed_step)
      continue;
    task->timer.job.run = killed_step;
    if (neap__task_take_out(vm, task))
      neap__task_interrupt(vm, task);
    else if (f != NULL && f->state == NEAP__PENDING)
      kill_waiting(vm, &f->waiters, b);
  }
}

/* ====================================================== } */

/* {======================================================
** Steps
** ======================================================= */

enum { TASK = 1, HANDLER, CORO }; /* stack of task_main */

/* The task's body has ended. */
static void finish(neap_vm *vm, lua_State *L, int status) {
  neap__task *task = vm->current;
  if (status == LUA_ERRMEM)
    vm->starved = 1;
  if (task->timer.job.run == killed_step) { /* by itself, at its very end? */
    lua_settop(L, CORO);
    lua_pushnil(L);
    neap__error_set(L, TASK);
    settle(L, TASK, task, NEAP__CANCELLED);
  }
  else if (status != LUA_OK && status != LUA_YIELD)
    settle_error(L, TASK, task);
  else if (task->must_cancel) { /* cancelled after its last await */
    lua_settop(L, CORO);
    settle_cancelled(L, TASK, task);
  }
  else {
    neap__result_set(L, TASK, &task->future, lua_gettop(L) - CORO);
    settle(L, TASK, task, NEAP__FINISHED);
  }
}

/* Takes the next job of the turn. */
static neap__job *take_job(neap_vm *vm) {
  neap__job *job = neap__queue_pop(&vm->ready);
  if (job == vm->last_job)
    vm->last_job = NULL;
  return job;
}

/* Whether there is one for which it is not too late. */
static int turn_goes_on(const neap_vm *vm) {
  return vm->last_job != NULL &&
         (vm->turn_until == 0 || uv_hrtime() < vm->turn_until);
}

/* The task of this Lua thread has ended. When the next job is the first step
   of another, that begins here, which saves all that leads to a thread and
   away from it; false: it is not. */
static int begin_next(neap_vm *vm, lua_State *L) {
  uint32_t anchor = vm->current->thread_anchor;
  neap__job *job;
  neap__task *task;
  if (!turn_goes_on(vm) || vm->debug || vm->starved)
    return 0;
  job = vm->ready.last->next;
  task = task_of(job);
  if (job->run != task_step || task->thread != NULL || task->must_cancel)
    return 0;
  (void)take_job(vm);
  if (vm->raised)
    neap__raising_clear(L);
  neap__thread_reset(vm, L);
  if (vm->limits != NULL)
    neap__limits_step(vm);
  task->thread = L;
  task->thread_anchor = anchor;
  vm->nested = 0;
  lua_settop(L, 0);
  neap__task_push(L, task);
  vm->current = task; /* from here on a signal's handler looks at its thread */
  neap__interrupt_meet(vm, L);
  return 1;
}

static int task_finish(lua_State *L, int status, lua_KContext ctx);

/* Calls the body of the task, which is all of the stack. The protected call
   makes to-be-closed variables run, and await, when an error ends it. */
static int run_body(lua_State *L) {
  neap__coroutine *c;
  int n = 0;
  lua_pushcfunction(L, neap__task_handler);
  lua_getiuservalue(L, TASK, NEAP__CORO);
  c = (neap__coroutine *)neap__known(L, CORO);
  if (neap__coroutine_calls(c)) {
    neap__coroutine_function(L, CORO, c);
    n = neap__coroutine_arguments(L, CORO, c);
  }
  else if (c->body == NEAP__YIELD)
    lua_pushcfunction(L, neap__await_turn);
  else { /* await(coroutine) */
    c->state = NEAP__NEW;
    lua_pushcfunction(L, neap__await);
    lua_pushvalue(L, CORO);
    n = 1;
  }
  return lua_pcallk(L, n, LUA_MULTRET, HANDLER, 0, task_finish);
}

/* The function at the base of a task's thread. */
static int task_main(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  do
    finish(vm, L, run_body(L));
  while (begin_next(vm, L));
  return 0;
}

/* The body has ended: it had suspended, or it failed. */
static int task_finish(lua_State *L, int status, lua_KContext ctx) {
  neap_vm *vm = neap__vm(L);
  (void)ctx;
  finish(vm, L, status);
  return begin_next(vm, L) ? task_main(L) : 0;
}

/* Protected: gives the task, light userdata at 1, a thread; or ends it
   when it was cancelled before its start. */
static int prepare(lua_State *L) {
  neap__task *task = (neap__task *)lua_touserdata(L, 1);
  neap_vm *vm = neap__vm(L);
  neap__thread thread;
  neap__task_push(L, task);
  if (task->must_cancel) {
    settle_cancelled(L, 2, task);
    return 0;
  }
  thread = neap__thread_acquire(vm, L);
  task->thread = thread.L;
  task->thread_anchor = thread.anchor;
  return 0;
}

/* The task at -2 ends with the error at the top, which is popped; but the
   interrupt's hook may raise when all has been done, and it has ended. */
static void not_prepared(neap_vm *vm, lua_State *L, neap__task *task) {
  if (task->thread != NULL) {
    neap__thread thread;
    thread.L = task->thread;
    thread.anchor = task->thread_anchor;
    task->thread = NULL;
    neap__thread_release(vm, thread);
  }
  if (task->future.state == NEAP__PENDING)
    settle_error(L, lua_gettop(L) - 1, task);
  else
    (void)neap__error_drop(L);
}

/* Returns false when the task has ended instead of starting. */
static int start(neap_vm *vm, neap__task *task) {
  lua_State *L = vm->L;
  if (!task->must_cancel && vm->pool_count > 0) { /* cannot fail */
    neap__thread thread = neap__thread_acquire(vm, L);
    task->thread = thread.L;
    task->thread_anchor = thread.anchor;
  }
  else {
    int begins;
    neap__task_push(L, task); /* keeps it */
    lua_pushcfunction(L, prepare);
    lua_pushlightuserdata(L, task);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) /* no memory, or interrupted? */
      not_prepared(vm, L, task);
    begins = task->thread != NULL;
    lua_pop(L, 1);
    if (!begins) /* ended; may be collected from now on */
      return 0;
  }
  lua_pushcfunction(task->thread, task_main);
  neap__task_push(task->thread, task);
  return 1;
}

/* The task's thread has come back otherwise than by an await. */
static void ended(neap_vm *vm, neap__task *task, neap__thread thread,
                  int status) {
  lua_State *L = vm->L;
  if (status == LUA_ERRMEM)
    vm->starved = 1;
  if (status == LUA_OK) { /* task_main has settled the task */
    neap__thread_release(vm, thread);
    return;
  }
  /* a yield that is not the loop's, or an error in task_main itself; the
     thread's stack still keeps the task alive, even one that has settled */
  if (task->future.state == NEAP__PENDING) {
    neap__task_push(L, task);
    if (status == LUA_YIELD)
      lua_pushliteral(L, "a task yielded outside await: only await can "
                         "suspend a task");
    else
      lua_xmove(thread.L, L, 1);
    settle_error(L, lua_gettop(L) - 1, task);
    lua_pop(L, 1);
  }
  (void)lua_resetthread(thread.L); /* closes what the task left open */
  neap__anchor_drop(vm, thread.anchor); /* hooks may be off on it */
}

/* Nothing of it is to be a call, for what neap__ready_run says. */
__attribute__((always_inline)) static inline void
step(neap_vm *vm, neap__task *task) {
  int first = task->thread == NULL, n, status;
  neap__thread thread;
  uint64_t begin = 0;
  if (first && !start(vm, task))
    return;
  thread.L = task->thread;
  thread.anchor = task->thread_anchor;
  if (vm->debug) { /* the step may end the task: keep it for the report */
    neap__task_push(vm->L, task);
    begin = uv_hrtime();
  }
  vm->current = task;
  vm->running = thread.L;
  if (vm->limits != NULL)
    neap__limits_step(vm);
  neap__interrupt_meet(vm, thread.L);
  for (;;) {
    vm->nested = 0;
    status = lua_resume(thread.L, vm->L, first, &n);
    if (vm->suspending != NEAP__COMES_BACK)
      break;
    vm->suspending = 0;
    first = 0;
  }
  task = vm->current; /* the last one that has begun there: begin_next */
  vm->running = vm->L;
  vm->current = NULL;
  if (begin != 0)
    neap__step_end(vm, begin);
  if (vm->raised)
    neap__raising_clear(vm->L); /* keep nothing of an error that ended it */
  if (status == LUA_YIELD && vm->suspending) {
    vm->suspending = 0;
    if (task->timer.job.run == killed_step)
      kill_suspended(vm, task);
  }
  else
    ended(vm, task, thread, status);
}

static void task_step(neap_vm *vm, neap__job *job) { step(vm, task_of(job)); }

/* The last step of a killed task: it ends where it is. */
static void killed_step(neap_vm *vm, neap__job *job) {
  neap__task *task = task_of(job);
  lua_State *L = vm->L, *thread = task->thread;
  uint32_t anchor = task->thread_anchor;
  neap__task_push(L, task);
  if (task->in_c)
    neap__wait_abandon(vm, task);
  else if (thread != NULL && !task->interrupted)
    neap__wakeup_pass_on(vm, thread);
  task->waiting_on = NULL;
  lua_pushnil(L);
  neap__error_set(L, -2);
  settle(L, lua_gettop(L), task, NEAP__CANCELLED);
  lua_pop(L, 1);
  if (thread != NULL) { /* collected; no code of it runs any more */
    if (vm->hooked == thread)
      vm->hooked = NULL;
    neap__anchor_drop(vm, anchor);
  }
}

/* Here, that a step is in line: after a yield, which is a jump out of many
   functions, the processor predicts each return wrong. */
void neap__ready_run(neap_vm *vm, uint64_t until) {
  vm->last_job = vm->ready.last;
  vm->turn_until = until;
  do {
    neap__job *job = take_job(vm);
    if (job->run == task_step)
      step(vm, task_of(job));
    else
      job->run(vm, job); /* frees the job, maybe */
  } while (turn_goes_on(vm));
}

/* ====================================================== } */
