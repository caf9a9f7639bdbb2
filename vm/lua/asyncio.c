/*
** asyncio.c - opens the module asyncio, the globals, and the replaced
** functions of Lua's own libraries.
*/
#include <lualib.h>

#include "bindings.h"

/* Lua: asyncio.time() -> seconds of a clock that never goes back */
static int asyncio_time(lua_State *L) {
  lua_pushnumber(L, neap__time());
  return 1;
}

static const luaL_Reg functions[] = {
    {"run", neap__run},
    {"await", neap__await},
    {"create_task", neap__create_task},
    {"ensure_future", neap__ensure_future},
    {"isfuture", neap__isfuture},
    {"iscoroutine", neap__iscoroutine},
    {"gather", neap__gather_make},
    {"Future", neap__future_make},
    {"Lock", neap__lock_make},
    {"Semaphore", neap__semaphore_make},
    {"BoundedSemaphore", neap__bounded_semaphore_make},
    {"call_soon", neap__call_soon},
    {"call_later", neap__call_later},
    {"timeout", neap__timeout_make},
    {"timeout_at", neap__timeout_at},
    {"current_task", neap__current_task},
    {"all_tasks", neap__all_tasks},
    {"time", asyncio_time},
    {"catch", neap__catch},
    {"dump", neap__dump},
    {NULL, NULL}};

static void open_async(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 4);
  lua_pushcfunction(L, neap__async);
  lua_setfield(L, -2, "__call");
  lua_pushcfunction(L, neap__async_define);
  lua_setfield(L, -2, "__newindex");
  lua_pushliteral(L, "async");
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, "async");
}

/* The protected calls and coroutine functions in Lua's own places. */
static void open_protected_calls(lua_State *L) {
  static const luaL_Reg replaced[] = {{"assert", neap__assert},
                                      {"error", neap__error},
                                      {"pcall", neap__pcall},
                                      {"xpcall", neap__xpcall},
                                      {"load", neap__load},
                                      {NULL, NULL}};
  lua_pushglobaltable(L);
  luaL_setfuncs(L, replaced, 0);
  lua_pop(L, 1);
  lua_getglobal(L, LUA_COLIBNAME);
  neap__generator_init(L);
  lua_pop(L, 1);
}

void neap__open(lua_State *L) {
  static const char *const globals[] = {"async",       "await",  "sleep",
                                        "create_task", "gather", "run"};
  size_t i;
  neap__refs_init(L);
  lua_createtable(L, 0, 40);
  luaL_setfuncs(L, functions, 0);
  neap__anchor_init(L);
  neap__coroutine_init(L); /* -> the object of sleep(0) */
  lua_pushcclosure(L, neap__sleep, 1);
  lua_setfield(L, -2, "sleep");
  neap__future_init(L);
  neap__task_init(L);
  neap__handle_init(L);
  neap__lock_init(L);
  neap__timeout_init(L);
  neap__error_init(L);
  open_async(L);
  open_protected_calls(L);
  lua_pushnumber(L, 0.1);
  lua_setfield(L, -2, "slow_callback_duration");
  for (i = 0; i < sizeof globals / sizeof *globals; i++) {
    lua_getfield(L, -1, globals[i]);
    lua_setglobal(L, globals[i]);
  }
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_insert(L, -2);
  lua_setfield(L, -2, "asyncio");
  lua_pop(L, 1);
}

void neap__library_functions(lua_State *L) {
  static const luaL_Reg private[] = {{"copy_outcome", neap__outcome_copy},
                                     {"failure", neap__future_failure},
                                     {"is_awaitable", neap__is_awaitable},
                                     {"waitlist", neap__waitlist_make},
                                     {"line_up", neap__waitlist_line_up},
                                     {"wake", neap__waitlist_wake},
                                     {"waiting", neap__waitlist_waiting},
                                     {"present", neap__lock_present},
                                     {"timeout_of", neap__timeout_of},
                                     {"group", neap__group_make},
                                     {"create_member", neap__create_member},
                                     {"members", neap__group_count},
                                     {"cancel_members", neap__group_cancel},
                                     {NULL, NULL}};
  luaL_newlib(L, private);
}
