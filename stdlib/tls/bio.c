/*
** bio.c - where OpenSSL reads from and writes to: the buffers of a link.
**
** Reading takes what came from below, first `kept` and then `fresh`. Writing
** collects in `out`, and never waits: link.c sees to it that little is there.
*/
#include <stdlib.h>
#include <string.h>

#include "tls.h"

#define LEAST 512 /* bytes that `out` has room for */

/* Moves up to n bytes; returns how many. */
static size_t move(char *to, size_t n, const char *from, size_t len) {
  if (n > len)
    n = len;
  if (n > 0)
    memcpy(to, from, n);
  return n;
}

static int read_some(BIO *bio, char *to, size_t n, size_t *moved) {
  tls_link *t = (tls_link *)BIO_get_data(bio);
  size_t kept = move(to, n, t->kept + t->kept_start, t->kept_len), fresh;
  t->kept_start += kept;
  t->kept_len -= kept;
  if (t->kept_len == 0) {
    free(t->kept);
    t->kept = NULL;
    t->kept_start = 0;
  }
  fresh = move(to + kept, n - kept, t->fresh, t->fresh_len);
  t->fresh += fresh;
  t->fresh_len -= fresh;
  *moved = kept + fresh;
  BIO_clear_retry_flags(bio);
  if (*moved == 0 && t->input_status != UV_EOF)
    BIO_set_retry_read(bio);
  return *moved > 0;
}

static int write_all(BIO *bio, const char *from, size_t n, size_t *moved) {
  tls_link *t = (tls_link *)BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (t->out_capacity - t->out_len < n) {
    size_t capacity = t->out_len + n;
    char *out;
    if (capacity < 2 * t->out_capacity)
      capacity = 2 * t->out_capacity;
    if (capacity < LEAST)
      capacity = LEAST;
    if ((out = (char *)realloc(t->out, capacity)) == NULL)
      return 0;
    t->out = out;
    t->out_capacity = capacity;
  }
  memcpy(t->out + t->out_len, from, n);
  t->out_len += n;
  *moved = n;
  return 1;
}

static long control(BIO *bio, int command, long number, void *pointer) {
  const tls_link *t = (const tls_link *)BIO_get_data(bio);
  (void)number;
  (void)pointer;
  switch (command) {
  case BIO_CTRL_FLUSH:
    return 1;
  case BIO_CTRL_EOF:
    return t->input_status == UV_EOF && t->kept_len + t->fresh_len == 0;
  default:
    return 0;
  }
}

BIO_METHOD *tls__bio_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "neap");
  if (method != NULL && BIO_meth_set_read_ex(method, read_some) &&
      BIO_meth_set_write_ex(method, write_all) &&
      BIO_meth_set_ctrl(method, control))
    return method;
  BIO_meth_free(method);
  return NULL;
}

int tls__keep(tls_link *t, const char *data, size_t len) {
  char *kept;
  if (len == 0)
    return 1;
  if ((kept = (char *)malloc(t->kept_len + len)) == NULL)
    return 0;
  (void)move(kept, t->kept_len, t->kept + t->kept_start, t->kept_len);
  memcpy(kept + t->kept_len, data, len);
  free(t->kept);
  t->kept = kept;
  t->kept_start = 0;
  t->kept_len += len;
  return 1;
}
