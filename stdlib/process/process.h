/*
** process.h - what the C files of `process` share.
*/
#ifndef PROCESS_H
#define PROCESS_H

#include "../module/module.h"
#include "../stream/stream.h"

/* {======================================================
** stdio.c: standard input, output and error output
** ======================================================= */

/* What a child gets as one of its three. */
typedef struct process_stdio {
  int fd;                  /* -1: /dev/null */
  int owned;               /* to be closed when the child has it */
  Stream *pipe;            /* whose other end the child gets; or NULL */
  stream_transport *given; /* a stream's, which the child gets; or NULL */
} process_stdio;

/* Opens what the value at `arg` says, for the descriptor `number` (0 to 2) of
   a child; `out` is what its stdout gets. Pushes the stream of a pipe, or
   nil. Raises; what `io` has by then is for process__stdio_close. */
void process__stdio_open(lua_State *L, int arg, int number, process_stdio *io,
                         const process_stdio *out);
/* Closes what is not the caller's to keep: of a child that was not started,
   all. */
void process__stdio_close(lua_State *L, process_stdio *io, int started);

/* Lua: standard(number) -> the program's own, as a stream */
int process__standard(lua_State *L);

/* ====================================================== } */

/* file.c: makes the transport over a file, or, `polled`, over a pipe or socket
   that goes on blocking. 0, and the descriptor is its own; or a UV_E code. */
int process__file_new(neap_vm *vm, uv_loop_t *loop, int fd, int polled,
                      stream_transport **made);

/* descriptors.c: before the first; raises "not enough memory" and the like. */
void process__spawn_init(lua_State *L);
/* uv_spawn of a child that gets no descriptor but its three. */
int process__spawn(uv_loop_t *loop, uv_process_t *child,
                   const uv_process_options_t *options);

/* group.c: whether a process of the group runs. Its leader was a child of ours
   and has been waited for; no process gets its number while there are any. */
int process__group_runs(pid_t group);

/* child.c */
extern const luaL_Reg process__child_functions[];
void process__child_init(lua_State *L);

#endif
