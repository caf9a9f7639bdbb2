/*
** group.c - the tasks of a TaskGroup, until they have ended.
**
** A member is a task with a job of the group's in it, which waits for the
** task as a done callback does: it takes the member out of the group, wakes
** those who wait for the last one, and calls the library's `on_failure` when
** the task has failed. Until then the task stays anchored (`kept`); and it
** keeps its group alive, so that members and group may point at each other.
*/
#include "vm.h"

enum { OWNER = NEAP__RESULT, ON_FAILURE = NEAP__GROUP }; /* user values */

static void end_job(neap_vm *vm, neap__job *job);

int neap__is_group_job(const neap__job *job) { return job->run == end_job; }

static neap__member *member_of(neap__job *job) {
  return (neap__member *)((char *)job - offsetof(neap__member, end));
}

void neap__group_add(neap__group *group, neap__member *member) {
  member->group = group;
  member->next = NULL;
  member->previous = group->last;
  if (group->last != NULL)
    group->last->next = member;
  else
    group->first = member;
  group->last = member;
  group->count++;
  member->task.kept = 1;
  member->end.run = end_job;
  neap__future_wait(&member->task.future, &member->end);
}

/* Takes a member out of its group, and lets go of it. */
static void leave(neap_vm *vm, neap__member *member) {
  neap__group *group = member->group;
  if (member->previous != NULL)
    member->previous->next = member->next;
  else
    group->first = member->next;
  if (member->next != NULL)
    member->next->previous = member->previous;
  else
    group->last = member->previous;
  group->count--;
  if (member->task.kept) {
    member->task.kept = 0;
    neap__task_release(vm, &member->task);
  }
}

void neap__group_drop_member(neap_vm *vm, neap__job *job) {
  leave(vm, member_of(job));
}

/* A member has ended. */
static void end_job(neap_vm *vm, neap__job *job) {
  neap__member *member = member_of(job);
  neap__group *group = member->group;
  neap__budget *budget = neap__budget_use(neap__task_budget(&member->task));
  lua_State *L = vm->L;
  int task = lua_gettop(L) + 1;
  neap__task_push(L, &member->task);
  leave(vm, member);
  lua_getiuservalue(L, task, NEAP__GROUP);
  lua_pushnil(L);
  lua_setiuservalue(L, task, NEAP__GROUP);
  while (group->count == 0 && neap__waitlist_wake_first(vm, &group->line))
    ;
  if (member->task.future.state == NEAP__FAILED) {
    lua_getiuservalue(L, task + 1, ON_FAILURE);
    lua_getiuservalue(L, task + 1, OWNER);
    lua_pushvalue(L, task);
    neap__callback(vm, budget, task, 2);
  }
  neap__budget_drop(vm, budget);
  lua_settop(L, task - 1);
}

neap__group *neap__group_check(lua_State *L, int index) {
  neap__group *group = (neap__group *)lua_touserdata(L, index);
  if (group == NULL || lua_rawlen(L, index) != sizeof *group ||
      group->line.future.type != &neap__waitlist_type)
    luaL_typeerror(L, index, "group");
  return group;
}

/* Lua: group(owner, on_failure) -> a group without members, which is a
   waitlist: line_up(group) waits for the last of those it has. The loop calls
   on_failure(owner, task) when one has failed. */
int neap__group_make(lua_State *L) {
  neap__group *group;
  lua_settop(L, 2);
  group = (neap__group *)lua_newuserdatauv(L, sizeof *group, ON_FAILURE);
  neap__waitlist_prepare(&group->line, "TaskGroup");
  group->first = NULL;
  group->last = NULL;
  group->count = 0;
  lua_insert(L, 1);
  lua_setiuservalue(L, 1, ON_FAILURE);
  lua_setiuservalue(L, 1, OWNER);
  neap__metatable_push(L, &neap__future_type);
  lua_setmetatable(L, 1);
  return 1;
}

/* Lua: members(group) -> how many it has */
int neap__group_count(lua_State *L) {
  lua_pushinteger(L, neap__group_check(L, 1)->count);
  return 1;
}

/* Lua: cancel_members(group): cancels them, oldest first. */
int neap__group_cancel(lua_State *L) {
  neap__member *member = neap__group_check(L, 1)->first;
  for (; member != NULL; member = member->next) /* none leaves meanwhile */
    neap__task_cancel(L, &member->task);
  return 0;
}
