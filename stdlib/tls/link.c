/*
** link.c - a connection of TLS: the transport between a Stream and another
** transport.
**
** 1. `writing` is only set while something is under way below (`sent`), so
**    that its end goes on with the rest, and at last tells who is above.
** 2. OpenSSL may answer while it reads (an alert, a change of keys): that goes
**    below at once, or after what is under way. If much has to wait, nothing
**    more is decrypted until it is sent: no peer can make `out` grow.
** 3. Below is read while who is above wants more; what comes after that, once,
**    is kept, and stops it.
** 4. Who is above may close the link in any call of `up`. It is freed when the
**    last of its functions on C's stack has ended.
*/
#include <stdlib.h>
#include <string.h>

#include "tls.h"

#define CHUNK 65536 /* bytes that are encrypted at once */

static tls_link *link_of(stream_transport *t) { return (tls_link *)t; }

static void link_free(tls_link *t) {
  SSL_free(t->ssl); /* and its BIO */
  X509_free(t->failure.certificate);
  free(t->server_name);
  free(t->kept);
  free(t->out);
  free(t->sent);
  tls__context_release(t->context);
  tls__shared_release(t->shared);
  free(t);
}

/* Begins and ends what may close the link. */
static void enter(tls_link *t) { t->depth++; }

static void leave(tls_link *t) {
  t->depth--;
  if (t->closed && t->depth == 0)
    link_free(t);
}

/* {======================================================
** Writing
** ======================================================= */

/* Encrypts some of the rest. Whether it could. */
static int encrypt(tls_link *t) {
  size_t n = t->rest_len < CHUNK ? t->rest_len : CHUNK;
  size_t taken;
  ERR_clear_error();
  if (!SSL_write_ex(t->ssl, t->rest, n, &taken)) {
    tls__failure_take(t);
    t->output_status = UV_EPROTO;
    return 0;
  }
  t->rest += taken;
  t->rest_len -= taken;
  return 1;
}

/* Hands on what there is, encrypting it. 1: all is taken; 0: it is under way;
   else a UV_E code. */
static int pump(tls_link *t) {
  while (t->sent == NULL) {
    size_t len;
    int status;
    if (t->output_status != 0)
      return t->output_status;
    if (t->out_len == 0) {
      if (t->rest_len == 0)
        return 1;
      if (!encrypt(t))
        continue;
    }
    t->sent = t->out;
    len = t->out_len;
    t->out = NULL;
    t->out_len = t->out_capacity = 0;
    status = t->under->ops->write(t->under, t->sent, len);
    if (status == 0)
      return 0;
    free(t->sent);
    t->sent = NULL;
    if (status < 0)
      t->output_status = status;
  }
  return 0;
}

/* The same for who is above. A peer that has said goodbye, and gone, need not
   hear ours. */
static int pump_for_above(tls_link *t) {
  int status = pump(t);
  if (status < 0 && t->shut && t->end_status == UV_EOF)
    status = 1;
  t->writing = status == 0;
  if (status < 0)
    t->rest_len = 0;
  return status;
}

static int write_data(stream_transport *transport, const char *data,
                      size_t len) {
  tls_link *t = link_of(transport);
  t->rest = data;
  t->rest_len = len;
  return pump_for_above(t);
}

/* Tells the peer that nothing more comes. */
static void say_goodbye(tls_link *t) {
  (void)SSL_shutdown(t->ssl); /* cannot, where it has failed before */
  ERR_clear_error();
}

/* The other side may go on writing: what is below stays open. */
static int shut_down(stream_transport *transport) {
  tls_link *t = link_of(transport);
  t->shut = 1;
  say_goodbye(t);
  return pump_for_above(t);
}

/* ====================================================== } */

/* {======================================================
** Reading
** ======================================================= */

/* Decrypts into the room. 1: it is full; 0: more has to come; else a UV_E
   code: the end, which remains. */
static int decrypt(tls_link *t, const uv_buf_t *room, size_t *len) {
  *len = 0;
  ERR_clear_error();
  while (t->end_status == 0 && *len < room->len) {
    size_t n;
    if (SSL_read_ex(t->ssl, room->base + *len, room->len - *len, &n)) {
      *len += n;
      continue;
    }
    switch (SSL_get_error(t->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
      t->end_status = t->input_status;
      (void)pump(t);
      return t->end_status;
    case SSL_ERROR_ZERO_RETURN:
      t->end_status = UV_EOF;
      break;
    default:
      tls__failure_take(t);
      t->end_status = UV_EPROTO;
    }
  }
  (void)pump(t);
  return t->end_status != 0 ? t->end_status : 1;
}

/* Decrypts for who is above, as long as they want. */
static void deliver(tls_link *t) {
  while (!t->closed && t->wanted && (t->sent == NULL || t->out_len < CHUNK)) {
    stream_transport *self = &t->transport; /* each call may change its `up` */
    uv_buf_t room;
    size_t len;
    int status;
    self->up->room(self->owner, &room);
    if (room.len == 0) {
      self->up->input(self->owner, UV_ENOBUFS, &room);
      continue;
    }
    status = decrypt(t, &room, &len);
    self->up->input(self->owner, (ssize_t)len, &room);
    if (status == 0)
      break;
    if (status < 0 && !t->closed && t->wanted) {
      t->wanted = 0;
      self->up->input(self->owner, status, &room);
    }
  }
}

/* The handshake has come to its end. */
static void finish(tls_link *t, int status) {
  t->over = 1;
  t->established = status == 0;
  (void)pump(t); /* maybe an alert */
  t->transport.up->written(t->transport.owner, status);
}

/* Goes on with the handshake. Where nothing can be written, what comes may
   tell why. */
static void advance(tls_link *t) {
  int result;
  ERR_clear_error();
  result = SSL_do_handshake(t->ssl);
  if (result == 1)
    finish(t, tls__failure_check_resumed(t) ? 0 : UV_EPROTO);
  else if (SSL_get_error(t->ssl, result) != SSL_ERROR_WANT_READ) {
    tls__failure_take(t);
    finish(t, UV_EPROTO);
  }
  else if (t->input_status != 0)
    finish(t, t->input_status);
  else
    (void)pump(t);
}

/* Reads below while that makes sense. A UV_E code when it cannot. */
static int adjust_reading(tls_link *t) {
  int on = t->input_status == 0 && t->end_status == 0 && t->kept_len == 0 &&
           (t->wanted || !t->over || t->reading);
  if (on == t->reading)
    return 0;
  t->reading = (uint8_t)on;
  if (on)
    return t->under->ops->start(t->under);
  t->under->ops->stop(t->under);
  return 0;
}

static int start(stream_transport *transport) {
  tls_link *t = link_of(transport);
  int status = 0;
  t->wanted = 1;
  enter(t);
  deliver(t);
  if (!t->closed)
    status = adjust_reading(t);
  if (status != 0)
    t->wanted = t->reading = 0;
  leave(t);
  return status;
}

static void stop(stream_transport *transport) {
  link_of(transport)->wanted = 0;
}

/* ====================================================== } */

/* {======================================================
** What is below
** ======================================================= */

static void below_room(void *owner, uv_buf_t *room) {
  tls_shared *shared = ((tls_link *)owner)->shared;
  if (shared->spare == NULL)
    shared->spare = (char *)malloc(STREAM_READ_AHEAD);
  *room = uv_buf_init(shared->spare,
                      shared->spare != NULL ? STREAM_READ_AHEAD : 0);
}

/* The buffer is the link's own until all is over: what is above may be a link
   that asks for one as well. */
static void below_input(void *owner, ssize_t n, const uv_buf_t *room) {
  tls_link *t = (tls_link *)owner;
  tls_shared *shared = t->shared;
  char *buffer = shared->spare;
  shared->spare = NULL;
  enter(t);
  if (n == UV_EOF && t->output_status == UV_ECONNRESET)
    t->input_status = UV_ECONNRESET; /* the system tells of it once */
  else if (n < 0)
    t->input_status = n == UV_ENOBUFS ? UV_ENOMEM : (int)n;
  else {
    t->fresh = room->base;
    t->fresh_len = (size_t)n;
  }
  if (t->over)
    deliver(t);
  else
    advance(t);
  if (!t->closed) {
    if (!tls__keep(t, t->fresh, t->fresh_len))
      t->input_status = UV_ENOMEM;
    t->fresh = NULL;
    t->fresh_len = 0;
    (void)adjust_reading(t); /* it only stops */
  }
  if (shared->spare == NULL)
    shared->spare = buffer;
  else
    free(buffer);
  leave(t);
}

static void below_written(void *owner, int status) {
  tls_link *t = (tls_link *)owner;
  enter(t);
  free(t->sent);
  t->sent = NULL;
  if (status < 0)
    t->output_status = status;
  if (t->writing) {
    status = pump_for_above(t);
    if (status != 0)
      t->transport.up->written(t->transport.owner, status < 0 ? status : 0);
  }
  else
    (void)pump(t);
  if (t->over && !t->closed) { /* decrypting may have waited for it */
    deliver(t);
    if (!t->closed)
      (void)adjust_reading(t);
  }
  leave(t);
}

static void close_link(stream_transport *transport) {
  tls_link *t = link_of(transport);
  t->closed = 1;
  if (t->established && t->sent == NULL) {
    say_goodbye(t);
    (void)pump(t);
  }
  if (t->under != NULL)
    t->under->ops->close(t->under);
  if (t->depth == 0)
    link_free(t);
}

static void ref(stream_transport *transport, int on) {
  stream_transport *under = link_of(transport)->under;
  if (under != NULL)
    under->ops->ref(under, on);
}

static int address(stream_transport *transport, int peer, char *text,
                   size_t size, int *port) {
  stream_transport *under = link_of(transport)->under;
  return under->ops->address(under, peer, text, size, port);
}

static int set(stream_transport *transport, int option, unsigned value) {
  stream_transport *under = link_of(transport)->under;
  return under->ops->set(under, option, value);
}

const stream_ops tls__ops = {start,      stop, write_data, shut_down,
                             close_link, ref,  address,    set,
                             tls__failure_push};

/* ====================================================== } */

tls_link *tls__link_new(tls_shared *shared, tls_context *context) {
  tls_link *t = (tls_link *)calloc(1, sizeof *t);
  BIO *bio;
  if (t == NULL)
    return NULL;
  t->transport.ops = &tls__ops;
  t->shared = shared;
  shared->users++;
  t->context = context;
  context->users++;
  ERR_clear_error();
  t->ssl = SSL_new(context->ssl);
  bio = BIO_new(shared->method);
  if (t->ssl == NULL || bio == NULL) {
    BIO_free(bio);
    link_free(t);
    ERR_clear_error();
    return NULL;
  }
  BIO_set_data(bio, t);
  BIO_set_init(bio, 1);
  SSL_set_bio(t->ssl, bio, bio);
  (void)SSL_set_app_data(t->ssl, t); /* its slot is there from the start */
  return t;
}

void tls__link_begin(tls_link *t, stream_transport *under) {
  static const stream_events events = {below_room, below_input, below_written};
  int status;
  t->under = under;
  under->up = &events;
  under->owner = t;
  enter(t);
  advance(t);
  if (!t->over && (status = adjust_reading(t)) != 0)
    finish(t, status);
  leave(t);
}
