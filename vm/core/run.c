/*
** run.c - run(coro): the life of one run of the loop.
**
** The main task runs until it is done; then the tasks left over are
** cancelled, oldest first, and the loop goes on until they have ended; if
** their cleanup made new tasks, these are cancelled in a further round.
** Then what is left in the queues is dropped, and the main task's outcome
** becomes that of run.
*/
#include "vm.h"

#define MOST_LISTED 20 /* tasks in the report of a deadlock */
#define MOST_ROUNDS 100 /* in which callbacks and cleanup make new tasks */
#define BURST 100000 /* tasks at once that make the end of a run tidy up */

/* The main task is done, or the last one of those left over: the turn in which
   waiters look at it, and its callbacks run, is the last. */
static void stop_job(neap_vm *vm, neap__job *job) {
  (void)job;
  vm->stopping = 1;
}

/* {======================================================
** Deadlock
** ======================================================= */

/* Lua: on an empty stack, pushes the report of all tasks and what they wait
   for. */
static int describe_deadlock(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  neap__task *task;
  int left = 0;
  luaL_checkstack(L, 2 * MOST_LISTED + LUA_MINSTACK, NULL);
  luaL_where(L, 2); /* who called run */
  lua_pushliteral(L, "deadlock: every task waits, and nothing is pending that "
                     "could wake one");
  for (task = vm->tasks; task != NULL; task = task->next) {
    if (lua_gettop(L) >= 2 * MOST_LISTED + 2) {
      left++;
      continue;
    }
    lua_pushliteral(L, "\n\t");
    neap__task_push(L, task);
    neap__described_push(L, -1, 1);
    lua_replace(L, -2);
  }
  if (left > 0)
    lua_pushfstring(L, "\n\t... and %d tasks more", left);
  lua_concat(L, lua_gettop(L));
  return 1;
}

/* ====================================================== } */

/* {======================================================
** The end
** ======================================================= */

/* Cancels all unfinished tasks and runs the loop until they have ended.
   Lua: no arguments; an error leaves tasks, which are abandoned then, as are
   those that come back in each round. */
static int end_leftovers(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  int round;
  for (round = 0; vm->tasks != NULL && round < MOST_ROUNDS; round++) {
    neap__task *task;
    /* cancelling ends no task at once, so that the list stays as it is */
    vm->ending = 1;
    for (task = vm->tasks; task != NULL; task = task->next) {
      if (!task->leftover)
        neap__task_cancel(L, task);
    }
    vm->ending = 0;
    do {
      if (!neap__loop_run(vm))
        return 0; /* they await what never comes */
      if (neap__interrupt_count(vm) > 1)
        return 0; /* the user does not want to wait */
    } while (vm->leftovers > 0);
  }
  return 0;
}

void neap__ready_drop(neap_vm *vm) {
  neap__queue kept = {NULL};
  while (vm->ready.last != NULL) {
    neap__job *job = neap__queue_pop(&vm->ready);
    if (neap__is_handle_job(job))
      neap__handle_drop(vm, neap__handle_of(job));
    else if (neap__is_gather_job(job))
      neap__gather_drop_child(vm, job);
    else if (neap__is_group_job(job))
      neap__group_drop_member(vm, job);
    else if (!neap__is_task_job(job) && job != &vm->stop &&
             job != &vm->last_ended)
      neap__queue_push(&kept, job);
  }
  neap__queue_splice(&vm->ready, &kept);
}

/* Nothing of this run stays: handles, timers, tasks that never ended; nor what
   finalizers make, which run while these are told of, and then no more. */
static void drop_rest(neap_vm *vm, lua_State *L) {
  neap__tasks_report(vm, L);
  neap__timers_expire(vm, UINT64_MAX);
  neap__ready_drop(vm);
  neap__tasks_abandon(vm, L);
  neap__gathers_abandon(vm);
  vm->ending = 0;
  vm->leftovers = 0;
  neap__coroutine_settle_fresh(vm);
}

/* After a burst of tasks: collects them, and gives their memory back. */
static void return_memory(neap_vm *vm, lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  if (vm->alloc == neap__malloc)
    neap__memory_trim(&vm->memory);
}

/* ====================================================== } */

/* {======================================================
** run
** ======================================================= */

enum { CORO = 1, OPTIONS, TASK };

/* Lua: the coroutine object -> main task; protected */
static int make_main(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  vm->main_task = neap__task_new(L, 1, 2);
  vm->stop.run = stop_job;
  vm->last_ended.run = stop_job;
  neap__future_wait(&vm->main_task->future, &vm->stop);
  return 1;
}

/* Lua: protected; the whole run. -> deadlock report or nil */
static int run_protected(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  if (neap__loop_run(vm))
    return 0;
  lua_settop(L, 0);
  describe_deadlock(L);
  return 1;
}

/* Whether the options ask for debug mode. */
static int check_debug(lua_State *L) {
  int debug;
  if (lua_isnoneornil(L, OPTIONS))
    return 0;
  neap__check_options(L, OPTIONS, "run", "debug", "true");
  lua_getfield(L, OPTIONS, "debug");
  debug = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return debug;
}

/*
** Raises KeyboardInterrupt: the one that a step raised, or a new one if
** Ctrl-C, and no other cancel(), was why the main task ended, or came too
** late to cancel it. `seen`: so many were dealt with when the loop had ended.
*/
static void check_keyboard(neap_vm *vm, lua_State *L, int seen) {
  neap__task *task = neap__task_at(L, TASK); /* NULL: an error has made none */
  int now = vm->interrupts;
  int cancelled = vm->main_interrupted &&
                  task->future.state == NEAP__CANCELLED &&
                  task->cancel_requests <= 1;
  vm->interrupts_seen = now;
  if (!vm->keyboard && !cancelled && now == seen &&
      now - vm->interrupts_before <= 1)
    return;
  if (task != NULL)
    task->future.observed = 1;
  neap__keyboard_take(L);
  if (!vm->keyboard) {
    lua_pushnil(L);
    neap__error_new(L, "KeyboardInterrupt");
  }
  neap__throw(L);
}

int neap__run(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  int debug = vm->debug, status, burst, seen;
  lua_State *outside = vm->running;
  lua_settop(L, 2);
  if (vm->L != NULL)
    return neap__usage(L, 1, "run: the event loop is running already: use "
                             "await(coro) or create_task(coro) inside it");
  if (vm->tasks != NULL)
    return neap__usage(L, 1, "run: the host runs tasks in this VM");
  neap__check_coroutine(L, CORO, "run");
  vm->debug = (uint8_t)(debug || check_debug(L));
  status = neap__loop_open(vm);
  if (status != 0) {
    vm->debug = (uint8_t)debug;
    return neap__usage(L, 1, "run: cannot open an event loop: %s",
                       uv_strerror(status));
  }
  luaL_checkstack(L, 2 * LUA_MINSTACK, "run");
  vm->L = L;
  vm->running = L;
  vm->main_task = NULL;
  vm->keyboard = 0;
  vm->main_interrupted = 0;
  vm->interrupts_before = vm->interrupts_seen;
  vm->dump_requested = 0;
  lua_pushcfunction(L, make_main);
  lua_pushvalue(L, CORO);
  status = lua_pcall(L, 1, 1, 0); /* -> TASK, or an error */
  if (status == LUA_OK) {
    lua_pushcfunction(L, run_protected);
    status = lua_pcall(L, 0, 1, 0); /* -> nil or a text */
    if (status == LUA_OK && lua_isnil(L, -1) &&
        neap__interrupt_count(vm) > 1)
      ; /* a second Ctrl-C waits for nothing */
    else {
      lua_pushcfunction(L, end_leftovers);
      if (lua_pcall(L, 0, 0, 0) != LUA_OK)
        lua_replace(L, -2);
    }
    if (status == LUA_OK && !lua_isnil(L, -1))
      status = LUA_ERRRUN; /* a deadlock */
  }
  seen = vm->interrupts_seen;
  burst = vm->anchors_total > BURST;
  drop_rest(vm, L);
  vm->main_task = NULL;
  vm->L = NULL;
  vm->running = outside;
  neap__interrupt_clear(L);
  vm->debug = (uint8_t)debug;
  neap__pool_trim(vm, L); /* finalizers that it runs can create no tasks now */
  if (burst)
    return_memory(vm, L);
  check_keyboard(vm, L, seen);
  if (status != LUA_OK) {
    if (neap__task_at(L, TASK) != NULL)
      neap__future_at(L, TASK)->observed = 1;
    return neap__throw(L);
  }
  return neap__outcome(L, TASK, neap__future_at(L, TASK));
}

/* ====================================================== } */
