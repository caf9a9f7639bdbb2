/*
** connect.c - one attempt to connect: to an address, or a Unix socket.
**
** The Stream is there from the start. Connecting is a write of its transport:
** it ends by `written`, and wakes the stream's writer.
*/
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "net.h"

const stream_api *net__streams(lua_State *L) {
  return (const stream_api *)lua_touserdata(L, lua_upvalueindex(1));
}

static void connected(uv_connect_t *request, int status) {
  stream_transport *t = (stream_transport *)request->handle->data;
  free(request);
  if (t->owner != NULL)
    t->up->written(t->owner, status);
}

static Stream *stream_of(neap_wait *wait) {
  return (Stream *)((char *)wait - offsetof(Stream, writer));
}

static void cancel(neap_wait *wait) {
  stream_transport *t = stream_of(wait)->transport;
  stream_of(wait)->transport = NULL; /* nobody else has it yet */
  if (t != NULL)
    t->ops->close(t);
}

/* Stack: what it connects to, ..., the stream */
static int fail(lua_State *L, Stream *s, int status) {
  net__sockaddr address;
  cancel(&s->writer);
  if (lua_type(L, 2) != LUA_TNUMBER)
    return module_os_error(L, status, "connect", "address",
                           lua_tostring(L, 1));
  net__check_address(L, 1, "connect", &address);
  return net__error(L, status, "connect", &address);
}

static int ended(lua_State *L, int status, lua_KContext ctx) {
  Stream *s = (Stream *)ctx;
  (void)status;
  if (s->output_status != 0)
    return fail(L, s, s->output_status);
  return 1;
}

/* Makes the handle of a stream, which is at the top. */
static stream_uv *handle_new(lua_State *L, Stream *s, uv_handle_type type) {
  const stream_api *streams = net__streams(L);
  uv_loop_t *loop = net__loop(L);
  stream_uv *u = streams->uv_new(s->vm, type);
  if (u == NULL)
    luaL_error(L, "not enough memory");
  if (type == UV_TCP)
    (void)uv_tcp_init(loop, &u->handle.tcp); /* cannot fail */
  else
    (void)uv_pipe_init(loop, &u->handle.pipe, 0); /* nor this */
  streams->attach(s, &u->transport);
  return u;
}

static int wait_for(lua_State *L, Stream *s) {
  s->writer.cancel = cancel;
  s->writer.what = "a connection";
  return neap_suspend(L, &s->writer, HUGE_VAL, (lua_KContext)s, ended);
}

static uv_connect_t *request_new(lua_State *L) {
  uv_connect_t *request = (uv_connect_t *)malloc(sizeof *request);
  if (request == NULL)
    luaL_error(L, "not enough memory");
  return request;
}

/* Lua: connect(host, port, nodelay [, local host, local port]) */
static int connect_tcp(lua_State *L) {
  net__sockaddr address, local;
  int status = 0, has_local = !lua_isnoneornil(L, 4);
  Stream *s;
  stream_uv *u;
  module_check(L, NEAP_CAN_NET, "connect");
  net__check_address(L, 1, "connect", &address);
  if (has_local)
    net__check_address(L, 4, "connect", &local);
  s = net__streams(L)->create(L, NULL, NEAP_CAN_NET);
  u = handle_new(L, s, UV_TCP);
  if (has_local)
    status = uv_tcp_bind(&u->handle.tcp, &local.any, 0);
  if (status == 0) {
    uv_connect_t *request = request_new(L);
    status = uv_tcp_connect(request, &u->handle.tcp, &address.any, connected);
    if (status != 0)
      free(request);
  }
  if (status == 0 && lua_toboolean(L, 3))
    (void)uv_tcp_nodelay(&u->handle.tcp, 1); /* no more than a wish */
  return status != 0 ? fail(L, s, status) : wait_for(L, s);
}

/* Lua: connect_unix(path) */
static int connect_unix(lua_State *L) {
  const char *path = net__check_path(L, 1, "connect_unix");
  Stream *s;
  stream_uv *u;
  uv_connect_t *request;
  module_check(L, NEAP_CAN_NET, "connect_unix");
  lua_settop(L, 2);
  s = net__streams(L)->create(L, NULL, NEAP_CAN_NET);
  if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
    return fail(L, s, UV_ENAMETOOLONG);
  u = handle_new(L, s, UV_NAMED_PIPE);
  request = request_new(L);
  uv_pipe_connect(request, &u->handle.pipe, path, connected);
  return wait_for(L, s);
}

const luaL_Reg net__connect_functions[] = {
    {"connect", connect_tcp}, {"connect_unix", connect_unix}, {NULL, NULL}};
