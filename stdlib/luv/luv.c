/*
** luv.c - `require "luv"`: the system's luv, on the VM's loop.
**
** Luv has functions for hosts that have a loop, luv_set_loop and
** luv_set_callback. They are called before it is opened; then it is the
** system's luv, but for what would take the loop from the VM: run and stop,
** which the VM has to do, and walk, which would find the VM's handles.
**
** All of luv's callbacks use Lua. So at the end of the VM, before the first
** of luv's objects is collected, all its handles are closed, and the loop runs
** until nothing of luv's is under way.
*/
#include <string.h>

#include "../module/module.h"

MODULE_API int luaopen_luv(lua_State *L);

/* What luv exports, of luv.h. */
typedef int (*luv_pcall)(lua_State *L, int nargs, int nresults, int flags);
typedef void (*luv_set_loop)(lua_State *L, uv_loop_t *loop);
typedef void (*luv_set_callback)(lua_State *L, luv_pcall pcall);

static const char luv_key = 0; /* luv's table, in the registry */

/* Whether the VM is being closed. */
static int is_closing(lua_State *L) {
  uv_loop_t *loop; /* which is open */
  return neap_loop(neap_from_lua(L), &loop) == NEAP_ECLOSED;
}

/* Lua: values; closes folders among them */
static int close_folders(lua_State *L) {
  int i, n = lua_gettop(L);
  for (i = 1; i <= n; i++)
    if (luaL_testudata(L, i, "uv_dir") != NULL &&
        luaL_getmetafield(L, i, "__gc") != LUA_TNIL) {
      lua_pushvalue(L, i);
      lua_call(L, 1, 0);
    }
  return 0;
}

/* Luv: calls back. None of luv's callbacks has results. At the end of the VM
   Lua calls no finalizer of what they are given. */
static int callback(lua_State *L, int nargs, int nresults, int flags) {
  (void)nresults;
  (void)flags;
  if (is_closing(L)) {
    lua_pushcfunction(L, close_folders);
    lua_replace(L, -nargs - 2);
    if (lua_pcall(L, nargs, 0, 0) != LUA_OK)
      lua_pop(L, 1); /* no memory: it is left open */
  }
  else
    neap_callback(L, nargs);
  return 0;
}

/* {======================================================
** Handles
** ======================================================= */

/* Whether the value at `index` is a handle of luv's; its classes, a set of
   metatables, are at `classes`. */
static int is_handle(lua_State *L, int index, int classes) {
  int is_one =
      lua_type(L, index) == LUA_TUSERDATA && lua_getmetatable(L, index);
  if (!is_one)
    return 0;
  lua_rawget(L, classes);
  is_one = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return is_one;
}

/* Pushes a list of luv's handles that are not yet closed: luv keeps them in
   the registry. */
static void push_handles(lua_State *L) {
  int classes, list;
  lua_getfield(L, LUA_REGISTRYINDEX, "uv_handle");
  classes = lua_gettop(L);
  lua_newtable(L);
  list = classes + 1;
  lua_pushnil(L);
  while (lua_next(L, LUA_REGISTRYINDEX)) {
    if (is_handle(L, -1, classes))
      lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
    else
      lua_pop(L, 1);
  }
  lua_remove(L, classes);
}

/* Lua: walk(f): calls f(handle) for each handle of luv's */
static int luv_walk(lua_State *L) {
  lua_Integer i;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  push_handles(L);
  for (i = 1; lua_rawgeti(L, 2, i) != LUA_TNIL; i++) {
    lua_pushvalue(L, 1);
    lua_insert(L, -2);
    lua_call(L, 1, 0);
  }
  return 0;
}

/* ====================================================== } */

/* {======================================================
** The loop
** ======================================================= */

typedef struct shared {
  uv_loop_t *loop;
  int running; /* run() has begun, and not yet ended */
  int ended;   /* the VM is being closed, and luv's handles are */
} shared;

static shared *shared_of(lua_State *L) {
  return (shared *)lua_touserdata(L, lua_upvalueindex(1));
}

/* Lua: run([mode]) -> whether something is left to do. The VM's own loop, on
   which tasks run, too. */
static int luv_run(lua_State *L) {
  static const char *const modes[] = {"default", "once", "nowait", NULL};
  shared *s = shared_of(L);
  neap_vm *vm = neap_from_lua(L);
  int mode = luaL_checkoption(L, 1, "default", modes), status;
  s->running++;
  status = mode == 0 ? neap_run(vm) : neap_tick(vm, 0);
  if (mode == 1 && status == 0) { /* there was nothing to be done at once */
    (void)uv_run(s->loop, UV_RUN_ONCE);
    status = neap_tick(vm, 0);
  }
  s->running--;
  if (status == NEAP_EBUSY)
    return module_refuse(L, "luv: run: the loop is running already: leave it "
                            "out, and await what is to come");
  if (status < 0)
    return luaL_error(L, "%s", neap_strerror(status));
  lua_pushboolean(L, neap_alive(vm));
  return 1;
}

/* Lua: stop(): ends run() */
static int luv_stop(lua_State *L) {
  shared *s = shared_of(L);
  if (s->running > 0)
    (void)neap_stop(neap_from_lua(L)); /* cannot fail here */
  return 0;
}

/* Lua: handle -> nothing; closes it, unless that has begun */
static int close_one(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &luv_key);
  lua_getfield(L, -1, "is_closing");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  if (lua_toboolean(L, -1))
    return 0;
  lua_getfield(L, -2, "close");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 0);
  return 0;
}

/* Closes all, and runs the loop until nothing of luv's is on it. */
static void end(lua_State *L, shared *s) {
  if (s->ended || !is_closing(L))
    return;
  s->ended = 1;
  lua_pushcfunction(L, luv_walk);
  lua_pushcfunction(L, close_one);
  lua_call(L, 1, 0);
  do
    (void)uv_run(s->loop, UV_RUN_NOWAIT);
  while (s->loop->active_reqs.count > 0 && uv_run(s->loop, UV_RUN_ONCE));
}

/* Lua: __gc of luv's objects; upvalues: the shared, luv's own */
static int object_gc(lua_State *L) {
  end(L, shared_of(L));
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, 1, 0);
  return 0;
}

/* Lua: __gc of the shared: requests may be left */
static int shared_gc(lua_State *L) {
  end(L, (shared *)lua_touserdata(L, 1));
  return 0;
}

/* ====================================================== } */

/* {======================================================
** Opening
** ======================================================= */

typedef void (*any_function)(void);

enum { NAME = 1, PACKAGE, OPEN, PATH, STATE, LUV }; /* on the stack */

/* Pushes a function that luv exports, as one of Lua's, which it may not be. */
static any_function load(lua_State *L, const char *name) {
  lua_getfield(L, PACKAGE, "loadlib");
  lua_pushvalue(L, PATH);
  lua_pushstring(L, name);
  lua_call(L, 2, 2);
  if (!lua_iscfunction(L, -2))
    luaL_error(L, "luv: '%s' lacks '%s': %s", lua_tostring(L, PATH), name,
               lua_tostring(L, -1));
  lua_pop(L, 1);
  return (any_function)lua_tocfunction(L, -1);
}

/* Puts object_gc in the place of the class's __gc. */
static void wrap_finalizer(lua_State *L, int class) {
  lua_pushvalue(L, STATE);
  lua_getfield(L, class, "__gc");
  lua_pushcclosure(L, object_gc, 2);
  lua_setfield(L, class, "__gc");
}

/* The same for all of luv's classes. Threads are left: a request is not. */
static void wrap_finalizers(lua_State *L) {
  static const char *const requests[] = {"uv_fs", "uv_dir", "luv_work_ctx"};
  size_t i;
  lua_getfield(L, LUA_REGISTRYINDEX, "uv_handle");
  for (lua_pushnil(L); lua_next(L, LUV + 1); lua_pop(L, 1))
    wrap_finalizer(L, LUV + 2);
  for (i = 0; i < sizeof requests / sizeof *requests; i++) {
    lua_getfield(L, LUA_REGISTRYINDEX, requests[i]);
    wrap_finalizer(L, LUV + 2);
    lua_settop(L, LUV + 1);
  }
  lua_settop(L, LUV);
}

/* Pushes the loader of the system's luv, and its file: it is found by one of
   the searchers, as this module is. */
static void push_system(lua_State *L) {
  int i;
  lua_getfield(L, PACKAGE, "searchers");
  for (i = 1; lua_rawgeti(L, OPEN, i) != LUA_TNIL; i++) {
    lua_pushvalue(L, NAME);
    lua_call(L, 1, 2);
    if (lua_iscfunction(L, -2) && lua_tocfunction(L, -2) != luaopen_luv) {
      lua_remove(L, OPEN);
      return;
    }
    lua_settop(L, OPEN);
  }
  luaL_error(L, "luv: the system has no module 'luv'");
}

static void push_shared(lua_State *L) {
  neap_vm *vm = neap_from_lua(L);
  shared *s = (shared *)lua_newuserdatauv(L, sizeof *s, 0);
  int status;
  memset(s, 0, sizeof *s);
  if (neap_backend_fd(vm) == NEAP_EINVAL)
    luaL_error(L, "luv: the loop is the host's, which may run when the VM has "
                  "gone");
  if ((status = neap_loop(vm, &s->loop)) != NEAP_OK)
    luaL_error(L, "luv: %s", neap_strerror(status));
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, shared_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
}

static void set(lua_State *L, const char *name, lua_CFunction f) {
  lua_pushvalue(L, STATE);
  lua_pushcclosure(L, f, 1);
  lua_setfield(L, LUV, name);
}

int luaopen_luv(lua_State *L) {
  lua_settop(L, NAME);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "package");
  lua_remove(L, -2);
  push_system(L);
  push_shared(L);
  ((luv_set_loop)load(L, "luv_set_loop"))(neap_lua(neap_from_lua(L)),
                                          ((shared *)lua_touserdata(L, STATE))
                                              ->loop);
  ((luv_set_callback)load(L, "luv_set_callback"))(L, callback);
  lua_settop(L, STATE);
  lua_pushvalue(L, OPEN);
  lua_pushvalue(L, NAME);
  lua_pushvalue(L, PATH);
  lua_call(L, 2, 1);
  lua_pushvalue(L, LUV);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &luv_key);
  wrap_finalizers(L);
  set(L, "run", luv_run);
  set(L, "stop", luv_stop);
  set(L, "walk", luv_walk);
  return 1;
}

/* ====================================================== } */
