/*
** stream.c - the class Stream, and what stream.so offers to other modules.
*/
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

MODULE_API int luaopen_stream_c(lua_State *L);

static const char class_key = 0, shared_key = 0; /* in the registry */

#define ADDRESS_SIZE 128 /* a path, a host, and a port */

/* {======================================================
** Life
** ======================================================= */

static Stream *create(lua_State *L, const char *name, unsigned needs) {
  Stream *s = (Stream *)lua_newuserdatauv(L, sizeof *s, 1);
  memset(s, 0, sizeof *s);
  s->tag = &class_key;
  s->vm = neap_from_lua(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &shared_key);
  s->shared = (stream_shared *)lua_touserdata(L, -1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &class_key);
  lua_setmetatable(L, -3);
  lua_pop(L, 1);
  s->name = name;
  s->needs = needs;
  return s;
}

const stream_events stream__events = {stream__room, stream__input,
                                      stream__written};

static void attach(Stream *s, stream_transport *t) {
  t->up = &stream__events;
  t->owner = s;
  s->transport = t;
  t->ops->ref(t, 0);
}

void stream__close(Stream *s) {
  stream_transport *t = s->transport;
  if (t == NULL)
    return;
  s->transport = NULL;
  t->ops->close(t);
  stream__pipe_closed(s);
  stream__data_free(s);
  (void)neap_wake(&s->reader);
  stream__writers_wake(s);
}

static stream_transport *take(Stream *s) {
  stream_transport *t = s->transport;
  if (t == NULL || s->reader.pending || s->writing || s->first != NULL)
    return NULL;
  if (s->reading)
    t->ops->stop(t);
  s->reading = 0;
  s->transport = NULL;
  t->owner = NULL;
  return t;
}

/* By what stands inside, which scripts cannot write: for each message twice,
   its metatable is too far away. */
static Stream *stream_at(lua_State *L, int index) {
  Stream *s = (Stream *)lua_touserdata(L, index);
  return s != NULL && lua_rawlen(L, index) == sizeof *s &&
         s->tag == &class_key ? s : NULL;
}

Stream *stream__check(lua_State *L, const char *function) {
  Stream *s = stream_at(L, 1);
  if (s == NULL)
    module_refuse(L, "Stream.%s: a Stream expected, got %s; write stream:%s()",
                  function, luaL_typename(L, 1), function);
  return s;
}

/* Raises when it cannot be used. */
static void check_usable(lua_State *L, const Stream *s, const char *function) {
  if (s->transport == NULL)
    module_refuse(L, "%s: the stream is closed", function);
  if (!neap_can(s->vm, s->needs))
    module_check(L, s->needs, function);
}

Stream *stream__check_open(lua_State *L, const char *function) {
  Stream *s = stream__check(L, function);
  check_usable(L, s, function);
  return s;
}

Stream *stream__check_target(lua_State *L, int arg, const char *function) {
  Stream *s = stream_at(L, arg);
  if (s != NULL)
    check_usable(L, s, function);
  else
    module_refuse(L, "%s: a Stream expected, got %s", function,
                  luaL_typename(L, arg));
  return s;
}

/* ====================================================== } */

/* {======================================================
** Addresses, errors
** ======================================================= */

/* Writes "host:port" or a path to `text`; "" when there is none. */
static void describe(const Stream *s, int peer, char *text, size_t size) {
  char host[ADDRESS_SIZE];
  stream_transport *t = s->transport;
  int port;
  *text = '\0';
  if (t == NULL || t->ops->address(t, peer, host, sizeof host, &port) != 0)
    return;
  if (port < 0)
    (void)snprintf(text, size, "%s", *host != '\0' ? host : "unnamed");
  else
    (void)snprintf(text, size, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host,
                   port);
}

static void error_push(lua_State *L, Stream *s, int status,
                       const char *syscall) {
  stream_transport *t = s->transport;
  char text[ADDRESS_SIZE + 16];
  const char *address = text;
  describe(s, 1, text, sizeof text);
  if (*text == '\0')
    address = s->name;
  if (t == NULL || t->ops->error_push == NULL ||
      !t->ops->error_push(L, t, status, syscall, address))
    module_os_error_push(L, status, syscall, "address", address);
}

int stream__error(lua_State *L, Stream *s, int status, const char *syscall) {
  error_push(L, s, status, syscall);
  return lua_error(L);
}

/* Lua: -> host, port, or a path, or nil */
static int push_address(lua_State *L, const char *function, int peer) {
  Stream *s = stream__check_open(L, function);
  char host[ADDRESS_SIZE];
  int port = -1;
  if (s->transport->ops->address(s->transport, peer, host, sizeof host,
                                 &port) != 0 || *host == '\0') {
    lua_pushnil(L);
    return 1;
  }
  lua_pushstring(L, host);
  if (port < 0)
    return 1;
  lua_pushinteger(L, port);
  return 2;
}

/* Lua: stream:address() */
static int stream_address(lua_State *L) {
  return push_address(L, "address", 0);
}

/* Lua: stream:peer_address() */
static int stream_peer_address(lua_State *L) {
  return push_address(L, "peer_address", 1);
}

static int stream_tostring(lua_State *L) {
  Stream *s = stream__check(L, "__tostring");
  char own[ADDRESS_SIZE + 16], peer[ADDRESS_SIZE + 16];
  if (s->transport == NULL) {
    lua_pushliteral(L, "<Stream closed>");
    return 1;
  }
  describe(s, 0, own, sizeof own);
  describe(s, 1, peer, sizeof peer);
  if (s->name != NULL)
    lua_pushfstring(L, "<Stream %s>", s->name);
  else if (*own == '\0' && *peer == '\0')
    lua_pushfstring(L, "<Stream at %p>", (void *)s);
  else
    lua_pushfstring(L, *peer == '\0' ? "<Stream %s>" : "<Stream %s -> %s>",
                    own, peer);
  return 1;
}

/* ====================================================== } */

/* {======================================================
** Other methods
** ======================================================= */

static int set_option(lua_State *L, Stream *s, int option, unsigned value) {
  int status = s->transport->ops->set(s->transport, option, value);
  return status == 0 ? 0 : stream__error(L, s, status, "setsockopt");
}

/* Lua: stream:nodelay(on) */
static int stream_nodelay(lua_State *L) {
  Stream *s = stream__check_open(L, "nodelay");
  if (!lua_isboolean(L, 2))
    return module_refuse(L, "nodelay: true or false expected, got %s",
                         luaL_typename(L, 2));
  return set_option(L, s, STREAM_NODELAY, (unsigned)lua_toboolean(L, 2));
}

/* Lua: stream:keepalive(seconds, or false) */
static int stream_keepalive(lua_State *L) {
  Stream *s = stream__check_open(L, "keepalive");
  unsigned seconds = 0;
  if (!lua_isboolean(L, 2) || lua_toboolean(L, 2))
    seconds = (unsigned)module_integer(L, 2, "keepalive", "seconds or false",
                                       1, 32767);
  return set_option(L, s, STREAM_KEEPALIVE, seconds);
}

/* Lua: stream:is_closed() */
static int stream_is_closed(lua_State *L) {
  lua_pushboolean(L, stream__check(L, "is_closed")->transport == NULL);
  return 1;
}

/* Lua: stream:close(), and __close */
static int stream_close(lua_State *L) {
  stream__close(stream__check(L, "close"));
  return 0;
}

/* Lua: __gc */
static int stream_gc(lua_State *L) {
  Stream *s = stream__check(L, "__gc");
  stream__close(s);
  stream__data_free(s); /* of one whose transport was taken */
  return 0;
}

/* ====================================================== } */

static int shared_gc(lua_State *L) {
  stream_shared *shared = (stream_shared *)lua_touserdata(L, 1);
  free(shared->spare);
  shared->spare = NULL;
  shared->ended = 1;
  return 0;
}

static void shared_new(lua_State *L) {
  stream_shared *shared =
      (stream_shared *)lua_newuserdatauv(L, sizeof *shared, 0);
  memset(shared, 0, sizeof *shared);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, shared_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &shared_key);
}

/* Lua: checks that the argument is a Stream, for Lua halves */
static int is_stream(lua_State *L) {
  lua_pushboolean(L, stream_at(L, 1) != NULL);
  return 1;
}

static void do_nothing(int number) { (void)number; }

/* A peer that has gone is an error of `write`, and not the end of the process:
   libuv writes without MSG_NOSIGNAL. A handler of the host's stays. One that
   does nothing, and not SIG_IGN: programs that are started do not inherit
   it. */
static void survive_sigpipe(void) {
  struct sigaction action;
  if (sigaction(SIGPIPE, NULL, &action) != 0 || action.sa_handler != SIG_DFL)
    return;
  action.sa_handler = do_nothing;
  action.sa_flags = SA_RESTART;
  (void)sigaction(SIGPIPE, &action, NULL); /* cannot fail */
}

/* Gives {methods=, waiting=, pair=, is_stream=, and classes of errors}: the
   methods that wait are to be made async. */
int luaopen_stream_c(lua_State *L) {
  static const stream_api api = {sizeof api, create,        attach,
                                 stream__check_target, take, stream__close,
                                 error_push, stream__uv_new};
  static const luaL_Reg methods[] = {{"address", stream_address},
                                     {"close", stream_close},
                                     {"is_closed", stream_is_closed},
                                     {"keepalive", stream_keepalive},
                                     {"lines", stream__lines},
                                     {"nodelay", stream_nodelay},
                                     {"peer_address", stream_peer_address},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__close", stream_close},
                                         {"__gc", stream_gc},
                                         {"__tostring", stream_tostring},
                                         {NULL, NULL}};
  static const luaL_Reg functions[] = {{"is_stream", is_stream}, {NULL, NULL}};
  enum { CLASS = 1, METHODS, RESULT };
  lua_settop(L, 0);
  survive_sigpipe();
  shared_new(L);
  lua_newtable(L);
  lua_pushvalue(L, CLASS);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &class_key);
  luaL_setfuncs(L, metamethods, 0);
  lua_pushliteral(L, "Stream");
  lua_setfield(L, CLASS, "__name");
  lua_pushboolean(L, 0);
  lua_setfield(L, CLASS, "__metatable");
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, METHODS);
  lua_setfield(L, CLASS, "__index");
  lua_newtable(L);
  luaL_setfuncs(L, functions, 0);
  stream__errors_new(L);
  lua_pushvalue(L, METHODS);
  lua_setfield(L, RESULT, "methods");
  lua_newtable(L);
  luaL_setfuncs(L, stream__readers, 0);
  lua_pushcfunction(L, stream__pipe);
  lua_setfield(L, -2, "pipe");
  luaL_setfuncs(L, stream__writers, 0);
  lua_setfield(L, RESULT, "waiting");
  lua_pushlightuserdata(L, (void *)&api);
  lua_setfield(L, LUA_REGISTRYINDEX, STREAM_API_KEY);
  return 1;
}
