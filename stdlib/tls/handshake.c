/*
** handshake.c - a Stream of TLS is put on top of another Stream.
**
** The new Stream is there from the start, but no script's before the end. The
** handshake is a write of its transport: it ends by `written`, and wakes the
** stream's writer.
*/
#include <string.h>

#include "tls.h"

/* arguments: seconds, stream, context, and of a client: name, session */
enum { SECONDS = 1, BELOW, CONTEXT, NAME, SESSION };

static Stream *stream_of(neap_wait *wait) {
  return (Stream *)((char *)wait - offsetof(Stream, writer));
}

static void cancel(neap_wait *wait) {
  Stream *s = stream_of(wait);
  stream_transport *t = s->transport;
  s->transport = NULL; /* nobody else has it yet */
  if (t != NULL)
    t->ops->close(t);
}

/* Stack: ..., the stream */
static int ended(lua_State *L, int status, lua_KContext ctx) {
  Stream *s = (Stream *)ctx;
  tls_link *t = (tls_link *)s->transport;
  (void)status; /* it may be over though its time is */
  if (t->established) {
    t->transport.ops->ref(&t->transport, 0);
    return 1;
  }
  tls__streams(L)->error_push(L, s, t->over ? s->output_status : UV_ETIMEDOUT,
                              "handshake");
  cancel(&s->writer);
  return lua_error(L);
}

/* Pushes a new Stream like that at BELOW, with a link, and gives the link. */
static tls_link *link_new(lua_State *L) {
  const stream_api *streams = tls__streams(L);
  tls_context *context = tls__context_check(L, CONTEXT);
  const Stream *below;
  Stream *s;
  tls_link *t;
  module_check(L, NEAP_CAN_NET, "tls");
  below = streams->check(L, BELOW, "tls");
  s = streams->create(L, below->name, below->needs);
  t = tls__link_new(tls__shared(L), context);
  if (t == NULL)
    luaL_error(L, "not enough memory");
  streams->attach(s, &t->transport);
  return t;
}

static int begin(lua_State *L, tls_link *t) {
  const stream_api *streams = tls__streams(L);
  Stream *s = (Stream *)t->transport.owner;
  lua_Number seconds = module_seconds(L, SECONDS, "tls", "timeout");
  Stream *below = streams->check(L, BELOW, "tls");
  stream_transport *under;
  if (!tls__keep(t, below->len > 0 ? below->data + below->start : "",
                 below->len))
    return luaL_error(L, "not enough memory");
  t->input_status = below->input_status;
  under = streams->take(below);
  if (under == NULL)
    return module_refuse(L, "tls: tasks wait for the stream");
  tls__link_begin(t, under);
  if (t->over)
    return ended(L, NEAP_OK, (lua_KContext)s);
  t->transport.ops->ref(&t->transport, 1);
  s->writer.cancel = cancel;
  s->writer.what = "a TLS handshake";
  return neap_suspend(L, &s->writer, seconds, (lua_KContext)s, ended);
}

/* Whom a client wants at the other side. Whether there was memory. */
static int set_peer(tls_link *t, const char *name, int verify) {
  X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
  int is_address = X509_VERIFY_PARAM_set1_ip_asc(param, name);
  X509_VERIFY_PARAM_set_hostflags(param, TLS__HOST_FLAGS);
  ERR_clear_error();
  if (!is_address && !SSL_set_tlsext_host_name(t->ssl, name))
    return 0;
  if (verify && !is_address && !X509_VERIFY_PARAM_set1_host(param, name, 0))
    return 0;
  t->server_name = strdup(name);
  return t->server_name != NULL;
}

/* The session of an earlier connection, if that is what the string is. */
static void set_session(lua_State *L, SSL *ssl) {
  size_t len;
  const unsigned char *from =
      (const unsigned char *)luaL_checklstring(L, SESSION, &len);
  SSL_SESSION *session = d2i_SSL_SESSION(NULL, &from, (long)len);
  int ok = session != NULL && SSL_set_session(ssl, session);
  SSL_SESSION_free(session);
  ERR_clear_error();
  if (!ok)
    module_refuse(L, "tls.connect: session: that is none; "
                     "take one from tls.session()");
}

/* Lua: connect(seconds, stream, context, name or nil, session or nil) */
static int client(lua_State *L) {
  int verify;
  tls_link *t;
  lua_settop(L, SESSION);
  t = link_new(L);
  verify = t->context->verify != TLS__VERIFY_NO;
  SSL_set_connect_state(t->ssl);
  if (verify)
    SSL_set_verify(t->ssl, SSL_VERIFY_PEER, tls__failure_verify);
  if (verify && t->context->trusts_system &&
      !tls__trust_system(t->shared, t->ssl))
    return luaL_error(L, "not enough memory");
  if (!lua_isnil(L, NAME) && !set_peer(t, luaL_checkstring(L, NAME), verify))
    return luaL_error(L, "not enough memory");
  if (!lua_isnil(L, SESSION))
    set_session(L, t->ssl);
  return begin(L, t);
}

/* Lua: accept(seconds, stream, context) */
static int server(lua_State *L) {
  tls_link *t;
  lua_settop(L, CONTEXT);
  t = link_new(L);
  SSL_set_accept_state(t->ssl);
  if (t->context->verify == TLS__VERIFY)
    SSL_set_verify(t->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                   tls__failure_verify);
  else if (t->context->verify == TLS__VERIFY_OPTIONAL)
    SSL_set_verify(t->ssl, SSL_VERIFY_PEER, tls__failure_verify);
  return begin(L, t);
}

const luaL_Reg tls__handshake_functions[] = {
    {"accept", server}, {"connect", client}, {NULL, NULL}};
