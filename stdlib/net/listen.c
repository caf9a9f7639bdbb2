/*
** listen.c - listeners: sockets on which connections come in.
**
** The listener accepts by itself until as many connections as it may keep are
** waiting for `accept`; the rest wait in the kernel.
*/
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net.h"

#define MOST_WAITING 64 /* accepted, but not asked for */
#define PATH_SIZE sizeof((struct sockaddr_un *)NULL)->sun_path

static const char class_key = 0; /* of Listener, in the registry */

/* The handle lives on its own: its `data` is the listener, or NULL. */
typedef struct listener {
  union {
    uv_handle_t any;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } *handle; /* NULL: closed */
  neap_vm *vm;
  const stream_api *streams;
  stream_transport *waiting[MOST_WAITING]; /* a ring */
  int first;
  int count;
  int most;     /* that may wait */
  int nodelay;
  int held;     /* one more is in libuv's hands */
  int status;   /* the last error of accept(2), or 0 */
  neap_wait wait;
} listener;

static void listener_close(listener *l) {
  if (l->handle == NULL)
    return;
  net__handle_close(l->vm, &l->handle->any);
  l->handle = NULL;
  for (; l->count > 0; l->count--) {
    stream_transport *t = l->waiting[l->first];
    t->ops->close(t);
    l->first = (l->first + 1) % MOST_WAITING;
  }
  (void)neap_wake(&l->wait);
}

static listener *check(lua_State *L) {
  listener *l = (listener *)module_object_p(L, 1, &class_key);
  luaL_argexpected(L, l != NULL, 1, "Listener");
  return l;
}

/* {======================================================
** Accepting
** ======================================================= */

/* Takes the connection that libuv has. */
static void take_in(listener *l) {
  uv_handle_type type = l->handle->any.type;
  uv_loop_t *loop = l->handle->any.loop;
  stream_uv *u = l->streams->uv_new(l->vm, type);
  l->held = u == NULL;
  if (u == NULL)
    return;
  if (type == UV_TCP)
    (void)uv_tcp_init(loop, &u->handle.tcp); /* cannot fail */
  else
    (void)uv_pipe_init(loop, &u->handle.pipe, 0); /* nor this */
  if (uv_accept(&l->handle->stream, &u->handle.stream) != 0) {
    u->transport.ops->close(&u->transport);
    return;
  }
  if (l->nodelay && type == UV_TCP)
    (void)uv_tcp_nodelay(&u->handle.tcp, 1); /* no more than a wish */
  u->transport.ops->ref(&u->transport, 0);
  l->waiting[(l->first + l->count) % MOST_WAITING] = &u->transport;
  l->count++;
}

static void comes(uv_stream_t *handle, int status) {
  listener *l = (listener *)handle->data;
  if (uv_is_closing((uv_handle_t *)handle))
    return;
  if (status != 0)
    l->status = status;
  else if (l->count < l->most)
    take_in(l);
  else
    l->held = 1;
  (void)neap_wake(&l->wait);
}

static void leave(neap_wait *wait) {
  listener *l = (listener *)((char *)wait - offsetof(listener, wait));
  if (l->handle != NULL)
    uv_unref(&l->handle->any);
}

static int accept_next(lua_State *L, listener *l);

static int go_on(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  leave(&((listener *)ctx)->wait);
  return accept_next(L, (listener *)ctx);
}

static int accept_next(lua_State *L, listener *l) {
  Stream *s;
  int status = l->status;
  if (l->handle == NULL)
    return 0;
  module_check(L, NEAP_CAN_NET, "listen"); /* it may have gone meanwhile */
  if (l->held && l->count < l->most)
    take_in(l);
  if (l->count > 0) {
    s = l->streams->create(L, NULL, NEAP_CAN_NET);
    l->streams->attach(s, l->waiting[l->first]);
    l->first = (l->first + 1) % MOST_WAITING;
    l->count--;
    return 1;
  }
  if (l->held) /* libuv polls no more until it is taken: to be asked again */
    return luaL_error(L, "not enough memory");
  if (status != 0) {
    l->status = 0;
    return module_os_error(L, status, "accept", NULL, NULL);
  }
  uv_ref(&l->handle->any);
  l->wait.cancel = leave;
  l->wait.what = "a connection to come";
  return neap_suspend(L, &l->wait, HUGE_VAL, (lua_KContext)l, go_on);
}

/* Lua: accept(listener) -> stream; nothing: the listener is closed */
static int listener_accept(lua_State *L) {
  return accept_next(L, check(L));
}

/* ====================================================== } */

static listener *listener_new(lua_State *L, uv_handle_type type) {
  uv_loop_t *loop = net__loop(L);
  listener *l = (listener *)lua_newuserdatauv(L, sizeof *l, 0);
  memset(l, 0, sizeof *l);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &class_key);
  lua_setmetatable(L, -2);
  l->vm = neap_from_lua(L);
  l->streams = net__streams(L);
  l->handle = malloc(uv_handle_size(type));
  if (l->handle == NULL)
    luaL_error(L, "not enough memory");
  if (type == UV_TCP)
    (void)uv_tcp_init(loop, &l->handle->tcp); /* cannot fail */
  else
    (void)uv_pipe_init(loop, &l->handle->pipe, 0); /* nor this */
  l->handle->any.data = l;
  uv_unref(&l->handle->any);
  return l;
}

static int check_backlog(lua_State *L, int arg) {
  return (int)module_integer(L, arg, "listen", "backlog", 1, 65535);
}

static int begin(listener *l, int backlog, lua_Integer most) {
  l->most = most < MOST_WAITING ? (int)most : MOST_WAITING;
  return uv_listen(&l->handle->stream, backlog, comes);
}

/* uv_tcp_bind is too late for it. */
static int reuse_port(listener *l, int family) {
  int on = 1, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), status;
  if (fd < 0)
    return uv_translate_sys_error(errno);
  status = setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0
               ? uv_tcp_open(&l->handle->tcp, fd)
               : uv_translate_sys_error(errno);
  if (status != 0)
    (void)close(fd); /* nothing was written */
  return status;
}

/* Lua: listen(host, port, backlog, most, nodelay, reuseport) -> listener. One
   for IPv6 is for that alone: the server has another one. */
static int listen_tcp(lua_State *L) {
  net__sockaddr address;
  listener *l;
  int status = 0, backlog = check_backlog(L, 3);
  lua_Integer most = luaL_optinteger(L, 4, MOST_WAITING);
  module_check(L, NEAP_CAN_NET, "listen");
  net__check_address(L, 1, "listen", &address);
  l = listener_new(L, UV_TCP);
  l->nodelay = lua_toboolean(L, 5);
  if (lua_toboolean(L, 6))
    status = reuse_port(l, address.any.sa_family);
  if (status == 0)
    status = uv_tcp_bind(&l->handle->tcp, &address.any,
                         address.any.sa_family == AF_INET6 ? UV_TCP_IPV6ONLY
                                                           : 0);
  if (status == 0)
    status = begin(l, backlog, most);
  if (status == 0)
    return 1;
  listener_close(l);
  return net__error(L, status, "listen", &address);
}

/* Libuv says EACCES also where the folder is missing. */
static int bind_path(uv_pipe_t *pipe, const char *path) {
  int status = uv_pipe_bind(pipe, path);
  const char *end = strrchr(path, '/');
  char folder[PATH_SIZE];
  if (status != UV_EACCES || end == NULL)
    return status;
  (void)snprintf(folder, sizeof folder, "%.*s", (int)(end - path) + 1, path);
  return access(folder, F_OK) != 0 ? uv_translate_sys_error(errno) : status;
}

/* Makes a relative path absolute where that is not too long: libuv removes the
   name at the end, and the process may be in another folder then. */
static const char *absolute(const char *path, char *buffer) {
  size_t len = PATH_SIZE;
  if (*path == '/' || uv_cwd(buffer, &len) != 0 ||
      len + 1 + strlen(path) >= PATH_SIZE)
    return path;
  buffer[len] = '/';
  strcpy(buffer + len + 1, path);
  return buffer;
}

/* Lua: listen_unix(path, backlog, most) -> listener */
static int listen_unix(lua_State *L) {
  char buffer[PATH_SIZE];
  const char *path = net__check_path(L, 1, "listen_unix");
  listener *l;
  int status = 0, backlog = check_backlog(L, 2);
  lua_Integer most = luaL_optinteger(L, 3, MOST_WAITING);
  module_check(L, NEAP_CAN_NET, "listen_unix");
  l = listener_new(L, UV_NAMED_PIPE);
  if (strlen(path) >= PATH_SIZE)
    status = UV_ENAMETOOLONG;
  if (status == 0)
    status = bind_path(&l->handle->pipe, absolute(path, buffer));
  if (status == 0)
    status = begin(l, backlog, most);
  if (status == 0)
    return 1;
  listener_close(l);
  return module_os_error(L, status, "listen", "address", path);
}

/* Lua: address(listener) -> host, port, or path */
static int listener_address(lua_State *L) {
  listener *l = check(L);
  char path[NET__ADDRESS_SIZE];
  size_t size = sizeof path - 1;
  net__sockaddr address;
  int len = sizeof address;
  if (l->handle == NULL)
    return 0;
  if (l->handle->any.type == UV_TCP) {
    if (uv_tcp_getsockname(&l->handle->tcp, &address.any, &len) != 0)
      return 0;
    return net__push_address(L, &address.any);
  }
  if (uv_pipe_getsockname(&l->handle->pipe, path, &size) != 0)
    return 0;
  lua_pushlstring(L, path, size);
  return 1;
}

/* Lua: close(listener), and __gc */
static int lua_listener_close(lua_State *L) {
  listener_close(check(L));
  return 0;
}

const luaL_Reg net__listen_functions[] = {
    {"accept", listener_accept},      {"close_listener", lua_listener_close},
    {"listen", listen_tcp},           {"listen_unix", listen_unix},
    {"listener_address", listener_address}, {NULL, NULL}};

void net__listen_init(lua_State *L) {
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, lua_listener_close);
  lua_setfield(L, -2, "__gc");
  lua_pushliteral(L, "Listener");
  lua_setfield(L, -2, "__name");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &class_key);
}
