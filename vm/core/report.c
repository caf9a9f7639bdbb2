/*
** report.c - texts for people: tracebacks, errors, diagnostics.
**
** A traceback belongs to one raise of an error, and is made by the message
** handler at the base of a task, generator or callback. When an await
** raises the error of another task on, the traceback of that task is
** remembered (neap__raising), and the next handler that sees the same
** error puts it first: so the text shows the whole way of the error.
*/
#include <stdio.h>
#include <string.h>

#include "vm.h"

#define FIRST_LEVELS 12 /* shown of a long traceback, */
#define LAST_LEVELS 10  /* and at its end */
#define MOST_NAMES 2000 /* of a script's, looked at for that of a function */
#define LONGEST 8000    /* bytes of a traceback that is still added to, and
                           of an exception in a group */

/* An ExceptionGroup, which may hold itself */
#define MOST_MEMBERS 50  /* shown of it and the groups in it */
#define DEEPEST_GROUP 10 /* nested groups that are shown */

/* {======================================================
** Reports
** ======================================================= */

void neap__report_text(neap_vm *vm, const char *text, size_t len) {
  if (vm->report != NULL &&
      (!neap__is_sandbox(vm) || neap__output_count(vm, len)))
    vm->report(vm->report_ud, text, len);
}

NEAP_API void neap_report_stderr(void *ud, const char *text, size_t len) {
  (void)ud;
  fflush(stdout); /* what the script printed before comes before */
  fwrite(text, 1, len, stderr);
  fputc('\n', stderr);
  fflush(stderr);
}

void neap__report(lua_State *L) {
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  if (len > NEAP__LONGEST_REPORT && neap__is_sandbox(neap__vm(L))) {
    len = NEAP__LONGEST_REPORT;
    text = lua_pushlstring(L, text, len); /* with a 0 behind it */
    lua_remove(L, -2);
  }
  neap__report_text(neap__vm(L), text, len);
  lua_pop(L, 1);
}

/* That of an error object: its class, and its message if that is a text. */
static void push_plain(lua_State *L, int index) {
  int name = lua_gettop(L) + 1, message = name + 1;
  neap__error_parts(L, index);
  if (lua_type(L, name) != LUA_TSTRING) /* a script has changed it */
    lua_pushliteral(L, "(error object)");
  else if (lua_isstring(L, message))
    lua_pushfstring(L, "%s: %s", lua_tostring(L, name),
                    lua_tostring(L, message));
  else
    lua_pushvalue(L, name);
  lua_replace(L, name);
  lua_settop(L, name);
}

void neap__error_message(lua_State *L, int index, int plain) {
  index = lua_absindex(L, index);
  if (lua_type(L, index) == LUA_TSTRING || lua_type(L, index) == LUA_TNUMBER) {
    lua_pushvalue(L, index);
    lua_tostring(L, -1);
  }
  else if (plain && (neap__error_flags(L, index) & NEAP__IS_EXCEPTION))
    push_plain(L, index);
  else if (!plain && luaL_getmetafield(L, index, "__tostring") != LUA_TNIL) {
    neap_vm *vm = neap__vm(L);
    int status, seen = vm->interrupts_seen;
    lua_pushvalue(L, index);
    status = lua_pcall(L, 1, 1, 0);
    if (status != LUA_OK && vm->L == NULL && vm->interrupts_seen != seen)
      lua_error(L); /* "interrupted!", as in lua; there is no loop to end */
    if (status != LUA_OK || lua_type(L, -1) != LUA_TSTRING) {
      if (status != LUA_OK)
        (void)neap__error_drop(L); /* the report is made; then the loop ends */
      else
        lua_pop(L, 1);
      lua_pushfstring(L, "(error object is a %s value; its __tostring fails)",
                      luaL_typename(L, index));
    }
  }
  else
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, index));
}

int neap__calls_script(lua_State *L, int index) {
  if (neap__is_sandbox(neap__vm(L)) || lua_type(L, index) == LUA_TSTRING ||
      !lua_getmetatable(L, index))
    return 0;
  lua_pop(L, 1);
  return 1; /* if only in that of a member: a group may lack __tostring */
}

/* Pushes the text of an error with a traceback, as far as it has one. */
static void push_error(lua_State *L, int index, const char *traceback) {
  neap__error_message(L, index, neap__is_sandbox(neap__vm(L)));
  if (traceback != NULL) {
    lua_pushfstring(L, "%s\nstack traceback:%s", lua_tostring(L, -1),
                    traceback);
    lua_replace(L, -2);
  }
}

/* Pushes the list of exceptions if the error at `index` is a group of them;
   else returns false. */
static int push_members(lua_State *L, int index) {
  int is_group;
  if (!(neap__error_flags(L, index) & NEAP__IS_EXCEPTION))
    return 0;
  lua_getmetatable(L, index);
  lua_pushliteral(L, "__groups");
  is_group = lua_rawget(L, -2) == LUA_TBOOLEAN;
  lua_pop(L, 2);
  if (!is_group)
    return 0;
  lua_pushliteral(L, "exceptions");
  if (lua_rawget(L, lua_absindex(L, index)) == LUA_TTABLE)
    return 1;
  lua_pop(L, 1); /* a script has changed it */
  return 0;
}

/* Pushes the text of an exception in a group, with the traceback it carries;
   each of its lines begins as `line` does. */
static void push_member(lua_State *L, int index, const char *line) {
  if (lua_type(L, index) == LUA_TTABLE) {
    lua_pushliteral(L, "traceback");
    lua_rawget(L, index);
  }
  else
    lua_pushnil(L);
  push_error(L, index, lua_tostring(L, -1));
  if (lua_rawlen(L, -1) > LONGEST) /* before it grows by its indentation */
    lua_pushlstring(L, lua_tostring(L, -1), LONGEST);
  luaL_gsub(L, lua_tostring(L, -1), "\n", line);
}

/* Whether all that comes behind the text is cut off. */
static int is_full(lua_State *L, int text) {
  return lua_rawlen(L, text) > NEAP__LONGEST_REPORT &&
         neap__is_sandbox(neap__vm(L));
}

/*
** Appends to the text at `text` those of the exceptions in the error at
** `index`, if it is a group: indented, each with what is in it. At most
** `left` in all; fewer are left.
*/
static void append_members(lua_State *L, int text, int index, int *left,
                           int depth) {
  static const char deepest[] = "\n                      ";
  int list = lua_gettop(L) + 1, member = list + 2;
  const char *line;
  lua_Integer i, n;
  if (!push_members(L, index))
    return;
  luaL_checkstack(L, 10, "too many groups");
  line = lua_pushlstring(L, deepest, 1 + 2 * ((size_t)depth + 1));
  n = (lua_Integer)lua_rawlen(L, list);
  for (i = 1; i <= n && *left > 0 && depth < DEEPEST_GROUP && !is_full(L, text);
       i++) {
    (*left)--;
    lua_rawgeti(L, list, i);
    push_member(L, member, line);
    lua_pushfstring(L, "%s%ssub-exception %d: %s", lua_tostring(L, text), line,
                    (int)i, lua_tostring(L, -1));
    lua_replace(L, text);
    append_members(L, text, member, left, depth + 1);
    lua_settop(L, member - 1);
  }
  if (i <= n) {
    lua_pushfstring(L, "%s%s... and %d more", lua_tostring(L, text), line,
                    (int)(n - i + 1));
    lua_replace(L, text);
  }
  lua_settop(L, list - 1);
}

void neap__error_text(lua_State *L, int index) {
  int traceback = lua_gettop(L), left = MOST_MEMBERS;
  index = lua_absindex(L, index);
  push_error(L, index, lua_tostring(L, traceback));
  append_members(L, lua_gettop(L), index, &left, 0);
  lua_replace(L, traceback);
}

/* ====================================================== } */

/* {======================================================
** Tracebacks
** ======================================================= */

void neap__where(lua_State *L, int level) {
  lua_Debug ar;
  if (lua_getstack(L, level, &ar) && lua_getinfo(L, "Sl", &ar) &&
      ar.currentline > 0)
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
  else
    lua_pushnil(L);
}

const char *neap__library_name(lua_State *L) {
  int function = lua_gettop(L), left = MOST_NAMES;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushglobaltable(L); /* its names come first, without a module */
  for (lua_pushnil(L); left-- > 0 && lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_rawequal(L, -1, function) && lua_type(L, -2) == LUA_TSTRING) {
      lua_pop(L, 1);
      lua_replace(L, function + 1);
      lua_settop(L, function + 1);
      return lua_tostring(L, -1);
    }
  }
  lua_settop(L, function + 1);
  for (lua_pushnil(L); left-- > 0 && lua_next(L, function + 1);
       lua_settop(L, function + 2)) {
    if (lua_type(L, -1) != LUA_TTABLE || lua_type(L, -2) != LUA_TSTRING)
      continue;
    for (lua_pushnil(L); left-- > 0 && lua_next(L, -2); lua_pop(L, 1)) {
      if (lua_rawequal(L, -1, function) && lua_type(L, -2) == LUA_TSTRING) {
        lua_pushfstring(L, "%s.%s", lua_tostring(L, -4), lua_tostring(L, -2));
        lua_replace(L, function + 1);
        lua_settop(L, function + 1);
        return lua_tostring(L, -1);
      }
    }
  }
  lua_settop(L, function);
  return NULL;
}

/*
** Replaces the function of a frame, at the top, by the frame's line, or
** removes it: Neap's own frames, and C functions without a name (Lua's
** base, or ours), tell nothing.
*/
static void push_frame(lua_State *L, const lua_Debug *ar) {
  int function = lua_gettop(L);
  lua_CFunction f = lua_tocfunction(L, function);
  const char *name = NULL, *what = "async function ";
  if (f == neap__await || f == neap__waitlist_line_up ||
      strcmp(ar->short_src, "[neap]") == 0) {
    lua_pop(L, 1);
    return;
  }
  if (f == NULL && *ar->what != 'm')
    name = neap__function_name(L, function);
  else if (f != NULL && (name = neap__acquire_name(f)) != NULL)
    lua_pushstring(L, name);
  if (name == NULL) {
    name = neap__library_name(L);
    what = "function ";
  }
  if (name != NULL)
    lua_pushfstring(L, "%s'%s'", what, name);
  else if (*ar->namewhat != '\0')
    lua_pushfstring(L, "%s '%s'", ar->namewhat, ar->name);
  else if (*ar->what == 'm')
    lua_pushliteral(L, "main chunk");
  else if (*ar->what != 'C')
    lua_pushfstring(L, "function <%s:%d>", ar->short_src, ar->linedefined);
  else {
    lua_settop(L, function - 1);
    return;
  }
  if (ar->currentline > 0)
    lua_pushfstring(L, "\n\t%s:%d: in %s", ar->short_src, ar->currentline,
                    lua_tostring(L, -1));
  else
    lua_pushfstring(L, "\n\t%s: in %s", ar->short_src, lua_tostring(L, -1));
  lua_replace(L, function);
  lua_settop(L, function);
}

int neap__count_levels(lua_State *L) {
  lua_Debug ar;
  int low = 0, high = 1;
  while (lua_getstack(L, high, &ar)) {
    low = high;
    high *= 2;
  }
  while (low + 1 < high) {
    int middle = (low + high) / 2;
    if (lua_getstack(L, middle, &ar))
      low = middle;
    else
      high = middle;
  }
  return lua_getstack(L, low, &ar) ? low + 1 : low;
}

/* The level `n` levels up from `level`, or down if `step` is -1, awaits not
   counted: they are not shown, and are half of a long chain. */
static int level_beyond(lua_State *thread, int level, int step, int n) {
  lua_Debug ar;
  for (; n > 0; level += step)
    n -= !(lua_checkstack(thread, 1) && lua_getstack(thread, level, &ar) &&
           neap__is_await(thread, &ar));
  return level;
}

void neap__traceback(lua_State *L, lua_State *thread, int from) {
  lua_Debug ar;
  int level, n = neap__count_levels(thread), first = lua_gettop(L);
  int skip, skip_from = level_beyond(thread, from, 1, FIRST_LEVELS);
  if (*neap__extra(thread) & NEAP__TASK_THREAD)
    n--; /* task_main; to find that it has no name would take long */
  skip = level_beyond(thread, n - 1, -1, LAST_LEVELS) + 1 - skip_from;
  luaL_checkstack(L, FIRST_LEVELS + LAST_LEVELS + LUA_MINSTACK, NULL);
  lua_pushliteral(L, "");
  for (level = from; level < n && lua_getstack(thread, level, &ar); level++) {
    if (skip > 0 && level == skip_from) {
      lua_pushfstring(L, "\n\t...\t(skipping %d levels)", skip);
      level += skip - 1;
      continue;
    }
    if (!lua_checkstack(thread, 2) || !lua_getinfo(thread, "Slnf", &ar))
      break;
    if (thread != L)
      lua_xmove(thread, L, 1);
    push_frame(L, &ar);
  }
  lua_concat(L, lua_gettop(L) - first);
}

/* ====================================================== } */

/* {======================================================
** The error on its way
** ======================================================= */

/* Both may be nil, so they are no integer references: these have no holes. */
static const char error_key = 0, traceback_key = 0;

void neap__raising(lua_State *L) {
  neap__vm(L)->raised = 1;
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &error_key);
  lua_insert(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &traceback_key);
}

void neap__raising_clear(lua_State *L) {
  if (!neap__vm(L)->raised)
    return;
  lua_pushnil(L);
  lua_pushnil(L);
  neap__raising(L);
  lua_pop(L, 1);
  neap__vm(L)->raised = 0;
}

void neap__raised_traceback(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &error_key);
  if (neap__vm(L)->raised && lua_rawequal(L, -1, -2))
    lua_rawgetp(L, LUA_REGISTRYINDEX, &traceback_key);
  else
    lua_pushnil(L);
  lua_replace(L, -2);
}

void neap__raising_replace(lua_State *L, int old) {
  old = lua_absindex(L, old);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &error_key);
  if (lua_rawequal(L, -1, old)) {
    lua_pushvalue(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &error_key);
  }
  lua_pop(L, 1);
}

/*
** Pushes the traceback of the error at index 1: what is remembered of it,
** then the frames of this thread, then `last` (a format with one %s).
*/
static void push_whole(lua_State *L, const char *last) {
  const char *before;
  lua_pushvalue(L, 1);
  neap__raised_traceback(L);
  lua_replace(L, -2);
  before = lua_tostring(L, -1);
  if (before != NULL && strlen(before) > LONGEST)
    return; /* a long chain of tasks: its far end tells no more */
  neap__traceback(L, L, 1);
  lua_pushfstring(L, "%s%s%s", before == NULL ? "" : before,
                  lua_tostring(L, -1), last);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

/* Pushes "(task 'Task-1', created at file:line)", as a line. */
static void push_origin(lua_State *L, const neap__task *task) {
  neap__task_push(L, task);
  neap__task_label(L, -1);
  neap__created_push(L, -2, ", ");
  lua_pushfstring(L, "\n\t(%s%s)", lua_tostring(L, -2), lua_tostring(L, -1));
  lua_replace(L, -4);
  lua_pop(L, 2);
}

int neap__task_handler(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  lua_settop(L, 1);
  if (vm->current == NULL || (neap__error_flags(L, 1) & NEAP__IS_PASSING))
    return 1;
  push_origin(L, vm->current);
  push_whole(L, lua_tostring(L, 2));
  neap__task_push(L, vm->current);
  lua_insert(L, -2);
  neap__extra_set(L, -2, "traceback");
  lua_settop(L, 1);
  return 1;
}

int neap__callback_handler(lua_State *L) {
  lua_settop(L, 1);
  if (neap__error_flags(L, 1) & NEAP__IS_PASSING)
    return 1;
  push_whole(L, "");
  lua_pushvalue(L, 1);
  neap__raising(L);
  lua_settop(L, 1);
  return 1;
}

NEAP_API int neap_traceback(lua_State *L) {
  const char *message;
  if (neap__error_flags(L, 1) & NEAP__IS_KEYBOARD)
    return 1;
  lua_pushvalue(L, 1);
  neap__raised_traceback(L);
  if (!lua_isnil(L, -1) || (neap__error_flags(L, 1) & NEAP__IS_EXCEPTION)) {
    if (lua_isnil(L, -1)) { /* not an error of a task? */
      lua_pushliteral(L, "");
      lua_replace(L, -2);
    }
    neap__traceback(L, L, 1);
    lua_concat(L, 2);
    neap__error_text(L, 1);
    return 1;
  }
  lua_settop(L, 1);
  message = lua_tostring(L, 1);
  if (message == NULL) {
    if (!neap__is_sandbox(neap__vm(L)) &&
        luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING)
      return 1; /* it speaks for itself */
    message = lua_pushfstring(L, "(error object is a %s value)",
                              luaL_typename(L, 1));
  }
  if (!neap__vm(L)->async_used)
    luaL_traceback(L, L, message, 1); /* a synchronous program: as lua's */
  else {
    neap__traceback(L, L, 1);
    lua_pushfstring(L, "%s\nstack traceback:%s", message,
                    lua_tostring(L, -1));
  }
  return 1;
}

/* ====================================================== } */
