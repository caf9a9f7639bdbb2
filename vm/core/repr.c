/*
** repr.c - what tostring gives for coroutine objects, futures and handles:
** Python's words. And the short texts about tasks in reports and dumps.
*/
#include <stdio.h>

#include "vm.h"

#define LONGEST_STRING 60 /* shown of a string in a result or an error */

/* Pushes "file:line" of the function at the top, which is popped. */
static void push_definition(lua_State *L) {
  lua_Debug ar;
  lua_getinfo(L, ">S", &ar);
  if (*ar.what == 'C')
    lua_pushstring(L, ar.short_src);
  else
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.linedefined);
}

int neap__coroutine_tostring(lua_State *L) {
  neap__coroutine *c = neap__coroutine_at(L, 1);
  if (c == NULL)
    return luaL_typeerror(L, 1, neap__coroutine_type.name);
  neap__coroutine_name(L, 1);
  lua_pushfstring(L, "<coroutine object %s at %p>", lua_tostring(L, -1),
                  lua_topointer(L, 1));
  return 1;
}

/* {======================================================
** Values
** ======================================================= */

/* The name of a future's type in Python. */
static const char *type_name(const neap__future *f) {
  return f->type->kind == NEAP__GATHER ? "_GatheringFuture" : f->type->name;
}

/* The state of a future in Python's words. */
static const char *state_name(neap__future *f) {
  switch (f->state) {
  case NEAP__PENDING:
    return f->type->kind == NEAP__TASK && ((neap__task *)f)->cancel_requests > 0
               ? "cancelling"
               : "pending";
  case NEAP__CANCELLED:
    return "cancelled";
  default:
    return "finished";
  }
}

/* Pushes the string at `index` as Lua writes one, on one line, cut after
   `limit` bytes. */
static void push_quoted(lua_State *L, int index, size_t limit) {
  size_t len, i;
  const char *s = lua_tolstring(L, index, &len);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addchar(&b, '\'');
  for (i = 0; i < len && i < limit; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c == '\n')
      luaL_addstring(&b, "\\n");
    else if (c < ' ' || c == 127) {
      char hex[8];
      snprintf(hex, sizeof hex, "\\x%02x", c);
      luaL_addstring(&b, hex);
    }
    else {
      if (c == '\'' || c == '\\')
        luaL_addchar(&b, '\\');
      luaL_addchar(&b, (char)c);
    }
  }
  luaL_addstring(&b, i < len ? "...'" : "'");
  luaL_pushresult(&b);
}

/* Pushes the name of the task at `index`, quoted. */
static void push_name(lua_State *L, int index, size_t limit) {
  neap__task_name(L, index);
  push_quoted(L, -1, limit);
  lua_replace(L, -2);
}

/* Pushes "Future pending" for the future at `index`, of a task
   "Task pending name='a'". */
static void push_state(lua_State *L, int index, size_t limit) {
  neap__future *f = neap__future_at(L, index);
  if (f->type->kind != NEAP__TASK) {
    lua_pushfstring(L, "%s %s", type_name(f), state_name(f));
    return;
  }
  push_name(L, index, limit);
  lua_pushfstring(L, "Task %s name=%s", state_name(f), lua_tostring(L, -1));
  lua_replace(L, -2);
}

/* Pushes a text for a value that is no error; `index` is absolute. */
static void push_plain(lua_State *L, int index, size_t limit) {
  switch (lua_type(L, index)) {
  case LUA_TNIL:
    lua_pushliteral(L, "nil");
    break;
  case LUA_TBOOLEAN:
    lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
    break;
  case LUA_TNUMBER:
    lua_pushvalue(L, index);
    lua_tostring(L, -1);
    break;
  case LUA_TSTRING:
    push_quoted(L, index, limit);
    break;
  case LUA_TUSERDATA:
    if (neap__future_at(L, index) != NULL) { /* without its own result */
      push_state(L, index, limit);
      lua_pushfstring(L, "<%s>", lua_tostring(L, -1));
    }
    else {
      if (luaL_getmetafield(L, index, "__name") == LUA_TNIL)
        lua_pushliteral(L, "userdata");
      lua_pushfstring(L, "%s: %p", lua_tostring(L, -1),
                      lua_topointer(L, index));
    }
    lua_replace(L, -2);
    break;
  default:
    lua_pushfstring(L, "%s: %p", luaL_typename(L, index),
                    lua_topointer(L, index));
    break;
  }
}

void neap__repr(lua_State *L, int index, size_t limit) {
  int name = lua_gettop(L) + 1, message = name + 1;
  index = lua_absindex(L, index);
  if (!(neap__error_flags(L, index) & NEAP__IS_EXCEPTION)) {
    push_plain(L, index, limit);
    return;
  }
  neap__error_parts(L, index);
  if (lua_isnil(L, message))
    lua_pushliteral(L, "");
  else
    push_plain(L, message, limit);
  lua_pushfstring(L, "%s(%s)",
                  lua_isstring(L, name) ? lua_tostring(L, name) : "?",
                  lua_tostring(L, -1));
  lua_replace(L, name);
  lua_settop(L, name);
}

/* ====================================================== } */

/* {======================================================
** Handles and callbacks
** ======================================================= */

void neap__callable_push(lua_State *L, int index) {
  int function = lua_gettop(L) + 1;
  lua_pushvalue(L, index);
  if (lua_isfunction(L, function)) {
    const char *name;
    lua_pushvalue(L, function);
    name = neap__library_name(L);
    lua_pushvalue(L, function);
    push_definition(L);
    lua_pushfstring(L, "%s%s at %s", name != NULL ? name : "function",
                    name != NULL ? "()" : "", lua_tostring(L, -1));
  }
  else /* a callable object */
    lua_pushfstring(L, "%s at %p", luaL_typename(L, function),
                    lua_topointer(L, function));
  lua_replace(L, function);
  lua_settop(L, function);
}

/* Pushes the same for the callback of the handle at `index`. */
static void push_callback(lua_State *L, int index) {
  lua_getiuservalue(L, index, 1);
  neap__callable_push(L, -1);
  lua_replace(L, -2);
}

int neap__handle_tostring(lua_State *L) {
  neap__object *o = neap__object_at(L, 1);
  if (o == NULL || o->type->kind != NEAP__HANDLE)
    return luaL_typeerror(L, 1, neap__handle_type.name);
  push_callback(L, 1);
  lua_pushfstring(L, "<Handle%s %s>",
                  ((neap__handle *)o)->cancelled ? " cancelled" : "",
                  lua_tostring(L, -1));
  return 1;
}

/* Pushes the text of a callback that waits for the future at `index`. */
static void push_waiting(lua_State *L, int index, const neap__handle *h) {
  if (h->anchor != 0)
    neap__anchor_push(L, h->anchor);
  else { /* the future keeps it: handle.c */
    neap__extra_get(L, index, "callbacks");
    lua_rawgetp(L, -1, h);
    lua_replace(L, -2);
  }
  push_callback(L, -1);
  lua_replace(L, -2);
}

/* Pushes " cb=[...]" for the future at `index`: the first and last of
   its done callbacks; or "". */
static void push_callbacks(lua_State *L, int index) {
  neap__job *last = neap__future_at(L, index)->waiters.last, *job = last;
  neap__handle *first_handle = NULL, *last_handle = NULL;
  int n = 0;
  while (job != NULL) {
    job = job->next;
    if (neap__is_handle_job(job)) {
      last_handle = neap__handle_of(job);
      if (n++ == 0)
        first_handle = last_handle;
    }
    if (job == last)
      break;
  }
  if (n == 0) {
    lua_pushliteral(L, "");
    return;
  }
  lua_pushliteral(L, " cb=[");
  push_waiting(L, index, first_handle);
  if (n > 2)
    lua_pushfstring(L, ", <%d more>, ", n - 2);
  else
    lua_pushstring(L, n == 2 ? ", " : "");
  if (n > 1)
    push_waiting(L, index, last_handle);
  else
    lua_pushliteral(L, "");
  lua_pushliteral(L, "]");
  lua_concat(L, 5);
}

/* ====================================================== } */

/* {======================================================
** Tasks, for reports and dumps
** ======================================================= */

/*
** Finds the outermost Lua frame of the task's thread: its own function, or
** what that has called in its place. False: it has none yet. Looks from
** the far end, as getting at a level costs as much as it is deep.
*/
static int running_frame(neap__task *task, lua_Debug *ar) {
  int level = neap__count_levels(task->thread) - 1;
  for (; level >= 0 && lua_getstack(task->thread, level, ar); level--) {
    if (lua_getinfo(task->thread, "Sl", ar) && ar->currentline > 0 &&
        !neap__is_own(ar))
      return 1;
  }
  return 0;
}

void neap__task_coroutine(lua_State *L, int index) {
  neap__task *task = neap__task_at(L, index);
  neap__coroutine *c;
  lua_Debug ar;
  int top = lua_gettop(L);
  lua_getiuservalue(L, index, NEAP__CORO);
  c = neap__coroutine_at(L, -1);
  neap__coroutine_name(L, top + 1);
  if (!neap__coroutine_calls(c))
    lua_pushfstring(L, "<%s()>", lua_tostring(L, -1));
  else if (task->future.state != NEAP__PENDING) {
    neap__coroutine_function(L, top + 1, c);
    push_definition(L);
    lua_pushfstring(L, "<%s() done, defined at %s>", lua_tostring(L, top + 2),
                    lua_tostring(L, -1));
  }
  else if (task->thread != NULL && running_frame(task, &ar))
    lua_pushfstring(L, "<%s() running at %s:%d>", lua_tostring(L, -1),
                    ar.short_src, ar.currentline);
  else {
    neap__coroutine_function(L, top + 1, c);
    push_definition(L);
    lua_pushfstring(L, "<%s() running at %s>", lua_tostring(L, top + 2),
                    lua_tostring(L, -1));
  }
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

void neap__task_label(lua_State *L, int index) {
  push_name(L, index, LONGEST_STRING);
  lua_pushfstring(L, "task %s", lua_tostring(L, -1));
  lua_replace(L, -2);
}

void neap__created_push(lua_State *L, int index, const char *before) {
  neap__future *f = neap__future_at(L, index);
  int top = lua_gettop(L);
  if (f->type->kind != NEAP__TASK)
    neap__extra_get(L, index, "created");
  else {
    int line = ((neap__task *)f)->line;
    neap__creator_push(L, index);
    if (lua_isfunction(L, -1) && line > 0) {
      lua_Debug ar;
      lua_getinfo(L, ">S", &ar);
      lua_pushfstring(L, "%s:%d", ar.short_src, line);
    }
    else
      lua_pushnil(L);
  }
  if (lua_isnil(L, -1))
    lua_pushliteral(L, "");
  else
    lua_pushfstring(L, "%screated at %s", before, lua_tostring(L, -1));
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

/*
** The oldest task that awaits the future, maybe through gathers; NULL:
** none. Looks at all tasks.
*/
static neap__task *awaiter_of(const neap_vm *vm, const neap__future *f) {
  while (f != NULL) {
    neap__task *task;
    neap__gather *g;
    uint32_t i = 0;
    for (task = vm->tasks; task != NULL; task = task->next) {
      if (task->waiting_on == f)
        return task;
    }
    for (g = vm->gathers; g != NULL; g = g->next) {
      for (i = 0; i < g->count && g->children[i].future != f; i++)
        ;
      if (i < g->count)
        break;
    }
    f = g == NULL ? NULL : &g->future;
  }
  return NULL;
}

void neap__awaiter_push(lua_State *L, int index) {
  neap__future *f = neap__future_at(L, index);
  neap__task *task = NULL;
  if (f->state == NEAP__PENDING) /* else nobody does any more */
    task = awaiter_of(neap__vm(L), f);
  if (task == NULL) {
    lua_pushliteral(L, "");
    return;
  }
  neap__task_push(L, task);
  neap__task_label(L, -1);
  lua_pushfstring(L, ", awaited by %s", lua_tostring(L, -1));
  lua_replace(L, -3);
  lua_pop(L, 1);
}

void neap__described_push(lua_State *L, int index, int created) {
  index = lua_absindex(L, index);
  lua_pushcfunction(L, neap__future_tostring);
  lua_pushvalue(L, index);
  lua_call(L, 1, 1);
  if (created && !neap__vm(L)->debug) /* tostring has not told? */
    neap__created_push(L, index, ", ");
  else
    lua_pushliteral(L, "");
  neap__awaiter_push(L, index);
  lua_concat(L, 3);
}

/* ====================================================== } */

/* {======================================================
** Futures
** ======================================================= */

/* Pushes the beginning of the text for the future at `index`. */
static void push_head(lua_State *L, int index) {
  index = lua_absindex(L, index);
  push_state(L, index, LONGEST_STRING);
  if (neap__future_at(L, index)->type->kind == NEAP__TASK) {
    lua_pushliteral(L, " coro=");
    neap__task_coroutine(L, index);
    lua_concat(L, 3);
  }
}

/* Pushes " wait_for=<...>" for the task at `index`, without what that waits
   for; or "". */
static void push_awaited(lua_State *L, int index) {
  const neap__task *task = neap__task_at(L, index);
  if (task->in_c) {
    lua_pushfstring(L, " wait_for=<%s>", neap__wait_what(task->wait));
    return;
  }
  if (neap__is_waitlist(task->waiting_on)) {
    lua_pushfstring(L, " wait_for=<%s>",
                    ((neap__waitlist *)task->waiting_on)->what);
    return;
  }
  neap__task_push_awaited(L, index);
  if (lua_isnil(L, -1))
    lua_pushliteral(L, "");
  else {
    push_head(L, -1);
    lua_pushfstring(L, " wait_for=<%s>", lua_tostring(L, -1));
    lua_replace(L, -2);
  }
  lua_replace(L, -2);
}

/* Pushes " result=..." or " exception=..." for the future at `index`; or
   "". */
static void push_outcome(lua_State *L, int index) {
  neap__future *f = neap__future_at(L, index);
  int top = lua_gettop(L);
  lua_getiuservalue(L, index, NEAP__RESULT);
  if (f->state == NEAP__FAILED) {
    neap__repr(L, -1, LONGEST_STRING);
    lua_pushfstring(L, " exception=%s", lua_tostring(L, -1));
  }
  else if (f->state != NEAP__FINISHED)
    lua_pushliteral(L, "");
  else if (f->nresults <= 1) {
    neap__repr(L, -1, LONGEST_STRING);
    lua_pushfstring(L, " result=%s", lua_tostring(L, -1));
  }
  else {
    uint32_t i;
    lua_pushliteral(L, " result=(");
    for (i = 1; i <= f->nresults && i <= 8; i++) {
      lua_rawgeti(L, top + 1, i);
      neap__repr(L, -1, LONGEST_STRING);
      lua_replace(L, -2);
      lua_pushstring(L, i < f->nresults ? ", " : "");
      lua_concat(L, 3);
    }
    lua_pushstring(L, i <= f->nresults ? "...)" : ")");
    lua_concat(L, 2);
  }
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

/* Lua: tostring(future) */
int neap__future_tostring(lua_State *L) {
  neap__future *f = neap__future_at(L, 1);
  if (f == NULL)
    return luaL_typeerror(L, 1, neap__future_type.name);
  lua_settop(L, 1);
  lua_pushliteral(L, "<");
  push_head(L, 1);
  if (f->type->kind == NEAP__TASK)
    push_awaited(L, 1);
  push_outcome(L, 1);
  push_callbacks(L, 1);
  if (neap__vm(L)->debug)
    neap__created_push(L, 1, " ");
  lua_pushliteral(L, ">");
  lua_concat(L, lua_gettop(L) - 1);
  return 1;
}

/* ====================================================== } */

/* {======================================================
** Stacks
** ======================================================= */

/* Pushes the frames of a thread, below those of the generators in which it
   awaits. One that runs is in the C function that asks. */
static void push_frames(lua_State *L, lua_State *thread) {
  lua_State *inner = neap__generator_of(thread);
  luaL_checkstack(L, 4, "too many generators");
  if (inner == NULL)
    lua_pushliteral(L, "");
  else
    push_frames(L, inner);
  neap__traceback(L, thread, thread == L);
  lua_concat(L, 2);
}

void neap__task_frames(lua_State *L, int index) {
  neap__task *task = neap__task_at(L, index);
  if (task->future.state != NEAP__PENDING || task->thread == NULL)
    lua_pushliteral(L, "");
  else
    push_frames(L, task->thread);
}

int neap__task_get_stack(lua_State *L) {
  lua_pushliteral(L, "stack traceback:");
  neap__task_frames(L, 1);
  lua_concat(L, 2);
  return 1;
}

/* ====================================================== } */
