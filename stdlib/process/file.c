/*
** file.c - the transport over what is not to be told not to block: files,
** devices that libuv cannot watch, pipes and sockets that others have, too.
**
** For files the kernel is never not ready: each read and write is done on the
** loop's thread, at once. But the loop has a turn before each read, and after
** each STREAM_READ_AHEAD bytes that were written, so that others go on, too.
** Pipes and sockets are asked before whether they are ready.
*/
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process.h"

typedef struct file {
  stream_transport transport;
  neap_vm *vm;
  int fd;
  int polled;       /* it is a pipe or socket */
  int referenced;   /* somebody waits */
  int reading;
  int writing;      /* the end of a write is still to be told */
  const char *data; /* what of it is still to be written; lent */
  size_t len;
  size_t written;   /* bytes since the last turn */
  union {
    uv_handle_t any;
    uv_idle_t idle;
    uv_poll_t poll;
  } turn; /* active while something is to be done */
} file;

/* {======================================================
** Turns of the loop
** ======================================================= */

static int is_ready(const file *f, short events) {
  struct pollfd p = {.fd = f->fd, .events = events};
  return !f->polled || poll(&p, 1, 0) > 0; /* -1: a signal */
}

static void read_once(file *f) {
  stream_transport *t = &f->transport;
  uv_buf_t room;
  ssize_t n = UV_ENOBUFS;
  t->up->room(t->owner, &room);
  if (room.len > 0) {
    do
      n = read(f->fd, room.base, room.len);
    while (n < 0 && errno == EINTR);
    if (n == 0)
      n = UV_EOF;
    else if (n < 0) /* others may have been faster */
      n = f->polled && errno == EAGAIN ? 0 : uv_translate_sys_error(errno);
  }
  t->up->input(t->owner, n, &room);
}

/* Writes what is taken without a wait: a pipe that is ready takes PIPE_BUF
   bytes. 1: that was all; 0: there is more; or a UV_E code. */
static int write_on(file *f) {
  while (f->len > 0 && is_ready(f, POLLOUT)) {
    size_t len = f->polled && f->len > PIPE_BUF ? PIPE_BUF : f->len;
    ssize_t n = write(f->fd, f->data, len);
    if (n < 0 && f->polled && errno == EAGAIN)
      return 0;
    if (n < 0 && errno != EINTR)
      return uv_translate_sys_error(errno);
    if (n > 0) {
      f->data += n;
      f->len -= (size_t)n;
    }
  }
  return f->len == 0;
}

static void next_turn(file *f);

/* Who is above may close it in each call. */
static void take_turn(file *f) {
  int status = f->writing ? write_on(f) : 0;
  if (status != 0) {
    f->writing = 0;
    f->transport.up->written(f->transport.owner, status < 0 ? status : 0);
  }
  if (f->reading && !uv_is_closing(&f->turn.any) && is_ready(f, POLLIN))
    read_once(f);
  next_turn(f);
}

static void on_idle(uv_idle_t *turn) { take_turn((file *)turn->data); }

/* A status is of the file's, and will be seen by reading or writing. */
static void on_poll(uv_poll_t *turn, int status, int events) {
  (void)status;
  (void)events;
  take_turn((file *)turn->data);
}

/* Has the loop come back when there is something to do. None of these calls
   can fail. */
static void next_turn(file *f) {
  int events = (f->reading ? UV_READABLE : 0) | (f->writing ? UV_WRITABLE : 0);
  if (uv_is_closing(&f->turn.any))
    return;
  if (f->polled)
    (void)uv_poll_start(&f->turn.poll, events, on_poll); /* 0: stops */
  else if (events != 0)
    (void)uv_idle_start(&f->turn.idle, on_idle);
  else
    (void)uv_idle_stop(&f->turn.idle);
  if (f->referenced || f->writing)
    uv_ref(&f->turn.any);
  else
    uv_unref(&f->turn.any);
}

/* ====================================================== } */

static int start(stream_transport *t) {
  file *f = (file *)t;
  f->reading = 1;
  next_turn(f);
  return 0;
}

static void stop(stream_transport *t) {
  file *f = (file *)t;
  f->reading = 0;
  next_turn(f);
}

static int write_all(stream_transport *t, const char *data, size_t len) {
  file *f = (file *)t;
  int status;
  f->data = data;
  f->len = len;
  f->written += len;
  status = write_on(f);
  if (status < 0 ||
      (status > 0 && (f->polled || f->written < STREAM_READ_AHEAD)))
    return status;
  f->written = 0;
  f->writing = 1;
  next_turn(f);
  return 0;
}

static int shut_down(stream_transport *t) {
  if (shutdown(((file *)t)->fd, SHUT_WR) != 0 && errno != ENOTSOCK)
    return uv_translate_sys_error(errno);
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
  neap_loop_retain(f->vm);
  uv_close(&f->turn.any, freed);
  (void)close(f->fd); /* what was written has been taken */
}

static void ref(stream_transport *t, int on) {
  file *f = (file *)t;
  f->referenced = on;
  next_turn(f);
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

/* Libuv makes what it watches so that it does not block; but that is for the
   others to say, too. */
static int init_poll(uv_loop_t *loop, uv_poll_t *poll, int fd) {
  int flags = fcntl(fd, F_GETFL);
  int status = uv_poll_init(loop, poll, fd);
  if (status == 0 && flags >= 0)
    (void)fcntl(fd, F_SETFL, flags); /* it is open */
  return status;
}

int process__file_new(neap_vm *vm, uv_loop_t *loop, int fd, int polled,
                      stream_transport **made) {
  static const stream_ops ops = {start,      stop, write_all, shut_down,
                                 close_file, ref,  address,   set, NULL};
  file *f = (file *)calloc(1, sizeof *f);
  int status = f == NULL ? UV_ENOMEM
               : polled  ? init_poll(loop, &f->turn.poll, fd)
                         : uv_idle_init(loop, &f->turn.idle);
  if (status != 0) {
    free(f);
    return status;
  }
  f->transport.ops = &ops;
  f->vm = vm;
  f->fd = fd;
  f->polled = polled;
  f->turn.any.data = f;
  *made = &f->transport;
  return 0;
}
