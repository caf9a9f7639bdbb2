/*
** error_class.c - the classes of asyncio's error objects, as scripts see
** them: made, called, told, derived.
**
** A class is the metatable of its objects, and inherits by a metatable of
** its own. It carries its flags under a key that scripts do not name, but
** can find; so nothing in it is believed that could do harm. All fields are
** read and written raw.
*/
#include <string.h>

#include "vm.h"

#define MOST_BASES 1000 /* looked at: a script can make a circle of them */

static const char flags_key = 0; /* in each class */

int neap__error_flags(lua_State *L, int index) {
  int flags, type = lua_type(L, index);
  if (type == LUA_TLIGHTUSERDATA &&
      lua_touserdata(L, index) == (void *)neap__vm(L))
    return NEAP__IS_PASSING | NEAP__IS_KILL;
  if (type != LUA_TTABLE || !lua_getmetatable(L, index))
    return 0;
  lua_rawgetp(L, -1, &flags_key);
  flags = (int)lua_tointeger(L, -1) & ~NEAP__IS_KILL; /* scripts have the key */
  lua_pop(L, 2);
  return flags;
}

int neap__error_is_class(lua_State *L, int index) {
  int is_class;
  if (lua_type(L, index) != LUA_TTABLE)
    return 0;
  is_class = lua_rawgetp(L, index, &flags_key) != LUA_TNIL;
  lua_pop(L, 1);
  return is_class;
}

void neap__error_set_class(lua_State *L) {
  if (neap__is_sandbox(neap__vm(L))) {
    lua_pushliteral(L, "__gc");
    lua_pushnil(L);
    lua_rawset(L, -3);
  }
  lua_setmetatable(L, -2);
}

/* Pushes a field of a table, and tells its type. */
static int push_field(lua_State *L, int index, const char *name) {
  index = lua_absindex(L, index);
  lua_pushstring(L, name);
  return lua_rawget(L, index);
}

/* Pops a value, and sets it in the table under the key below it, which
   stays. */
static void set_next(lua_State *L, int table) {
  lua_pushvalue(L, -2);
  lua_insert(L, -2);
  lua_rawset(L, table);
}

void neap__error_parts(lua_State *L, int index) {
  index = lua_absindex(L, index);
  (void)lua_getmetatable(L, index);
  push_field(L, -1, "__name");
  lua_replace(L, -2);
  push_field(L, index, "message");
}

/* Pushes the name of the class at `index`, as a text. */
static const char *push_name(lua_State *L, int index) {
  push_field(L, index, "__name");
  (void)luaL_tolstring(L, -1, NULL); /* a script can have changed it */
  lua_replace(L, -2);
  return lua_tostring(L, -1);
}

/* {======================================================
** Objects
** ======================================================= */

/* Lua: class(message, fields): an object to raise. `fields`, a table, has
   further fields of the object; for an ExceptionGroup it is the list of its
   exceptions. */
static int construct(lua_State *L) {
  enum { CLASS = 1, MESSAGE, FIELDS, OBJECT };
  lua_settop(L, FIELDS);
  if (!neap__error_is_class(L, CLASS))
    return luaL_typeerror(L, CLASS, "error class");
  if (lua_type(L, FIELDS) != LUA_TTABLE && !lua_isnil(L, FIELDS))
    return neap__usage(L, 1, "%s: a table of fields expected, got a %s",
                       push_name(L, CLASS), luaL_typename(L, FIELDS));
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, MESSAGE);
  lua_setfield(L, OBJECT, "message");
  if (lua_isnil(L, FIELDS))
    ; /* that is all */
  else if (push_field(L, CLASS, "__groups") != LUA_TNIL) {
    lua_pushvalue(L, FIELDS);
    lua_setfield(L, OBJECT, "exceptions");
  }
  else
    for (lua_pushnil(L); lua_next(L, FIELDS);)
      set_next(L, OBJECT);
  lua_settop(L, OBJECT);
  lua_pushvalue(L, CLASS);
  neap__error_set_class(L);
  return 1;
}

/* Lua: the text of an error object: its class, and its message if it has
   one. */
static int object_tostring(lua_State *L) {
  luaL_argexpected(L, lua_istable(L, 1) && lua_getmetatable(L, 1), 1,
                   "error object");
  push_name(L, -1);
  lua_pushliteral(L, ": ");
  if (push_field(L, 1, "message") == LUA_TNIL)
    lua_pop(L, 2);
  else {
    (void)luaL_tolstring(L, -1, NULL);
    lua_replace(L, -2);
    lua_concat(L, 3);
  }
  return 1;
}

/* Lua: that of a group tells how many exceptions are in it, too. */
static int group_tostring(lua_State *L) {
  (void)object_tostring(L);
  if (push_field(L, 1, "exceptions") != LUA_TTABLE)
    lua_pop(L, 1);
  else {
    lua_Integer n = luaL_len(L, -1);
    lua_pop(L, 1);
    lua_pushfstring(L, " (%I sub-exception%s)", (LUAI_UACINT)n,
                    n == 1 ? "" : "s");
    lua_concat(L, 2);
  }
  return 1;
}

/* Whether the value at the top is the class at `class` or derived from it. */
static int is_derived(lua_State *L, int class) {
  int first = lua_gettop(L), left = MOST_BASES;
  while (lua_gettop(L) >= first && left-- > 0) {
    if (!lua_istable(L, -1)) {
      lua_pop(L, 1);
      continue;
    }
    if (lua_rawequal(L, -1, class))
      return 1;
    luaL_checkstack(L, 2, NULL);
    push_field(L, -1, "__base"); /* to be looked at last */
    push_field(L, -2, "__also");
    lua_remove(L, -3);
  }
  return 0;
}

/* Lua: isinstance(value, class): whether value is an error object of the
   class or of one derived from it. Takes any value. */
static int isinstance(lua_State *L) {
  lua_settop(L, 2);
  if (!neap__error_is_class(L, 2))
    return neap__usage(L, 1, "isinstance: an error class expected as second "
                             "argument, got a %s", luaL_typename(L, 2));
  lua_pushboolean(L, lua_istable(L, 1) && lua_getmetatable(L, 1) &&
                         is_derived(L, 2));
  return 1;
}

/* ====================================================== } */

/* {======================================================
** Classes
** ======================================================= */

static int class_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushliteral(L, "<class '");
  push_name(L, 1);
  lua_pushliteral(L, "'>");
  lua_concat(L, 3);
  return 1;
}

/* Pushes the metatable of a class that is right below the one at `base`. */
static void push_metatable(lua_State *L, int base) {
  lua_createtable(L, 0, 4);
  lua_pushvalue(L, base);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, construct);
  lua_setfield(L, -2, "__call");
  lua_pushcfunction(L, class_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushliteral(L, "class");
  lua_setfield(L, -2, "__name");
}

/* Makes the table at `class` a class; its name is at the top, popped. */
static void set_name(lua_State *L, int class) {
  lua_setfield(L, class, "__name");
  lua_pushvalue(L, class);
  lua_setfield(L, class, "__index");
}

/* Lua: class:subclass(name, also): a class whose objects are also of `class`;
   and of `also`, if given, from which they take nothing else. */
static int subclass(lua_State *L) {
  enum { CLASS = 1, NAME, ALSO, SUBCLASS };
  lua_settop(L, ALSO);
  if (!neap__error_is_class(L, CLASS))
    return neap__usage(L, 1, "subclass: an error class expected; write "
                             "asyncio.Exception:subclass(\"Name\")");
  if (lua_type(L, NAME) != LUA_TSTRING)
    return neap__usage(L, 1, "subclass: a name expected, got a %s",
                       luaL_typename(L, NAME));
  if (!lua_isnil(L, ALSO) && !neap__error_is_class(L, ALSO))
    return neap__usage(L, 1, "subclass: an error class expected after the "
                             "name, got a %s", luaL_typename(L, ALSO));
  lua_createtable(L, 0, 8);
  for (lua_pushnil(L); lua_next(L, CLASS);) /* flags and metamethods */
    if (lua_touserdata(L, -2) == &flags_key ||
        (lua_type(L, -2) == LUA_TSTRING &&
         strncmp(lua_tostring(L, -2), "__", 2) == 0))
      set_next(L, SUBCLASS);
    else
      lua_pop(L, 1);
  if (!lua_isnil(L, ALSO)) {
    lua_pushvalue(L, ALSO);
    lua_setfield(L, SUBCLASS, "__also");
  }
  lua_pushvalue(L, CLASS);
  lua_setfield(L, SUBCLASS, "__base");
  lua_pushvalue(L, NAME);
  set_name(L, SUBCLASS);
  push_metatable(L, CLASS);
  lua_setmetatable(L, SUBCLASS);
  return 1;
}

typedef struct kind { /* a class of Neap's own */
  const char *name;
  int flags;
} kind;

/* Adds the classes of the list, all right below the one at the top, popped,
   to the tables at the two places. */
static void add_classes(lua_State *L, int module, int all, const kind *list) {
  int base = lua_gettop(L), metatable = base + 1, class = base + 2;
  push_metatable(L, base);
  for (; list->name != NULL; list++) {
    lua_createtable(L, 0, 6);
    lua_pushinteger(L, list->flags);
    lua_rawsetp(L, class, &flags_key);
    lua_pushcfunction(L, object_tostring);
    lua_setfield(L, class, "__tostring");
    if (neap__error_is_class(L, base)) {
      lua_pushvalue(L, base);
      lua_setfield(L, class, "__base");
    }
    lua_pushstring(L, list->name);
    set_name(L, class);
    lua_pushvalue(L, metatable);
    lua_setmetatable(L, class);
    lua_pushvalue(L, class);
    lua_setfield(L, module, list->name);
    lua_setfield(L, all, list->name);
  }
  lua_settop(L, base - 1);
}

void neap__error_init(lua_State *L) {
  enum {
    ANY = NEAP__IS_EXCEPTION,
    PASSING = NEAP__IS_EXCEPTION | NEAP__IS_PASSING
  };
  static const kind first[] = {{"BaseException", PASSING}, {NULL, 0}};
  static const kind bases[] = {
      {"CancelledError", PASSING | NEAP__IS_CANCELLED},
      {"KeyboardInterrupt", PASSING | NEAP__IS_KEYBOARD},
      {"Exception", ANY},
      {NULL, 0}};
  static const kind others[] = {
      {"TimeoutError", ANY},  {"InvalidStateError", ANY},
      {"QueueEmpty", ANY},    {"QueueFull", ANY},
      {"QueueShutDown", ANY}, {"BrokenBarrierError", ANY},
      {"OSError", ANY},       {"ExceptionGroup", ANY},
      {NULL, 0}};
  int module = lua_gettop(L), all = module + 1;
  lua_pushcfunction(L, isinstance);
  lua_setfield(L, module, "isinstance");
  lua_createtable(L, 0, 12);
  lua_createtable(L, 0, 1); /* the methods of all */
  lua_pushcfunction(L, subclass);
  lua_setfield(L, -2, "subclass");
  add_classes(L, module, all, first);
  lua_getfield(L, all, "BaseException");
  add_classes(L, module, all, bases);
  lua_getfield(L, all, "Exception");
  add_classes(L, module, all, others);
  lua_getfield(L, all, "ExceptionGroup");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "__groups");
  lua_pushcfunction(L, group_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  neap__ref_set(L, NEAP__CLASSES);
}

/* ====================================================== } */
