/*
** watch.c - the class Watcher: what happens to a file, or to those in a
** folder, as the system tells libuv.
**
** The handle is in memory of its own, freed by its close callback; its owner
** is the userdata, or NULL when that is closed. It keeps the loop alive only
** while a task waits for it.
*/
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/inotify.h>
#include <sys/ioctl.h>
#endif

#include "fs.h"

#define MOST_EVENTS 1024 /* that nobody has asked for yet */
#define LIBUV_READS 4096 /* bytes of events, at a time */

typedef struct event {
  struct event *next;
  const char *kind; /* static */
  char name[];
} event;

typedef struct watch_handle {
  uv_fs_event_t event;
  neap_vm *vm;
  struct watcher *owner;
} watch_handle;

/* A Watcher; its user value is its path. */
typedef struct watcher {
  watch_handle *handle; /* NULL: closed */
  neap_wait wait;       /* who asks for the next event */
  event *first, *last;
  size_t count, most;
  int overflow; /* some were dropped behind these */
  int status;   /* it failed: a code of libuv's */
} watcher;

static void handle_closed(uv_handle_t *handle) {
  neap_vm *vm = ((watch_handle *)handle->data)->vm;
  free(handle->data);
  neap_loop_release(vm);
}

static void end(watcher *w) {
  watch_handle *h = w->handle;
  while (w->first != NULL) {
    event *next = w->first->next;
    free(w->first);
    w->first = next;
  }
  w->last = NULL;
  w->count = 0;
  w->overflow = 0;
  w->handle = NULL;
  if (h == NULL)
    return;
  h->owner = NULL;
  uv_close((uv_handle_t *)&h->event, handle_closed);
  (void)neap_wake(&w->wait);
}

static void add(watcher *w, const char *kind, const char *name) {
  size_t len = strlen(name) + 1;
  event *e;
  if (w->overflow || (w->last != NULL && w->last->kind == kind &&
                      strcmp(w->last->name, name) == 0))
    return; /* the same again says nothing new */
  e = w->count < w->most ? (event *)malloc(sizeof *e + len) : NULL;
  if (e == NULL) {
    w->overflow = 1;
    return;
  }
  e->next = NULL;
  e->kind = kind;
  memcpy(e->name, name, len);
  if (w->last != NULL)
    w->last->next = e;
  else
    w->first = e;
  w->last = e;
  w->count++;
}

#if defined(__linux__)

static void on_event(uv_fs_event_t *handle, const char *name, int events,
                     int status);

static void overflow(uv_handle_t *handle, void *unused) {
  watcher *w;
  (void)unused;
  if (handle->type != UV_FS_EVENT ||
      ((uv_fs_event_t *)handle)->cb != on_event ||
      (w = ((watch_handle *)handle->data)->owner) == NULL)
    return;
  w->overflow = 1;
  (void)neap_wake(&w->wait);
}

/* How many events the kernel keeps, for all watchers of a loop together. */
static long queue_size(void) {
  static _Atomic long size; /* 0: not known yet */
  if (size == 0) {
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    long most;
    size = file != NULL && fscanf(file, "%ld", &most) == 1 ? most : 16384;
    if (file != NULL)
      (void)fclose(file); /* it was only read */
  }
  return size;
}

/* The kernel drops what there is no room for. It says so, but libuv does not:
   all watchers have lost something where the queue may have been full. */
static void look_for_overflow(uv_loop_t *loop) {
  int bytes, least = (int)sizeof(struct inotify_event);
  if (ioctl(loop->inotify_fd, FIONREAD, &bytes) == 0 &&
      bytes / least >= queue_size() - LIBUV_READS / least)
    uv_walk(loop, overflow, NULL);
}

#else

static void look_for_overflow(uv_loop_t *loop) { (void)loop; }

#endif

static void on_event(uv_fs_event_t *handle, const char *name, int events,
                     int status) {
  static const char change[] = "change", rename[] = "rename";
  watcher *w = ((watch_handle *)handle->data)->owner;
  if (w == NULL)
    return;
  look_for_overflow(handle->loop);
  if (status < 0)
    w->status = status;
  else
    add(w, events & UV_RENAME ? rename : change, name != NULL ? name : "");
  (void)neap_wake(&w->wait);
}

static watcher *check(lua_State *L, const char *function) {
  watcher *w = (watcher *)module_object(L, 1, lua_upvalueindex(1));
  if (w == NULL)
    module_refuse(L, "Watcher.%s: a Watcher expected, got %s; write "
                  "watcher:%s()", function, luaL_typename(L, 1), function);
  return w;
}

static void set_waiting(watcher *w, int waits) {
  if (w->handle != NULL && waits)
    uv_ref((uv_handle_t *)&w->handle->event);
  else if (w->handle != NULL)
    uv_unref((uv_handle_t *)&w->handle->event);
}

static void cancel(neap_wait *wait) {
  set_waiting((watcher *)((char *)wait - offsetof(watcher, wait)), 0);
}

static int again(lua_State *L, int status, lua_KContext ctx);

/* Gives the next event, or waits for it. */
static int take(lua_State *L, watcher *w) {
  event *e = w->first;
  if (e != NULL) {
    lua_pushstring(L, e->kind);
    lua_pushstring(L, e->name);
    w->first = e->next;
    if (w->first == NULL)
      w->last = NULL;
    w->count--;
    free(e);
    return 2;
  }
  if (w->handle == NULL) {
    lua_pushnil(L);
    return 1;
  }
  if (w->overflow) {
    w->overflow = 0;
    lua_pushliteral(L, "overflow");
    return 1;
  }
  if (w->status != 0) {
    lua_getiuservalue(L, 1, 1);
    return module_os_error(L, w->status, "watch", "path", lua_tostring(L, -1));
  }
  set_waiting(w, 1);
  w->wait.cancel = cancel;
  w->wait.what = "a change of files";
  return neap_suspend(L, &w->wait, HUGE_VAL, (lua_KContext)w, again);
}

static int again(lua_State *L, int status, lua_KContext ctx) {
  watcher *w = (watcher *)ctx;
  (void)status;
  set_waiting(w, 0);
  return take(L, w);
}

/* Lua: watcher:next() -> kind, name; nil when it is closed */
int fs__watcher_next(lua_State *L) {
  watcher *w = check(L, "next");
  if (w->wait.pending)
    return module_refuse(L, "Watcher.next: another task waits for its events");
  module_check(L, NEAP_CAN_FS, "Watcher.next");
  return take(L, w);
}

/* Lua: watcher:close(); __close; __gc */
static int watcher_close(lua_State *L) {
  end(check(L, "close"));
  return 0;
}

/* Lua: __tostring */
static int watcher_tostring(lua_State *L) {
  watcher *w = check(L, "__tostring");
  lua_getiuservalue(L, 1, 1);
  lua_pushfstring(L, "<Watcher '%s'%s>", lua_tostring(L, -1),
                  w->handle == NULL ? " closed" : "");
  return 1;
}

/* Makes the handle. 0, or what failed. */
static int handle_open(watcher *w, neap_vm *vm, const char *path) {
  watch_handle *h;
  uv_loop_t *loop;
  int status = neap_loop(vm, &loop);
  if (status != NEAP_OK)
    return status == NEAP_ENOMEM    ? UV_ENOMEM
           : status == NEAP_ECLOSED ? UV_ECANCELED
                                    : UV_EMFILE;
  if ((h = (watch_handle *)malloc(sizeof *h)) == NULL)
    return UV_ENOMEM;
  (void)uv_fs_event_init(loop, &h->event); /* cannot fail */
  neap_loop_retain(vm);
  h->event.data = h;
  h->vm = vm;
  h->owner = w;
  w->handle = h;
  status = uv_fs_event_start(&h->event, on_event, path, 0);
  if (status != 0)
    end(w);
  else
    uv_unref((uv_handle_t *)&h->event);
  return status;
}

/* Lua: watch(path [, options]) -> a Watcher, nil, nil, and again the Watcher:
   for `for`, which calls the first and closes the last */
int fs__watch(lua_State *L) {
  static const char function[] = "fs.watch";
  static const char *const known[] = {"limit", NULL};
  const char *path = module_path(L, 1, function, "path");
  lua_Integer most = MOST_EVENTS;
  watcher *w;
  int status;
  module_options(L, 2, function, known);
  if (!lua_isnil(L, 3))
    most = module_integer(L, 3, function, "limit", 1, FS__MOST);
  module_check(L, NEAP_CAN_FS, function);
  w = (watcher *)lua_newuserdatauv(L, sizeof *w, 1);
  memset(w, 0, sizeof *w);
  w->most = (size_t)most;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  status = handle_open(w, neap_from_lua(L), path);
  if (status != 0)
    return module_os_error(L, status, "watch", "path", path);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, -3);
  return 4;
}

void fs__watcher_class(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__call", fs__watcher_next},
                                         {"__close", watcher_close},
                                         {"__gc", watcher_close},
                                         {"__tostring", watcher_tostring},
                                         {NULL, NULL}};
  static const luaL_Reg methods[] = {{"close", watcher_close}, {NULL, NULL}};
  module_class(L, "Watcher", metamethods, methods);
}
