/*
** info.c - what there is to know about a connection, and certificates.
*/
#include <arpa/inet.h>
#include <openssl/pem.h>
#include <string.h>
#include <time.h>

#include "tls.h"

/* The link of the stream at 1. */
static tls_link *check(lua_State *L, const char *function) {
  Stream *s = tls__streams(L)->check(L, 1, function);
  if (s->transport->ops != &tls__ops)
    module_refuse(L, "%s: the stream has no TLS", function);
  return (tls_link *)s->transport;
}

void tls__set_string(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value); /* NULL: nil */
  lua_setfield(L, -2, name);
}

void tls__set_boolean(lua_State *L, const char *name, int value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, name);
}

/* Lua: info(stream) -> table */
static int info(lua_State *L) {
  const tls_link *t = check(L, "tls.info");
  const SSL *ssl = t->ssl;
  const unsigned char *protocol;
  unsigned len;
  int verifies = SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE;
  lua_createtable(L, 0, 8);
  tls__set_string(L, "version", SSL_get_version(ssl));
  tls__set_string(L, "cipher", SSL_get_cipher_name(ssl));
  SSL_get0_alpn_selected(ssl, &protocol, &len);
  if (len > 0) {
    lua_pushlstring(L, (const char *)protocol, len);
    lua_setfield(L, -2, "alpn");
  }
  tls__set_string(L, "server_name",
                  SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
  tls__set_boolean(L, "is_server", SSL_is_server(ssl));
  tls__set_boolean(L, "resumed", SSL_session_reused(ssl));
  tls__set_boolean(L, "verified",
                   verifies && SSL_get0_peer_certificate(ssl) != NULL &&
                       SSL_get_verify_result(ssl) == X509_V_OK);
  return 1;
}

/* Lua: session(stream) -> string, or nil: there is none that can be resumed */
static int session(lua_State *L) {
  SSL_SESSION *current = SSL_get_session(check(L, "tls.session")->ssl);
  luaL_Buffer buffer;
  unsigned char *to;
  int len = 0;
  if (current != NULL && SSL_SESSION_is_resumable(current))
    len = i2d_SSL_SESSION(current, NULL);
  if (len <= 0) {
    lua_pushnil(L);
    return 1;
  }
  to = (unsigned char *)luaL_buffinitsize(L, &buffer, (size_t)len);
  len = i2d_SSL_SESSION(current, &to);
  luaL_pushresultsize(&buffer, (size_t)len);
  return 1;
}

/* {======================================================
** Certificates
**
** What OpenSSL writes goes to `text` of the VM first: nothing of OpenSSL's is
** held where Lua may run out of memory.
** ======================================================= */

/* Sets a field to what is in the text, which is empty then. */
static void set_text(lua_State *L, BIO *text, const char *name) {
  char *data;
  long len = BIO_get_mem_data(text, &data);
  lua_pushlstring(L, len > 0 ? data : "", (size_t)len);
  (void)BIO_reset(text);
  lua_setfield(L, -2, name);
}

/* As RFC 2253 has it, "CN=localhost,O=Neap", in UTF-8. */
static void set_name(lua_State *L, BIO *text, const char *field,
                     const X509_NAME *name) {
  (void)X509_NAME_print_ex(text, name, 0,
                           XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  set_text(L, text, field);
}

/* Seconds since 1970, UTC. */
static void set_time(lua_State *L, const char *field, const ASN1_TIME *time) {
  struct tm parts;
  if (ASN1_TIME_to_tm(time, &parts) != 1)
    return;
  lua_pushinteger(L, (lua_Integer)timegm(&parts));
  lua_setfield(L, -2, field);
}

/* The family of an address of so many bytes; others are of none. */
static int family_of(size_t len) {
  return len == sizeof(struct in_addr)    ? AF_INET
         : len == sizeof(struct in6_addr) ? AF_INET6
                                          : AF_UNSPEC;
}

/* Writes a name as an entry of a list: its length, and itself. */
static void list_name(BIO *text, const GENERAL_NAME *name) {
  char address[INET6_ADDRSTRLEN];
  int type;
  const ASN1_STRING *value =
      (const ASN1_STRING *)GENERAL_NAME_get0_value(name, &type);
  const char *data = address;
  size_t len;
  if (type == GEN_DNS || type == GEN_EMAIL || type == GEN_URI) {
    data = (const char *)ASN1_STRING_get0_data(value);
    len = (size_t)ASN1_STRING_length(value);
  }
  else if (type == GEN_IPADD &&
           inet_ntop(family_of((size_t)ASN1_STRING_length(value)),
                     ASN1_STRING_get0_data(value), address, sizeof address))
    len = strlen(address);
  else
    return;
  (void)BIO_write(text, &len, sizeof len);
  (void)BIO_write(text, data, (int)len);
}

/* The names that it is for: hosts, addresses, of mail, URIs. */
static void set_names(lua_State *L, BIO *text, const X509 *certificate) {
  GENERAL_NAMES *names = (GENERAL_NAMES *)X509_get_ext_d2i(
      certificate, NID_subject_alt_name, NULL, NULL);
  int i;
  char *data;
  size_t len, left;
  for (i = 0; i < sk_GENERAL_NAME_num(names); i++)
    list_name(text, sk_GENERAL_NAME_value(names, i));
  GENERAL_NAMES_free(names);
  lua_newtable(L);
  left = (size_t)BIO_get_mem_data(text, &data);
  for (i = 1; left >= sizeof len; i++) {
    memcpy(&len, data, sizeof len);
    if (len > left - sizeof len)
      break; /* there was no memory for all of it */
    lua_pushlstring(L, data + sizeof len, len);
    lua_rawseti(L, -2, i);
    data += sizeof len + len;
    left -= sizeof len + len;
  }
  (void)BIO_reset(text);
  lua_setfield(L, -2, "names");
}

static void set_fingerprint(lua_State *L, BIO *text, const X509 *certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned len, i;
  if (!X509_digest(certificate, EVP_sha256(), digest, &len))
    return;
  for (i = 0; i < len; i++)
    (void)BIO_printf(text, "%02x", digest[i]);
  set_text(L, text, "fingerprint");
}

void tls__push_certificate(lua_State *L, tls_shared *shared, X509 *x) {
  BIO *text = shared->text;
  (void)BIO_reset(text); /* an error may have left something */
  lua_createtable(L, 0, 9);
  set_name(L, text, "subject", X509_get_subject_name(x));
  set_name(L, text, "issuer", X509_get_issuer_name(x));
  set_names(L, text, x);
  set_time(L, "not_before", X509_get0_notBefore(x));
  set_time(L, "not_after", X509_get0_notAfter(x));
  (void)i2a_ASN1_INTEGER(text, X509_get0_serialNumber(x));
  set_text(L, text, "serial");
  set_fingerprint(L, text, x);
  (void)PEM_write_bio_X509(text, x);
  set_text(L, text, "pem");
  (void)i2d_X509_bio(text, x);
  set_text(L, text, "der");
  ERR_clear_error();
}

/* Lua: peer_certificate(stream) -> table, or nil */
static int peer_certificate(lua_State *L) {
  const tls_link *t = check(L, "tls.peer_certificate");
  X509 *certificate = SSL_get0_peer_certificate(t->ssl);
  if (certificate == NULL)
    lua_pushnil(L);
  else
    tls__push_certificate(L, t->shared, certificate);
  return 1;
}

/* ====================================================== } */

const luaL_Reg tls__info_functions[] = {{"info", info},
                                        {"peer_certificate", peer_certificate},
                                        {"session", session},
                                        {NULL, NULL}};
