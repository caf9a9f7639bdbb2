/*
** failure.c - why a connection has failed: what OpenSSL tells is kept with the
** link; errors.lua, called with a table of it, makes the error for scripts.
*/
#include "tls.h"

static const char describer_key = 0; /* of errors.lua's function */

void tls__failure_take(tls_link *t) {
  if (t->failure.error == 0)
    t->failure.error = ERR_peek_last_error();
  ERR_clear_error();
}

/* {======================================================
** Verification
** ======================================================= */

static void refuse(tls_failure *failure, int why, X509 *certificate) {
  failure->verify = why;
  if (failure->certificate == NULL && certificate != NULL &&
      X509_up_ref(certificate))
    failure->certificate = certificate;
}

int tls__failure_verify(int ok, X509_STORE_CTX *store) {
  SSL *ssl = (SSL *)X509_STORE_CTX_get_ex_data(
      store, SSL_get_ex_data_X509_STORE_CTX_idx());
  if (!ok)
    refuse(&((tls_link *)SSL_get_app_data(ssl))->failure,
           X509_STORE_CTX_get_error(store),
           X509_STORE_CTX_get_current_cert(store));
  return ok;
}

/* Whether the certificate is for that name, or address: an address that stands
   among the names of hosts does not count. */
static int is_for(X509 *certificate, const char *name) {
  int status = X509_check_ip_asc(certificate, name, 0);
  if (status == -2) /* it is no address */
    status = X509_check_host(certificate, name, 0, TLS__HOST_FLAGS, NULL);
  return status == 1;
}

int tls__failure_check_resumed(tls_link *t) {
  X509 *certificate = SSL_get0_peer_certificate(t->ssl);
  long verified = SSL_get_verify_result(t->ssl);
  if (!SSL_session_reused(t->ssl) || SSL_is_server(t->ssl) ||
      SSL_get_verify_mode(t->ssl) == SSL_VERIFY_NONE)
    return 1;
  if (verified == X509_V_OK &&
      (certificate == NULL || !is_for(certificate, t->server_name)))
    verified = X509_V_ERR_HOSTNAME_MISMATCH;
  if (verified != X509_V_OK)
    refuse(&t->failure, (int)verified, certificate);
  ERR_clear_error();
  return verified == X509_V_OK;
}

/* ====================================================== } */

int tls__failure_push(lua_State *L, stream_transport *transport, int status,
                      const char *syscall, const char *address) {
  const tls_link *t = (const tls_link *)transport;
  const tls_failure *failure;
  int timeout = status == UV_ETIMEDOUT && !t->over;
  while (status == UV_EPROTO && t->failure.error == 0 &&
         t->failure.verify == X509_V_OK && t->under->ops == &tls__ops)
    t = (const tls_link *)t->under; /* it has come from there */
  failure = &t->failure;
  if (status != UV_EPROTO && !timeout)
    return 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &describer_key);
  lua_createtable(L, 0, 8);
  tls__set_string(L, "syscall", syscall);
  tls__set_string(L, "address", address);
  tls__set_string(L, "server_name", t->server_name);
  tls__set_string(L, "reason", ERR_reason_error_string(failure->error));
  tls__set_boolean(L, "timeout", timeout);
  tls__set_boolean(L, "is_server", SSL_is_server(t->ssl));
  if (failure->verify != X509_V_OK)
    tls__set_string(L, "verify",
                    X509_verify_cert_error_string(failure->verify));
  if (failure->certificate != NULL) {
    tls__push_certificate(L, t->shared, failure->certificate);
    lua_setfield(L, -2, "certificate");
  }
  lua_call(L, 1, 1);
  return 1;
}

/* Lua: describe_by(function) */
static int describe_by(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &describer_key);
  return 0;
}

const luaL_Reg tls__failure_functions[] = {{"describe_by", describe_by},
                                           {NULL, NULL}};
