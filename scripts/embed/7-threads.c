/*
** 7-threads.c - three threads with a VM each, which talk through ports.
**
** A VM is its thread's own: no other may call its functions. What another
** thread can do is to post to its port: a function, and what that is given,
** which then runs on the VM's thread. Here a number goes round, one more at
** each VM, until a script has enough.
*/
#include <neap.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORKERS = 3 };

static const char *const script =
    "function async.receive(n)\n"
    "  print(name .. ' gets ' .. n)\n"
    "  await(sleep(0.001))\n"
    "  if n < 9 then pass(n + 1) end\n"
    "  if n > 6 then finish() end\n"
    "end\n";

typedef struct worker {
  const char *name;
  neap_port *port; /* set before `ready`; any thread uses it then */
  int finished;    /* its own thread's */
} worker;

static worker workers[WORKERS] = {
    {"Ann", NULL, 0}, {"Ben", NULL, 0}, {"Cid", NULL, 0}};
static uv_barrier_t ready; /* all ports are open */

static void fail(const char *text) {
  fprintf(stderr, "%s\n", text);
  exit(EXIT_FAILURE);
}

static void check(neap_vm *vm, int status) {
  neap_error_info error;
  if (status >= 0)
    return;
  neap_error(vm, &error);
  fail(error.message);
}

/* On a worker's thread: makes a task of a number that has come. */
static void receive(neap_vm *vm, void *payload) {
  neap_value number = neap_integer(*(lua_Integer *)payload);
  neap_value function;
  check(vm, neap_get(vm, "receive", &function));
  check(vm, neap_spawn(vm, &function, &number, 1, 0, NULL, NULL, NULL));
}

/* On any thread: sends a worker a number, which Neap has freed when it has
   been received, or can no longer be. */
static int send_number(worker *to, lua_Integer number) {
  lua_Integer *payload = (lua_Integer *)malloc(sizeof number);
  int status;
  if (payload == NULL)
    return NEAP_ENOMEM;
  *payload = number;
  status = neap_post(to->port, receive, payload, free);
  if (status == NEAP_ENOMEM)
    free(payload); /* the one case in which it is still ours */
  return status;
}

/* pass(n): sends it to the next worker */
static int pass(neap_frame *frame, void *ud) {
  worker *self = (worker *)ud;
  lua_Integer number;
  int status = neap_arg_integer(frame, 1, &number);
  if (status != NEAP_OK)
    return status;
  return send_number(&workers[(self - workers + 1) % WORKERS], number);
}

/* finish(): lets this worker end */
static int finish(neap_frame *frame, void *ud) {
  (void)frame;
  ((worker *)ud)->finished = 1;
  return NEAP_OK;
}

/* A thread: makes its VM, and runs it until the script has enough. A port
   does not keep neap_run going: the thread waits by itself, as in 3-epoll.c. */
static void work(void *ud) {
  worker *self = (worker *)ud;
  neap_value name = neap_text(self->name);
  struct pollfd fd = {-1, POLLIN, 0};
  neap_config config;
  neap_value chunk;
  neap_vm *vm;
  int status;
  neap_config_init(&config);
  config.report = neap_report_stderr;
  status = neap_new(&vm, &config);
  if (status != NEAP_OK)
    fail(neap_strerror(status));
  check(vm, neap_set(vm, "name", &name));
  check(vm, neap_register(vm, "pass", pass, self));
  check(vm, neap_register(vm, "finish", finish, self));
  check(vm, neap_load(vm, "script", script, strlen(script), &chunk));
  check(vm, neap_call(vm, &chunk, NULL, 0, NULL, 0, 0));
  check(vm, neap_port_open(vm, &self->port));
  fd.fd = neap_backend_fd(vm);
  check(vm, fd.fd);
  uv_barrier_wait(&ready);
  for (;;) {
    check(vm, neap_tick(vm, 1000));
    if (self->finished)
      break;
    if (poll(&fd, 1, neap_backend_timeout(vm)) < 0 && errno != EINTR)
      fail("poll");
  }
  check(vm, neap_close(vm, NULL, NULL));
}

int main(void) {
  uv_thread_t threads[WORKERS];
  int i;
  if (uv_barrier_init(&ready, WORKERS + 1) != 0)
    fail("no barrier");
  for (i = 0; i < WORKERS; i++)
    if (uv_thread_create(&threads[i], work, &workers[i]) != 0)
      fail("no thread");
  uv_barrier_wait(&ready);
  if (send_number(&workers[0], 1) != NEAP_OK)
    fail("the first number cannot be sent");
  for (i = 0; i < WORKERS; i++)
    if (uv_thread_join(&threads[i]) != 0)
      fail("a thread is lost");
  for (i = 0; i < WORKERS; i++) {
    /* too late: a port outlives its VM, and says so */
    printf("%s: %s\n", workers[i].name,
           neap_strerror(send_number(&workers[i], 0)));
    neap_port_release(workers[i].port);
  }
  uv_barrier_destroy(&ready);
  return EXIT_SUCCESS;
}
