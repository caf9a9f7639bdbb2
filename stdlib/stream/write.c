/*
** write.c - writing: one after the other, in the order of their calls.
**
** What the transport takes at once costs no wait. Else the task waits until
** all is taken, and others line up behind it. A write that has begun goes on
** to its end though its task is cancelled: no part of a message is lost. One
** that is still in line then is not begun.
**
** `first` is the next in line. It has the turn once nothing is being written:
** it has been woken then, and nobody gets before it.
*/
#include <math.h>
#include <string.h>

#include "parts.h"

enum { STREAM = 1, DATA, ENTRY }; /* on the stack; without DATA: shutdown */

static void unlink_entry(stream_writer *entry) {
  Stream *s = entry->stream;
  if (entry->previous != NULL)
    entry->previous->next = entry->next;
  else
    s->first = entry->next;
  if (entry->next != NULL)
    entry->next->previous = entry->previous;
  else
    s->last = entry->previous;
}

/* The next one in line may write, if nobody does. */
static void pass_turn(Stream *s) {
  if (!s->writing && s->first != NULL)
    (void)neap_wake(&s->first->wait);
}

static void entry_cancel(neap_wait *wait) {
  stream_writer *entry = (stream_writer *)wait;
  unlink_entry(entry);
  pass_turn(entry->stream);
}

void stream__writers_wake(Stream *s) {
  stream_writer *entry;
  s->writing = 0;
  s->output_status = UV_ECANCELED;
  (void)neap_wake(&s->writer);
  for (entry = s->first; entry != NULL; entry = entry->next)
    (void)neap_wake(&entry->wait);
}

void stream__write_over(Stream *s) {
  s->writing = 0;
  (void)neap_wake(&s->writer);
  pass_turn(s);
}

void stream__written(void *owner, int status) {
  Stream *s = (Stream *)owner;
  if (s->shut && status == UV_ENOTSOCK) { /* a pipe: it has one half */
    stream__close(s);
    s->output_status = 0;
    return;
  }
  s->output_status = status;
  if (s->kept == NULL || !stream__pipe_written(s, status))
    stream__write_over(s);
}

/* Raises, when the write or shutdown has failed. */
static int outcome(lua_State *L, Stream *s, int status) {
  if (status < 0)
    return stream__error(L, s, status,
                         lua_isnil(L, DATA) ? "shutdown" : "write");
  return 0;
}

/* Cancelled: it goes on to its end; those who came after that have waited for
   the task. */
static void cancel(neap_wait *wait) {
  pass_turn((Stream *)((char *)wait - offsetof(Stream, writer)));
}

/* The write under way has ended. */
static int ended(lua_State *L, int status, lua_KContext ctx) {
  Stream *s = (Stream *)ctx;
  (void)status;
  pass_turn(s);
  if (!s->writing) { /* nor has the next one begun */
    lua_pushnil(L);
    lua_setiuservalue(L, STREAM, STREAM__SENT);
  }
  return outcome(L, s, s->output_status);
}

/* Writes the string, or shuts down: it has the turn. */
static int go(lua_State *L, Stream *s) {
  stream_transport *t = s->transport;
  size_t len;
  const char *data = lua_tolstring(L, DATA, &len); /* NULL: shut down */
  int status;
  if (t == NULL)
    return outcome(L, s, UV_ECANCELED);
  if (s->shut) {
    pass_turn(s);
    if (data == NULL)
      return 0;
    return module_refuse(L, "write: the stream is shut down");
  }
  if (data == NULL) {
    s->shut = 1;
    status = t->ops->shutdown(t);
  }
  else
    status = len == 0 ? 1 : t->ops->write(t, data, len);
  if (status != 0) {
    pass_turn(s);
    return outcome(L, s, status);
  }
  s->writing = 1;
  lua_pushvalue(L, DATA); /* stays, whatever becomes of the task */
  lua_setiuservalue(L, STREAM, STREAM__SENT);
  s->writer.cancel = cancel;
  s->writer.what = "a stream to take bytes";
  return neap_suspend(L, &s->writer, HUGE_VAL, (lua_KContext)s, ended);
}

/* It has the turn. */
static int turn(lua_State *L, int status, lua_KContext ctx) {
  stream_writer *entry = (stream_writer *)ctx;
  (void)status;
  unlink_entry(entry);
  return entry->begin(L, entry->stream);
}

static int line_up(lua_State *L, Stream *s, stream_begin begin) {
  stream_writer *entry =
      (stream_writer *)lua_newuserdatauv(L, sizeof *entry, 0);
  memset(entry, 0, sizeof *entry);
  entry->stream = s;
  entry->begin = begin;
  entry->previous = s->last;
  if (s->last != NULL)
    s->last->next = entry;
  else
    s->first = entry;
  s->last = entry;
  entry->wait.cancel = entry_cancel;
  entry->wait.what = "a stream, behind other writers";
  return neap_suspend(L, &entry->wait, HUGE_VAL, (lua_KContext)entry, turn);
}

int stream__write_in_order(lua_State *L, Stream *s, stream_begin begin) {
  int busy = s->writing || s->writer.pending || s->first != NULL;
  return busy ? line_up(L, s, begin) : begin(L, s);
}

/* Lua: stream:write(string, ...) */
static int stream_write(lua_State *L) {
  Stream *s = stream__check_open(L, "write");
  int i, n = lua_gettop(L);
  for (i = DATA; i <= n; i++)
    if (lua_type(L, i) != LUA_TSTRING && lua_type(L, i) != LUA_TNUMBER)
      return module_refuse(L, "write: a string or number expected, got %s",
                           luaL_typename(L, i));
  if (n != DATA)
    lua_concat(L, n - STREAM); /* none: "" */
  return stream__write_in_order(L, s, go);
}

/* Lua: stream:shutdown() */
static int stream_shutdown(lua_State *L) {
  Stream *s = stream__check_open(L, "shutdown");
  lua_settop(L, STREAM);
  lua_pushnil(L);
  return stream__write_in_order(L, s, go);
}

const luaL_Reg stream__writers[] = {{"shutdown", stream_shutdown},
                                    {"write", stream_write},
                                    {NULL, NULL}};
