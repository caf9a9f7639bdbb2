/*
** coroutine.c - async functions and the coroutine objects they return.
**
** An async function is a C closure over the function; calling it stores
** function and arguments in a userdata and runs nothing.
**
** A coroutine object that dies without having started is reported by its
** finalizer. A finalizer costs more than all else about the object, and
** nearly every object is awaited by the expression that made it. So the
** newest one made inside a task is kept alive, without a finalizer, until
** the next one is made or the turn ends: only if nobody has taken it by
** then is it given the metatable that has one (`watch`).
*/
#include <math.h>

#include "vm.h"

#define MANY_ARGUMENTS 200 /* more are packed into a table */

/* Upvalues of an async function. */
enum { UP_FUNCTION = 1, UP_METATABLE, UP_NAMED };

/* User values of an object: the first argument's, and how many hold them. */
static int first_argument(const neap__coroutine *c) {
  return c->body == NEAP__LUA ? 2 : 1;
}
static int values_of(const neap__coroutine *c) {
  return c->packed ? 1 : (int)c->nargs;
}

void neap__coroutine_function(lua_State *L, int index,
                              const neap__coroutine *c) {
  if (c->body == NEAP__NATIVE)
    lua_pushcfunction(L, ((const neap__native *)c)->function);
  else
    lua_getiuservalue(L, index, 1);
}

/* {======================================================
** Names
** ======================================================= */

/* names[function at `function`] = string at the top, which is popped */
static void name_set(lua_State *L, int function) {
  function = lua_absindex(L, function);
  neap__ref_push(L, NEAP__NAMES);
  lua_pushvalue(L, function);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

const char *neap__function_name(lua_State *L, int index) {
  lua_Debug ar;
  index = lua_absindex(L, index);
  neap__ref_push(L, NEAP__NAMES);
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  lua_replace(L, -2);
  if (lua_type(L, -1) == LUA_TSTRING)
    return lua_tostring(L, -1);
  if (!lua_toboolean(L, -1)) { /* not the body of an async function */
    lua_pop(L, 1);
    return NULL;
  }
  lua_pop(L, 1); /* one without a name */
  lua_pushvalue(L, index);
  if (lua_iscfunction(L, -1)) {
    if (neap__library_name(L) == NULL)
      lua_pushliteral(L, "?");
    lua_replace(L, -2);
    return lua_tostring(L, -1);
  }
  lua_getinfo(L, ">S", &ar);
  if (*ar.what == 'm') /* a script that the host has started */
    return lua_pushfstring(L, "<%s>", ar.short_src);
  return lua_pushfstring(L, "<%s:%d>", ar.short_src, ar.linedefined);
}

/*
** The first call names an async function after the variable or field it
** was called by, as Lua's own tracebacks do.
*/
static void name_infer(lua_State *L) {
  lua_Debug ar;
  lua_pushboolean(L, 1);
  lua_replace(L, lua_upvalueindex(UP_NAMED));
  if (!lua_getstack(L, 0, &ar) || !lua_getinfo(L, "n", &ar) ||
      ar.name == NULL || ar.name[0] == '?')
    return;
  lua_pushvalue(L, lua_upvalueindex(UP_FUNCTION));
  lua_pushstring(L, ar.name);
  name_set(L, -2);
  lua_pop(L, 1);
}

const char *neap__coroutine_name(lua_State *L, int index) {
  neap__coroutine *c = (neap__coroutine *)neap__known(L, index);
  const char *name;
  if (c->body == NEAP__HOLD)
    return neap__hold_name(L, (neap__hold *)c);
  if (!neap__coroutine_calls(c))
    return lua_pushliteral(L, "sleep");
  neap__coroutine_function(L, index, c);
  name = neap__function_name(L, -1);
  if (name == NULL) /* made without async(): by gather for an __await */
    name = lua_pushliteral(L, "await");
  lua_replace(L, -2);
  return name;
}

/* ====================================================== } */

/* {======================================================
** Making coroutine objects
** ======================================================= */

/*
** Gives the object at the top its finalizer. Lua looks for the object
** among those made since; as only the newest object is watched late, all
** these walks together are no longer than what was made.
*/
static void watch(lua_State *L) {
  neap__ref_push(L, NEAP__WATCHED);
  lua_setmetatable(L, -2);
}

void neap__coroutine_settle_fresh(neap_vm *vm) {
  if (vm->fresh == NULL)
    return;
  if (vm->fresh->state == NEAP__NEW)
    watch(vm->keeper);
  lua_pop(vm->keeper, 1);
  vm->fresh = NULL;
}

/* The new object at the top begins its life: see the head of this file. */
static void announce(neap_vm *vm, lua_State *L, neap__coroutine *c) {
  if (vm->current == NULL) {
    watch(L);
    return;
  }
  neap__coroutine_settle_fresh(vm);
  lua_pushvalue(L, -1);
  lua_xmove(L, vm->keeper, 1);
  vm->fresh = c;
}

/* Makes an object without a metatable. */
static inline neap__coroutine *make(neap_vm *vm, lua_State *L,
                                    neap__coroutine_body body, size_t size,
                                    int values) {
  /* outside tasks there is time to note the place */
  int located = vm->debug || vm->current == NULL;
  neap__coroutine *c =
      (neap__coroutine *)lua_newuserdatauv(L, size, values + located);
  c->type = &neap__coroutine_type;
  c->state = NEAP__NEW;
  c->body = (uint8_t)body;
  c->packed = 0;
  c->located = (uint8_t)located;
  c->nargs = 0;
  if (located) {
    neap__where(L, 1);
    lua_setiuservalue(L, -2, values + 1);
  }
  return c;
}

static void pack_arguments(lua_State *L, int n) {
  int i;
  lua_createtable(L, n, 0);
  lua_insert(L, 1);
  for (i = n; i > 0; i--)
    lua_rawseti(L, 1, i);
}

/* What an async function does when called. */
static inline int make_call(lua_State *L, neap__coroutine_body body) {
  neap_vm *vm = neap__vm(L);
  int i, n = lua_gettop(L), values = n;
  neap__coroutine *c;
  if (body == NEAP__LUA && !lua_toboolean(L, lua_upvalueindex(UP_NAMED)))
    name_infer(L);
  if (n > MANY_ARGUMENTS) {
    pack_arguments(L, n);
    values = 1;
    body = NEAP__LUA;
  }
  if (body == NEAP__NATIVE) {
    c = make(vm, L, body, sizeof(neap__native), values);
    ((neap__native *)c)->function =
        lua_tocfunction(L, lua_upvalueindex(UP_FUNCTION));
  }
  else {
    c = make(vm, L, body, sizeof *c, 1 + values);
    lua_pushvalue(L, lua_upvalueindex(UP_FUNCTION));
    lua_setiuservalue(L, -2, 1);
  }
  c->packed = values != n;
  c->nargs = (uint32_t)n;
  lua_pushvalue(L, lua_upvalueindex(UP_METATABLE));
  lua_setmetatable(L, -2);
  for (i = values; i > 0; i--) {
    lua_pushvalue(L, i);
    lua_setiuservalue(L, -2, first_argument(c) + i - 1);
  }
  announce(vm, L, c);
  return 1;
}

static int async_call(lua_State *L) { return make_call(L, NEAP__LUA); }
static int native_call(lua_State *L) { return make_call(L, NEAP__NATIVE); }

int neap__is_async_function(lua_State *L, int index) {
  lua_CFunction f = lua_tocfunction(L, index);
  return f == async_call || f == native_call;
}

neap__coroutine *neap__coroutine_new(lua_State *L, neap__coroutine_body body,
                                     size_t size, int values) {
  neap_vm *vm = neap__vm(L);
  neap__coroutine *c = make(vm, L, body, size, values);
  neap__metatable_push(L, &neap__coroutine_type);
  lua_setmetatable(L, -2);
  announce(vm, L, c);
  return c;
}

void neap__coroutine_of(lua_State *L, int function, int argument) {
  function = lua_absindex(L, function);
  argument = lua_absindex(L, argument);
  neap__coroutine_new(L, NEAP__LUA, sizeof(neap__coroutine), 2)->nargs = 1;
  lua_pushvalue(L, function);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, argument);
  lua_setiuservalue(L, -2, 2);
}

/* Makes an async function of the function at `index`; pushes it. */
static void async_push(lua_State *L, int index, int named) {
  lua_CFunction call = async_call;
  neap__vm(L)->async_used = 1;
  index = lua_absindex(L, index);
  if (named && lua_iscfunction(L, index) && !lua_upvalueid(L, index, 1))
    call = native_call;
  neap__ref_push(L, NEAP__NAMES);
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  if (lua_isnil(L, -1)) { /* from now on known as an async one's body */
    lua_pushvalue(L, index);
    lua_pushboolean(L, 1);
    lua_rawset(L, -4);
  }
  lua_pop(L, 2);
  lua_pushvalue(L, index);
  neap__metatable_push(L, &neap__coroutine_type);
  lua_pushboolean(L, named);
  lua_pushcclosure(L, call, 3);
}

static void check_function(lua_State *L, int index, const char *example) {
  if (neap__is_async_function(L, index))
    neap__usage(L, 1, "async: the function is an async function already");
  if (lua_type(L, index) != LUA_TFUNCTION)
    neap__usage(L, 1, "async: a function expected, got %s; write %s",
                neap__describe(L, index), example);
}

void neap__async_of(lua_State *L) {
  async_push(L, -1, 0);
  lua_replace(L, -2);
}

int neap__async(lua_State *L) {
  lua_settop(L, 3); /* the callable table, the function, its name or nil */
  check_function(L, 2, "async(function() ... end)");
  if (!lua_isnil(L, 3)) {
    luaL_checkstring(L, 3);
    lua_pushvalue(L, 3);
    name_set(L, 2);
  }
  async_push(L, 2, !lua_isnil(L, 3));
  return 1;
}

int neap__async_define(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING)
    return neap__usage(L, 1, "async: a name expected, got %s; write function "
                             "async.name() ... end",
                       neap__describe(L, 2));
  check_function(L, 3, "function async.name() ... end");
  lua_pushvalue(L, 2);
  name_set(L, 3);
  async_push(L, 3, 1);
  lua_pushglobaltable(L);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -3);
  lua_settable(L, -3);
  return 0;
}

/*
** sleep(0), the way to let others run, is too frequent to make an object
** each time: one object is given out again as soon as it was awaited.
*/
int neap__sleep(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  int result, is_integer;
  lua_Integer turns = lua_tointegerx(L, 1, &is_integer);
  neap__sleeper *sleeper;
  double delay;
  if (is_integer && turns <= 0 && !vm->bare_yield_out && lua_gettop(L) == 1) {
    vm->bare_yield_out = 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    return 1;
  }
  delay = luaL_checknumber(L, 1);
  result = !lua_isnoneornil(L, 2);
  if (isnan(delay))
    return neap__usage(L, 1, "sleep: the delay is not a number (NaN)");
  sleeper = (neap__sleeper *)neap__coroutine_new(L, NEAP__SLEEP,
                                                 sizeof *sleeper, result);
  sleeper->delay = delay;
  sleeper->coroutine.nargs = (uint32_t)result;
  if (result) {
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
  }
  return 1;
}

/* ====================================================== } */

/* {======================================================
** Using coroutine objects
** ======================================================= */

void neap__coroutine_take_again(lua_State *L, int index, int level) {
  neap_vm *vm = neap__vm(L);
  neap__coroutine *c = (neap__coroutine *)neap__known(L, index);
  const char *name, *reason;
  if (c->body == NEAP__YIELD && vm->bare_yield_out) {
    vm->bare_yield_out = 0;
    return;
  }
  name = neap__coroutine_name(L, index);
  reason = c->state == NEAP__OWNED    ? "a task runs it: await the task"
           : c->state == NEAP__CLOSED ? "it was closed"
                                      : "it was already awaited";
  neap__usage(L, level, "cannot use coroutine '%s' again: %s; each call %s() "
                        "makes a new one",
              name, reason, name);
}

int neap__coroutine_arguments_push(lua_State *L, int index,
                                   neap__coroutine *c) {
  int i, n = (int)c->nargs, first = first_argument(c);
  luaL_checkstack(L, n + 4, "too many arguments");
  for (i = first; i < first + values_of(c); i++) {
    lua_getiuservalue(L, index, i);
    lua_pushnil(L);
    lua_setiuservalue(L, index, i);
  }
  if (c->packed) {
    for (i = 1; i <= n; i++)
      lua_rawgeti(L, -i, i);
    lua_remove(L, -n - 1);
  }
  return n;
}

lua_CFunction neap__coroutine_open_native(lua_State *L, neap__coroutine *c) {
  int i, n = (int)c->nargs;
  if (n > 1) /* one has the object's place */
    luaL_checkstack(L, n + LUA_MINSTACK, "too many arguments");
  for (i = 2; i <= n; i++)
    lua_getiuservalue(L, 1, i);
  lua_getiuservalue(L, 1, 1); /* nil when there is none */
  lua_replace(L, 1);
  if (n == 0)
    lua_settop(L, 0);
  return ((neap__native *)c)->function;
}

void neap__coroutine_open(lua_State *L, neap__coroutine *c) {
  (void)neap__coroutine_arguments(L, 1, c);
  neap__coroutine_function(L, 1, c);
  lua_replace(L, 1);
}

/* Lua: asyncio.iscoroutine(value): whether it is a coroutine object */
int neap__iscoroutine(lua_State *L) {
  lua_pushboolean(L, neap__coroutine_at(L, 1) != NULL);
  return 1;
}

/* Lua: coro:close(): no warning when it has not started; else nothing */
static int coroutine_close(lua_State *L) {
  neap__coroutine *c = neap__coroutine_at(L, 1);
  if (c == NULL)
    return luaL_typeerror(L, 1, neap__coroutine_type.name);
  if (c->body == NEAP__YIELD)
    neap__vm(L)->bare_yield_out = 0;
  else if (c->state == NEAP__NEW)
    c->state = NEAP__CLOSED;
  return 0;
}

/* Reports the coroutine whose name is at the top, once for each place. */
static void report_never_awaited(lua_State *L, const char *place) {
  lua_pushfstring(L, "RuntimeWarning: coroutine '%s' was never awaited%s",
                  lua_tostring(L, -1), place);
  neap__ref_push(L, NEAP__WARNED);
  lua_pushvalue(L, -2);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_pushvalue(L, -3);
    lua_pushboolean(L, 1);
    lua_rawset(L, -4);
    lua_settop(L, -3);
    neap__report(L);
  }
}

/* Lua: the finalizer of watched objects */
static int coroutine_gc(lua_State *L) {
  neap__coroutine *c = neap__coroutine_at(L, 1);
  const char *place = "";
  if (c == NULL || c->state != NEAP__NEW)
    return 0;
  c->state = NEAP__CLOSED;
  if (c->located) {
    int place_at = first_argument(c) + values_of(c) + (c->body == NEAP__HOLD);
    if (lua_getiuservalue(L, 1, place_at) == LUA_TSTRING)
      place = lua_pushfstring(L, "\n  created at %s", lua_tostring(L, -1));
  }
  else if (neap__coroutine_calls(c)) {
    lua_Debug ar;
    neap__coroutine_function(L, 1, c);
    lua_getinfo(L, ">S", &ar);
    if (ar.linedefined > 0 && !neap__is_own(&ar))
      place = lua_pushfstring(L, "\n  defined at %s:%d", ar.short_src,
                              ar.linedefined);
  }
  neap__coroutine_name(L, 1);
  report_never_awaited(L, place);
  return 0;
}

/*
** Lua: the finalizer of an object that lives as long as the VM: what is
** still kept without a finalizer of its own is reported, too.
*/
static int last_gc(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  if (vm->fresh != NULL) {
    lua_pushcfunction(L, coroutine_gc);
    lua_xmove(vm->keeper, L, 1);
    lua_call(L, 1, 0);
  }
  if (vm->bare_yield_out) {
    lua_pushliteral(L, "sleep");
    report_never_awaited(L, "");
  }
  return 0;
}

void neap__coroutine_init(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", coroutine_close}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__tostring", neap__coroutine_tostring}, {NULL, NULL}};
  neap_vm *vm = neap__vm(L);
  lua_newtable(L); /* names: weak keys, as functions come and go */
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  neap__ref_set(L, NEAP__NAMES);
  lua_newtable(L);
  neap__ref_set(L, NEAP__WARNED);
  neap__metatable_new(L, &neap__coroutine_type, methods, metamethods);
  neap__metatable_new(L, &neap__coroutine_type, methods, metamethods);
  lua_pushcfunction(L, coroutine_gc);
  lua_setfield(L, -2, "__gc");
  neap__ref_set(L, NEAP__WATCHED); /* the second one; the first stays */
  neap__ref_set(L, NEAP__METATABLES + NEAP__COROUTINE);
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, last_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  (void)luaL_ref(L, LUA_REGISTRYINDEX);
  vm->bare_yield = make(vm, L, NEAP__YIELD, sizeof(neap__coroutine), 0);
  vm->bare_yield->state = NEAP__AWAITED;
  neap__metatable_push(L, &neap__coroutine_type);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1); /* on the stack: the upvalue of sleep; */
  (void)luaL_ref(L, LUA_REGISTRYINDEX); /* scripts may drop that one */
}

/* ====================================================== } */
