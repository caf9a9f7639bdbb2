/*
** stdio.c - standard input, output and error output: those of children, and
** the program's own, as streams.
*/
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process.h"

static const char *const names[] = {"stdin", "stdout", "stderr"};

static uv_loop_t *loop_of(lua_State *L) {
  uv_loop_t *loop;
  int status = neap_loop(neap_from_lua(L), &loop);
  if (status != NEAP_OK)
    luaL_error(L, "%s", neap_strerror(status));
  return loop;
}

/* {======================================================
** Of a child
** ======================================================= */

void process__stdio_close(lua_State *L, process_stdio *io, int started) {
  if (io->owned)
    (void)close(io->fd); /* the child has another one, or was not started */
  if (io->given != NULL)
    io->given->ops->close(io->given);
  if (io->pipe != NULL && !started)
    stream_api_get(L)->close(io->pipe);
}

/* A pipe: its stream, and the child's end. */
static void open_pipe(lua_State *L, int number, process_stdio *io) {
  const stream_api *streams = stream_api_get(L);
  Stream *s = streams->create(L, names[number], NEAP_CAN_PROCESS);
  stream_uv *u = streams->uv_new(s->vm, UV_NAMED_PIPE);
  uv_loop_t *loop = loop_of(L);
  uv_file fds[2];
  int own = number == 0, status;
  if (u == NULL)
    luaL_error(L, "not enough memory");
  (void)uv_pipe_init(loop, &u->handle.pipe, 0); /* cannot fail */
  streams->attach(s, &u->transport);
  io->pipe = s;
  status = uv_pipe(fds, own == 0 ? UV_NONBLOCK_PIPE : 0,
                   own == 1 ? UV_NONBLOCK_PIPE : 0);
  if (status == 0) {
    io->fd = fds[!own];
    io->owned = 1;
    status = uv_pipe_open(&u->handle.pipe, fds[own]);
    if (status != 0)
      (void)close(fds[own]);
  }
  if (status != 0)
    module_os_error(L, status, "pipe", NULL, NULL);
}

static void open_path(lua_State *L, const char *path, int number,
                      process_stdio *io) {
  int flags = number == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC;
  module_check(L, NEAP_CAN_FS, "process");
  io->fd = open(path, flags | O_CLOEXEC, 0666);
  if (io->fd < 0)
    module_os_error(L, uv_translate_sys_error(errno), "open", "path", path);
  io->owned = 1;
}

/* A stream of another child, or a socket: it is the child's now. */
static int take_stream(lua_State *L, int arg, process_stdio *io) {
  const stream_api *streams = stream_api_get(L);
  Stream *s = streams->check(L, arg, "process");
  stream_uv *model = streams->uv_new(neap_from_lua(L), UV_NAMED_PIPE);
  const stream_ops *ops = model != NULL ? model->transport.ops : NULL;
  uv_os_fd_t fd;
  free(model);
  if (s->transport->ops != ops || s->len > 0 ||
      (io->given = streams->take(s)) == NULL)
    return module_refuse(L, "process: this stream cannot be given to a child: "
                            "it was read from, a task waits for it, or it is "
                            "none of the kernel's");
  if (uv_fileno(&((stream_uv *)io->given)->handle.any, &fd) != 0)
    return luaL_error(L, "the stream is not open");
  io->fd = fd;
  return 1;
}

/* Lua's own file, a file of `fs`, or a stream. */
static int open_object(lua_State *L, int arg, process_stdio *io) {
  luaL_Stream *file = (luaL_Stream *)luaL_testudata(L, arg, LUA_FILEHANDLE);
  if (file != NULL) {
    if (file->closef == NULL)
      return module_refuse(L, "process: the file is closed");
    (void)fflush(file->f); /* its error is for who has written there */
    io->fd = fileno(file->f);
    return 1;
  }
  if (luaL_getmetafield(L, arg, "__name") == LUA_TSTRING &&
      strcmp(lua_tostring(L, -1), "Stream") == 0)
    return take_stream(L, arg, io);
  if (luaL_getmetafield(L, arg, "__index") != LUA_TTABLE ||
      lua_getfield(L, -1, "fileno") != LUA_TFUNCTION)
    return 0;
  lua_pushvalue(L, arg);
  lua_call(L, 1, 1);
  io->fd = (int)module_integer(L, -1, "process", "fileno()", 0, 1 << 30);
  return 1;
}

void process__stdio_open(lua_State *L, int arg, int number, process_stdio *io,
                         const process_stdio *out) {
  const char *text = lua_type(L, arg) == LUA_TSTRING ? lua_tostring(L, arg)
                                                     : NULL;
  int top = lua_gettop(L);
  if (text == NULL) {
    if (!open_object(L, arg, io))
      module_refuse(L, "process: %s: \"pipe\", \"inherit\", \"null\", a path "
                       "or a file expected, got %s",
                    names[number], luaL_typename(L, arg));
  }
  else if (strcmp(text, "pipe") == 0) {
    open_pipe(L, number, io);
    return;
  }
  else if (strcmp(text, "inherit") == 0)
    io->fd = number;
  else if (number == 2 && strcmp(text, "stdout") == 0)
    io->fd = out->fd;
  else if (strcmp(text, "null") != 0)
    open_path(L, module_path(L, arg, "process", names[number]), number, io);
  lua_settop(L, top);
  lua_pushnil(L);
}

/* ====================================================== } */

/* {======================================================
** The program's own
** ======================================================= */

/* A descriptor of ours for the same file: closing it closes nothing of the
   program's. *shared becomes 0 where it has an open file of its own: not to
   block is a property of the open file, and others have the program's, too. */
static int own_descriptor(int number, int *shared) {
  char path[32];
  int fd;
  (void)snprintf(path, sizeof path, "/dev/fd/%d", number);
  if (*shared) { /* of others: a file would begin anew */
    fd = open(path, (number == 0 ? O_RDONLY : O_WRONLY) | O_NONBLOCK |
                        O_CLOEXEC | O_NOCTTY);
    *shared = fd < 0;
    if (fd >= 0)
      return fd;
  }
  fd = fcntl(number, F_DUPFD_CLOEXEC, 3);
  return fd >= 0 ? fd : uv_translate_sys_error(errno);
}

/* Opens the descriptor as what it is; it is the handle's if that succeeds. */
static int open_handle(uv_loop_t *loop, stream_uv *u, uv_handle_type type,
                       int fd, int number) {
  uv_os_fd_t used;
  int status;
  switch (type) {
  case UV_TTY: /* opens the terminal anew, where it can */
    status = uv_tty_init(loop, &u->handle.tty, fd, number == 0);
    if (status == 0 && uv_fileno(&u->handle.any, &used) == 0 && used != fd)
      (void)close(fd);
    return status;
  case UV_TCP:
    (void)uv_tcp_init(loop, &u->handle.tcp); /* cannot fail */
    return uv_tcp_open(&u->handle.tcp, fd);
  default:
    (void)uv_pipe_init(loop, &u->handle.pipe, 0); /* nor this */
    return uv_pipe_open(&u->handle.pipe, fd);
  }
}

int process__standard(lua_State *L) {
  int number = (int)luaL_checkinteger(L, 1), fd, status = UV_ENOMEM;
  const stream_api *streams = stream_api_get(L);
  uv_loop_t *loop = loop_of(L);
  uv_handle_type type = uv_guess_handle(number);
  int shared = type == UV_NAMED_PIPE; /* or a Unix socket */
  stream_uv *u;
  Stream *s;
  module_check(L, NEAP_CAN_PROCESS, "process");
  s = streams->create(L, names[number], NEAP_CAN_PROCESS);
  if (number == 1)
    (void)fflush(stdout); /* what was printed before comes before */
  fd = own_descriptor(number, &shared);
  if (fd < 0)
    return module_os_error(L, fd, "dup", "path", names[number]);
  if (!shared &&
      (type == UV_TTY || type == UV_TCP || type == UV_NAMED_PIPE)) {
    if ((u = streams->uv_new(s->vm, type)) != NULL) {
      status = open_handle(loop, u, type, fd, number);
      if (status == 0 || type != UV_TTY) /* the handle is on the loop */
        streams->attach(s, &u->transport);
      else
        free(u);
    }
  }
  else {
    stream_transport *t;
    status = process__file_new(s->vm, loop, fd, shared, &t);
    if (status == 0)
      streams->attach(s, t);
  }
  if (status == 0)
    return 1;
  (void)close(fd);
  streams->close(s);
  return module_os_error(L, status, "open", "path", names[number]);
}

/* ====================================================== } */
