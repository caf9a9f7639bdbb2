/*
** task.c - tasks: a coroutine object run by the loop.
**
** The life of a task: neap__task_new makes it ready; its first step
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

void neap__task_release(neap_vm *vm, lua_State *L, neap__task *task) {
  neap__budget_drop(vm, neap__task_budget(task));
  task->budgeted = 0;
  neap__anchor_drop(vm, L, task->anchor);
}

/* Notes which line of which function creates the task at the top. */
static void note_creator(lua_State *L, neap__task *task, int level) {
  lua_Debug ar;
  task->line = -1;
  if (level > 1)
    level = neap__level(L, level);
  if (lua_getstack(L, level, &ar) && lua_getinfo(L, "fl", &ar)) {
    task->line = ar.currentline;
    lua_setiuservalue(L, -2, NEAP__EXTRA);
  }
}

/* The same as the two below; `member`: a neap__member. */
static neap__task *make(lua_State *L, int index, int level, int member) {
  neap_vm *vm = neap__vm(L);
  neap__budget *budget = neap__budget_current(vm);
  size_t size = member ? sizeof(neap__member) : sizeof(neap__task);
  neap__task *task;
  index = lua_absindex(L, index);
  if (vm->task_limit != 0 && vm->tasks_alive >= vm->task_limit)
    neap__usage(L, level, "too many tasks: the limit is %I unfinished ones",
                (LUAI_UACINT)vm->task_limit);
  neap__coroutine_take(L, index, (neap__coroutine *)neap__known(L, index),
                       NEAP__OWNED, level);
  if (budget != NULL)
    size += sizeof budget;
  task = (neap__task *)lua_newuserdatauv(L, size,
                                         member ? NEAP__GROUP : NEAP__CORO);
  neap__future_prepare(&task->future, &neap__task_type);
  task->timer.job.run = task_step;
  task->timer.position = 0;
  task->thread = NULL;
  task->waiting_on = NULL;
  task->in_c = 0;
  task->cancel_requests = 0;
  task->must_cancel = 0;
  task->interrupted = 0;
  task->leftover = 0;
  task->kept = 0;
  task->member = member != 0;
  neap__metatable_push(L, &neap__task_type);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, NEAP__CORO);
  note_creator(L, task, level);
  task->anchor = neap__anchor(vm, L); /* the last thing that can fail */
  if (budget != NULL)
    *neap__task_slot(task) = neap__budget_use(budget);
  task->budgeted = budget != NULL;
  task->id = ++vm->task_count & 0x1fffffffffffff;
  list_append(vm, task);
  neap__queue_push(&vm->ready, &task->timer.job);
  return task;
}

neap__task *neap__task_new(lua_State *L, int index, int level) {
  return make(L, index, level, 0);
}

neap__member *neap__member_new(lua_State *L, int index, int level) {
  return (neap__member *)make(L, index, level, 1);
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
  neap__future_settle(L, index, state); /* first, as it can raise */
  list_remove(vm, task);
  if (!task->kept)
    neap__task_release(vm, L, task);
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

/*
** All tasks are detached from each other and from plain futures before
** the first anchor is dropped: from then on the collector may free them.
*/
void neap__tasks_abandon(neap_vm *vm, lua_State *L) {
  neap__task *task;
  /* who is in a hurry need not be told */
  int reports = vm->interrupts > 1 ? 0 : MOST_REPORTS;
  for (task = vm->tasks; task != NULL; task = task->next) {
    neap__task_push(L, task);
    if (reports > 0) {
      lua_pushcfunction(L, report_destroyed);
      lua_pushvalue(L, -2);
      lua_pushboolean(L, --reports == 0 && task->next != NULL);
      if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        lua_pop(L, 1);
        reports = 0; /* no memory for a report */
      }
    }
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
  neap__ready_drop(vm, L);
  while (vm->tasks != NULL) {
    lua_State *thread = vm->tasks->thread;
    uint32_t anchor = vm->tasks->thread_anchor;
    task = vm->tasks;
    list_remove(vm, task);
    neap__task_release(vm, L, task);
    if (thread != NULL) /* collected; no code of it runs any more */
      neap__anchor_drop(vm, L, anchor);
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

void neap__tasks_kill(neap_vm *vm, const neap__budget *b) {
  neap__task *task;
  for (task = vm->tasks; task != NULL; task = task->next) {
    neap__future *f = task->in_c ? NULL : task->waiting_on;
    if (!has_budget(task, b) || task->timer.job.run == killed_step)
      continue;
    task->timer.job.run = killed_step;
    if (neap__task_take_out(vm, task))
      neap__queue_push(&vm->ready, &task->timer.job);
    else if (f != NULL && f->state == NEAP__PENDING)
      kill_waiting(vm, &f->waiters, b);
  }
}

/* ====================================================== } */

/* {======================================================
** Steps
** ======================================================= */

enum { TASK = 1, HANDLER, BODY }; /* stack of task_main */

/* The body has ended. */
static int task_finish(lua_State *L, int status, lua_KContext ctx) {
  neap__task *task = (neap__task *)neap__known(L, TASK);
  (void)ctx;
  if (status == LUA_ERRMEM)
    neap__vm(L)->starved = 1;
  if (task->timer.job.run == killed_step) { /* by itself, at its very end? */
    lua_settop(L, HANDLER);
    lua_pushnil(L);
    neap__error_set(L, TASK);
    settle(L, TASK, task, NEAP__CANCELLED);
  }
  else if (status != LUA_OK && status != LUA_YIELD)
    settle_error(L, TASK, task);
  else if (task->must_cancel) { /* cancelled after its last await */
    lua_settop(L, HANDLER);
    settle_cancelled(L, TASK, task);
  }
  else {
    neap__result_set(L, TASK, lua_gettop(L) - HANDLER);
    settle(L, TASK, task, NEAP__FINISHED);
  }
  return 0;
}

/*
** The function at the base of a task's thread. The protected call makes
** to-be-closed variables run, and await, when an error ends the body.
*/
static int task_main(lua_State *L) {
  neap__coroutine *c;
  int n = 1, status;
  lua_pushcfunction(L, neap__task_handler);
  lua_getiuservalue(L, TASK, NEAP__CORO);
  c = (neap__coroutine *)neap__known(L, BODY);
  if (neap__coroutine_calls(c))
    n = neap__coroutine_open(L, BODY, c);
  else if (c->body == NEAP__YIELD)
    lua_pushcfunction(L, neap__await_turn); /* its argument is ignored */
  else { /* await(coroutine) */
    c->state = NEAP__NEW;
    lua_pushcfunction(L, neap__await);
  }
  if (!neap__coroutine_calls(c))
    lua_insert(L, BODY);
  status = lua_pcallk(L, n, LUA_MULTRET, HANDLER, 0, task_finish);
  return task_finish(L, status, 0);
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

/* Returns false when the task has ended instead of starting. */
static int start(neap_vm *vm, neap__task *task) {
  lua_State *L = vm->L;
  if (!task->must_cancel && vm->pool_count > 0) { /* cannot fail */
    neap__thread thread = neap__thread_acquire(vm, L);
    task->thread = thread.L;
    task->thread_anchor = thread.anchor;
  }
  else {
    lua_pushcfunction(L, prepare);
    lua_pushlightuserdata(L, task);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) { /* no memory? */
      neap__task_push(L, task);
      lua_insert(L, -2);
      neap__error_set(L, -2);
      settle(L, lua_gettop(L), task, NEAP__FAILED);
      lua_pop(L, 1);
      return 0;
    }
    if (task->thread == NULL) /* ended; may be collected from now on */
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
    neap__thread_release(vm, L, thread);
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
  neap__anchor_drop(vm, L, thread.anchor); /* hooks may be off on it */
}

static inline void step(neap_vm *vm, neap__task *task) {
  int first = task->thread == NULL, n, status;
  neap__thread thread;
  uint64_t begin = 0;
  if (vm->limits != NULL)
    neap__limits_step(vm);
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
  for (;;) {
    vm->nested = 0;
    status = lua_resume(thread.L, vm->L, first, &n);
    if (vm->suspending != NEAP__COMES_BACK)
      break;
    vm->suspending = 0;
    first = 0;
  }
  vm->running = vm->L;
  vm->current = NULL;
  if (begin != 0)
    neap__step_end(vm, begin);
  neap__raising_clear(vm->L); /* keep nothing of an error that ended it */
  if (status == LUA_YIELD && vm->suspending)
    vm->suspending = 0;
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
  task->waiting_on = NULL;
  lua_pushnil(L);
  neap__error_set(L, -2);
  settle(L, lua_gettop(L), task, NEAP__CANCELLED);
  lua_pop(L, 1);
  if (thread != NULL) { /* collected; no code of it runs any more */
    if (vm->hooked == thread)
      vm->hooked = NULL;
    neap__anchor_drop(vm, L, anchor);
  }
}

/* Here, that a step is in line: after a yield, which is a jump out of many
   functions, the processor predicts each return wrong. */
void neap__ready_run(neap_vm *vm, uint64_t until) {
  neap__job *job, *last = vm->ready.last;
  do {
    job = neap__queue_pop(&vm->ready);
    if (job->run == task_step)
      step(vm, task_of(job));
    else
      job->run(vm, job); /* frees the job, maybe */
  } while (job != last && (until == 0 || uv_hrtime() < until));
}

/* ====================================================== } */
