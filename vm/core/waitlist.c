/*
** waitlist.c - tasks that wait in line, for a lock or for an item.
**
** Locks and the library's queues are made of waitlists. `line_up(list)` puts
** the running task at the end of the line, until wake(list) takes out the
** first one. A task that is cancelled leaves the line at once. One that was
** woken and is cancelled before it runs was given what it will not use: the
** list's function `on_waste` is called, to give it to somebody else. For one
** that is killed then, of which no Lua is to run, the next in line is woken.
**
** For the rest of the core a waitlist is a plain future that never settles,
** and a task that stands in line waits for it. The line runs through the
** tasks: by their jobs' `next`, and back by `ahead`. A task in line is
** unfinished, hence anchored, and its stack keeps the list alive; what ends
** a task otherwise (neap__tasks_abandon) takes it out first.
*/
#include "vm.h"

#define LINE 64u      /* bytes of a cache */
#define FETCHED 1344u /* a thread, its first stack, a handful of calls */

enum { OWNER = NEAP__RESULT, WHAT, ON_WASTE }; /* user values */

static neap__task *task_of(neap__job *job) {
  return (neap__task *)((char *)job - offsetof(neap__task, timer));
}

static void append(neap__waitlist *list, neap__task *task) {
  neap__task *last = list->last;
  task->timer.ahead = last;
  task->timer.job.next = NULL;
  if (last != NULL)
    last->timer.job.next = &task->timer.job;
  else
    list->first = task;
  list->last = task;
  list->length++;
  task->waiting_on = &list->future;
}

void neap__waitlist_remove(neap__task *task) {
  neap__waitlist *list = (neap__waitlist *)task->waiting_on;
  neap__job *behind = task->timer.job.next;
  if (task->timer.ahead != NULL)
    task->timer.ahead->timer.job.next = behind;
  else
    list->first = behind == NULL ? NULL : task_of(behind);
  if (behind != NULL)
    task_of(behind)->timer.ahead = task->timer.ahead;
  else
    list->last = task->timer.ahead;
  list->length--;
  task->timer.position = 0;
  task->waiting_on = NULL;
}

int neap__waitlist_suspend(neap_vm *vm, lua_State *L, neap__waitlist *list,
                           lua_KFunction k) {
  neap__task *task = vm->current;
  if (!task->must_cancel)
    append(list, task);
  else /* cancelled itself before: strikes here */
    neap__task_interrupt(vm, task);
  vm->suspending = 1;
  return lua_yieldk(L, 0, (lua_KContext)list, k);
}

/* A task that has waited among thousands is in no cache any more; but it does
   not run yet. What it begins with is fetched meanwhile: its Lua thread, and
   behind that, as they are made next, most of the calls in which it stands. */
static void fetch(const neap__task *task) {
  uintptr_t at = (uintptr_t)task->thread, end = at + FETCHED;
  for (; at < end; at += LINE)
    __builtin_prefetch((const void *)at);
}

int neap__waitlist_wake_first(neap_vm *vm, neap__waitlist *list) {
  neap__task *task = list->first;
  if (task == NULL)
    return 0;
  fetch(task);
  neap__waitlist_remove(task);
  neap__queue_push(&vm->ready, &task->timer.job);
  return 1;
}

/* The loop runs a task on that has waited in the list at index 1. */
static int resumed(lua_State *L, int status, lua_KContext ctx) {
  neap__task *task = neap__vm(L)->current;
  (void)status;
  (void)ctx;
  if (!task->must_cancel && !task->interrupted)
    return 0;
  /* woken before it was cancelled? */
  if (!task->interrupted && lua_getiuservalue(L, 1, ON_WASTE) != LUA_TNIL) {
    lua_getiuservalue(L, 1, OWNER);
    lua_call(L, 1, 0);
  }
  return neap__raise_cancelled(L, task);
}

void neap__wakeup_pass_on(neap_vm *vm, lua_State *thread) {
  lua_State *inner;
  lua_Debug ar;
  lua_CFunction f;
  while ((inner = neap__generator_of(thread)) != NULL)
    thread = inner;
  if (!lua_getstack(thread, 0, &ar) || !lua_checkstack(thread, 1))
    return;
  lua_getinfo(thread, "f", &ar);
  f = lua_tocfunction(thread, -1);
  lua_pop(thread, 1);
  if (f != neap__waitlist_line_up)
    neap__hold_pass_on(vm, thread, f);
  else if (lua_getiuservalue(thread, 1, ON_WASTE) != LUA_TNIL)
    (void)neap__waitlist_wake_first(
        vm, (neap__waitlist *)lua_touserdata(thread, 1));
}

void neap__waitlist_prepare(neap__waitlist *list, const char *what) {
  neap__future_prepare(&list->future, &neap__waitlist_type);
  list->what = what;
  list->first = NULL;
  list->last = NULL;
  list->length = 0;
}

/* Lua: waitlist(what [, owner, on_waste]) -> a list whose line is empty.
   `what`, a name, is for dumps. on_waste(owner) must not suspend. */
int neap__waitlist_make(lua_State *L) {
  neap__waitlist *list;
  lua_settop(L, 3);
  list = (neap__waitlist *)lua_newuserdatauv(L, sizeof *list, ON_WASTE);
  neap__waitlist_prepare(list, luaL_checkstring(L, 1));
  lua_insert(L, 1);
  lua_setiuservalue(L, 1, ON_WASTE);
  lua_setiuservalue(L, 1, OWNER);
  lua_setiuservalue(L, 1, WHAT);
  neap__metatable_push(L, &neap__future_type);
  lua_setmetatable(L, 1);
  return 1;
}

/* Scripts can write into the tables of the library's objects. */
static neap__waitlist *check_list(lua_State *L) {
  neap__waitlist *list = (neap__waitlist *)lua_touserdata(L, 1);
  if (list == NULL || lua_rawlen(L, 1) < sizeof *list ||
      list->future.type != &neap__waitlist_type)
    luaL_typeerror(L, 1, "waitlist");
  return list;
}

/* Lua: line_up(list): the task waits at the end of the line. */
int neap__waitlist_line_up(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  neap__waitlist *list = check_list(L);
  neap__check_suspend(vm, L, 1);
  return neap__waitlist_suspend(vm, L, list, resumed);
}

/* Lua: wake(list) -> whether somebody stood in line */
int neap__waitlist_wake(lua_State *L) {
  neap__waitlist *list = check_list(L);
  lua_pushboolean(L, neap__waitlist_wake_first(neap__vm(L), list));
  return 1;
}

/* Lua: waiting(list) -> how many stand in line */
int neap__waitlist_waiting(lua_State *L) {
  lua_pushinteger(L, check_list(L)->length);
  return 1;
}
