/*
** settle.c - the limit of a settle from another thread: a uv_async_t whose
** callback resumes a Lua thread. Prints us from the send until the Lua
** thread goes on, the median.
*/
#include "settler.h"

static uv_async_t async;

/* Lua: waits for the thread. */
static int wait_for(lua_State *L) {
  uv_sem_post(&asked);
  return lua_yield(L, 0);
}

/* Lua: it has come. */
static int arrived(lua_State *L) {
  (void)L;
  settled();
  return 0;
}

static void send_it(void) {
  if (uv_async_send(&async) != 0)
    fail("nothing was sent");
}

static void resume(uv_async_t *handle) {
  lua_State *thread = handle->data;
  int nresults, status = lua_resume(thread, NULL, 0, &nresults);
  if (status == LUA_OK)
    uv_close((uv_handle_t *)handle, NULL);
  else if (status != LUA_YIELD)
    fail(lua_tostring(thread, -1));
}

int main(int argc, char **argv) {
  int n = count_argument(argc, argv), nresults;
  lua_State *L = open_state(), *thread;
  uv_loop_t *loop = uv_default_loop();
  uv_thread_t id;
  lua_register(L, "wait", wait_for);
  lua_register(L, "arrived", arrived);
  run_chunk(L, "return function(n) for _ = 1, n do wait() arrived() end end",
            0);
  thread = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, n);
  lua_xmove(L, thread, 2);
  if (uv_async_init(loop, &async, resume) != 0)
    fail("no handle");
  async.data = thread;
  start_settler(n, send_it, &id);
  if (lua_resume(thread, NULL, 1, &nresults) != LUA_YIELD)
    fail("the thread does not wait");
  uv_run(loop, UV_RUN_DEFAULT);
  print_median(&id);
  lua_close(L);
  return 0;
}
