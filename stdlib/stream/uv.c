/*
** uv.c - the transport over a handle of libuv: TCP, a pipe or Unix socket, a
** terminal.
**
** The handle has nobody to keep the loop alive for until a task waits; its
** requests keep it alive by themselves. It ends with libuv's close callback,
** which frees it, requests having come back before.
*/
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "parts.h"

static stream_uv *uv_of(stream_transport *t) { return (stream_uv *)t; }

static uv_stream_t *handle_of(stream_transport *t) {
  return &uv_of(t)->handle.stream;
}

/* {======================================================
** Reading
** ======================================================= */

static void room_for(uv_handle_t *handle, size_t suggested, uv_buf_t *room) {
  stream_transport *t = (stream_transport *)handle->data;
  (void)suggested;
  t->up->room(t->owner, room);
}

/*
** Libuv calls it the end, too, where a socket is reset and the bytes that came
** before fit into the room: then the kernel still has the error. EPIPE it has
** where the reset came behind a clean end.
*/
static ssize_t end_or_reset(uv_stream_t *handle) {
  int fd, error = 0;
  socklen_t len = sizeof error;
  if (uv_fileno((uv_handle_t *)handle, &fd) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || /* no socket */
      error == 0 || error == EPIPE)
    return UV_EOF;
  return uv_translate_sys_error(error);
}

static void came(uv_stream_t *handle, ssize_t n, const uv_buf_t *room) {
  stream_transport *t = (stream_transport *)handle->data;
  if (t->owner != NULL)
    t->up->input(t->owner, n == UV_EOF ? end_or_reset(handle) : n, room);
}

static int start(stream_transport *t) {
  return uv_read_start(handle_of(t), room_for, came);
}

static void stop(stream_transport *t) {
  (void)uv_read_stop(handle_of(t)); /* cannot fail */
}

/* ====================================================== } */

/* {======================================================
** Writing
** ======================================================= */

static void tell_written(uv_stream_t *handle, int status) {
  stream_transport *t = (stream_transport *)handle->data;
  if (t->owner != NULL)
    t->up->written(t->owner, status);
}

static void written(uv_write_t *request, int status) {
  uv_stream_t *handle = request->handle;
  free(request);
  tell_written(handle, status);
}

static void shut(uv_shutdown_t *request, int status) {
  uv_stream_t *handle = request->handle;
  free(request);
  tell_written(handle, status);
}

static int write_some(stream_transport *t, const char *data, size_t len) {
  uv_buf_t rest = {(char *)data, len};
  uv_write_t *request;
  int status = uv_try_write(handle_of(t), &rest, 1);
  if (status < 0 && status != UV_EAGAIN)
    return status;
  if (status > 0) {
    rest.base += status;
    rest.len -= (size_t)status;
    if (rest.len == 0)
      return 1;
  }
  if ((request = (uv_write_t *)malloc(sizeof *request)) == NULL)
    return UV_ENOMEM;
  status = uv_write(request, handle_of(t), &rest, 1, written);
  if (status != 0)
    free(request);
  return status;
}

static int shut_down(stream_transport *t) {
  uv_shutdown_t *request = (uv_shutdown_t *)malloc(sizeof *request);
  int status;
  if (request == NULL)
    return UV_ENOMEM;
  status = uv_shutdown(request, handle_of(t), shut);
  if (status != 0)
    free(request);
  return status;
}

/* ====================================================== } */

static void freed(uv_handle_t *handle) {
  stream_uv *u = (stream_uv *)handle->data;
  neap_vm *vm = u->vm;
  free(u);
  neap_loop_release(vm);
}

static void close_handle(stream_transport *t) {
  t->owner = NULL;
  neap_loop_retain(uv_of(t)->vm);
  uv_close(&uv_of(t)->handle.any, freed);
}

static void ref(stream_transport *t, int on) {
  if (on)
    uv_ref(&uv_of(t)->handle.any);
  else
    uv_unref(&uv_of(t)->handle.any);
}

static int tcp_address(const uv_tcp_t *tcp, int peer, char *text, int *port) {
  struct sockaddr_storage name;
  struct sockaddr *any = (struct sockaddr *)&name;
  int len = sizeof name;
  int status = peer ? uv_tcp_getpeername(tcp, any, &len)
                    : uv_tcp_getsockname(tcp, any, &len);
  if (status != 0)
    return status;
  /* at the same place for both families */
  *port = ntohs(((struct sockaddr_in *)&name)->sin_port);
  module_host(any, text);
  return 0;
}

static int pipe_address(const uv_pipe_t *pipe, int peer, char *text,
                        size_t size) {
  int status = peer ? uv_pipe_getpeername(pipe, text, &size)
                    : uv_pipe_getsockname(pipe, text, &size);
  if (status == 0)
    text[size] = '\0';
  return status;
}

static int address(stream_transport *t, int peer, char *text, size_t size,
                   int *port) {
  const stream_uv *u = uv_of(t);
  *port = -1;
  switch (u->handle.any.type) {
  case UV_TCP:
    return tcp_address(&u->handle.tcp, peer, text, port);
  case UV_NAMED_PIPE:
    return pipe_address(&u->handle.pipe, peer, text, size - 1);
  default:
    return UV_ENOTSUP;
  }
}

static int set(stream_transport *t, int option, unsigned value) {
  uv_tcp_t *tcp = &uv_of(t)->handle.tcp;
  if (tcp->type != UV_TCP)
    return UV_ENOTSUP;
  if (option == STREAM_NODELAY)
    return uv_tcp_nodelay(tcp, (int)value);
  return uv_tcp_keepalive(tcp, value > 0, value);
}

stream_uv *stream__uv_new(neap_vm *vm, uv_handle_type type) {
  static const stream_ops ops = {start,        stop, write_some, shut_down,
                                 close_handle, ref,  address,    set,
                                 NULL};
  stream_uv *u = (stream_uv *)calloc(1, offsetof(stream_uv, handle) +
                                            uv_handle_size(type));
  if (u != NULL) {
    u->transport.ops = &ops;
    u->vm = vm;
    u->handle.any.data = u;
  }
  return u;
}
