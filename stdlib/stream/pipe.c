/*
** pipe.c - pipes: all that comes from one stream goes to another, in C.
**
** A pipe reads and writes in the callbacks of libuv, and makes no strings. It
** is the source's reader, and one long write of the target: others line up
** behind it. It reads no more while the target's transport has bytes that it
** has not yet taken; these are in memory of their own, `kept` of the target.
*/
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

enum { FROM = 1, TO }; /* arguments */

/* Parts the two, for good. */
static void pipe_end(Stream *from) {
  Stream *to = from->piped_to;
  from->piped_to = NULL;
  to->piped_from = NULL;
  if (from->transport != NULL) {
    from->transport->up = &stream__events;
    from->transport->ops->ref(from->transport, 0);
  }
  if (to->kept == NULL)
    stream__write_over(to);
}

/* The same, and tells the task. */
static void finish(Stream *from, int status) {
  from->pipe_status = status;
  pipe_end(from);
  (void)neap_wake(&from->reader);
}

void stream__pipe_closed(Stream *s) {
  if (s->piped_to != NULL)
    finish(s, UV_ECANCELED);
  if (s->piped_from != NULL)
    finish(s->piped_from, UV_ECANCELED);
  free(s->kept);
  s->kept = NULL;
}

/* Reads from now on; or finishes it, if nothing more comes. */
static void begin_reading(Stream *from) {
  if (from->input_status == 0 && !from->reading) {
    int status;
    from->reading = 1;
    status = from->transport->ops->start(from->transport);
    if (from->piped_to == NULL) /* it has brought the end */
      return;
    if (status != 0) {
      from->reading = 0;
      from->input_status = status;
    }
  }
  if (from->input_status != 0)
    finish(from, 0);
}

int stream__pipe_written(Stream *to, int status) {
  Stream *from = to->piped_from;
  free(to->kept);
  to->kept = NULL;
  if (from == NULL) /* it was cancelled */
    return 0;
  if (status == 0)
    begin_reading(from);
  else
    finish(from, status);
  return 1;
}

/* Writes; `memory` is where the bytes are. 1: they are written; 0: they are
   under way, and the memory is taken over. */
static int hand_on(Stream *from, char *memory, char *data, size_t len) {
  Stream *to = from->piped_to;
  int status = to->transport->ops->write(to->transport, data, len);
  if (status < 0)
    return status;
  from->moved += (lua_Integer)len;
  if (status == 0)
    to->kept = memory;
  return status;
}

static void pipe_room(void *owner, uv_buf_t *room) {
  stream__room((Stream *)owner, room);
}

static void pipe_input(void *owner, ssize_t n, const uv_buf_t *room) {
  Stream *from = (Stream *)owner;
  int status;
  if (n <= 0) {
    stream__input(from, n, room);
    if (from->input_status != 0)
      finish(from, 0);
    return;
  }
  status = hand_on(from, room->base, room->base, (size_t)n);
  if (status == 0) { /* the spare one, as there was nothing to be read */
    from->shared->spare = NULL;
    from->transport->ops->stop(from->transport);
    from->reading = 0;
  }
  else if (status < 0) {
    stream__input(from, n, room); /* who likes may read it */
    finish(from, status);
  }
}

/* The pipe has ended: the target has failed, or the source is closed. */
static int ended(lua_State *L, int status, lua_KContext ctx) {
  Stream *from = (Stream *)ctx;
  Stream *to = (Stream *)lua_touserdata(L, TO);
  (void)status;
  if (from->pipe_status != 0)
    return stream__error(L, from->transport == NULL ? from : to,
                         from->pipe_status, "pipe");
  if (from->input_status != UV_EOF)
    return stream__error(L, from, from->input_status, "read");
  lua_pushinteger(L, from->moved);
  return 1;
}

static void cancel(neap_wait *wait) {
  Stream *from = (Stream *)((char *)wait - offsetof(Stream, reader));
  if (from->piped_to != NULL)
    pipe_end(from);
}

/* Why it cannot begin, or NULL. */
static const char *obstacle(const Stream *from, const Stream *to) {
  if (from->transport == NULL)
    return "the stream is closed";
  if (from->reader.pending)
    return "another task reads this stream";
  return to->shut ? "the target is shut down" : NULL;
}

/* It is its turn to write; what it found in the beginning may have changed. */
static int go(lua_State *L, Stream *to) {
  static const stream_events events = {pipe_room, pipe_input, stream__written};
  Stream *from = (Stream *)lua_touserdata(L, FROM);
  const char *why = obstacle(from, to);
  int status = 1;
  if (to->transport == NULL)
    return stream__error(L, to, UV_ECANCELED, "pipe");
  if (why != NULL) {
    stream__write_over(to);
    return module_refuse(L, "pipe: %s", why);
  }
  from->moved = 0;
  from->pipe_status = 0;
  from->piped_to = to;
  to->piped_from = from;
  to->writing = 1;
  from->transport->up = &events;
  from->transport->ops->ref(from->transport, 1);
  from->reader.cancel = cancel;
  from->reader.what = "the end of a pipe";
  if (from->len > 0) { /* what was read before */
    status = hand_on(from, from->data, from->data + from->start, from->len);
    if (status == 0)
      from->data = NULL;
    if (status >= 0)
      stream__data_free(from);
  }
  if (status < 0)
    finish(from, status);
  else if (status == 1)
    begin_reading(from);
  if (from->piped_to == NULL)
    return ended(L, NEAP_OK, (lua_KContext)from);
  return neap_suspend(L, &from->reader, HUGE_VAL, (lua_KContext)from, ended);
}

/* Lua: stream:pipe(target) -> number of bytes */
int stream__pipe(lua_State *L) {
  Stream *from = stream__check_open(L, "pipe");
  Stream *to = stream__check_target(L, TO, "pipe");
  const char *why = obstacle(from, to);
  if (why != NULL)
    return module_refuse(L, "pipe: %s", why);
  return stream__write_in_order(L, to, go);
}
