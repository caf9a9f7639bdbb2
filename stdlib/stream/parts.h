/*
** parts.h - what the C files of `stream` share.
*/
#ifndef STREAM_PARTS_H
#define STREAM_PARTS_H

#include "../module/module.h"
#include "stream.h"

/* What the streams of a VM share; a userdata in the registry. */
typedef struct stream_shared {
  char *spare; /* STREAM_READ_AHEAD bytes to read into; NULL: none */
  int ended;   /* the VM is being closed */
} stream_shared;

enum { STREAM__SENT = 1 }; /* user value: the string that is being written */

/* stream.c: the class. */
Stream *stream__check(lua_State *L, const char *function);
/* The same; raises as well when it is closed. */
Stream *stream__check_open(lua_State *L, const char *function);
/* Another argument, open. */
Stream *stream__check_target(lua_State *L, int arg, const char *function);
int stream__error(lua_State *L, Stream *s, int status, const char *syscall);
void stream__close(Stream *s);
extern const stream_events stream__events; /* what a transport tells to it */

/* read.c */
extern const luaL_Reg stream__readers[];
void stream__room(void *owner, uv_buf_t *room);
void stream__input(void *owner, ssize_t n, const uv_buf_t *room);
void stream__data_free(Stream *s);
/* Lua: lines(stream [, format [, limit]]) */
int stream__lines(lua_State *L);
/* Makes the classes of errors, and sets them in the table at the top. */
void stream__errors_new(lua_State *L);

/* write.c */

/* What begins a write when it has its turn; arguments are on the stack. */
typedef int (*stream_begin)(lua_State *L, Stream *s);
/* Calls it, now or when all writes before have ended. */
int stream__write_in_order(lua_State *L, Stream *s, stream_begin begin);
/* Nothing is being written any more. */
void stream__write_over(Stream *s);
extern const luaL_Reg stream__writers[];
void stream__written(void *owner, int status);
/* The stream is closed. */
void stream__writers_wake(Stream *s);

/* pipe.c */
/* Lua: pipe(stream, target) */
int stream__pipe(lua_State *L);
/* What is kept has been written; whether a pipe goes on. */
int stream__pipe_written(Stream *to, int status);
/* The stream is closed, its transport as well. */
void stream__pipe_closed(Stream *s);

/* uv.c */
stream_uv *stream__uv_new(neap_vm *vm, uv_handle_type type);

#endif
