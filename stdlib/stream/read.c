/*
** read.c - reading: the buffer of a stream, and the formats by which tasks
** take from it.
**
** Reading begins with the first read, and then goes on by itself until
** STREAM_READ_AHEAD bytes are there that nobody wants. A read that finds what
** it wants in the buffer waits for nothing; another one says in `want` and
** `stop` at what it is to be woken. What a cancelled or failed read has not
** taken stays for the next one.
**
** All streams of a VM read into one buffer of STREAM_READ_AHEAD bytes. Few
** bytes are copied from there; of many the stream takes the buffer itself,
** and gives it back when it is empty.
*/
#define _GNU_SOURCE /* memmem */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

#define LINE_LIMIT (1 << 20)       /* of a line, and what ends by a separator */
#define ALL_LIMIT ((size_t)1 << 26)  /* of all there is */
#define MOST ((size_t)1 << 40)     /* for any limit */
#define FEW (STREAM_READ_AHEAD / 4)  /* bytes that are worth a copy */
#define SMALL 512                  /* a buffer that stays for the next bytes */

/* {======================================================
** The buffer
** ======================================================= */

void stream__data_free(Stream *s) {
  if (s->data != NULL && s->capacity == STREAM_READ_AHEAD &&
      s->shared->spare == NULL && !s->shared->ended)
    s->shared->spare = s->data;
  else
    free(s->data);
  s->data = NULL;
  s->start = s->len = s->capacity = s->scanned = 0;
}

/* Makes room for so many bytes behind those that are there. */
static int make_room(Stream *s, size_t more) {
  size_t capacity = s->capacity;
  char *data;
  if (capacity - s->start - s->len >= more)
    return 1;
  if (s->start > 0) { /* its beginning is free, but moving costs */
    memmove(s->data, s->data + s->start, s->len);
    s->start = 0;
    if (capacity - s->len >= more && s->len <= capacity / 2)
      return 1;
  }
  if (s->len > 0 && capacity < 2 * s->len)
    capacity = 2 * s->len;
  if (capacity < s->len + more)
    capacity = s->len + more;
  if ((data = (char *)realloc(s->data, capacity)) == NULL)
    return 0;
  s->data = data;
  s->capacity = capacity;
  return 1;
}

void stream__room(void *owner, uv_buf_t *room) {
  Stream *s = (Stream *)owner;
  stream_shared *shared = s->shared;
  size_t behind = s->capacity - s->start - s->len;
  room->len = 0;
  if (s->len >= STREAM_READ_AHEAD && s->len >= s->want)
    return;
  if (s->len > FEW && s->want > s->len) { /* a long one */
    if (!make_room(s, STREAM_READ_AHEAD / 2))
      return;
    behind = s->capacity - s->start - s->len;
  }
  if (behind >= FEW) {
    *room = uv_buf_init(s->data + s->start + s->len, (unsigned)behind);
    return;
  }
  if (shared->spare == NULL)
    shared->spare = (char *)malloc(STREAM_READ_AHEAD);
  if (shared->spare != NULL)
    *room = uv_buf_init(shared->spare, STREAM_READ_AHEAD);
}

/* Stops until somebody takes from the buffer. */
static void pause_reading(Stream *s) {
  s->transport->ops->stop(s->transport);
  s->reading = 0;
}

static void fail(Stream *s, int status) {
  s->input_status = status;
  pause_reading(s);
}

/* Takes n bytes from where they were read to. */
static void take_in(Stream *s, size_t n, char *from) {
  if (from != s->shared->spare) /* it stands where it belongs */
    s->len += n;
  else if (s->len == 0 && n > FEW) {
    free(s->data);
    s->data = from;
    s->capacity = STREAM_READ_AHEAD;
    s->start = 0;
    s->len = n;
    s->shared->spare = NULL;
  }
  else if (make_room(s, n)) {
    memcpy(s->data + s->start + s->len, from, n);
    s->len += n;
  }
  else
    fail(s, UV_ENOMEM);
}

void stream__input(void *owner, ssize_t n, const uv_buf_t *room) {
  Stream *s = (Stream *)owner;
  size_t before = s->len;
  if (n == UV_ENOBUFS) { /* there was no room */
    if (s->len < STREAM_READ_AHEAD || s->len < s->want)
      fail(s, UV_ENOMEM); /* nor will there be any */
    else if (++s->refused > 1)
      pause_reading(s); /* stopping costs more than being asked twice */
  }
  else if (n < 0)
    fail(s, (int)n);
  else if (n > 0)
    take_in(s, (size_t)n, room->base);
  if (s->want == 0 ||
      (s->len < s->want && s->input_status == 0 &&
       (s->stop < 0 || s->len == before ||
        memchr(s->data + s->start + before, s->stop, s->len - before) == NULL)))
    return;
  s->want = 0;
  (void)neap_wake(&s->reader);
}

/* ====================================================== } */

/* {======================================================
** Reading
** ======================================================= */

enum { STREAM = 1, FORMAT, LIMIT }; /* arguments */

enum { SOME, EXACTLY, LINE, LINE_AND_END, ALL, UNTIL };

static const char incomplete_key = 0, overrun_key = 0; /* classes of errors */

/* Raises an error of the class: its message, and the fields of the table at
   the top. */
static int raise_class(lua_State *L, const char *class, const char *message) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, class);
  lua_insert(L, -2);
  lua_pushstring(L, message);
  lua_insert(L, -2);
  lua_call(L, 2, 1);
  return lua_error(L);
}

/* Gives n bytes from the buffer, without the last `dropped`. */
static int take(lua_State *L, Stream *s, size_t n, size_t dropped) {
  const char *from = s->len > 0 ? s->data + s->start : "";
  lua_pushlstring(L, from, n - dropped); /* can raise */
  s->start += n;
  s->len -= n;
  s->scanned = 0;
  s->refused = 0;
  if (s->len > 0)
    return 1;
  s->start = 0;
  if (s->capacity > SMALL)
    stream__data_free(s);
  return 1;
}

/* It has ended before there was enough. */
static int incomplete(lua_State *L, Stream *s) {
  char message[96];
  lua_createtable(L, 0, 2);
  if (s->format == EXACTLY) {
    (void)snprintf(message, sizeof message,
                   "%zu bytes of %zu read, and the stream has ended", s->len,
                   s->limit);
    lua_pushinteger(L, (lua_Integer)s->limit);
    lua_setfield(L, -2, "expected");
  }
  else
    (void)snprintf(message, sizeof message, "%zu bytes read, no separator, "
                   "and the stream has ended", s->len);
  (void)take(L, s, s->len, 0);
  lua_setfield(L, -2, "partial");
  return raise_class(L, &incomplete_key, message);
}

/* It is longer than it may be; what was read stays. */
static int overrun(lua_State *L, const Stream *s) {
  const char *what = s->format == ALL ? "what came is" : s->format == UNTIL
                                          ? "no separator: what came is"
                                          : "the line is";
  char message[96];
  (void)snprintf(message, sizeof message, "%s longer than the limit, %zu bytes",
                 what, s->limit);
  lua_createtable(L, 0, 1);
  lua_pushinteger(L, (lua_Integer)s->limit);
  lua_setfield(L, -2, "limit");
  return raise_class(L, &overrun_key, message);
}

/* Takes what ends with a separator, if it is there. Whether it was. */
static int take_until(lua_State *L, Stream *s) {
  const char *separator = "\n", *from = "", *found;
  size_t len = 1, back;
  if (s->format == UNTIL)
    separator = lua_tolstring(L, FORMAT, &len);
  back = s->scanned < len ? s->scanned : len - 1; /* it may have begun */
  if (s->len > 0)
    from = s->data + s->start;
  found = (const char *)memmem(from + s->scanned - back,
                               s->len - s->scanned + back, separator, len);
  if (found != NULL && (size_t)(found - from) <= s->limit)
    return take(L, s, (size_t)(found - from) + len,
                s->format == LINE ? len : 0);
  s->scanned = s->len;
  if (found != NULL || s->len >= s->limit + len) {
    s->scanned = 0;
    return overrun(L, s);
  }
  s->want = s->limit + len;
  s->stop = (unsigned char)separator[len - 1];
  return 0;
}

/* Gives what the format asks for; 0: it is not there yet, and `want` says
   what to wait for. */
static int take_format(lua_State *L, Stream *s) {
  s->stop = -1;
  switch (s->format) {
  case SOME:
    if (s->len > 0)
      return take(L, s, s->len < s->limit ? s->len : s->limit, 0);
    s->want = 1;
    return 0;
  case EXACTLY:
    if (s->len >= s->limit)
      return take(L, s, s->limit, 0);
    s->want = s->limit;
    return 0;
  case ALL:
    if (s->len > s->limit)
      return overrun(L, s);
    s->want = s->limit + 1;
    return 0;
  default:
    return take_until(L, s);
  }
}

/* Gives what there is when nothing more comes. */
static int take_rest(lua_State *L, Stream *s) {
  s->want = 0;
  if (s->input_status != UV_EOF)
    return stream__error(L, s, s->input_status, "read");
  if (s->format == EXACTLY || s->format == UNTIL)
    return incomplete(L, s);
  if (s->len > 0 || s->format == ALL)
    return take(L, s, s->len, 0);
  lua_pushnil(L);
  return 1;
}

/* The task does not wait any longer. */
static void leave(neap_wait *wait) {
  Stream *s = (Stream *)((char *)wait - offsetof(Stream, reader));
  s->want = 0;
  if (s->transport != NULL)
    s->transport->ops->ref(s->transport, 0);
}

static int go_on(lua_State *L, int status, lua_KContext ctx);

/* Reads by the format that is set. */
static int read_format(lua_State *L, Stream *s) {
  for (;;) {
    int status = take_format(L, s);
    if (status != 0)
      return status;
    if (s->input_status != 0)
      return take_rest(L, s);
    if (s->reading)
      break;
    s->reading = 1;
    s->refused = 0;
    status = s->transport->ops->start(s->transport); /* may bring some */
    if (status != 0) {
      s->want = 0;
      s->reading = 0;
      return stream__error(L, s, status, "read");
    }
  }
  s->transport->ops->ref(s->transport, 1);
  s->reader.cancel = leave;
  s->reader.what = "bytes of a stream";
  return neap_suspend(L, &s->reader, HUGE_VAL, (lua_KContext)s, go_on);
}

static int go_on(lua_State *L, int status, lua_KContext ctx) {
  Stream *s = (Stream *)ctx;
  (void)status;
  leave(&s->reader);
  if (s->transport == NULL)
    return stream__error(L, s, UV_ECANCELED, "read");
  return read_format(L, s);
}

/* Begins a read. */
static int begin(lua_State *L, Stream *s, const char *function, int format,
                 size_t limit) {
  if (s->reader.pending)
    return module_refuse(L, "%s: another task reads this stream", function);
  if (s->format != format)
    s->scanned = 0;
  s->format = format;
  s->limit = limit;
  return read_format(L, s);
}

static size_t check_limit(lua_State *L, const char *function, size_t standard) {
  if (lua_isnoneornil(L, LIMIT))
    return standard;
  return (size_t)module_integer(L, LIMIT, function, "limit", 1, MOST);
}

static int bad_format(lua_State *L, const char *function) {
  return module_refuse(
      L, "%s: \"l\", \"L\", \"a\" or a number of bytes expected, got %s",
      function, luaL_tolstring(L, FORMAT, NULL));
}

static int read_by(lua_State *L, Stream *s, const char *function) {
  const char *format;
  size_t len;
  switch (lua_type(L, FORMAT)) {
  case LUA_TNONE:
  case LUA_TNIL:
    return begin(L, s, function, SOME, MOST);
  case LUA_TNUMBER: {
    size_t n = (size_t)module_integer(L, FORMAT, function, "number of bytes", 1,
                                      MOST);
    return begin(L, s, function, SOME, n);
  }
  case LUA_TSTRING:
    format = lua_tolstring(L, FORMAT, &len);
    if (*format == '*') { /* as Lua's io */
      format++;
      len--;
    }
    if (len == 1)
      switch (*format) {
      case 'l':
      case 'L':
        return begin(L, s, function, *format == 'l' ? LINE : LINE_AND_END,
                     check_limit(L, function, LINE_LIMIT));
      case 'a':
        return begin(L, s, function, ALL, check_limit(L, function, ALL_LIMIT));
      }
  }
  return bad_format(L, function);
}

/* Lua: stream:read([format [, limit]]) */
static int stream_read(lua_State *L) {
  return read_by(L, stream__check_open(L, "read"), "read");
}

/* Lua: stream:readexactly(n) */
static int stream_readexactly(lua_State *L) {
  Stream *s = stream__check_open(L, "readexactly");
  size_t n = (size_t)module_integer(L, FORMAT, "readexactly",
                                    "number of bytes", 0, MOST);
  if (n == 0) {
    lua_pushliteral(L, "");
    return 1;
  }
  return begin(L, s, "readexactly", EXACTLY, n);
}

/* Lua: stream:readuntil([separator [, limit]]) */
static int stream_readuntil(lua_State *L) {
  Stream *s = stream__check_open(L, "readuntil");
  size_t len, limit = check_limit(L, "readuntil", LINE_LIMIT);
  if (lua_isnoneornil(L, FORMAT)) {
    lua_settop(L, LIMIT);
    lua_pushliteral(L, "\n");
    lua_replace(L, FORMAT);
  }
  (void)module_string(L, FORMAT, "readuntil", "separator", &len);
  if (len == 0)
    return module_refuse(L, "readuntil: the separator is empty");
  s->scanned = 0;
  return begin(L, s, "readuntil", UNTIL, limit);
}

const luaL_Reg stream__readers[] = {{"read", stream_read},
                                    {"readexactly", stream_readexactly},
                                    {"readuntil", stream_readuntil},
                                    {NULL, NULL}};

/* {======================================================
** Lines
** ======================================================= */

/* Lua: the iterator; its upvalues: stream, format, limit */
static int next_line(lua_State *L) {
  int i;
  lua_settop(L, 0);
  for (i = STREAM; i <= LIMIT; i++)
    lua_pushvalue(L, lua_upvalueindex(i));
  return read_by(L, stream__check_open(L, "lines"), "lines");
}

int stream__lines(lua_State *L) {
  (void)stream__check_open(L, "lines");
  lua_settop(L, LIMIT);
  (void)check_limit(L, "lines", 0);
  if (lua_isnil(L, FORMAT)) {
    lua_pushliteral(L, "l");
    lua_replace(L, FORMAT);
  }
  lua_pushcclosure(L, next_line, LIMIT);
  return 1;
}

/* ====================================================== } */

/* Makes a class below asyncio.Exception, which is at `parent`. */
static void class_new(lua_State *L, int parent, const char *name,
                      const char *key) {
  lua_getfield(L, parent, "subclass");
  lua_pushvalue(L, parent);
  lua_pushstring(L, name);
  lua_call(L, 2, 1);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
  lua_setfield(L, parent - 1, name);
}

void stream__errors_new(lua_State *L) {
  int parent = lua_gettop(L) + 1;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "asyncio");
  lua_getfield(L, -1, "Exception");
  lua_replace(L, parent);
  lua_settop(L, parent);
  class_new(L, parent, "IncompleteReadError", &incomplete_key);
  class_new(L, parent, "LimitOverrunError", &overrun_key);
  lua_settop(L, parent - 1);
}

/* ====================================================== } */
