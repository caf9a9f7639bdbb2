/*
** context.c - what connections share: certificates, keys, whom to trust.
**
** Texts are in PEM. Functions that may be given wrong ones return nothing, or
** what is wrong, for the Lua half to say of which option.
*/
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tls.h"

static const char class_key = 0; /* of Context, in the registry */

#define SESSIONS "neap" /* sessions of others are not resumed */

void tls__context_release(tls_context *context) {
  tls_name *each;
  if (--context->users > 0)
    return;
  while ((each = context->names) != NULL) {
    context->names = each->next;
    SSL_CTX_free(each->ssl);
    free(each->name);
    free(each);
  }
  SSL_CTX_free(context->ssl);
  free(context->protocols);
  free(context);
}

tls_context *tls__context_check(lua_State *L, int arg) {
  tls_context **box = (tls_context **)module_object_p(L, arg, &class_key);
  luaL_argexpected(L, box != NULL, arg, "Context");
  return *box;
}

static int context_gc(lua_State *L) {
  tls_context **box = (tls_context **)lua_touserdata(L, 1);
  if (*box != NULL)
    tls__context_release(*box);
  *box = NULL;
  return 0;
}

/* Lua: is_context(value) */
static int is_context(lua_State *L) {
  lua_pushboolean(L, module_object_p(L, 1, &class_key) != NULL);
  return 1;
}

/* {======================================================
** What OpenSSL asks for in a handshake
** ======================================================= */

/* The server's choice among the protocols of a client: its own order counts. */
static int choose_protocol(SSL *ssl, const unsigned char **chosen,
                           unsigned char *len, const unsigned char *offered,
                           unsigned offered_len, void *ud) {
  const tls_link *t = (const tls_link *)SSL_get_app_data(ssl);
  unsigned char *found;
  (void)ud;
  if (t->context->protocols == NULL)
    return SSL_TLSEXT_ERR_NOACK;
  if (SSL_select_next_proto(&found, len, t->context->protocols,
                            t->context->protocols_len, offered,
                            offered_len) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

/* Whether the pattern, maybe "*.example", is for that name. */
static int name_matches(const char *pattern, const char *name) {
  if (*pattern == '*' && (name = strchr(name, '.')) != NULL)
    pattern++;
  return name != NULL && strcasecmp(pattern, name) == 0;
}

/* Shows the certificate for the name that the client asks for. That is all:
   whom to trust is not for the client to choose. */
static int choose_name(SSL *ssl, int *alert, void *ud) {
  const tls_link *t = (const tls_link *)SSL_get_app_data(ssl);
  const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const tls_name *each;
  (void)alert;
  (void)ud;
  if (name == NULL)
    return SSL_TLSEXT_ERR_NOACK;
  for (each = t->context->names; each != NULL; each = each->next)
    if (name_matches(each->name, name)) {
      if (SSL_set_SSL_CTX(ssl, each->ssl) == NULL ||
          !SSL_set1_verify_cert_store(
              ssl, SSL_CTX_get_cert_store(t->context->ssl)))
        return SSL_TLSEXT_ERR_ALERT_FATAL;
      break;
    }
  return SSL_TLSEXT_ERR_OK;
}

/* ====================================================== } */

/* Lua: context(verify, least version, highest version, whether it trusts the
   system) -> context; numbers of OpenSSL's */
static int context_new(lua_State *L) {
  lua_Integer least = luaL_checkinteger(L, 2), most = luaL_checkinteger(L, 3);
  tls_context *context,
      **box = (tls_context **)lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &class_key);
  lua_setmetatable(L, -2);
  context = *box = (tls_context *)calloc(1, sizeof *context);
  if (context == NULL)
    return luaL_error(L, "not enough memory");
  context->users = 1;
  context->verify = (int)luaL_checkinteger(L, 1);
  context->trusts_system = lua_toboolean(L, 4);
  ERR_clear_error();
  context->ssl = SSL_CTX_new(TLS_method());
  if (context->ssl == NULL ||
      !SSL_CTX_set_min_proto_version(context->ssl, (int)least) ||
      !SSL_CTX_set_max_proto_version(context->ssl, (int)most) ||
      !SSL_CTX_set_session_id_context(context->ssl,
                                      (const unsigned char *)SESSIONS,
                                      sizeof SESSIONS - 1)) {
    ERR_clear_error();
    return luaL_error(L, "not enough memory");
  }
  (void)SSL_CTX_set_options(context->ssl, SSL_OP_NO_RENEGOTIATION |
                                              SSL_OP_NO_COMPRESSION |
                                              SSL_OP_CIPHER_SERVER_PREFERENCE);
  (void)SSL_CTX_set_mode(context->ssl, SSL_MODE_RELEASE_BUFFERS);
  /* a server's sessions are in the tickets that clients keep */
  (void)SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF);
  /* what is trusted need not be an authority, nor one that signs itself */
  (void)X509_STORE_set_flags(SSL_CTX_get_cert_store(context->ssl),
                             X509_V_FLAG_PARTIAL_CHAIN);
  SSL_CTX_set_alpn_select_cb(context->ssl, choose_protocol, NULL);
  (void)SSL_CTX_set_tlsext_servername_callback(context->ssl, choose_name);
  return 1;
}

/* {======================================================
** Certificates and keys
** ======================================================= */

typedef struct password {
  const char *text; /* NULL: none was given */
  size_t len;
  int asked;
} password;

/* OpenSSL's own would ask on the terminal. */
static int give_password(char *to, int size, int writing, void *ud) {
  password *p = (password *)ud;
  (void)writing;
  p->asked = 1;
  if (p->text == NULL || p->len > (size_t)size)
    return -1;
  memcpy(to, p->text, p->len);
  return (int)p->len;
}

static int refuse_password(char *to, int size, int writing, void *ud) {
  (void)to, (void)size, (void)writing, (void)ud;
  return -1;
}

/* A BIO over the string at `arg`, or NULL: no memory. */
static BIO *text_at(lua_State *L, int arg) {
  size_t len;
  const char *text = luaL_checklstring(L, arg, &len);
  return BIO_new_mem_buf(text, len < INT_MAX ? (int)len : INT_MAX);
}

static X509 *read_certificate(BIO *text) {
  return PEM_read_bio_X509(text, NULL, refuse_password, NULL);
}

/* NULL, or what is wrong with the rest of a text that had certificates: it may
   have no more, but none that is damaged. */
static const char *rest_of_text(void) {
  return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE
             ? NULL
             : "a certificate in it cannot be read";
}

/* NULL, or what is wrong. */
static const char *use_chain(SSL_CTX *ssl, BIO *text) {
  X509 *certificate = read_certificate(text);
  int ok;
  if (certificate == NULL)
    return "there is no certificate in it";
  ok = SSL_CTX_use_certificate(ssl, certificate);
  X509_free(certificate);
  if (!ok)
    return ERR_reason_error_string(ERR_peek_last_error());
  (void)SSL_CTX_clear_chain_certs(ssl);
  while (ok && (certificate = read_certificate(text)) != NULL) {
    ok = SSL_CTX_add0_chain_cert(ssl, certificate) == 1;
    if (!ok)
      X509_free(certificate);
  }
  return ok ? rest_of_text()
            : "a certificate behind the first one cannot be used";
}

static const char *use_key(SSL_CTX *ssl, BIO *text, password *p) {
  EVP_PKEY *key = PEM_read_bio_PrivateKey(text, NULL, give_password, p);
  int ok;
  if (key == NULL)
    return !p->asked         ? "there is no private key in it"
           : p->text == NULL ? "the key is encrypted; give its password="
                             : "the key cannot be decrypted by that password";
  ok = SSL_CTX_use_PrivateKey(ssl, key) &&
       SSL_CTX_check_private_key(ssl); /* the first lets another kind pass */
  EVP_PKEY_free(key);
  return ok ? NULL : "the key is not that of the certificate";
}

/* Gives to Lua what is wrong; NULL: nothing is. */
static int outcome(lua_State *L, const char *wrong) {
  ERR_clear_error();
  lua_pushstring(L, wrong); /* NULL: nil */
  return 1;
}

/* Lua: use_certificate(context, text) */
static int use_certificate(lua_State *L) {
  tls_context *context = tls__context_check(L, 1);
  BIO *text = text_at(L, 2);
  const char *wrong = "not enough memory";
  if (text != NULL)
    wrong = use_chain(context->ssl, text);
  BIO_free(text);
  return outcome(L, wrong);
}

/* Lua: use_key(context, text, password or nil) */
static int lua_use_key(lua_State *L) {
  tls_context *context = tls__context_check(L, 1);
  password p = {NULL, 0, 0};
  BIO *text;
  const char *wrong = "not enough memory";
  if (!lua_isnil(L, 3))
    p.text = luaL_checklstring(L, 3, &p.len);
  text = text_at(L, 2);
  if (text != NULL)
    wrong = use_key(context->ssl, text, &p);
  BIO_free(text);
  return outcome(L, wrong);
}

/* ====================================================== } */

/* {======================================================
** Whom to trust
** ======================================================= */

/* Lua: trust(context, text) */
static int trust(lua_State *L) {
  tls_context *context = tls__context_check(L, 1);
  X509_STORE *store = SSL_CTX_get_cert_store(context->ssl);
  const char *wrong = "there is no certificate in it";
  BIO *text = text_at(L, 2);
  X509 *certificate;
  int ok = 1, count = 0;
  while (ok && text != NULL && (certificate = read_certificate(text)) != NULL) {
    ok = X509_STORE_add_cert(store, certificate) &&
         SSL_CTX_add_client_CA(context->ssl, certificate);
    X509_free(certificate);
    count++;
  }
  if (count > 0)
    wrong = ok ? rest_of_text() : "a certificate in it cannot be used";
  BIO_free(text);
  return outcome(L, wrong);
}

/* Lua: trust_folder(context, path): files named by hash, as of "openssl
   rehash", that are read when they are asked for */
static int trust_folder(lua_State *L) {
  tls_context *context = tls__context_check(L, 1);
  const char *path = module_path(L, 2, "tls", "ca");
  module_check(L, NEAP_CAN_FS, "tls: ca");
  return outcome(L, SSL_CTX_load_verify_dir(context->ssl, path)
                        ? NULL
                        : "the folder cannot be used");
}

/* The folder and the file that OpenSSL was built with, or SSL_CERT_DIR and
   SSL_CERT_FILE name: large, and therefore read once. */
static X509_STORE *system_store(void) {
  X509_STORE *store = X509_STORE_new();
  if (store != NULL && !X509_STORE_set_default_paths(store)) {
    X509_STORE_free(store);
    store = NULL;
  }
  ERR_clear_error(); /* a file that is not there */
  return store;
}

int tls__trust_system(tls_shared *shared, SSL *ssl) {
  if (shared->system == NULL)
    shared->system = system_store();
  return shared->system != NULL &&
         SSL_set1_verify_cert_store(ssl, shared->system);
}

/* ====================================================== } */

/* Lua: set_protocols(context, list as TLS writes it) */
static int set_protocols(lua_State *L) {
  tls_context *context = tls__context_check(L, 1);
  size_t len;
  const char *list = luaL_checklstring(L, 2, &len);
  context->protocols = (unsigned char *)malloc(len);
  if (context->protocols == NULL)
    return outcome(L, "not enough memory");
  memcpy(context->protocols, list, len);
  context->protocols_len = (unsigned)len;
  return outcome(L, SSL_CTX_set_alpn_protos(context->ssl, context->protocols,
                                            (unsigned)len) == 0
                        ? NULL
                        : "not enough memory");
}

/* Lua: add_name(context, name, context of the certificate for it) */
static int add_name(lua_State *L) {
  tls_context *context = tls__context_check(L, 1);
  const char *name = luaL_checkstring(L, 2);
  SSL_CTX *ssl = tls__context_check(L, 3)->ssl;
  tls_name *entry = (tls_name *)calloc(1, sizeof *entry);
  if (entry == NULL || (entry->name = strdup(name)) == NULL) {
    free(entry);
    return outcome(L, "not enough memory");
  }
  (void)SSL_CTX_up_ref(ssl); /* cannot fail */
  entry->ssl = ssl;
  entry->next = context->names;
  context->names = entry;
  return 0;
}

const luaL_Reg tls__context_functions[] = {
    {"add_name", add_name},
    {"context", context_new},
    {"is_context", is_context},
    {"set_protocols", set_protocols},
    {"trust", trust},
    {"trust_folder", trust_folder},
    {"use_certificate", use_certificate},
    {"use_key", lua_use_key},
    {NULL, NULL}};

void tls__context_init(lua_State *L) {
  lua_createtable(L, 0, 3);
  lua_pushcfunction(L, context_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushliteral(L, "Context");
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &class_key);
}
