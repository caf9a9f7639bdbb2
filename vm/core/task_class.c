/*
** task_class.c - what scripts call of tasks: the functions that make or find
** them, and the methods of the class. What goes on in one: task.c.
*/
#include "vm.h"

/* {======================================================
** Making
** ======================================================= */

neap__coroutine *neap__check_coroutine(lua_State *L, int index,
                                       const char *function) {
  neap__coroutine *c = neap__coroutine_at(L, index);
  if (c != NULL)
    return c;
  if (neap__is_async_function(L, index))
    neap__usage(L, 1, "%s: a coroutine object expected, got an async function: "
                      "call it, as in %s(f())",
                function, function);
  if (lua_isfunction(L, index))
    neap__usage(L, 1, "%s: a coroutine object expected, got a function: make "
                      "it an async function and call it, as in %s(f())",
                function, function);
  neap__usage(L, 1, "%s: a coroutine object expected, got %s%s", function,
              neap__describe(L, index),
              neap__future_at(L, index) != NULL ? ": await it instead" : "");
  return NULL; /* not reached */
}

void neap__refuse_awaitable(lua_State *L, int index, const char *function,
                            int level) {
  const char *hint = "";
  if (neap__is_async_function(L, index))
    neap__usage(L, level, "%s: an awaitable expected, got an async function: "
                          "call it, as in %s(f())", function, function);
  if (lua_isfunction(L, index))
    hint = lua_pushfstring(L, ": only async functions can be awaited, as in "
                              "%s(f())", function);
  neap__usage(L, level, "%s: an awaitable (coroutine object, Task or Future) "
                        "expected, got %s%s", function,
              neap__describe(L, index), hint);
}

/* Notes which line of which function creates the task at the top. It may be
   that an await has called the library's function which does so. */
static void note_creator(lua_State *L, neap__task *task, int level) {
  lua_Debug ar;
  task->line = -1;
  for (; lua_getstack(L, level, &ar) && lua_getinfo(L, "fl", &ar); level++) {
    if (level == 1 || lua_tocfunction(L, -1) != neap__await) {
      task->line = ar.currentline;
      lua_setiuservalue(L, -2, NEAP__EXTRA);
      return;
    }
    lua_pop(L, 1);
  }
}

/* neap__task_new of the coroutine object c; `member`: a neap__member. */
static neap__task *make(lua_State *L, int index, neap__coroutine *c, int level,
                        int member) {
  neap_vm *vm = neap__vm(L);
  neap__budget *budget = neap__budget_current(vm);
  size_t size = member ? sizeof(neap__member) : sizeof(neap__task);
  neap__task *task;
  index = lua_absindex(L, index);
  if (vm->task_limit != 0 && vm->tasks_alive >= vm->task_limit)
    neap__usage(L, level, "too many tasks: the limit is %I unfinished ones",
                (LUAI_UACINT)vm->task_limit);
  neap__coroutine_take(L, index, c, NEAP__OWNED, level);
  if (budget != NULL)
    size += sizeof budget;
  task = (neap__task *)lua_newuserdatauv(L, size,
                                         member ? NEAP__GROUP : NEAP__CORO);
  neap__future_prepare(&task->future, &neap__task_type);
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
  neap__task_begin(vm, task);
  return task;
}

neap__task *neap__task_new(lua_State *L, int index, int level) {
  return make(L, index, (neap__coroutine *)neap__known(L, index), level, 0);
}

/* Replaces the options table at index 2 by the value of its field `name`. */
static void check_name(lua_State *L) {
  neap__check_options(L, 2, "create_task", "name", "\"...\"");
  lua_getfield(L, 2, "name");
  if (!lua_isnil(L, -1))
    luaL_tolstring(L, -1, NULL);
  lua_replace(L, 2);
}

/* Checks the arguments of create_task; replaces the options by the name, and
   returns the coroutine object. */
static neap__coroutine *check_arguments(lua_State *L) {
  if (!lua_isnoneornil(L, 2))
    check_name(L);
  neap__check_running(L, "create_task");
  return neap__check_coroutine(L, 1, "create_task");
}

/* Gives the task at the top the name at index 2. */
static void set_name(lua_State *L) {
  if (!lua_isnil(L, 2)) {
    lua_pushvalue(L, 2);
    neap__extra_set(L, -2, "name");
  }
}

/* Lua: create_task(coro [, options]) */
int neap__create_task(lua_State *L) {
  int named = lua_gettop(L) > 1;
  make(L, 1, check_arguments(L), 1, 0);
  if (named)
    set_name(L);
  return 1;
}

/* Lua: create_member(coro, options, group): a task of the group, created by
   the function that has called the caller. */
int neap__create_member(lua_State *L) {
  neap__group *group = neap__group_check(L, 3);
  neap__coroutine *c = check_arguments(L);
  neap__member *member = (neap__member *)make(L, 1, c, 2, 1);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, NEAP__GROUP);
  neap__group_add(group, member);
  set_name(L);
  return 1;
}

void neap__task_awaiting(lua_State *L, int level) {
  lua_pushcfunction(L, neap__await);
  neap__coroutine_of(L, -1, -2);
  neap__task_new(L, -1, level);
  lua_replace(L, -4);
  lua_pop(L, 2);
}

/* Lua: ensure_future(awaitable [, name [, level]]): a Task or Future as it
   is; for anything else that can be awaited, a task that does it. `name`:
   of the function that usage errors tell of; `level` as in create_task. */
int neap__ensure_future(lua_State *L) {
  const char *name = luaL_optstring(L, 2, "ensure_future");
  int level = (int)luaL_optinteger(L, 3, 1);
  if (neap__future_at(L, 1) != NULL) {
    lua_settop(L, 1);
    return 1;
  }
  neap__check_running(L, name);
  if (neap__coroutine_at(L, 1) != NULL)
    neap__task_new(L, 1, level);
  else if (luaL_getmetafield(L, 1, "__await") != LUA_TNIL) {
    lua_pushvalue(L, 1);
    neap__task_awaiting(L, level);
  }
  else
    neap__refuse_awaitable(L, 1, name, 1);
  return 1;
}

/* ====================================================== } */

/* {======================================================
** Methods
** ======================================================= */

static neap__task *check_task(lua_State *L) {
  neap__task *task = neap__task_at(L, 1);
  if (task == NULL)
    luaL_typeerror(L, 1, neap__task_type.name);
  return task;
}

/* Lua: task:cancelling() -> requests not taken back */
static int task_cancelling(lua_State *L) {
  lua_pushinteger(L, check_task(L)->cancel_requests);
  return 1;
}

/* Lua: task:uncancel() -> requests left */
static int task_uncancel(lua_State *L) {
  lua_pushinteger(L, neap__uncancel(check_task(L)));
  return 1;
}

const char *neap__task_name(lua_State *L, int index) {
  neap__extra_get(L, index, "name");
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushfstring(L, "Task-%I", (LUAI_UACINT)neap__task_at(L, index)->id);
  }
  return lua_tostring(L, -1);
}

/* Lua: task:get_name() */
static int task_get_name(lua_State *L) {
  check_task(L);
  neap__task_name(L, 1);
  return 1;
}

/* Lua: task:set_name(value): kept as a string */
static int task_set_name(lua_State *L) {
  check_task(L);
  luaL_checkany(L, 2);
  luaL_tolstring(L, 2, NULL);
  neap__extra_set(L, 1, "name");
  return 0;
}

/* Lua: task:get_coro() */
static int task_get_coro(lua_State *L) {
  check_task(L);
  lua_getiuservalue(L, 1, NEAP__CORO);
  return 1;
}

/* Lua: task:get_stack() */
static int task_get_stack(lua_State *L) {
  check_task(L);
  return neap__task_get_stack(L);
}

/* Lua: current_task() -> task or nil */
int neap__current_task(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  if (vm->current == NULL)
    lua_pushnil(L);
  else
    neap__task_push(L, vm->current);
  return 1;
}

/* Lua: all_tasks() -> list of the unfinished tasks, oldest first */
int neap__all_tasks(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  neap__task *task;
  lua_Integer i = 0;
  lua_newtable(L);
  for (task = vm->tasks; task != NULL; task = task->next) {
    neap__task_push(L, task);
    lua_rawseti(L, -2, ++i);
  }
  return 1;
}

void neap__task_init(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"cancelling", task_cancelling}, {"uncancel", task_uncancel},
      {"get_name", task_get_name},     {"set_name", task_set_name},
      {"get_coro", task_get_coro},     {"get_stack", task_get_stack},
      {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", neap__future_tostring},
                                         {NULL, NULL}};
  neap__metatable_new(L, &neap__task_type, methods, metamethods);
  lua_getfield(L, -1, "__index");
  luaL_setfuncs(L, neap__future_methods, 0);
  lua_pop(L, 2);
}

/* ====================================================== } */
