/*
** names.c - tests of `net` where names are what the test says: this program
** has a getaddrinfo of its own, which libuv's threads call in place of the
** system's. Connections to several real addresses, of which some are dead;
** look-ups that do not end.
*/
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "threads.h"

/* {======================================================
** The resolver
** ======================================================= */

/* A name is its addresses, "127.0.0.2,127.0.0.1"; "slow-..." waits until
   `gate` is open, and has none. */
static uv_mutex_t lock;
static uv_cond_t opened;
static int gate_is_open;
static int lookups; /* that wait at the gate */

NEAP_API int getaddrinfo(const char *name, const char *service,
                         const struct addrinfo *hints,
                         struct addrinfo **found) {
  char list[256], *each, *rest = list;
  struct addrinfo **last = found;
  (void)service;
  (void)hints;
  *found = NULL;
  if (strncmp(name, "slow", 4) == 0) {
    uv_mutex_lock(&lock);
    lookups++;
    while (!gate_is_open)
      uv_cond_wait(&opened, &lock);
    lookups--;
    uv_mutex_unlock(&lock);
    return EAI_NONAME;
  }
  snprintf(list, sizeof list, "%s", name);
  while ((each = strtok_r(rest, ",", &rest)) != NULL) {
    struct entry {
      struct addrinfo info;
      struct sockaddr_in6 address;
    } *e = calloc(1, sizeof *e);
    struct sockaddr_in *in4 = (struct sockaddr_in *)&e->address;
    e->info.ai_addr = (struct sockaddr *)&e->address;
    if (inet_pton(AF_INET, each, &in4->sin_addr) == 1) {
      in4->sin_family = AF_INET;
      e->info.ai_addrlen = sizeof *in4;
    }
    else if (inet_pton(AF_INET6, each, &e->address.sin6_addr) == 1) {
      e->address.sin6_family = AF_INET6;
      e->info.ai_addrlen = sizeof e->address;
    }
    e->info.ai_family = e->info.ai_addr->sa_family;
    *last = &e->info;
    last = &e->info.ai_next;
  }
  return *found != NULL ? 0 : EAI_NONAME;
}

NEAP_API void freeaddrinfo(struct addrinfo *found) {
  while (found != NULL) {
    struct addrinfo *next = found->ai_next;
    free(found);
    found = next;
  }
}

static void gate_set(int is_open) {
  uv_mutex_lock(&lock);
  gate_is_open = is_open;
  uv_cond_broadcast(&opened);
  uv_mutex_unlock(&lock);
}

/* ====================================================== } */

/* {======================================================
** A network of two addresses at one port
** ======================================================= */

typedef struct network {
  int dead;      /* a listener whose line is full: it answers nobody */
  int filler[4]; /* who fill it */
  int alive;     /* a listener at another address; -1: nobody listens there */
  int port;
} network;

static int listener_at(const char *host, int *port, int backlog) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)*port)};
  socklen_t len = sizeof address;
  assert_true(fd >= 0);
  assert_int_equal(inet_pton(AF_INET, host, &address.sin_addr), 1);
  assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
  assert_int_equal(listen(fd, backlog), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
  *port = ntohs(address.sin_port);
  return fd;
}

/* 127.0.0.2 is dead, 127.0.0.1 is alive, or refuses. */
static void network_open(network *n, int is_alive) {
  struct sockaddr_in dead = {.sin_family = AF_INET};
  n->port = 0;
  n->alive = listener_at("127.0.0.1", &n->port, 16);
  n->dead = listener_at("127.0.0.2", &n->port, 0);
  dead.sin_port = htons((uint16_t)n->port);
  assert_int_equal(inet_pton(AF_INET, "127.0.0.2", &dead.sin_addr), 1);
  for (size_t i = 0; i < sizeof n->filler / sizeof *n->filler; i++) {
    n->filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    (void)connect(n->filler[i], (struct sockaddr *)&dead, sizeof dead);
  }
  if (!is_alive) {
    close(n->alive);
    n->alive = -1;
  }
}

static void network_close(network *n) {
  for (size_t i = 0; i < sizeof n->filler / sizeof *n->filler; i++)
    close(n->filler[i]);
  close(n->dead);
  if (n->alive >= 0)
    close(n->alive);
}

/* Runs a script, to which the port is known. No descriptor is left. */
static void try_network(int is_alive, const char *code) {
  network n;
  neap_vm *vm = new_vm(NULL);
  neap_value port;
  int before;
  network_open(&n, is_alive);
  port = neap_integer(n.port);
  assert_int_equal(neap_set(vm, "port", &port), NEAP_OK);
  run_script(vm, "net = require 'net'\n" /* the loop has all that it keeps */
                 "await(net.listen('127.0.0.1', 0, print)):close()\n"
                 "await(sleep(0.001))");
  before = descriptors();
  run_script(vm, code);
  run_lua(vm, "assert(#require 'asyncio'.all_tasks() == 0)");
  assert_int_equal(descriptors(), before);
  close_vm(vm);
  network_close(&n);
}

/* ====================================================== } */

static void the_one_that_answers_wins(void **state) {
  (void)state;
  try_network(1, "local t = asyncio.time()\n"
                 "local s = await(net.connect('127.0.0.2,127.0.0.1', port,\n"
                 "    {timeout = 20}))\n"
                 "assert(s:peer_address() == '127.0.0.1')\n"
                 "assert(asyncio.time() - t >= 0.25)\n"
                 "s:close()\n"
                 "s = await(net.connect('127.0.0.1,127.0.0.2', port))\n"
                 "assert(s:peer_address() == '127.0.0.1')\n"
                 "s:close()");
}

static void an_address_that_refuses_costs_no_time(void **state) {
  (void)state;
  try_network(1, "local t = asyncio.time()\n"
                 "local s = await(net.connect('127.0.0.3,127.0.0.1', port))\n"
                 "assert(asyncio.time() - t < 0.25)\n"
                 "s:close()");
}

static void the_attempts_end_with_their_time(void **state) {
  (void)state;
  try_network(1, "local ok, e = pcall(await,\n"
                 "    net.connect('127.0.0.2', port, {timeout = 0.05}))\n"
                 "assert(asyncio.isinstance(e, asyncio.TimeoutError))\n"
                 "ok, e = pcall(await,\n"
                 "    net.connect('127.0.0.2,127.0.0.2', port,\n"
                 "        {timeout = 0.4}))\n"
                 "assert(asyncio.isinstance(e, asyncio.TimeoutError))");
}

static void cancelled_in_the_middle_they_are_given_up(void **state) {
  (void)state;
  for (int i = 0; i < 5; i++) {
    char code[400];
    (void)snprintf(code, sizeof code,
                   "local list = {}\n"
                   "for i = 1, 10 do\n"
                   "  list[i] = create_task(\n"
                   "      net.connect('127.0.0.2,127.0.0.2,127.0.0.1', port))\n"
                   "end\n"
                   "await(sleep(%g))\n"
                   "for _, task in ipairs(list) do task:cancel() end\n"
                   "for _, task in ipairs(list) do\n"
                   "  local ok, s = asyncio.catch(await, task)\n"
                   "  if ok then s:close() end\n"
                   "end\n", (i + 1) * 0.125);
    try_network(1, code);
  }
}

static void when_all_fail_the_error_tells_all(void **state) {
  (void)state;
  try_network(0, "local ok, e = pcall(await,\n"
                 "    net.connect('127.0.0.1,127.0.0.3,255.255.255.255',\n"
                 "        port))\n"
                 "assert(e.code == 'ECONNREFUSED' and #e.errors == 3)\n"
                 "assert(e.errors[1] == e)\n"
                 "assert(e.address == '127.0.0.1:' .. port)\n"
                 "assert(e.errors[2].address == '127.0.0.3:' .. port)\n"
                 "assert(e.errors[3].code == 'ENETUNREACH')");
}

/* {======================================================
** Look-ups that do not end
** ======================================================= */

static void gate_new(void) {
  assert_int_equal(uv_mutex_init(&lock), 0);
  assert_int_equal(uv_cond_init(&opened), 0);
  gate_is_open = lookups = 0;
}

static void gate_delete(void) {
  assert_int_equal(lookups, 0);
  uv_cond_destroy(&opened);
  uv_mutex_destroy(&lock);
}

static int lookups_wait(neap_frame *frame, void *ud) {
  int n;
  (void)ud;
  uv_mutex_lock(&lock);
  n = lookups;
  uv_mutex_unlock(&lock);
  return neap_return(frame, neap_integer(n));
}

static int open_gate(neap_frame *frame, void *ud) {
  (void)frame;
  (void)ud;
  gate_set(1);
  return NEAP_OK;
}

static void add_functions(neap_vm *vm) {
  assert_int_equal(neap_register(vm, "waiting", lookups_wait, NULL), NEAP_OK);
  assert_int_equal(neap_register(vm, "open_gate", open_gate, NULL), NEAP_OK);
}

#define FLOOD \
  "local net, fs, list = require 'net', require 'fs', {}\n" \
  "for i = 1, 50 do list[i] = create_task(net.resolve('slow' .. i)) end\n" \
  "while waiting() == 0 do await(sleep(0.001)) end\n"

/* They have half of libuv's four threads. */
static void files_go_on_while_they_wait(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  gate_new();
  add_functions(vm);
  run_script(
      vm, FLOOD
      "for i = 1, 100 do\n"
      "  assert(#await(fs.read('/proc/self/status')) > 0)\n"
      "end\n"
      "assert(waiting() > 0 and waiting() <= 2)\n"
      "for i = 1, 25 do list[i]:cancel() end\n"
      "assert(#await(fs.read('/proc/self/status')) > 0)\n"
      "open_gate()\n"
      "for i = 1, 50 do\n"
      "  local ok, e = asyncio.catch(await, list[i])\n"
      "  assert(not ok)\n"
      "  assert(i <= 25 and asyncio.isinstance(e, asyncio.CancelledError)\n"
      "      or e.code == 'EAI_NONAME' and e.address == 'slow' .. i)\n"
      "end");
  close_vm(vm);
  gate_delete();
}

static void opens_the_gate(void *ud) {
  (void)ud;
  for (int i = 0; i < 20; i++)
    sched_yield();
  gate_set(1);
}

/* neap_close waits for those that have begun. */
static void the_vm_can_be_closed_meanwhile(void **state) {
  (void)state;
  for (int is_own = 0; is_own <= 1; is_own++) {
    uv_thread_t thread;
    uv_loop_t loop;
    neap_vm *vm;
    int status = NEAP_OK;
    assert_int_equal(uv_loop_init(&loop), 0);
    vm = is_own ? new_vm(NULL) : vm_on(&loop, NEAP_CAN_ALL);
    gate_new();
    add_functions(vm);
    spawn(vm, FLOOD "flooded = true await(sleep(1000))", note_status, &status);
    while (!global_is_true(vm, "flooded")) {
      if (is_own)
        (void)neap_tick(vm, 1000);
      else
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    thread_start(&thread, opens_the_gate, NULL);
    if (is_own) {
      close_vm(vm);
      assert_int_equal(uv_loop_close(&loop), 0);
    }
    else
      close_vm_and_loop(vm, &loop);
    assert_int_equal(status, NEAP_ECLOSED);
    thread_join(&thread);
    gate_delete();
  }
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_one_that_answers_wins),
      cmocka_unit_test(an_address_that_refuses_costs_no_time),
      cmocka_unit_test(the_attempts_end_with_their_time),
      cmocka_unit_test(cancelled_in_the_middle_they_are_given_up),
      cmocka_unit_test(when_all_fail_the_error_tells_all),
      cmocka_unit_test(files_go_on_while_they_wait),
      cmocka_unit_test(the_vm_can_be_closed_meanwhile),
  };
  return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
