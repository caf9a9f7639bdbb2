/*
** work.c - work on libuv's threads, which the calling task waits for.
**
** The work is in memory of its own, since a thread may be at it when the task
** and even Lua have gone. A userdata, the box, stands for it on the task's
** stack. The one of the two that ends last frees it: the box, when `done` is
** over or nobody waits any longer, or the request. The VM's loop is retained
** as long as the request is under way, or a watch for what it waits for.
*/
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "module.h"

#define BOX_TYPE "neap.work"

typedef struct module_work_box {
  module_work *work;
} module_work_box;

/* Has the loop tell when the work can go on; freed by its close callback. */
typedef struct module_work_watch {
  uv_poll_t handle;
  neap_vm *vm;
} module_work_watch;

static void begin(module_work *work);

/* Takes it out of its line. Returns the next, if that is to begin now. */
static module_work *leave_line(module_work *work) {
  module_line *line = work->line;
  module_work *before;
  if (line->first == work) {
    line->first = work->next;
    return work->next;
  }
  for (before = line->first; before->next != work; before = before->next)
    ;
  before->next = work->next;
  if (line->last == work)
    line->last = before;
  return NULL;
}

static void work_free(module_work *work) {
  module_work *next = work->line != NULL ? leave_line(work) : NULL;
  if (work->dispose != NULL)
    work->dispose(work);
  free(work);
  if (next != NULL)
    begin(next);
}

static void watch_closed(uv_handle_t *handle) {
  module_work_watch *watch = (module_work_watch *)handle;
  neap_loop_release(watch->vm);
  free(watch);
}

static void watch_close(module_work *work) {
  uv_close((uv_handle_t *)&work->watch->handle, watch_closed);
  work->watch = NULL;
}

/* The Lua side has no use for the work any more. */
static void box_leave(module_work_box *box) {
  module_work *work = box->work;
  box->work = NULL;
  if (work == NULL)
    return;
  work->box = NULL;
  if (work->watch != NULL) {
    watch_close(work);
    work->state = MODULE_WORK_ENDED;
  }
  if (work->state == MODULE_WORK_ENDED ||
      (work->state == MODULE_WORK_NEW && !work->to_the_end))
    work_free(work);
}

/* Lua: __gc, __close of the box */
static int box_close(lua_State *L) {
  box_leave((module_work_box *)lua_touserdata(L, 1));
  return 0;
}

/* Nobody waits any longer; the request's end still comes. */
static void cancel(neap_wait *wait) {
  module_work *work =
      (module_work *)((char *)wait - offsetof(module_work, wait));
  if (work->state == MODULE_WORK_RUNS && work->watch == NULL &&
      !work->to_the_end) {
    atomic_store(&work->cancelled, 1);
    (void)uv_cancel((uv_req_t *)&work->request); /* fails when it has begun */
  }
  box_leave(work->box);
}

static void in_thread(uv_work_t *request) {
  module_work *work = (module_work *)request->data;
  work->run(work);
}

/* What the work waits for has come, or an error, which it will see. */
static void ready(uv_poll_t *handle, int status, int events) {
  module_work *work = (module_work *)handle->data;
  (void)status;
  (void)events;
  watch_close(work);
  begin(work);
}

/* Goes on with the work when it can; without a watch that is now. */
static void go_on_later(module_work *work) {
  uv_loop_t *loop = work->request.loop;
  module_work_watch *watch = (module_work_watch *)malloc(sizeof *watch);
  int events = work->events;
  work->events = 0;
  if (watch == NULL || uv_poll_init(loop, &watch->handle, work->fd) != 0) {
    free(watch);
    work->unwatched = 1;
    begin(work);
    return;
  }
  watch->handle.data = work;
  watch->vm = work->vm;
  work->watch = watch;
  neap_loop_retain(work->vm);
  (void)uv_poll_start(&watch->handle, events, ready); /* cannot fail */
}

static void ended(uv_work_t *request, int status) {
  module_work *work = (module_work *)request->data;
  neap_vm *vm = work->vm;
  (void)status; /* UV_ECANCELED: the box has been left before */
  if (work->events != 0 && work->box != NULL)
    go_on_later(work);
  else {
    work->state = MODULE_WORK_ENDED;
    if (work->box == NULL)
      work_free(work);
    else
      (void)neap_wake(&work->wait);
  }
  neap_loop_release(vm);
}

static void begin(module_work *work) {
  work->state = MODULE_WORK_RUNS;
  neap_loop_retain(work->vm);
  /* cannot fail: it has a callback */
  (void)uv_queue_work(work->request.loop, &work->request, in_thread, ended);
}

static int finish(lua_State *L, int status, lua_KContext ctx) {
  module_work *work = ((module_work_box *)ctx)->work;
  (void)status;
  lua_toclose(L, -1); /* the box, whatever comes of the work */
  return work->done(L, work);
}

void *module_work_new(lua_State *L, size_t size) {
  void *work = calloc(1, size);
  if (work == NULL)
    luaL_error(L, "not enough memory");
  return work;
}

/* Lua: the work, light userdata -> its box */
static int box_new(lua_State *L) {
  module_work *work = (module_work *)lua_touserdata(L, 1);
  module_work_box *box =
      (module_work_box *)lua_newuserdatauv(L, sizeof *box, 0);
  int status;
  box->work = NULL;
  if (luaL_getmetatable(L, BOX_TYPE) == LUA_TNIL) {
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, box_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, box_close);
    lua_setfield(L, -2, "__close");
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, BOX_TYPE); /* when it is whole */
    lua_replace(L, -2);
  }
  lua_setmetatable(L, -2);
  work->vm = neap_from_lua(L);
  status = work->at_once ? NEAP_OK
                         : neap_loop(work->vm, &work->request.loop);
  if (status != NEAP_OK)
    return luaL_error(L, "%s", neap_strerror(status));
  status = work->at_once ? 0 : neap_threads();
  if (status != 0)
    return module_os_error(L, status, "pthread_create", NULL, NULL);
  box->work = work;
  work->box = box;
  return 1;
}

int module_work_run(lua_State *L, module_work *work) {
  module_line *line = work->line;
  work->line = NULL;
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
  if (work->at_once) {
    work->run(work);
    work->state = MODULE_WORK_ENDED;
    return finish(L, NEAP_OK, (lua_KContext)work->box);
  }
  work->request.data = work;
  work->wait.cancel = cancel;
  work->wait.what = work->what;
  work->line = line;
  if (line == NULL)
    begin(work);
  else if (line->first == NULL) {
    line->first = line->last = work;
    begin(work);
  }
  else {
    line->last->next = work;
    line->last = work;
  }
  return neap_suspend(L, &work->wait, HUGE_VAL, (lua_KContext)work->box,
                      finish);
}
