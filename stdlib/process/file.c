/*
** file.c - the transport over a file, or a device that libuv cannot watch; and
** over a pipe that others have as well.
**
** The kernel is never not ready for files: each read and write is done on the
** loop's thread, at once. But the loop has a turn before each read, and after
** each STREAM_READ_AHEAD bytes that were written, so that others go on, too.
** Pipes may have to be waited for. They are not made non-blocking, which would
** be so for the others, too: the loop tells when a read of whatever is there,
** or a write of PIPE_BUF bytes, does not wait.
*/
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "process.h"

typedef struct file {
  stream_transport transport;
  union {
    uv_handle_t any;
    uv_idle_t idle; /* of a file: active while something is to be done */
    uv_poll_t poll; /* of a pipe: the same */
  } turn;
  neap_vm *vm;
  int fd;
  int waits;        /* a reader does, and keeps the loop alive */
  int reading;
  int writing;      /* the end of a write is still to be told */
  size_t written;   /* bytes since the last turn, of a file */
  const char *rest; /* to be written, of a pipe */
  size_t rest_len;
} file;

/* {======================================================
** Turns of the loop
** ======================================================= */

static void read_once(file *f) {
  stream_transport *t = &f->transport;
  uv_buf_t room;
  ssize_t n = UV_ENOBUFS;
  t->up->room(t->owner, &room);
  if (room.len > 0) {
    do
      n = read(f->fd, room.base, room.len);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
      n = 0; /* somebody else was faster */
    else if (n <= 0)
      n = n == 0 ? UV_EOF : uv_translate_sys_error(errno);
  }
  t->up->input(t->owner, n, &room);
}

/* A write keeps the loop alive by itself, as one of libuv's does. */
static void keep_alive(file *f) {
  if (f->waits || f->writing)
    uv_ref(&f->turn.any);
  else
    uv_unref(&f->turn.any);
}

static void write_ended(file *f, int status) {
  f->writing = 0;
  keep_alive(f);
  f->transport.up->written(f->transport.owner, status);
}

/* Who is above may close it in each call. */
static void on_turn(uv_idle_t *turn) {
  file *f = (file *)turn->data;
  if (f->writing)
    write_ended(f, 0);
  if (f->reading && !uv_is_closing((uv_handle_t *)turn))
    read_once(f);
  if (!f->reading && !f->writing)
    (void)uv_idle_stop(turn); /* cannot fail */
}

/* Writes as much as a pipe takes without waiting. */
static void write_piece(file *f) {
  size_t len = f->rest_len < PIPE_BUF ? f->rest_len : PIPE_BUF;
  ssize_t n = write(f->fd, f->rest, len);
  if (n > 0) {
    f->rest += n;
    f->rest_len -= (size_t)n;
  }
  if (n < 0 && errno != EINTR && errno != EAGAIN)
    write_ended(f, uv_translate_sys_error(errno));
  else if (f->rest_len == 0)
    write_ended(f, 0);
}

static void next_turn(file *f);

/* After an error both calls tell which. */
static void on_ready(uv_poll_t *turn, int status, int events) {
  file *f = (file *)turn->data;
  if (f->writing && (status != 0 || (events & UV_WRITABLE)))
    write_piece(f);
  if (f->reading && (status != 0 || (events & UV_READABLE)) &&
      !uv_is_closing((uv_handle_t *)turn))
    read_once(f);
  if (!uv_is_closing((uv_handle_t *)turn))
    next_turn(f);
}

/* None of these calls can fail. */
static void next_turn(file *f) {
  int events = (f->reading ? UV_READABLE : 0) | (f->writing ? UV_WRITABLE : 0);
  if (f->turn.any.type == UV_IDLE)
    (void)uv_idle_start(&f->turn.idle, on_turn);
  else if (events != 0)
    (void)uv_poll_start(&f->turn.poll, events, on_ready);
  else
    (void)uv_poll_stop(&f->turn.poll);
}

/* ====================================================== } */

static int start(stream_transport *t) {
  file *f = (file *)t;
  f->reading = 1;
  next_turn(f);
  return 0;
}

static void stop(stream_transport *t) { ((file *)t)->reading = 0; }

static int write_later(file *f) {
  f->writing = 1;
  keep_alive(f);
  next_turn(f);
  return 0;
}

static int write_all(stream_transport *t, const char *data, size_t len) {
  file *f = (file *)t;
  if (f->turn.any.type == UV_POLL && len > 0) {
    f->rest = data;
    f->rest_len = len;
    return write_later(f);
  }
  f->written += len;
  while (len > 0) {
    ssize_t n = write(f->fd, data, len);
    if (n < 0 && errno != EINTR)
      return uv_translate_sys_error(errno);
    if (n > 0) {
      data += n;
      len -= (size_t)n;
    }
  }
  if (f->written < STREAM_READ_AHEAD)
    return 1;
  f->written = 0;
  return write_later(f);
}

static int shut_down(stream_transport *t) {
  (void)t;
  return 1;
}

static void freed(uv_handle_t *turn) {
  file *f = (file *)turn->data;
  neap_vm *vm = f->vm;
  free(f);
  neap_loop_release(vm);
}

static void close_file(stream_transport *t) {
  file *f = (file *)t;
  f->reading = f->writing = 0;
  (void)close(f->fd); /* what was written has been taken */
  neap_loop_retain(f->vm);
  uv_close(&f->turn.any, freed);
}

static void ref(stream_transport *t, int on) {
  file *f = (file *)t;
  f->waits = on;
  keep_alive(f);
}

static int address(stream_transport *t, int peer, char *text, size_t size,
                   int *port) {
  (void)t;
  (void)peer;
  (void)text;
  (void)size;
  (void)port;
  return UV_ENOTSUP;
}

static int set(stream_transport *t, int option, unsigned value) {
  (void)t;
  (void)option;
  (void)value;
  return UV_ENOTSUP;
}

/* Of a pipe; libuv makes it non-blocking, for a moment. */
static int poll_init(file *f, uv_loop_t *loop) {
  int flags = fcntl(f->fd, F_GETFL);
  int status = uv_poll_init(loop, &f->turn.poll, f->fd);
  if (flags >= 0)
    (void)fcntl(f->fd, F_SETFL, flags); /* cannot fail, as it was so before */
  return status;
}

stream_transport *process__file_new(neap_vm *vm, uv_loop_t *loop, int fd,
                                    int is_pipe) {
  static const stream_ops ops = {start,      stop, write_all, shut_down,
                                 close_file, ref,  address,   set, NULL};
  file *f = (file *)calloc(1, sizeof *f);
  if (f == NULL)
    return NULL;
  f->transport.ops = &ops;
  f->vm = vm;
  f->fd = fd;
  if (!is_pipe)
    (void)uv_idle_init(loop, &f->turn.idle); /* cannot fail */
  else if (poll_init(f, loop) != 0) {
    free(f);
    return NULL;
  }
  f->turn.any.data = f;
  return &f->transport;
}
