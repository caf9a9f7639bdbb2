/*
** multi.c - libcurl's multi interface on the VM's loop: a uv_poll_t for each
** of its sockets, one uv_timer_t for all its deadlines.
*/
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "curl.h"

#if defined(__GNUC__)
#define HTTP_API __attribute__((visibility("default")))
#else
#define HTTP_API
#endif

HTTP_API int luaopen_http_curl(lua_State *L);

#define MULTI_TYPE "http.curl.multi"

/* {======================================================
** The loop
** ======================================================= */

/* Looks which transfers have ended. */
static void reap(http__multi *m) {
  CURLMsg *message;
  int left;
  while (m->curl != NULL &&
         (message = curl_multi_info_read(m->curl, &left)) != NULL) {
    http__transfer *t;
    CURLcode code = message->data.result; /* the message goes with the next */
    if (message->msg == CURLMSG_DONE &&
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t) ==
            CURLE_OK)
      http__transfer_finish(t, code);
  }
}

static void socket_ready(uv_poll_t *poll, int status, int events) {
  http__watcher *w = (http__watcher *)poll->data;
  http__multi *m = w->multi;
  int flags = 0, running;
  uv_os_fd_t fd;
  if (uv_fileno((uv_handle_t *)poll, &fd) != 0)
    return;
  if (status < 0) /* curl finds out what, when it tries */
    flags = CURL_CSELECT_IN | CURL_CSELECT_OUT;
  if (events & UV_READABLE)
    flags |= CURL_CSELECT_IN;
  if (events & UV_WRITABLE)
    flags |= CURL_CSELECT_OUT;
  (void)curl_multi_socket_action(m->curl, fd, flags, &running);
  reap(m);
}

static void go_on(http__multi *m) {
  int running;
  (void)curl_multi_socket_action(m->curl, CURL_SOCKET_TIMEOUT, 0, &running);
  reap(m);
}

static void time_passed(uv_timer_t *timer) {
  go_on(((http__ticker *)timer->data)->multi);
}

static void soon(uv_idle_t *idle) {
  (void)uv_idle_stop(idle); /* cannot fail */
  go_on(((http__ticker *)idle->data)->multi);
}

static void watcher_closed(uv_handle_t *handle) {
  http__watcher *w = (http__watcher *)handle->data;
  neap_vm *vm = w->vm;
  free(w);
  neap_loop_release(vm);
}

static void ticker_closed(uv_handle_t *handle) {
  http__ticker *ticker = (http__ticker *)handle->data;
  neap_vm *vm = ticker->vm;
  if (--ticker->open > 0)
    return;
  free(ticker);
  neap_loop_release(vm);
}

/* Makes the watcher of a descriptor; NULL: no memory, or the loop cannot
   watch it. */
static http__watcher *watcher_new(http__multi *m, int fd) {
  http__watcher *w;
  if (fd >= m->watchers_size) {
    int size = fd < 32 ? 64 : fd * 2;
    http__watcher **watchers =
        (http__watcher **)realloc(m->watchers, (size_t)size * sizeof *watchers);
    if (watchers == NULL)
      return NULL;
    memset(watchers + m->watchers_size, 0,
           (size_t)(size - m->watchers_size) * sizeof *watchers);
    m->watchers = watchers;
    m->watchers_size = size;
  }
  if ((w = (http__watcher *)malloc(sizeof *w)) == NULL)
    return NULL;
  if (uv_poll_init(m->loop, &w->poll, fd) != 0) {
    free(w);
    return NULL;
  }
  neap_loop_retain(m->vm);
  w->poll.data = w;
  w->vm = m->vm;
  w->multi = m;
  w->events = 0;
  w->inode = 0;
  m->watchers[fd] = w;
  return w;
}

static http__watcher *watcher_of(const http__multi *m, int fd) {
  return fd < m->watchers_size ? m->watchers[fd] : NULL;
}

/* Before the descriptor is closed: afterwards it may be somebody else's. */
static void watcher_drop(http__multi *m, int fd) {
  http__watcher *w = watcher_of(m, fd);
  if (w == NULL)
    return;
  m->watchers[fd] = NULL;
  uv_close((uv_handle_t *)&w->poll, watcher_closed);
}

static ino_t inode_of(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

static int start(http__watcher *w, int events) {
  w->events = events;
  return events == 0 ? uv_poll_stop(&w->poll)
                     : uv_poll_start(&w->poll, events, socket_ready);
}

/* Curl: what it wants to know of a socket. Between two requests it wants
   nothing: a connection's watcher stays for the next one; unless curl 7.88
   has closed a socket that did not connect, which it does not tell. */
static int watch(CURL *easy, curl_socket_t fd, int what, void *ud,
                 void *socket_ud) {
  http__multi *m = (http__multi *)ud;
  http__watcher *w = watcher_of(m, fd);
  int events = 0;
  (void)easy;
  (void)socket_ud;
  if (what == CURL_POLL_REMOVE) {
    if (w != NULL && w->inode != 0 && w->inode == inode_of(fd))
      (void)start(w, 0); /* cannot fail */
    else
      watcher_drop(m, fd);
    return 0;
  }
  if (w == NULL && (w = watcher_new(m, fd)) == NULL)
    return -1; /* curl ends the transfer */
  if (what & CURL_POLL_IN)
    events |= UV_READABLE;
  if (what & CURL_POLL_OUT)
    events |= UV_WRITABLE;
  return start(w, events) == 0 ? 0 : -1;
}

/* Curl: a socket for a connection. If there is a watcher, it was for a
   socket that did not connect (see above): curl, which goes by the number,
   believes that it watches the new one. */
static curl_socket_t open_socket(void *ud, curlsocktype purpose,
                                 struct curl_sockaddr *address) {
  http__multi *m = (http__multi *)ud;
  http__watcher *w;
  int fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
                  address->protocol);
  int events = 0;
  (void)purpose;
  if (fd < 0)
    return CURL_SOCKET_BAD;
  if ((w = watcher_of(m, fd)) != NULL) {
    events = w->events;
    watcher_drop(m, fd);
  }
  w = watcher_new(m, fd);
  if (w == NULL || start(w, events) != 0) {
    watcher_drop(m, fd);
    (void)close(fd); /* nothing was written to it */
    return CURL_SOCKET_BAD;
  }
  w->inode = inode_of(fd);
  return fd;
}

static int close_socket(void *ud, curl_socket_t fd) {
  watcher_drop((http__multi *)ud, fd);
  return close(fd);
}

/* Curl: when it wants to be called, in milliseconds; -1: no more. It says 0
   after each piece that it has read of what comes fast: not by a timer, since
   libuv runs one that is due again in its own callback without end. */
static int set_timer(CURLM *curl, long ms, void *ud) {
  http__multi *m = (http__multi *)ud;
  http__ticker *ticker = m->ticker;
  (void)curl; /* nothing here can fail */
  (void)uv_timer_stop(&ticker->timer);
  (void)uv_idle_stop(&ticker->soon);
  if (ms == 0)
    (void)uv_idle_start(&ticker->soon, soon);
  else if (ms > 0) {
    uv_update_time(m->loop); /* may be old: a step can take long */
    (void)uv_timer_start(&ticker->timer, time_passed, (uint64_t)ms, 0);
  }
  return 0;
}

/* ====================================================== } */

/* {======================================================
** Easy handles
** ======================================================= */

CURL *http__handle_take(http__multi *m) {
  CURL *easy =
      m->idle_count > 0 ? m->idle[--m->idle_count] : curl_easy_init();
  if (easy != NULL &&
      curl_easy_setopt(easy, CURLOPT_SHARE, m->share) != CURLE_OK) {
    curl_easy_cleanup(easy);
    return NULL;
  }
  return easy;
}

void http__handle_set_sockets(lua_State *L, http__multi *m, CURL *easy) {
  if (curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) ||
      curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, m) ||
      curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket) ||
      curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, m))
    luaL_error(L, "not enough memory for libcurl");
}

void http__handle_give(http__multi *m, CURL *easy) {
  if (m->idle_count == HTTP__IDLE_HANDLES) {
    curl_easy_cleanup(easy);
    return;
  }
  /* curl 7.88 leaks the list of cookie files in a reset; without that it
     lets go of the shared cookies, until it is given the share again */
  (void)curl_easy_setopt(easy, CURLOPT_COOKIEFILE, NULL);
  curl_easy_reset(easy);
  m->idle[m->idle_count++] = easy;
}

/* ====================================================== } */

/* {======================================================
** What scripts may do
** ======================================================= */

static void check(lua_State *L, unsigned capability, const char *name) {
  if (!neap_can(neap_from_lua(L), capability))
    luaL_error(L, "http: the capability %s is not granted", name);
}

void http__check_net(lua_State *L) { check(L, NEAP_CAN_NET, "net"); }
void http__check_fs(lua_State *L) { check(L, NEAP_CAN_FS, "fs"); }

void http__class_new(lua_State *L, const char *name, const luaL_Reg *methods,
                     const luaL_Reg *metamethods) {
  luaL_newmetatable(L, name);
  luaL_setfuncs(L, metamethods, 0);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

/* ====================================================== } */

/* {======================================================
** Life
** ======================================================= */

http__multi *http__multi_check(lua_State *L) {
  return (http__multi *)luaL_checkudata(L, 1, MULTI_TYPE);
}

/* Frees all that it has; also one that is half made, or closed. What curl's
   sockets and timer need goes after curl has let go of it. */
static void multi_close(http__multi *m) {
  CURLM *curl = m->curl;
  int i;
  while (m->transfers != NULL)
    http__transfer_end(m->transfers, "closed", NULL, "the session is closed");
  m->curl = NULL;
  for (i = 0; i < m->idle_count; i++)
    curl_easy_cleanup(m->idle[i]);
  m->idle_count = 0;
  if (curl != NULL)
    (void)curl_multi_cleanup(curl);
  if (m->share != NULL)
    (void)curl_share_cleanup(m->share);
  m->share = NULL;
  for (i = 0; i < m->watchers_size; i++)
    watcher_drop(m, i);
  free(m->watchers);
  m->watchers = NULL;
  m->watchers_size = 0;
  if (m->ticker != NULL) {
    uv_close((uv_handle_t *)&m->ticker->timer, ticker_closed);
    uv_close((uv_handle_t *)&m->ticker->soon, ticker_closed);
  }
  m->ticker = NULL;
}

/* Lua: multi:close(); __close; __gc */
static int lua_multi_close(lua_State *L) {
  multi_close(http__multi_check(L));
  return 0;
}

static int set_up(http__multi *m, long limit, long limit_per_host) {
  m->share = curl_share_init();
  m->ticker = (http__ticker *)malloc(sizeof *m->ticker);
  if (m->ticker == NULL)
    return 0;
  (void)uv_timer_init(m->loop, &m->ticker->timer); /* cannot fail */
  (void)uv_idle_init(m->loop, &m->ticker->soon);   /* nor this */
  m->ticker->timer.data = m->ticker->soon.data = m->ticker;
  neap_loop_retain(m->vm);
  m->ticker->open = 2;
  m->ticker->vm = m->vm;
  m->ticker->multi = m;
  m->curl = curl_multi_init();
  return m->share != NULL && m->curl != NULL &&
         curl_share_setopt(m->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE) ==
             CURLSHE_OK &&
         curl_share_setopt(m->share, CURLSHOPT_SHARE,
                           CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK &&
         curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, watch) ==
             CURLM_OK &&
         curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m) == CURLM_OK &&
         curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, set_timer) ==
             CURLM_OK &&
         curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m) == CURLM_OK &&
         curl_multi_setopt(m->curl, CURLMOPT_MAX_TOTAL_CONNECTIONS, limit) ==
             CURLM_OK &&
         curl_multi_setopt(m->curl, CURLMOPT_MAX_HOST_CONNECTIONS,
                           limit_per_host) == CURLM_OK &&
         (limit == 0 || curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS,
                                          limit) == CURLM_OK);
}

static long check_limit(lua_State *L, const char *name, lua_Integer standard) {
  lua_Integer limit;
  lua_getfield(L, 1, name);
  limit = luaL_optinteger(L, -1, standard);
  lua_pop(L, 1);
  return (long)(limit > 1000000 ? 1000000 : limit);
}

/* Lua: multi{limit=, limit_per_host=} -> multi. How many connections there
   may be at once, in all (100) and to one host (0: any number). */
static int multi_new(lua_State *L) {
  long limit, limit_per_host;
  http__multi *m;
  http__check_net(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  limit = check_limit(L, "limit", 100);
  limit_per_host = check_limit(L, "limit_per_host", 0);
  m = (http__multi *)lua_newuserdatauv(L, sizeof *m, 0);
  memset(m, 0, sizeof *m);
  luaL_setmetatable(L, MULTI_TYPE);
  m->vm = neap_from_lua(L);
  if (neap_loop(m->vm, &m->loop) != NEAP_OK)
    return luaL_error(L, "cannot open an event loop");
  if (!set_up(m, limit, limit_per_host))
    return luaL_error(L, "not enough memory for libcurl");
  return 1;
}

/* Lua: a curl_slist, light userdata -> a list of its strings */
static int push_list(lua_State *L) {
  const struct curl_slist *each = (struct curl_slist *)lua_touserdata(L, 1);
  lua_Integer i;
  lua_newtable(L);
  for (i = 1; each != NULL; each = each->next, i++) {
    lua_pushstring(L, each->data);
    lua_rawseti(L, -2, i);
  }
  return 1;
}

/* Lua: multi:cookies() -> list of all cookies, as lines of a cookie file */
static int multi_cookies(lua_State *L) {
  http__multi *m = http__multi_check(L);
  struct curl_slist *list = NULL;
  CURL *easy = m->curl == NULL ? NULL : http__handle_take(m);
  int status;
  if (easy == NULL)
    return luaL_error(L, "the session is closed, or memory has ended");
  status = curl_easy_getinfo(easy, CURLINFO_COOKIELIST, &list) == CURLE_OK;
  http__handle_give(m, easy);
  if (!status)
    return luaL_error(L, "not enough memory for libcurl");
  lua_pushcfunction(L, push_list); /* the list is freed in any case */
  lua_pushlightuserdata(L, list);
  status = lua_pcall(L, 1, 1, 0);
  curl_slist_free_all(list);
  return status == LUA_OK ? 1 : lua_error(L);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode started;

/* Never undone: other code of the process may use curl as well. */
static void start_curl(void) {
  started = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int luaopen_http_curl(lua_State *L) {
  static const luaL_Reg functions[] = {{"convert", http__convert},
                                       {"multi", multi_new},
                                       {"url", http__url},
                                       {NULL, NULL}};
  static const luaL_Reg methods[] = {{"close", lua_multi_close},
                                     {"cookies", multi_cookies},
                                     {"start", http__transfer_start},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__close", lua_multi_close},
                                         {"__gc", lua_multi_close},
                                         {NULL, NULL}};
  if (pthread_once(&once, start_curl) != 0 || started != CURLE_OK)
    return luaL_error(L, "libcurl cannot start: %s",
                      curl_easy_strerror(started));
  http__class_new(L, MULTI_TYPE, methods, metamethods);
  http__transfer_init(L);
  http__url_init(L);
  luaL_newlib(L, functions);
  lua_pushstring(L, curl_version());
  lua_setfield(L, -2, "version");
  lua_pushstring(L, neap_version());
  lua_setfield(L, -2, "neap_version");
  return 1;
}

/* ====================================================== } */
