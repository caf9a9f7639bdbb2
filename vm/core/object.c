/*
** object.c - what all userdata of Neap share: type checks, metatables,
** and the words of usage errors.
*/
#include <stdarg.h>

#include "vm.h"

#define DEEPEST 100 /* levels searched for an await */

const neap__type neap__coroutine_type = {NEAP__COROUTINE, "coroutine object"};
const neap__type neap__future_type = {NEAP__FUTURE, "Future"};
const neap__type neap__task_type = {NEAP__TASK, "Task"};
const neap__type neap__gather_type = {NEAP__GATHER, "Future"};
const neap__type neap__waitlist_type = {NEAP__FUTURE, "Future"};
const neap__type neap__handle_type = {NEAP__HANDLE, "Handle"};

/*
** Looks at the type's address inside the userdata rather than at the
** metatable: half the calls, and scripts cannot forge it (they cannot
** write into a userdata). A foreign userdata that its owner has filled in
** cannot begin with the address of one of our static objects.
*/
neap__object *neap__object_of(lua_State *L, int index, void *block) {
  neap__object *o = (neap__object *)block;
  if (o == NULL)
    return NULL;
  if (block == neap__vm(L)->fresh) /* most are awaited when they are new */
    return o;
  if (lua_rawlen(L, index) < sizeof *o)
    return NULL; /* also light userdata: their length is 0 */
  if (o->type == &neap__coroutine_type || o->type == &neap__task_type ||
      o->type == &neap__future_type || o->type == &neap__gather_type ||
      o->type == &neap__handle_type)
    return o;
  return NULL;
}

neap__coroutine *neap__coroutine_at(lua_State *L, int index) {
  neap__object *o = neap__object_at(L, index);
  return (o != NULL && o->type->kind == NEAP__COROUTINE) ? (neap__coroutine *)o
                                                         : NULL;
}

neap__future *neap__future_at(lua_State *L, int index) {
  neap__object *o = neap__object_at(L, index);
  if (o == NULL || o->type->kind == NEAP__COROUTINE ||
      o->type->kind == NEAP__HANDLE)
    return NULL;
  return (neap__future *)o;
}

neap__task *neap__task_at(lua_State *L, int index) {
  neap__object *o = neap__object_at(L, index);
  return (o != NULL && o->type->kind == NEAP__TASK) ? (neap__task *)o : NULL;
}

void neap__refs_init(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  int i;
  for (i = 0; i < NEAP__REFS; i++) {
    lua_pushboolean(L, 0);
    vm->refs[i] = luaL_ref(L, LUA_REGISTRYINDEX);
  }
}

void neap__metatable_new(lua_State *L, const neap__type *type,
                         const luaL_Reg *methods, const luaL_Reg *metamethods) {
  int count = 0;
  lua_createtable(L, 0, 4);
  luaL_setfuncs(L, metamethods, 0);
  lua_pushstring(L, type->name);
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0); /* scripts cannot reach the metatable */
  lua_setfield(L, -2, "__metatable");
  while (methods[count].name != NULL)
    count++;
  lua_createtable(L, 0, count);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, -1);
  neap__ref_set(L, NEAP__METATABLES + (int)type->kind);
}

int neap__is_await(lua_State *L, lua_Debug *ar) {
  int is;
  lua_getinfo(L, "f", ar);
  is = lua_tocfunction(L, -1) == neap__await;
  lua_pop(L, 1);
  return is;
}

int neap__level(lua_State *L, int level) {
  lua_Debug ar;
  int i;
  for (i = 1; i <= level && i <= DEEPEST && lua_getstack(L, i, &ar); i++)
    level += neap__is_await(L, &ar);
  return level;
}

/* The first level from `level` on that is not one of Neap's own. */
static int first_foreign(lua_State *L, int level) {
  lua_Debug ar;
  while (lua_getstack(L, level, &ar) && lua_getinfo(L, "S", &ar) &&
         (neap__is_own(&ar) || neap__is_await(L, &ar)))
    level++;
  return level;
}

int neap__usage(lua_State *L, int level, const char *format, ...) {
  va_list args;
  luaL_where(L, first_foreign(L, neap__level(L, level)));
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  lua_concat(L, 2);
  return lua_error(L);
}

void neap__check_running(lua_State *L, const char *function) {
  if (neap__vm(L)->L == NULL)
    neap__usage(L, 1, "%s: no running event loop: call it in an async "
                      "function that run() started", function);
}

void neap__check_options(lua_State *L, int index, const char *function,
                         const char *option, const char *example) {
  if (lua_type(L, index) != LUA_TTABLE)
    neap__usage(L, 1, "%s: a table of options such as {%s=%s} expected, got %s",
                function, option, example, neap__describe(L, index));
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    lua_pushstring(L, option);
    if (!lua_rawequal(L, -1, -2))
      neap__usage(L, 1, "%s: unknown option '%s' (there is '%s')", function,
                  luaL_tolstring(L, -2, NULL), option);
    lua_pop(L, 2);
  }
}

const char *neap__describe(lua_State *L, int index) {
  neap__object *o = neap__object_at(L, index);
  if (o != NULL)
    return lua_pushfstring(L, "a %s", o->type->name);
  if (neap__is_async_function(L, index))
    return lua_pushliteral(L, "an async function");
  if (lua_isnoneornil(L, index))
    return lua_pushstring(L, luaL_typename(L, index));
  if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING)
    return lua_pushfstring(L, "a %s", lua_tostring(L, -1));
  return lua_pushfstring(L, "a %s", luaL_typename(L, index));
}
