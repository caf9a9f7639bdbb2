/*
** cancel.c - cancellation of futures, tasks and gathers.
**
** Cancelling a task that waits cancels what it waits for, and so on to
** the innermost; the chain may be very long, so this is a loop over a
** work list on the Lua stack, above the message, the way (below) and a task
** that was found to await itself. It runs no Lua but finalizers.
*/
#include "vm.h"

/* Cancels the pending plain future at `index`. */
static void cancel_future(lua_State *L, int index, int message) {
  neap__future *f = (neap__future *)neap__known(L, index);
  lua_pushvalue(L, message);
  neap__error_new(L, "CancelledError");
  if (f->state != NEAP__PENDING) {
    lua_pop(L, 1); /* a finalizer was faster */
    return;
  }
  neap__error_set(L, index);
  neap__future_settle(L, index, f, NEAP__CANCELLED);
}

/* Keeps the message, the last one, for the CancelledError to come; one that
   is on its way already keeps its own. */
static void keep_message(lua_State *L, int index, int message) {
  const neap__future *f = (neap__future *)neap__known(L, index);
  if (f->type->kind == NEAP__TASK && ((const neap__task *)f)->interrupted)
    return;
  if (lua_isnil(L, message)) { /* without a table there is none to replace */
    int type = lua_getiuservalue(L, index, NEAP__EXTRA);
    lua_pop(L, 1);
    if (type != LUA_TTABLE)
      return;
  }
  lua_pushvalue(L, message);
  neap__extra_set(L, index, "cancel_message");
}

/* Counts a request: nothing can fail from here on. */
static void count(neap_vm *vm, neap__task *task) {
  task->cancel_requests++;
  if (vm->ending) {
    task->leftover = 1;
    vm->leftovers++;
  }
}

/*
** The way from what is cancelled to where the work has come: a table at
** stack index `tasks`, made when needed. It has the tasks on the way by
** number and their numbers by task; and false for a task that was on the
** way before. Met again, a task on the way awaits itself, by way of
** others. One that was on it before is shared by gathers: it is asked
** again, as in asyncio, but not without end, as each gather on the way
** can double the work.
*/
typedef struct neap__way {
  int tasks;
  lua_Integer length;
  int repeats;
} neap__way;

#define MOST_REPEATS 1000

/* The task's number, 0 for one that was on the way before, -1. */
static lua_Integer way_number(lua_State *L, int index, const neap__way *way) {
  lua_Integer number;
  if (lua_isnil(L, way->tasks))
    return -1;
  lua_pushvalue(L, index);
  number = lua_rawget(L, way->tasks) == LUA_TNIL ? -1 : lua_tointeger(L, -1);
  lua_pop(L, 1);
  return number;
}

static void way_on(lua_State *L, int index, neap__way *way) {
  if (lua_isnil(L, way->tasks)) {
    lua_newtable(L);
    lua_replace(L, way->tasks);
  }
  lua_pushvalue(L, index);
  lua_rawseti(L, way->tasks, ++way->length);
  lua_pushvalue(L, index);
  lua_pushinteger(L, way->length);
  lua_rawset(L, way->tasks);
}

/* Goes back to where the way had `length` tasks. */
static void way_back(lua_State *L, lua_Integer length, neap__way *way) {
  for (; way->length > length; way->length--) {
    lua_rawgeti(L, way->tasks, way->length);
    lua_pushboolean(L, 0);
    lua_rawset(L, way->tasks);
  }
}

/* Whether it sleeps, stands in line, or waits in C. */
static int is_apart(const neap__task *task) {
  return task->in_c || neap__is_waitlist(task->waiting_on) ||
         task->timer.position != 0;
}

int neap__task_take_out(neap_vm *vm, neap__task *task) {
  if (!is_apart(task))
    return 0;
  if (task->in_c)
    return neap__wait_cancel(vm, task);
  if (neap__is_waitlist(task->waiting_on))
    neap__waitlist_remove(task);
  else
    neap__timer_stop(vm, &task->timer);
  return 1;
}

enum { TASKS = 1, CIRCLE }; /* stack slots behind the message */

/*
** One task: wakes it up or marks it, which is an effect; or pushes what it
** waits for, which is to be cancelled instead.
*/
static int cancel_task(neap_vm *vm, lua_State *L, int index, int message,
                       neap__way *way) {
  neap__task *task = (neap__task *)neap__known(L, index);
  neap__future *f;
  lua_Integer number = way_number(L, index, way);
  if (number > 0) {
    lua_pushvalue(L, index);
    lua_replace(L, message + CIRCLE);
    return 0;
  }
  if (vm->ending && task->leftover) /* an earlier call has asked it? */
    return 1;                       /* that is enough */
  if (is_apart(task)) {
    keep_message(L, index, message); /* may run a finalizer, which cancels it */
    count(vm, task);
    if (neap__task_take_out(vm, task))
      neap__task_interrupt(vm, task);
    else
      task->must_cancel = 1;
    return 1;
  }
  f = task->waiting_on;
  if (f == NULL || f->state != NEAP__PENDING || /* runs, or is ready? */
      (f->type->kind == NEAP__GATHER &&
       !neap__gather_cancel((neap__gather *)f))) { /* too late for it? */
    keep_message(L, index, message);
    count(vm, task);
    task->must_cancel = 1;
    return 1;
  }
  if (number == 0 && ++way->repeats > MOST_REPEATS) {
    count(vm, task);
    return 1;
  }
  neap__task_push_awaited(L, index);
  way_on(L, index, way); /* may run a finalizer, which wakes or cancels it */
  count(vm, task);
  if (task->waiting_on == f && f->state == NEAP__PENDING)
    return 0;
  lua_pop(L, 1);
  task->must_cancel = 1;
  return 1;
}

/*
** Tasks that await each other in a circle: one of them is woken up, so
** that the others can end, too.
*/
static void break_circle(neap_vm *vm, lua_State *L, int index, int message) {
  neap__task *task = (neap__task *)neap__known(L, index);
  keep_message(L, index, message); /* may run a finalizer, which breaks it */
  if (task->waiting_on == NULL) {
    task->must_cancel = 1;
    return;
  }
  neap__queue_remove(&task->waiting_on->waiters, &task->timer.job);
  task->waiting_on = NULL;
  neap__task_interrupt(vm, task);
}

int neap__cancel(lua_State *L, int index) {
  neap_vm *vm = neap__vm(L);
  neap__future *f = (neap__future *)neap__known(L, index);
  int message = lua_gettop(L), floor = message + CIRCLE, effects = 0;
  neap__way way = {message + TASKS, 0, 0};
  index = lua_absindex(L, index);
  f->observed = 1; /* who cancels it does not ask for its error */
  if (f->state != NEAP__PENDING ||
      (f->type->kind == NEAP__GATHER &&
       !neap__gather_cancel((neap__gather *)f))) {
    lua_pop(L, 1);
    return 0;
  }
  lua_settop(L, floor);
  lua_pushvalue(L, index);
  while (lua_gettop(L) > floor) { /* for all on the work list */
    int top = lua_gettop(L);
    luaL_checkstack(L, 8, "too many tasks to cancel");
    if (lua_isinteger(L, top)) { /* a gather, and how far that has come */
      way_back(L, lua_tointeger(L, top), &way);
      neap__gather_push_next(L, top - 2);
      continue;
    }
    f = (neap__future *)neap__known(L, top);
    if (f->state != NEAP__PENDING)
      effects++; /* it has been cancelled meanwhile */
    else if (f->type->kind == NEAP__TASK)
      effects += cancel_task(vm, L, top, message, &way);
    else if (f->type->kind == NEAP__FUTURE) {
      cancel_future(L, top, message);
      effects++;
    }
    else if (neap__gather_cancel((neap__gather *)f)) {
      keep_message(L, top, message);
      lua_pushinteger(L, 0); /* children looked at */
      lua_pushinteger(L, way.length);
      continue;
    }
    lua_remove(L, top); /* what was pushed goes first, as in recursion */
  }
  if (effects == 0 && !lua_isnil(L, floor))
    break_circle(vm, L, floor, message);
  lua_settop(L, message - 1);
  return 1;
}
