/*
** repr.c - what tostring gives for coroutine objects, futures and handles:
** Python's words.
*/
#include <stdio.h>

#include "vm.h"

#define LONGEST_STRING 60 /* shown of a string in a result or an error */

/* Pushes "file:line" of the Lua function at the top, which is popped. */
static void push_definition(lua_State *L) {
  lua_Debug ar;
  if (!lua_isfunction(L, -1)) { /* a callable object */
    lua_pushfstring(L, "%p", lua_topointer(L, -1));
    lua_replace(L, -2);
    return;
  }
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
** Tasks
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
        *ar->source != '=') /* none of Neap's own */
      return 1;
  }
  return 0;
}

/* Pushes "<f() running at file:line>" for the task at `index`. */
static void push_coroutine(lua_State *L, int index) {
  neap__task *task = neap__task_at(L, index);
  neap__coroutine *c;
  lua_Debug ar;
  int top = lua_gettop(L);
  lua_getiuservalue(L, index, NEAP__CORO);
  c = neap__coroutine_at(L, -1);
  neap__coroutine_name(L, top + 1);
  if (c->body != NEAP__LUA)
    lua_pushfstring(L, "<%s()>", lua_tostring(L, -1));
  else if (task->future.state != NEAP__PENDING) {
    lua_getiuservalue(L, top + 1, 1);
    push_definition(L);
    lua_pushfstring(L, "<%s() done, defined at %s>", lua_tostring(L, top + 2),
                    lua_tostring(L, -1));
  }
  else if (task->thread != NULL && running_frame(task, &ar))
    lua_pushfstring(L, "<%s() running at %s:%d>", lua_tostring(L, -1),
                    ar.short_src, ar.currentline);
  else {
    lua_getiuservalue(L, top + 1, 1);
    push_definition(L);
    lua_pushfstring(L, "<%s() running at %s>", lua_tostring(L, top + 2),
                    lua_tostring(L, -1));
  }
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

/* ====================================================== } */

/* {======================================================
** Results, errors, callbacks
** ======================================================= */

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

/* Pushes the string at `index` in quotes, on one line, cut when long. */
static void push_quoted(lua_State *L, int index) {
  size_t len, i;
  const char *s = lua_tolstring(L, index, &len);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addchar(&b, '\'');
  for (i = 0; i < len && i < LONGEST_STRING; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c == '\n')
      luaL_addstring(&b, "\\n");
    else if (c < ' ' || c == 127) {
      char hex[8];
      snprintf(hex, sizeof hex, "\\x%02x", c);
      luaL_addstring(&b, hex);
    }
    else
      luaL_addchar(&b, (char)c);
  }
  luaL_addstring(&b, i < len ? "...'" : "'");
  luaL_pushresult(&b);
}

/* Pushes a short text for a value, as a Lua programmer would write it;
   runs no metamethod of scripts. */
static void push_value(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (lua_type(L, index) == LUA_TSTRING)
    push_quoted(L, index);
  else if (neap__future_at(L, index) != NULL) /* without its own result */
    lua_pushfstring(L, "<%s %s>", neap__future_at(L, index)->type->name,
                    state_name(neap__future_at(L, index)));
  else if (lua_type(L, index) == LUA_TTABLE ||
           lua_type(L, index) == LUA_TUSERDATA)
    lua_pushfstring(L, "%s: %p", luaL_typename(L, index),
                    lua_topointer(L, index));
  else
    luaL_tolstring(L, index, NULL);
}

/* Pushes "TimeoutError('too slow')" for the error at the top, popped. */
static void push_error(lua_State *L) {
  int error = lua_gettop(L);
  if (neap__error_flags(L, error) & NEAP__IS_EXCEPTION) {
    lua_getmetatable(L, error);
    lua_pushliteral(L, "__name");
    lua_rawget(L, -2);
    lua_pushliteral(L, "message");
    lua_rawget(L, error);
    if (lua_isnil(L, -1))
      lua_pushliteral(L, "");
    else
      push_value(L, -1);
    lua_pushfstring(L, "%s(%s)", luaL_tolstring(L, error + 2, NULL),
                    lua_tostring(L, error + 4));
  }
  else
    push_value(L, error);
  lua_replace(L, error);
  lua_settop(L, error);
}

int neap__handle_tostring(lua_State *L) {
  neap__object *o = neap__object_at(L, 1);
  if (o == NULL || o->type->kind != NEAP__HANDLE)
    return luaL_typeerror(L, 1, neap__handle_type.name);
  lua_getiuservalue(L, 1, 1);
  push_definition(L);
  lua_pushfstring(L, "<Handle%s function at %s>",
                  ((neap__handle *)o)->cancelled ? " cancelled" : "",
                  lua_tostring(L, -1));
  return 1;
}

/* ====================================================== } */

/* Appends the string at the top to the one below it. */
static void append(lua_State *L) { lua_concat(L, 2); }

static void append_outcome(lua_State *L, neap__future *f) {
  if (f->state == NEAP__FINISHED) {
    lua_getiuservalue(L, 1, NEAP__RESULT);
    if (f->nresults > 1) {
      uint32_t i;
      lua_pushliteral(L, " result=(");
      for (i = 1; i <= f->nresults && i <= 8; i++) {
        lua_rawgeti(L, -2, i);
        push_value(L, -1);
        lua_replace(L, -2);
        lua_pushstring(L, i < f->nresults ? ", " : "");
        lua_concat(L, 3);
      }
      lua_pushstring(L, i <= f->nresults ? "...)" : ")");
      append(L);
    }
    else {
      push_value(L, -1);
      lua_pushfstring(L, " result=%s", lua_tostring(L, -1));
      lua_replace(L, -2);
    }
    lua_replace(L, -2);
    append(L);
  }
  else if (f->state == NEAP__FAILED) {
    lua_pushliteral(L, " exception=");
    lua_getiuservalue(L, 1, NEAP__RESULT);
    push_error(L);
    lua_concat(L, 3);
  }
}

/* Lua: tostring(future). Not recursive: what a task waits for is shown
   without what that waits for. */
int neap__future_tostring(lua_State *L) {
  neap__future *f = neap__future_at(L, 1);
  if (f == NULL)
    return luaL_typeerror(L, 1, neap__future_type.name);
  lua_settop(L, 1);
  if (f->type->kind != NEAP__TASK) {
    lua_pushfstring(L, "<%s %s", f->type->name, state_name(f));
    append_outcome(L, f);
    lua_pushliteral(L, ">");
    append(L);
    return 1;
  }
  neap__task_name(L, 1);
  push_quoted(L, 2);
  lua_replace(L, 2);
  push_coroutine(L, 1);
  lua_pushfstring(L, "<Task %s name=%s coro=%s", state_name(f),
                  lua_tostring(L, 2), lua_tostring(L, 3));
  neap__task_push_awaited(L, 1);
  if (!lua_isnil(L, -1)) {
    neap__future *awaited = neap__future_at(L, -1);
    if (awaited->type->kind == NEAP__TASK) {
      neap__task_name(L, -1);
      push_quoted(L, -1);
      lua_replace(L, -2);
      push_coroutine(L, lua_gettop(L) - 1);
      lua_pushfstring(L, " wait_for=<Task %s name=%s coro=%s>",
                      state_name(awaited), lua_tostring(L, -2),
                      lua_tostring(L, -1));
    }
    else
      lua_pushfstring(L, " wait_for=<%s %s>", awaited->type->name,
                      state_name(awaited));
    lua_replace(L, 5);
    lua_settop(L, 5);
    append(L);
  }
  else
    lua_pop(L, 1);
  append_outcome(L, f);
  lua_pushliteral(L, ">");
  append(L);
  return 1;
}

/* Pushes the frames of a thread, below those of the generators in which it
   awaits. */
static void push_frames(lua_State *L, lua_State *thread) {
  lua_State *inner = neap__generator_of(thread);
  luaL_checkstack(L, 4, "too many generators");
  lua_pushliteral(L, "");
  if (inner != NULL) {
    push_frames(L, inner);
    append(L);
  }
  neap__traceback(L, thread, 0);
  append(L);
}

int neap__task_get_stack(lua_State *L) {
  neap__task *task = neap__task_at(L, 1);
  if (task->future.state != NEAP__PENDING || task->thread == NULL) {
    lua_pushliteral(L, "stack traceback:");
    return 1;
  }
  lua_pushliteral(L, "stack traceback:");
  push_frames(L, task->thread);
  append(L);
  return 1;
}
