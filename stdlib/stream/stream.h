/*
** stream.h - byte streams, for the modules that make them: net, process, tls.
**
** A Stream is the userdata that scripts read and write: buffer, formats,
** queue of writers. Below it is a transport, heap memory that moves the bytes:
** a handle of libuv (uv.c), or whatever a module makes (TLS over another
** transport, a file read by threads). It calls `up` when something came or
** went: the Stream's functions, or those of a transport in between. No call
** of either side uses Lua, so that callbacks of libuv may make them.
**
** stream.so exports no symbols but luaopen_. Other modules reach it through
** a table of functions in Lua's registry: they `require "stream"`, and then
**     const stream_api *streams = stream_api_get(L);
**     Stream *s = streams->create(L, "stdin", 0);          what can fail
**     stream_uv *u = streams->uv_new(vm, UV_NAMED_PIPE);    NULL: no memory
**     uv_pipe_init(loop, &u->handle.pipe, 0), uv_pipe_open(...) ...
**     streams->attach(s, &u->transport);                 cannot fail
**
** Rules of transports:
**  1. Everything happens on the VM's thread. `up` may be called inside the
**     functions of `ops`, but for `close`.
**  2. There is at most one write or shutdown under way.
**  3. `close` ends the transport: it frees its memory when libuv lets it, and
**     calls `up` no more. It may be called inside a call of `up`, which then
**     has to return without a look at the transport's memory, unless that is
**     freed by libuv's close callback.
**  4. A handle keeps the loop alive only while a task waits for it (`ref`).
*/
#ifndef STREAM_H
#define STREAM_H

#include <lauxlib.h>
#include <lua.h>
#include <uv.h>

#include "neap.h"

/* {======================================================
** Transports
** ======================================================= */

typedef struct stream_transport stream_transport;

/* What a transport does for the one above it. Statuses are 0 or UV_E. */
typedef struct stream_ops {
  /* Begins to read: `up->room` and `up->input` are called from now on. */
  int (*start)(stream_transport *t);
  /* Ends it, until the next start. */
  void (*stop)(stream_transport *t);
  /* Writes: 1 when all is taken; 0: under way, `data` has to stay until
     `up->written` is called, or the transport closed. Else a UV_E code. */
  int (*write)(stream_transport *t, const char *data, size_t len);
  /* Ends the writing side, as `write` does it. */
  int (*shutdown)(stream_transport *t);
  void (*close)(stream_transport *t);
  /* Whether it keeps the loop alive. */
  void (*ref)(stream_transport *t, int on);
  /* Writes its own address, or that of the other side, to `text`: a host with
     `*port`, or with port -1 a path, or whatever tells it. */
  int (*address)(stream_transport *t, int peer, char *text, size_t size,
                 int *port);
  /* STREAM_NODELAY: 0 or 1; STREAM_KEEPALIVE: seconds of idleness, 0: off. */
  int (*set)(stream_transport *t, int option, unsigned value);
  /* Pushes the error of a status of its own, and gives 1; or 0: an OSError
     tells all. `address`: of the peer, or NULL. Lua, may raise. NULL: 0. */
  int (*error_push)(lua_State *L, stream_transport *t, int status,
                    const char *syscall, const char *address);
} stream_ops;

enum { STREAM_NODELAY, STREAM_KEEPALIVE };

/* What a transport tells the one above it, the `owner`. */
typedef struct stream_events {
  /* Where can bytes be put? It is lent until `input` is called, in the same
     callback of libuv. `room->len` 0: nowhere now; call `input` with
     UV_ENOBUFS, and ask again later. */
  void (*room)(void *owner, uv_buf_t *room);
  /* So many are there; 0: none after all; UV_EOF: no more will come, or
     another UV_E code: something failed, and nothing comes any more. */
  void (*input)(void *owner, ssize_t n, const uv_buf_t *room);
  /* The write or shutdown has ended. */
  void (*written)(void *owner, int status);
} stream_events;

struct stream_transport {
  const stream_ops *ops;
  const stream_events *up;
  void *owner; /* NULL: nobody is told */
};

/* A transport over a handle of libuv, made by `uv_new`. Who has made it does
   uv_NAME_init on the handle, which until then is free()d, and afterwards is
   closed by transport.ops->close. Its handle.data is the library's. */
typedef struct stream_uv {
  stream_transport transport;
  neap_vm *vm; /* which waits for its end: neap_loop_retain */
  union {
    uv_handle_t any;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
    uv_tty_t tty;
  } handle; /* as long as the type asks for: last */
} stream_uv;

/* ====================================================== } */

/* {======================================================
** Streams
** ======================================================= */

#define STREAM_READ_AHEAD 65536 /* bytes kept without being asked for */

/* A task that waits until others have written. A userdata on its stack. */
typedef struct stream_writer {
  neap_wait wait;
  struct stream_writer *previous;
  struct stream_writer *next;
  struct Stream *stream;
  int (*begin)(lua_State *L, struct Stream *s);
} stream_writer;

/* Scripts' object; it is collected, or closed, with its transport. */
typedef struct Stream {
  const void *tag;      /* tells it from any other userdata */
  stream_transport *transport; /* NULL: closed, or not yet attached */
  neap_vm *vm;
  struct stream_shared *shared; /* of the VM */
  const char *name;     /* for tostring: static; NULL: its addresses tell */
  unsigned needs;       /* capabilities */
  /* what came and was not read: data[start .. start + len - 1] */
  char *data;           /* NULL: there is none, and nothing has come */
  size_t start;
  size_t len;
  size_t capacity;
  /* what the reader waits for */
  size_t limit;         /* bytes; of `readexactly` and `read(n)`, their n */
  size_t want;          /* enough to look at; 0: nobody waits */
  size_t scanned;       /* bytes in which there is no end of a line */
  int stop;             /* or this byte; -1: none */
  int format;           /* see read.c */
  int input_status;     /* 0, UV_EOF, or why nothing more comes */
  int output_status;    /* of the write that ended last */
  uint8_t reading;      /* the transport is started */
  uint8_t refused;      /* times that there was no room */
  uint8_t writing;      /* a write or shutdown is under way */
  uint8_t shut;         /* there is nothing more to be written */
  neap_wait reader;
  neap_wait writer;     /* whose write is under way */
  stream_writer *first; /* those in line */
  stream_writer *last;
  /* pipes: see pipe.c */
  struct Stream *piped_to;
  struct Stream *piped_from;
  char *kept;           /* memory of what a pipe has under way */
  lua_Integer moved;
  int pipe_status;      /* 0, or why it has failed */
} Stream;

/* What stream.so offers to other modules; none runs Lua but `create`, `check`
   and `error_push`. */
typedef struct stream_api {
  size_t size; /* of this table, for whoever was built with another one */
  /* Pushes a Stream without a transport. Raises when memory ends. */
  Stream *(*create)(lua_State *L, const char *name, unsigned needs);
  /* Gives it its transport, which from now on is the Stream's to close. */
  void (*attach)(Stream *s, stream_transport *t);
  /* The open Stream at `arg`; raises a usage error "FUNCTION: ...". */
  Stream *(*check)(lua_State *L, int arg, const char *function);
  /* Takes the transport away, for one that is put on top of it; the Stream is
     closed to scripts then. What it has read already is at data + start, and
     belongs to it, as long as it lives. NULL: tasks wait for it. */
  stream_transport *(*take)(Stream *s);
  /* Closes it, with all that wait for it; as often as you like. */
  void (*close)(Stream *s);
  /* Pushes the OSError of the status; its address is that of the peer. */
  void (*error_push)(lua_State *L, Stream *s, int status, const char *syscall);
  /* UV_TCP, UV_NAMED_PIPE or UV_TTY; NULL: no memory. */
  stream_uv *(*uv_new)(neap_vm *vm, uv_handle_type type);
} stream_api;

#define STREAM_API_KEY "neap.stream.api"

static inline const stream_api *stream_api_get(lua_State *L) {
  const stream_api *api;
  lua_getfield(L, LUA_REGISTRYINDEX, STREAM_API_KEY);
  api = (const stream_api *)lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (api == NULL || api->size != sizeof(stream_api))
    luaL_error(L, "the module stream is missing, or of another version");
  return api;
}

/* ====================================================== } */

#endif
