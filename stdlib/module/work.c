/*
** work.c - work on libuv's threads, which the calling task waits for.
**
** The work is in memory of its own, since a thread may be at it when the task
** and even Lua have gone. A userdata, the box, stands for it on the task's
** stack. Who of the two ends last, the request or the box, frees it.
*/
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "module.h"

#define BOX_TYPE "neap.work"

typedef struct module_work_box {
  module_work *work;
} module_work_box;

static void work_free(module_work *work) {
  if (work->dispose != NULL)
    work->dispose(work);
  free(work);
}

/* The Lua side has no use for the work any more. */
static void box_leave(module_work_box *box) {
  module_work *work = box->work;
  box->work = NULL;
  if (work == NULL)
    return;
  work->box = NULL;
  if (!work->running)
    work_free(work);
}

static int box_gc(lua_State *L) {
  box_leave((module_work_box *)lua_touserdata(L, 1));
  return 0;
}

/* Nobody waits any longer; the request's end still comes. */
static void cancel(neap_wait *wait) {
  module_work *work =
      (module_work *)((char *)wait - offsetof(module_work, wait));
  (void)uv_cancel((uv_req_t *)&work->request); /* fails when it has begun */
  box_leave(work->box);
}

static void in_thread(uv_work_t *request) {
  module_work *work = (module_work *)request->data;
  work->run(work);
}

static void ended(uv_work_t *request, int status) {
  module_work *work = (module_work *)request->data;
  (void)status; /* UV_ECANCELED: the box has been left before */
  work->running = 0;
  if (work->box == NULL)
    work_free(work);
  else
    (void)neap_wake(&work->wait);
}

static int finish(lua_State *L, int status, lua_KContext ctx) {
  module_work_box *box = (module_work_box *)ctx;
  module_work *work = box->work;
  int n = work->done(L, work); /* an error leaves the box to the collector */
  (void)status;
  box_leave(box);
  return n;
}

void *module_work_new(lua_State *L, size_t size) {
  void *work = calloc(1, size);
  if (work == NULL)
    luaL_error(L, "not enough memory");
  return work;
}

/* Lua: the work, light userdata -> its box */
static int box_new(lua_State *L) {
  module_work_box *box;
  if (luaL_newmetatable(L, BOX_TYPE)) {
    lua_pushcfunction(L, box_gc);
    lua_setfield(L, -2, "__gc");
  }
  box = (module_work_box *)lua_newuserdatauv(L, sizeof *box, 0);
  box->work = NULL;
  lua_insert(L, -2);
  lua_setmetatable(L, -2);
  box->work = (module_work *)lua_touserdata(L, 1);
  box->work->box = box;
  return 1;
}

int module_work_run(lua_State *L, module_work *work) {
  uv_loop_t *loop;
  int status;
  if (!lua_checkstack(L, LUA_MINSTACK)) {
    work_free(work);
    return luaL_error(L, "stack overflow");
  }
  lua_pushcfunction(L, box_new);
  lua_pushlightuserdata(L, work);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    work_free(work);
    return lua_error(L);
  }
  status = neap_loop(neap_from_lua(L), &loop);
  if (status != NEAP_OK)
    return luaL_error(L, "%s", neap_strerror(status));
  work->request.data = work;
  work->wait.cancel = cancel;
  work->wait.what = work->what;
  status = uv_queue_work(loop, &work->request, in_thread, ended);
  if (status != 0) /* cannot be: it has a callback */
    return luaL_error(L, "%s", uv_strerror(status));
  work->running = 1;
  return neap_suspend(L, &work->wait, HUGE_VAL, (lua_KContext)work->box,
                      finish);
}
