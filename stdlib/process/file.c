/*
** file.c - the transport over a file, or a device that libuv cannot watch.
**
** The kernel is never not ready for these: each read and write is done at
** once, on the loop's thread, with at most STREAM_READ_AHEAD bytes.
*/
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "process.h"

typedef struct file {
  stream_transport transport;
  int fd;
  int reading;
} file;

/* Reads until the stream has enough and calls stop. */
static int start(stream_transport *t) {
  file *f = (file *)t;
  f->reading = 1;
  while (f->reading) {
    uv_buf_t room;
    ssize_t n = UV_ENOBUFS;
    t->up->room(t->owner, &room);
    if (room.len > 0) {
      do
        n = read(f->fd, room.base, room.len);
      while (n < 0 && errno == EINTR);
      if (n <= 0)
        n = n == 0 ? UV_EOF : uv_translate_sys_error(errno);
    }
    t->up->input(t->owner, n, &room);
  }
  return 0;
}

static void stop(stream_transport *t) { ((file *)t)->reading = 0; }

static int write_all(stream_transport *t, const char *data, size_t len) {
  const file *f = (const file *)t;
  while (len > 0) {
    ssize_t n = write(f->fd, data, len);
    if (n < 0 && errno != EINTR)
      return uv_translate_sys_error(errno);
    if (n > 0) {
      data += n;
      len -= (size_t)n;
    }
  }
  return 1;
}

static int shut_down(stream_transport *t) {
  (void)t;
  return 1;
}

/* Not inside `start`: the stream closes it between two calls. */
static void close_file(stream_transport *t) {
  (void)close(((file *)t)->fd); /* what was written has been taken */
  free(t);
}

static void ref(stream_transport *t, int on) {
  (void)t;
  (void)on;
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

stream_transport *process__file_new(int fd) {
  static const stream_ops ops = {start,      stop, write_all, shut_down,
                                 close_file, ref,  address,   set, NULL};
  file *f = (file *)calloc(1, sizeof *f);
  if (f == NULL)
    return NULL;
  f->transport.ops = &ops;
  f->fd = fd;
  return &f->transport;
}
