/*
** process.c - tests what the modules process and signal leave to a host: none
** of their handles, children, or signal handlers.
*/
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "threads.h"

static neap_vm *vm_with_modules(uv_loop_t *loop) {
  neap_config config;
  neap_config_init(&config);
  config.capabilities = NEAP_CAN_ALL;
  config.module_path = own_modules();
  config.loop = loop;
  return new_vm(&config);
}

static const char holds[] =
    "local process, signal = require 'process', require 'signal'\n"
    "child = process.spawn {'sleep', '100', stdin = 'pipe', stdout = 'pipe'}\n"
    "pid = child.pid\n"
    "handler = signal.on('USR1', 'USR2', function(name) came = name end)\n"
    "process.kill(process.pid, 'USR2')\n";

static pid_t pid_of(neap_vm *vm) {
  neap_value pid;
  assert_int_equal(neap_get(vm, "pid", &pid), NEAP_OK);
  return (pid_t)pid.as.integer;
}

static void do_nothing(int number) { (void)number; }

static void (*handler_of(int number))(int) {
  struct sigaction action;
  assert_int_equal(sigaction(number, NULL, &action), 0);
  return action.sa_handler;
}

static void nothing_stays_on_a_hosts_loop(void **state) {
  uv_loop_t loop;
  neap_vm *vm;
  pid_t pid;
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  assert_true(signal(SIGUSR2, do_nothing) != SIG_ERR);
  vm = vm_with_modules(&loop);
  spawn(vm, holds, NULL, NULL);
  while (!global_is_true(vm, "came"))
    uv_run(&loop, UV_RUN_ONCE);
  pid = pid_of(vm);
  assert_int_equal(kill(pid, 0), 0);
  close_vm_and_loop(vm, &loop);
  assert_int_equal(kill(pid, 0), -1); /* nor is there a zombie */
  assert_true(handler_of(SIGUSR1) == SIG_DFL);
  assert_true(handler_of(SIGUSR2) == do_nothing);
  assert_true(signal(SIGUSR2, SIG_DFL) == do_nothing);
}

static void nothing_stays_of_a_vm_with_its_own(void **state) {
  neap_vm *vm = vm_with_modules(NULL);
  pid_t pid;
  (void)state;
  spawn(vm, holds, NULL, NULL);
  while (!global_is_true(vm, "came"))
    assert_in_range(neap_tick(vm, 0), 0, 1);
  pid = pid_of(vm);
  close_vm(vm);
  assert_int_equal(kill(pid, 0), -1);
  assert_true(handler_of(SIGUSR1) == SIG_DFL);
}

static void exit_ends_a_task_of_the_hosts_and_not_the_host(void **state) {
  neap_vm *vm = vm_with_modules(NULL);
  int status = NEAP_OK;
  (void)state;
  spawn(vm, "await(sleep(0.02)) later = true", NULL, NULL);
  spawn(vm,
        "local _ <close> = setmetatable({}, {__close = function() clean = true "
        "end}) require 'process'.exit(3)",
        note_status, &status);
  while (status == NEAP_OK)
    assert_in_range(neap_tick(vm, 0), 0, 1);
  assert_int_equal(status, NEAP_ESCRIPT);
  assert_true(global_is_true(vm, "clean"));
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_true(global_is_true(vm, "later"));
  close_vm(vm);
}

static void *run_programs(void *ud) {
  neap_vm *vm = vm_with_modules(NULL);
  int *count = ud;
  spawn(vm,
        "local process = require 'process'\n"
        "for i = 1, 30 do\n"
        "  local all = await(process.run{'ls', '/proc/self/fd'}).stdout\n"
        "  assert(select(2, all:gsub('\\n', '')) == 4, all)\n"
        "end",
        succeeded, count);
  assert_int_equal(neap_run(vm), NEAP_OK);
  close_vm(vm);
  return NULL;
}

/* As Lua's io and any library do. */
static void *open_files(void *over) {
  while (!atomic_load((atomic_int *)over)) {
    FILE *file = fopen("/dev/null", "r");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
  }
  return NULL;
}

/* 0, 1, 2, and what ls reads */
static void programs_of_several_threads_inherit_nothing(void **state) {
  pthread_t threads[3], opening;
  atomic_int over = 0;
  int i, count[3] = {0}, fd = dup(0);
  (void)state;
  assert_true(fd >= 0);
  assert_int_equal(pthread_create(&opening, NULL, open_files, &over), 0);
  for (i = 0; i < 3; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, run_programs, &count[i]),
                     0);
  for (i = 0; i < 3; i++) {
    assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(count[i], 1);
  }
  atomic_store(&over, 1);
  assert_int_equal(pthread_join(opening, NULL), 0);
  assert_int_equal(fcntl(fd, F_GETFD), 0); /* as it was */
  assert_int_equal(close(fd), 0);
}

/* On a thread of an older kernel, as it seems. */
static void *run_on_an_older_kernel(void *ud) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog filter = {4, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
    return ud;
  assert_int_equal(syscall(SYS_close_range, 3, ~0u, 0), -1);
  return run_programs(ud);
}

static void nor_where_the_kernel_cannot_mark_all_at_once(void **state) {
  struct rlimit before, limit;
  pthread_t thread;
  int count = 0, fd = fcntl(0, F_DUPFD, 300), other = dup(0);
  (void)state;
  assert_true(fd >= 300 && other > 2);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  limit = before;
  limit.rlim_cur = 200; /* was larger when fd was opened */
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
  assert_int_equal(pthread_create(&thread, NULL, run_on_an_older_kernel,
                                  &count), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_int_equal(close(fd), 0);
  assert_int_equal(close(other), 0);
  if (count == 0)
    skip(); /* filters are not allowed here */
  assert_int_equal(count, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_stays_on_a_hosts_loop),
      cmocka_unit_test(nothing_stays_of_a_vm_with_its_own),
      cmocka_unit_test(exit_ends_a_task_of_the_hosts_and_not_the_host),
      cmocka_unit_test(programs_of_several_threads_inherit_nothing),
      cmocka_unit_test(nor_where_the_kernel_cannot_mark_all_at_once),
  };
  return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
