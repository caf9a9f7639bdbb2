/*
** tls.h - what the C files of `tls` share.
**
** A Context has what connections share: certificates, keys, whom to trust. A
** link is one connection: a transport over that of another Stream, and below
** a new one. OpenSSL reads from and writes to the link's own buffers (bio.c),
** so that no function of its ever waits. None of its callbacks uses Lua.
*/
#ifndef TLS_H
#define TLS_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "../module/module.h"
#include "../stream/stream.h"

/* What the connections of a VM share. The module's userdata and each link
   count as users; the last one frees it. */
typedef struct tls_shared {
  BIO_METHOD *method;
  char *spare; /* STREAM_READ_AHEAD bytes to read into; NULL: none */
  BIO *text;   /* in memory, empty: to write to */
  X509_STORE *system; /* its authorities; NULL: nobody has asked for them */
  size_t users;
} tls_shared;

enum { TLS__VERIFY_UNSET, TLS__VERIFY_NO, TLS__VERIFY_OPTIONAL, TLS__VERIFY };

/* A certificate to show to who asks for that name: "a.example", or
   "*.example". */
typedef struct tls_name {
  char *name;
  SSL_CTX *ssl;
  struct tls_name *next;
} tls_name;

/* Its userdata and each link count as users. */
typedef struct tls_context {
  SSL_CTX *ssl;
  size_t users;
  int verify;
  int trusts_system;        /* it has no authorities of its own */
  unsigned char *protocols; /* ALPN, as TLS writes them; NULL: none */
  unsigned protocols_len;
  tls_name *names;
} tls_context;

/* Why something has failed, as OpenSSL tells it. */
typedef struct tls_failure {
  unsigned long error; /* of its queue; 0: nothing has */
  int verify;          /* X509_V_ERR_, or X509_V_OK */
  X509 *certificate;   /* the one that was refused, or NULL */
} tls_failure;

typedef struct tls_link {
  stream_transport transport; /* of the Stream above */
  stream_transport *under;
  tls_shared *shared;
  tls_context *context;
  SSL *ssl;
  char *server_name;  /* that is verified, of a client; NULL: none */
  /* what came from below and was not yet decrypted: `kept` before `fresh` */
  char *kept;
  size_t kept_start;
  size_t kept_len;
  const char *fresh;  /* in a buffer that is lent */
  size_t fresh_len;
  /* what goes below */
  char *out;          /* encrypted */
  size_t out_len;
  size_t out_capacity;
  char *sent;         /* is under way; NULL: nothing is */
  const char *rest;   /* of the write from above: not yet encrypted */
  size_t rest_len;
  int input_status;   /* of below: 0, UV_EOF, or why nothing more comes */
  int output_status;  /* of below: 0, or why no more can be written */
  int end_status;     /* the same, of what is decrypted */
  uint8_t established; /* the handshake is over, and was successful */
  uint8_t over;       /* the handshake is over */
  uint8_t wanted;     /* who is above reads */
  uint8_t reading;    /* below is started */
  uint8_t writing;    /* a write or shutdown from above is under way */
  uint8_t shut;       /* who is above writes no more */
  uint8_t closed;
  uint8_t depth;      /* of calls that may close it; it is freed after them */
  tls_failure failure;
} tls_link;

/* tls.c */
tls_shared *tls__shared(lua_State *L);
void tls__shared_release(tls_shared *shared);
const stream_api *tls__streams(lua_State *L); /* upvalue 1 */

/* bio.c */
BIO_METHOD *tls__bio_method(void); /* NULL: no memory */
/* Keeps bytes that came behind those that are kept. Whether it could. */
int tls__keep(tls_link *t, const char *data, size_t len);

/* context.c */
/* The system's authorities, for one who verifies. Whether there was memory. */
int tls__trust_system(tls_shared *shared, SSL *ssl);
void tls__context_init(lua_State *L); /* makes the class */
tls_context *tls__context_check(lua_State *L, int arg);
void tls__context_release(tls_context *context);
extern const luaL_Reg tls__context_functions[];

/* link.c */
extern const stream_ops tls__ops;
/* NULL: no memory. Takes over nothing but a use of the context. */
tls_link *tls__link_new(tls_shared *shared, tls_context *context);
/* Begins the handshake. Its end is that of a write from above. */
void tls__link_begin(tls_link *t, stream_transport *under);

/* failure.c */
/* "*" in a certificate stands for a whole label. Its subject is no name of a
   host: an authority's limits need not hold for it. */
#define TLS__HOST_FLAGS                                                        \
  (X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)
void tls__failure_take(tls_link *t); /* from OpenSSL's queue, and empties it */
int tls__failure_verify(int ok, X509_STORE_CTX *store); /* OpenSSL calls it */
/* Whether the certificate of a session that was resumed is still good. */
int tls__failure_check_resumed(tls_link *t);
/* Pushes the error: stream_ops.error_push. */
int tls__failure_push(lua_State *L, stream_transport *transport, int status,
                      const char *syscall, const char *address);
extern const luaL_Reg tls__failure_functions[];

/* info.c */
/* Set a field of the table at the top; NULL: nil. */
void tls__set_string(lua_State *L, const char *name, const char *value);
void tls__set_boolean(lua_State *L, const char *name, int value);
void tls__push_certificate(lua_State *L, tls_shared *shared, X509 *x);
extern const luaL_Reg tls__info_functions[];

/* handshake.c */
extern const luaL_Reg tls__handshake_functions[];

#endif
