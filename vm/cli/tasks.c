/*
** tasks.c - what the interactive mode does to all tasks: names them, ends
** them. It is done in Lua, where that is short, with as few globals as can be:
** users call their variables `table` and `next`, too.
*/
#include "tasks.h"

#include <signal.h>
#include <string.h>

#include <lauxlib.h>

#include "evaluate.h"
#include "turn.h"

#define SECOND 1000000000 /* ns */

static const char name_tasks[] =
  "local tasks, text = (...).all_tasks(), 'still running: '\n"
  "for i = 1, #tasks do\n"
  "  if i > 1 then text = text .. ', ' end\n"
  "  if i > 20 then text = text .. #tasks - 20 .. ' more' break end\n"
  "  text = text .. tasks[i]:get_name()\n"
  "end\n"
  "return #tasks > 0 and text";

/* As at the end of a run: what their cleanup and callbacks make is cancelled in
   further rounds, though not for ever. */
static const char end_tasks[] =
  "local asyncio = ...\n"
  "return function()\n"
  "local me = asyncio.current_task()\n"
  "for _ = 1, 100 do\n"
  "  local tasks = asyncio.all_tasks()\n"
  "  for i = 1, #tasks do\n"
  "    if tasks[i] ~= me then tasks[i]:cancel() end\n"
  "  end\n"
  "  for i = 1, #tasks do\n"
  "    if tasks[i] ~= me and not tasks[i]:done() then\n"
  "      local over = asyncio.Future()\n" /* its error is to be told */
  "      tasks[i]:add_done_callback(function() over:set_result() end)\n"
  "      asyncio.await(over)\n"
  "    end\n"
  "  end\n"
  "  if #tasks == 1 then return end\n"
  "end\n"
  "end";

void neap__tasks_push_asyncio(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "asyncio");
  lua_remove(L, -2);
}

/* Lua: code, light userdata -> what it gives, called with asyncio */
static int run(lua_State *L) {
  const char *code = lua_touserdata(L, 1);
  if (luaL_loadbuffer(L, code, strlen(code), "=tasks") != LUA_OK)
    return lua_error(L);
  neap__tasks_push_asyncio(L);
  lua_call(L, 1, 1);
  return 1;
}

/* Pushes what the code gives; or returns 0: no memory, or a script has broken
   what it needs. */
static int push_result(lua_State *L, const char *code) {
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, (void *)code);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK)
    return 1;
  lua_pop(L, 1);
  return 0;
}

void neap__tasks_interrupted(lua_State *L) {
  static uint64_t before; /* when the last one came */
  uint64_t now = uv_hrtime();
  if (before != 0 && now - before < SECOND && push_result(L, name_tasks)) {
    if (lua_isstring(L, -1))
      neap__chunk_message(NULL, lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  before = now;
}

void neap__tasks_end(neap__runner *runner, lua_State *L) {
  neap_vm *vm = runner->vm;
  neap_statistics stats;
  neap_task task;
  if (neap_stats(vm, &stats) != NEAP_OK || stats.tasks == 0)
    return;
  if (!push_result(L, end_tasks) ||
      neap__evaluate_start(runner, L, &task) != NEAP_OK)
    return; /* no memory: neap_close ends them, without cleanup */
  while (neap_pending(vm, task) && neap_alive(vm)) {
    int event = neap__turn(runner, -1, -1);
    if (event == SIGTERM || event == SIGHUP)
      runner->signal = event;
    if (event > 0 && event != SIGWINCH)
      return; /* nobody wants to wait */
  }
}
