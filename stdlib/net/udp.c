/*
** udp.c - UDP: sockets that send and receive datagrams.
**
** A socket receives from its first `receive` on. Datagrams that nobody has
** asked for are kept, up to MOST_WAITING bytes; then the kernel has to, and
** drops what is too much for it.
*/
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"

#define LARGEST 65536         /* datagram */
#define MOST_WAITING 262144   /* bytes of datagrams, and their heads */

static const char class_key = 0; /* of UdpSocket, in the registry */

typedef struct datagram {
  struct datagram *next;
  net__sockaddr from;
  size_t len;
  char data[];
} datagram;

/* The handle lives on its own: its `data` is the socket, or, when it closes,
   the VM, which waits for that. */
typedef struct udp {
  neap_vm *vm;
  uv_udp_t *handle; /* NULL: closed */
  datagram *first;  /* waiting to be received */
  datagram *last;
  size_t waiting;   /* their bytes */
  int status;       /* an error to be raised by `receive`, or 0 */
  int receiving;
  neap_wait reader;
} udp;

static void udp_close(udp *u) {
  datagram *d;
  if (u->handle == NULL)
    return;
  net__handle_close(u->vm, (uv_handle_t *)u->handle);
  u->handle = NULL;
  while ((d = u->first) != NULL) {
    u->first = d->next;
    free(d);
  }
  (void)neap_wake(&u->reader);
}

static udp *check(lua_State *L, const char *function) {
  udp *u = (udp *)module_object_p(L, 1, &class_key);
  if (u == NULL)
    module_refuse(L, "UdpSocket.%s: a socket expected, got %s; write "
                  "socket:%s()", function, luaL_typename(L, 1), function);
  return u;
}

static udp *check_open(lua_State *L, const char *function) {
  udp *u = check(L, function);
  if (u->handle == NULL)
    module_refuse(L, "%s: the socket is closed", function);
  module_check(L, NEAP_CAN_NET, function);
  return u;
}

/* {======================================================
** Receiving
** ======================================================= */

static void room_for(uv_handle_t *handle, size_t suggested, uv_buf_t *room) {
  (void)handle;
  (void)suggested;
  *room = uv_buf_init(malloc(LARGEST), LARGEST);
  if (room->base == NULL)
    room->len = 0;
}

static void stop(udp *u) {
  (void)uv_udp_recv_stop(u->handle); /* cannot fail */
  u->receiving = 0;
}

static void keep(udp *u, const char *data, size_t len,
                 const struct sockaddr *from) {
  datagram *d = (datagram *)malloc(sizeof *d + len);
  if (d == NULL) {
    u->status = UV_ENOMEM;
    return;
  }
  d->next = NULL;
  d->len = len;
  memcpy(&d->from, from, from->sa_family == AF_INET6 ? sizeof d->from.in6
                                                     : sizeof d->from.in4);
  memcpy(d->data, data, len);
  if (u->first == NULL)
    u->first = d;
  else
    u->last->next = d;
  u->last = d;
  u->waiting += sizeof *d + len;
  if (u->waiting > MOST_WAITING)
    stop(u);
}

static void came(uv_udp_t *handle, ssize_t n, const uv_buf_t *room,
                 const struct sockaddr *from, unsigned flags) {
  udp *u = uv_is_closing((uv_handle_t *)handle) ? NULL : (udp *)handle->data;
  (void)flags;
  if (u != NULL && n < 0)
    u->status = (int)n;
  else if (u != NULL && from != NULL)
    keep(u, room->base, (size_t)n, from);
  free(room->base);
  if (u != NULL && (u->first != NULL || u->status != 0))
    (void)neap_wake(&u->reader);
}

/* Raises an OSError of where the socket is connected to. */
static int fail(lua_State *L, udp *u, int status, const char *syscall) {
  net__sockaddr peer;
  int len = sizeof peer;
  if (u->handle != NULL &&
      uv_udp_getpeername(u->handle, &peer.any, &len) == 0)
    return net__error(L, status, syscall, &peer);
  return module_os_error(L, status, syscall, NULL, NULL);
}

static void leave(neap_wait *wait) {
  udp *u = (udp *)((char *)wait - offsetof(udp, reader));
  if (u->handle != NULL)
    uv_unref((uv_handle_t *)u->handle);
}

static int take(lua_State *L, udp *u);

static int go_on(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  leave(&((udp *)ctx)->reader);
  return take(L, (udp *)ctx);
}

static int take(lua_State *L, udp *u) {
  datagram *d = u->first;
  int status = u->status;
  if (u->handle == NULL)
    return fail(L, u, UV_ECANCELED, "receive");
  if (d != NULL) {
    lua_pushlstring(L, d->data, d->len);
    (void)net__push_address(L, &d->from.any);
    u->first = d->next;
    u->waiting -= sizeof *d + d->len;
    free(d);
    return 3;
  }
  u->status = 0;
  if (status == 0 && !u->receiving) {
    status = uv_udp_recv_start(u->handle, room_for, came);
    u->receiving = status == 0;
  }
  if (status != 0)
    return fail(L, u, status, "receive");
  uv_ref((uv_handle_t *)u->handle);
  u->reader.cancel = leave;
  u->reader.what = "a datagram";
  return neap_suspend(L, &u->reader, HUGE_VAL, (lua_KContext)u, go_on);
}

/* Lua: socket:receive() -> data, host, port */
static int udp_receive(lua_State *L) {
  udp *u = check_open(L, "receive");
  if (u->reader.pending)
    return module_refuse(L, "receive: another task receives by this socket");
  return take(L, u);
}

/* ====================================================== } */

/* {======================================================
** Sending
** ======================================================= */

/* A userdata on the stack of the task, and the request with its data. */
typedef struct sending {
  neap_wait wait;
  struct send_request *request;
  int status;
} sending;

typedef struct send_request {
  uv_udp_send_t uv;
  sending *owner; /* NULL: nobody waits any longer */
  char data[];
} send_request;

static void sent(uv_udp_send_t *uv, int status) {
  send_request *request = (send_request *)uv;
  sending *s = request->owner;
  free(request);
  if (s == NULL)
    return;
  s->status = status;
  (void)neap_wake(&s->wait);
}

/* It is sent all the same. */
static void send_cancel(neap_wait *wait) {
  ((sending *)wait)->request->owner = NULL;
}

static int send_error(lua_State *L, int status) {
  net__sockaddr to;
  if (lua_isnoneornil(L, 3))
    return fail(L, check(L, "send"), status, "send");
  net__check_address(L, 3, "send", &to);
  return net__error(L, status, "send", &to);
}

static int send_ended(lua_State *L, int status, lua_KContext ctx) {
  sending *s = (sending *)ctx;
  (void)status;
  return s->status == 0 ? 0 : send_error(L, s->status);
}

/* The kernel takes no more now. */
static int send_later(lua_State *L, udp *u, const char *data, size_t len,
                      const struct sockaddr *to) {
  sending *s = (sending *)lua_newuserdatauv(L, sizeof *s, 0);
  send_request *request = (send_request *)malloc(sizeof *request + len);
  uv_buf_t buffer;
  int status;
  memset(s, 0, sizeof *s);
  if (request == NULL)
    return luaL_error(L, "not enough memory");
  memcpy(request->data, data, len);
  buffer = uv_buf_init(request->data, (unsigned)len);
  request->owner = s;
  s->request = request;
  status = uv_udp_send(&request->uv, u->handle, &buffer, 1, to, sent);
  if (status != 0) {
    free(request);
    return send_error(L, status);
  }
  s->wait.cancel = send_cancel;
  s->wait.what = "a datagram to be sent";
  return neap_suspend(L, &s->wait, HUGE_VAL, (lua_KContext)s, send_ended);
}

/* Lua: socket:send(data [, numeric host, port]) */
static int udp_send(lua_State *L) {
  udp *u = check_open(L, "send");
  size_t len;
  const char *data = module_string(L, 2, "send", "data", &len);
  net__sockaddr to;
  const struct sockaddr *address = NULL;
  uv_buf_t buffer = {(char *)data, len};
  int status;
  if (!lua_isnoneornil(L, 3)) {
    net__check_address(L, 3, "send", &to);
    address = &to.any;
  }
  status = uv_udp_try_send(u->handle, &buffer, 1, address);
  if (status == UV_EAGAIN)
    return send_later(L, u, data, len, address);
  return status < 0 ? send_error(L, status) : 0;
}

/* ====================================================== } */

/* {======================================================
** Other methods
** ======================================================= */

static int outcome(lua_State *L, int status, const char *syscall) {
  return status == 0 ? 0 : module_os_error(L, status, syscall, NULL, NULL);
}

/* Lua: socket:connect(numeric host, port) */
static int udp_connect(lua_State *L) {
  udp *u = check_open(L, "connect");
  net__sockaddr to;
  int status;
  net__check_address(L, 2, "connect", &to);
  status = uv_udp_connect(u->handle, NULL); /* from another, if there is one */
  if (status == 0 || status == UV_ENOTCONN)
    status = uv_udp_connect(u->handle, &to.any);
  return status == 0 ? 0 : net__error(L, status, "connect", &to);
}

static int push_name(lua_State *L, const char *function,
                     int (*get)(const uv_udp_t *, struct sockaddr *, int *)) {
  udp *u = check_open(L, function);
  net__sockaddr address;
  int len = sizeof address;
  if (get(u->handle, &address.any, &len) != 0)
    return 0;
  return net__push_address(L, &address.any);
}

/* Lua: socket:address() -> host, port */
static int udp_address(lua_State *L) {
  return push_name(L, "address", uv_udp_getsockname);
}

/* Lua: socket:peer_address() -> host, port */
static int udp_peer_address(lua_State *L) {
  return push_name(L, "peer_address", uv_udp_getpeername);
}

/* Lua: socket:broadcast(on) */
static int udp_broadcast(lua_State *L) {
  udp *u = check_open(L, "broadcast");
  int on = module_boolean(L, 2, "broadcast", "on");
  return outcome(L, uv_udp_set_broadcast(u->handle, on), "setsockopt");
}

static int membership(lua_State *L, const char *function, uv_membership what) {
  udp *u = check_open(L, function);
  const char *group = module_path(L, 2, function, "group");
  const char *interface =
      lua_isnoneornil(L, 3) ? NULL : module_path(L, 3, function, "interface");
  return outcome(L, uv_udp_set_membership(u->handle, group, interface, what),
                 "setsockopt");
}

/* Lua: socket:join(group [, address of the interface]) */
static int udp_join(lua_State *L) {
  return membership(L, "join", UV_JOIN_GROUP);
}

/* Lua: socket:leave(group [, address of the interface]) */
static int udp_leave(lua_State *L) {
  return membership(L, "leave", UV_LEAVE_GROUP);
}

/* Lua: socket:close(), __close and __gc */
static int lua_udp_close(lua_State *L) {
  udp_close(check(L, "close"));
  return 0;
}

static int udp_tostring(lua_State *L) {
  udp *u = check(L, "__tostring");
  net__sockaddr address;
  int len = sizeof address;
  char text[NET__ADDRESS_SIZE] = "not bound";
  if (u->handle == NULL)
    (void)strcpy(text, "closed");
  else if (uv_udp_getsockname(u->handle, &address.any, &len) == 0)
    (void)net__address_text(&address, text, sizeof text);
  lua_pushfstring(L, "<UdpSocket %s>", text);
  return 1;
}

/* ====================================================== } */

/* Lua: udp([numeric host, port]) -> socket */
static int udp_new(lua_State *L) {
  net__sockaddr address;
  uv_loop_t *loop = net__loop(L);
  int bound = !lua_isnoneornil(L, 1), status;
  udp *u;
  module_check(L, NEAP_CAN_NET, "udp");
  if (bound)
    net__check_address(L, 1, "udp", &address);
  u = (udp *)lua_newuserdatauv(L, sizeof *u, 0);
  memset(u, 0, sizeof *u);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &class_key);
  lua_setmetatable(L, -2);
  u->vm = neap_from_lua(L);
  u->handle = (uv_udp_t *)malloc(sizeof *u->handle);
  if (u->handle == NULL)
    return luaL_error(L, "not enough memory");
  (void)uv_udp_init(loop, u->handle); /* cannot fail */
  u->handle->data = u;
  uv_unref((uv_handle_t *)u->handle);
  if (!bound)
    return 1;
  status = uv_udp_bind(u->handle, &address.any, 0);
  if (status == 0)
    return 1;
  udp_close(u);
  return net__error(L, status, "bind", &address);
}

/* Lua: udp_methods(): what of a socket does not wait, and gets the others */
static int udp_methods(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &class_key);
  lua_getfield(L, -1, "__index");
  return 1;
}

const luaL_Reg net__udp_functions[] = {{"udp", udp_new},
                                       {"udp_connect", udp_connect},
                                       {"udp_methods", udp_methods},
                                       {"udp_receive", udp_receive},
                                       {"udp_send", udp_send},
                                       {NULL, NULL}};

void net__udp_init(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__close", lua_udp_close},
                                         {"__gc", lua_udp_close},
                                         {"__tostring", udp_tostring},
                                         {NULL, NULL}};
  static const luaL_Reg methods[] = {{"address", udp_address},
                                     {"broadcast", udp_broadcast},
                                     {"close", lua_udp_close},
                                     {"join", udp_join},
                                     {"leave", udp_leave},
                                     {"peer_address", udp_peer_address},
                                     {NULL, NULL}};
  luaL_newlib(L, metamethods);
  lua_pushliteral(L, "UdpSocket");
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &class_key);
}
