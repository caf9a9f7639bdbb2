/*
** file.c - the transport over a file, or a device that libuv cannot watch.
**
** The kernel is never not ready for these: each read and write is done on the
** loop's thread, at once. But the loop has a turn before each read, and after
** each STREAM_READ_AHEAD bytes that were written, so that others go on, too.
*/
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "process.h"

typedef struct file {
  stream_transport transport;
  uv_idle_t turn; /* active while something is to be done in the next one */
  neap_vm *vm;
  int fd;
  int reading;
  int writing;    /* the end of a write is still to be told */
  size_t written; /* bytes since the last turn */
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
    if (n <= 0)
      n = n == 0 ? UV_EOF : uv_translate_sys_error(errno);
  }
  t->up->input(t->owner, n, &room);
}

/* Who is above may close it in each call. */
static void on_turn(uv_idle_t *turn) {
  file *f = (file *)turn->data;
  if (f->writing) {
    f->writing = 0;
    f->transport.up->written(f->transport.owner, 0);
  }
  if (f->reading && !uv_is_closing((uv_handle_t *)turn))
    read_once(f);
  if (!f->reading && !f->writing)
    (void)uv_idle_stop(turn); /* cannot fail */
}

static void next_turn(file *f) {
  (void)uv_idle_start(&f->turn, on_turn); /* cannot fail */
}

/* ====================================================== } */

static int start(stream_transport *t) {
  file *f = (file *)t;
  f->reading = 1;
  next_turn(f);
  return 0;
}

static void stop(stream_transport *t) { ((file *)t)->reading = 0; }

static int write_all(stream_transport *t, const char *data, size_t len) {
  file *f = (file *)t;
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
  f->writing = 1;
  next_turn(f);
  return 0;
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
  uv_close((uv_handle_t *)&f->turn, freed);
}

static void ref(stream_transport *t, int on) {
  file *f = (file *)t;
  if (on)
    uv_ref((uv_handle_t *)&f->turn);
  else
    uv_unref((uv_handle_t *)&f->turn);
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

stream_transport *process__file_new(neap_vm *vm, uv_loop_t *loop, int fd) {
  static const stream_ops ops = {start,      stop, write_all, shut_down,
                                 close_file, ref,  address,   set, NULL};
  file *f = (file *)calloc(1, sizeof *f);
  if (f == NULL)
    return NULL;
  f->transport.ops = &ops;
  f->vm = vm;
  f->fd = fd;
  (void)uv_idle_init(loop, &f->turn); /* cannot fail */
  f->turn.data = f;
  return &f->transport;
}
