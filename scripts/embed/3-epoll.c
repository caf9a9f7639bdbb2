/*
** 3-epoll.c - a host that has an event loop of its own, and knows nothing
** of libuv. (Linux; poll, select, or a toolkit's loop are used likewise.)
**
** The VM gives a descriptor to wait for, and a time after which it wants to
** run even if nothing has come. The host waits for that as for all else
** that it waits for, here a timer; then neap_tick runs the scripts.
*/
#include <neap.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { TICKS = 3 };

static const char *const script =
    "local total = 0\n"
    "function async.on_tick(n)\n"
    "  await(sleep(0.03))\n"
    "  total = total + n\n"
    "  if n == 3 then print('the ticks add up to ' .. total) end\n"
    "end\n";

/* Ends the program when a function of Neap has failed. */
static void check(neap_vm *vm, int status) {
  neap_error_info error;
  if (status >= 0)
    return;
  neap_error(vm, &error);
  fprintf(stderr, "%s%s\n", error.message, error.traceback);
  exit(EXIT_FAILURE);
}

/* The same for the system's functions; gives what they have given. */
static int check_errno(int result, const char *what) {
  if (result < 0) {
    perror(what);
    exit(EXIT_FAILURE);
  }
  return result;
}

static neap_vm *open_vm(neap_value *on_tick) {
  neap_config config;
  neap_vm *vm;
  neap_value chunk;
  int status;
  neap_config_init(&config);
  config.report = neap_report_stderr; /* errors of tasks, too */
  status = neap_new(&vm, &config);
  if (status != NEAP_OK) {
    fprintf(stderr, "%s\n", neap_strerror(status));
    exit(EXIT_FAILURE);
  }
  check(vm, neap_load(vm, "script", script, strlen(script), &chunk));
  check(vm, neap_call(vm, &chunk, NULL, 0, NULL, 0, 0));
  check(vm, neap_get(vm, "on_tick", on_tick));
  check(vm, neap_retain(vm, on_tick));
  return vm;
}

/* A timer of the host's that makes its descriptor readable each 10 ms. */
static int open_timer(void) {
  struct itimerspec spec;
  int timer = check_errno(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK |
                                         TFD_CLOEXEC), "timerfd_create");
  memset(&spec, 0, sizeof spec);
  spec.it_value.tv_nsec = spec.it_interval.tv_nsec = 10000000;
  check_errno(timerfd_settime(timer, 0, &spec, NULL), "timerfd_settime");
  return timer;
}

/* Lets epoll report a descriptor that can be read. */
static void watch(int epoll, int fd) {
  struct epoll_event event;
  memset(&event, 0, sizeof event);
  event.events = EPOLLIN;
  event.data.fd = fd;
  check_errno(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

int main(void) {
  neap_value on_tick;
  neap_vm *vm = open_vm(&on_tick);
  int epoll = check_errno(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  int timer = open_timer();
  int vm_fd = neap_backend_fd(vm);
  int ticks = 0;
  check(vm, vm_fd); /* less than 0: as other errors */
  watch(epoll, vm_fd);
  watch(epoll, timer);

  for (;;) {
    struct epoll_event events[2];
    int count;
    int i;
    /* Scripts run here, and nowhere else: for a millisecond at most, if
       they let us have our turn. What is left goes on after the next wait,
       which then takes no time. */
    check(vm, neap_tick(vm, 1000));
    if (ticks == TICKS && !neap_alive(vm))
      break; /* nobody has anything left to do: a wait would never end */
    count = epoll_wait(epoll, events, 2, neap_backend_timeout(vm));
    if (count < 0 && errno != EINTR)
      check_errno(count, "epoll_wait");
    for (i = 0; i < count; i++) {
      uint64_t expirations;
      if (events[i].data.fd != timer)
        continue; /* what the VM's descriptor tells is for neap_tick */
      if (read(timer, &expirations, sizeof expirations) > 0 && ticks < TICKS) {
        neap_value n = neap_integer(++ticks);
        printf("tick %d\n", ticks);
        check(vm, neap_spawn(vm, &on_tick, &n, 1, 0, NULL, NULL, NULL));
      }
    }
  }
  /* The VM's descriptor is closed with the VM: take it out before. */
  check_errno(epoll_ctl(epoll, EPOLL_CTL_DEL, vm_fd, NULL), "epoll_ctl");
  check(vm, neap_close(vm, NULL, NULL));
  close(timer);
  close(epoll);
  return EXIT_SUCCESS;
}
