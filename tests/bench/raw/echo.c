/*
** echo.c - a server on libuv alone: sends back what it gets. Prints its port.
** What the kernel takes at once is written from the buffer that it was read
** into; what is left is copied, and reading stops until it is written.
*/
#include <stdint.h>
#include <uv.h>

#include "bench.h"

typedef struct pending {
  uv_write_t request;
  char data[]; /* what the kernel has not taken */
} pending;

static char buffer[65536]; /* all connections read into it */

static void check(int status) {
  if (status != 0)
    fail(uv_strerror(status));
}

static void closed(uv_handle_t *handle) { free(handle); }

static void room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  (void)handle;
  (void)suggested;
  *buf = uv_buf_init(buffer, sizeof buffer);
}

static void came(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void written(uv_write_t *request, int status) {
  uv_stream_t *stream = request->handle;
  free(request);
  if (status == 0)
    check(uv_read_start(stream, room, came));
  else if (!uv_is_closing((uv_handle_t *)stream))
    uv_close((uv_handle_t *)stream, closed);
}

static void came(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  uv_buf_t rest = uv_buf_init(buf->base, n > 0 ? (unsigned)n : 0);
  pending *p;
  int taken;
  if (n == 0)
    return;
  taken = n > 0 ? uv_try_write(stream, &rest, 1) : (int)n;
  if (taken == n)
    return;
  if (taken < 0 && taken != UV_EAGAIN) {
    uv_close((uv_handle_t *)stream, closed);
    return;
  }
  rest.len -= taken > 0 ? (size_t)taken : 0;
  if ((p = malloc(sizeof *p + rest.len)) == NULL)
    fail("not enough memory");
  memcpy(p->data, rest.base + (n - (ssize_t)rest.len), rest.len);
  rest.base = p->data;
  check(uv_write(&p->request, stream, &rest, 1, written));
  check(uv_read_stop(stream));
}

static void comes(uv_stream_t *server, int status) {
  uv_tcp_t *tcp = malloc(sizeof *tcp);
  check(status);
  if (tcp == NULL)
    fail("not enough memory");
  check(uv_tcp_init(server->loop, tcp));
  check(uv_accept(server, (uv_stream_t *)tcp));
  check(uv_tcp_nodelay(tcp, 1));
  check(uv_read_start((uv_stream_t *)tcp, room, came));
}

int main(void) {
  uv_loop_t *loop = uv_default_loop();
  struct sockaddr_in name;
  int len = sizeof name;
  uv_tcp_t server;
  check(uv_tcp_init(loop, &server));
  check(uv_ip4_addr("127.0.0.1", 0, &name));
  check(uv_tcp_bind(&server, (struct sockaddr *)&name, 0));
  check(uv_listen((uv_stream_t *)&server, 4096, comes));
  check(uv_tcp_getsockname(&server, (struct sockaddr *)&name, &len));
  printf("%d\n", ntohs(name.sin_port));
  fflush(stdout);
  return uv_run(loop, UV_RUN_DEFAULT);
}
