/*
** watchdog.c - tests what limits of time do to the process: its signals, its
** threads, several VMs on one thread and on several.
*/
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "limited.h"

static void timed_open(trial *t, int number) {
  neap_config config;
  neap_config_init(&config);
  config.limits.deadline = 0.03;
  config.limits.slice = 0.002;
  config.signal = number;
  trial_open_with(t, &config);
}

/* Never ends. (The thread sanitizer gives signals to code that calls what it
   knows, such as malloc.) */
#define SPIN "while true do local _ = {} end"

static void expect_kill(trial *t) { expect_end(t, NEAP_EDEADLINE, SPIN); }

/* {======================================================
** The host's signals
** ======================================================= */

static volatile sig_atomic_t heard;

static void hear(int number) {
  (void)number;
  heard++;
}

static void hear_info(int number, siginfo_t *info, void *context) {
  assert_non_null(info);
  assert_non_null(context);
  hear(number);
}

static void install(int number, int with_info) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  if (with_info) {
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = hear_info;
  }
  else
    action.sa_handler = hear;
  assert_int_equal(sigaction(number, &action, NULL), 0);
  heard = 0;
}

static int listens(int number) {
  struct sigaction action;
  assert_int_equal(sigaction(number, NULL, &action), 0);
  return action.sa_handler == hear || action.sa_sigaction == hear_info;
}

/* Waits until so many were heard; the thread sanitizer delays signals. */
static void hear_out(sig_atomic_t count) {
  for (int i = 0; heard < count && i < 1000; i++)
    uv_sleep(1);
  assert_int_equal(heard, count);
}

/* Whatever way it is sent. */
static void send_all(int number) {
  sig_atomic_t before = heard;
  union sigval value = {0};
  assert_int_equal(kill(getpid(), number), 0);
  hear_out(before + 1);
  assert_int_equal(raise(number), 0);
  hear_out(before + 2);
  assert_int_equal(sigqueue(getpid(), number, value), 0);
  hear_out(before + 3);
}

static int silence(void **state) {
  (void)state;
  signal(SIGURG, SIG_DFL);
  signal(SIGUSR2, SIG_DFL);
  return 0;
}

static void check_handler(int number, int with_info, int configured) {
  trial a, b;
  sig_atomic_t before;
  install(number, with_info);
  timed_open(&a, configured);
  assert_false(listens(number));
  send_all(number);
  timed_open(&b, configured);
  send_all(number);
  before = heard;
  expect_kill(&a);
  expect_kill(&b);
  assert_int_equal(heard, before); /* what is ours is not for the host */
  trial_close(&a);
  send_all(number);
  expect_kill(&b);
  trial_close(&b);
  assert_true(listens(number));
  send_all(number);
}

static void a_handler_of_the_hosts_goes_on_and_comes_back(void **state) {
  (void)state;
  check_handler(SIGURG, 0, 0);
  check_handler(SIGURG, 1, 0);
  check_handler(SIGURG, 0, SIGURG);
}

static void so_with_another_signal_and_again(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    check_handler(SIGUSR2, 0, SIGUSR2);
    check_handler(SIGUSR2, 1, SIGUSR2);
  }
}

static void a_later_handler_of_the_hosts_is_left_alone(void **state) {
  trial t;
  (void)state;
  timed_open(&t, 0);
  install(SIGURG, 0);
  trial_close(&t);
  assert_true(listens(SIGURG));
  send_all(SIGURG);
}

static void without_limits_of_time_no_handler_is_touched(void **state) {
  trial t;
  (void)state;
  install(SIGURG, 0);
  trial_open(&t, &(neap_limits){.memory = 1 << 20, .tasks = 5, .output = 9});
  assert_true(listens(SIGURG));
  expect_end(&t, NEAP_OK, "");
  trial_close(&t);
  timed_open(&t, -1);
  assert_true(listens(SIGURG));
  expect_kill(&t);
  trial_close(&t);
  assert_true(listens(SIGURG));
  assert_int_equal(heard, 0);
}

static void no_other_thread_takes_the_hosts_signals(void **state) {
  trial t;
  sigset_t set, before;
  struct timespec none = {0, 0};
  (void)state;
  timed_open(&t, 0);
  expect_kill(&t); /* the thread runs */
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, &before), 0);
  assert_int_equal(kill(getpid(), SIGUSR2), 0);
  assert_int_equal(sigtimedwait(&set, NULL, &none), SIGUSR2);
  assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
  trial_close(&t);
}

static void it_holds_where_all_signals_were_blocked(void **state) {
  trial t;
  sigset_t all, before;
  (void)state;
  sigfillset(&all);
  assert_int_equal(pthread_sigmask(SIG_BLOCK, &all, &before), 0);
  timed_open(&t, 0);
  expect_kill(&t);
  trial_close(&t);
  assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

/* ====================================================== } */

/* {======================================================
** Several VMs
** ======================================================= */

static void two_vms_take_turns_on_one_loop(void **state) {
  uv_loop_t loop;
  trial t[2];
  ending e[2];
  neap_config config;
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  for (int i = 0; i < 2; i++) {
    neap_config_init(&config);
    config.loop = &loop;
    config.limits.deadline = 0.05;
    config.limits.slice = 0.002;
    trial_open_with(&t[i], &config);
    start(&t[i], 0, "n = 0 while true do n = n + 1 local _ = {} end", &e[i]);
  }
  assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
  for (int i = 0; i < 2; i++) {
    neap_value n;
    assert_int_equal(e[i].status, NEAP_EDEADLINE);
    assert_int_equal(neap_get(t[i].vm, "n", &n), NEAP_OK);
    assert_true(n.as.integer > 0);
    close_vm(t[i].vm);
  }
  close_loop(&loop);
  assert_int_equal(t[0].memory.blocks + t[1].memory.blocks, 0);
}

/* A native function of one VM that runs another. */
static int run_inner(neap_frame *frame, void *ud) {
  trial *inner = ud;
  int status = call(inner, SPIN, 0);
  return neap_return(frame, neap_integer(status));
}

static void a_vm_runs_inside_another(void **state) {
  trial outer, inner;
  neap_value value;
  (void)state;
  trial_open(&outer, &(neap_limits){.deadline = 0.2});
  trial_open(&inner, &(neap_limits){.deadline = 0.03});
  assert_int_equal(neap_register(outer.vm, "run_inner", run_inner, &inner),
                   NEAP_OK);
  assert_int_equal(call(&outer, "status = run_inner() " SPIN, 0),
                   NEAP_EDEADLINE);
  assert_int_equal(neap_get(outer.vm, "status", &value), NEAP_OK);
  assert_int_equal(value.as.integer, NEAP_EDEADLINE);
  assert_int_equal(call(&inner, "", 0), NEAP_OK);
  trial_close(&inner);
  trial_close(&outer);
}

/* One that closes the other meanwhile. */
static int close_inner(neap_frame *frame, void *ud) {
  (void)frame;
  trial_close(ud);
  return NEAP_OK;
}

static void a_vm_is_closed_inside_another(void **state) {
  trial outer, inner;
  (void)state;
  trial_open(&inner, &(neap_limits){.deadline = 0.03});
  trial_open(&outer, &(neap_limits){.deadline = 0.03});
  start(&inner, 0, "await(sleep(3600))", NULL);
  assert_int_equal(neap_register(outer.vm, "close", close_inner, &inner),
                   NEAP_OK);
  assert_int_equal(call(&outer, "close() " SPIN, 0),
                   NEAP_EDEADLINE);
  trial_close(&outer);
}

#define THREADS 4

static void on_a_thread(void *ud) {
  trial t;
  ending good, bad;
  (void)ud;
  for (int i = 0; i < 3; i++) {
    trial_open(&t, &(neap_limits){.memory = 4 << 20,
                                  .deadline = 10,
                                  .slice = 0.002});
    start(&t, 0.05, "while true do pcall(function() " SPIN " end) end", &bad);
    start(&t, 0, "for i = 1, 10 do await(sleep(0.001)) end", &good);
    assert_int_equal(neap_run(t.vm), NEAP_OK);
    assert_int_equal(bad.status, NEAP_EDEADLINE);
    assert_int_equal(good.status, NEAP_OK);
    expect_end(&t, NEAP_EMEMORY, "t = {} while true do t[#t + 1] = {} end");
    trial_close(&t);
  }
}

static void vms_on_several_threads_have_limits_of_their_own(void **state) {
  uv_thread_t threads[THREADS];
  (void)state;
  for (int i = 0; i < THREADS; i++)
    thread_start(&threads[i], on_a_thread, NULL);
  for (int i = 0; i < THREADS; i++)
    thread_join(&threads[i]);
}

static void many_vms_come_and_go(void **state) {
  trial t[20];
  (void)state;
  for (int round = 0; round < 5; round++) {
    for (int i = 0; i < 20; i++)
      timed_open(&t[i], 0);
    for (int i = 0; i < 20; i += 7)
      expect_kill(&t[i]);
    for (int i = 0; i < 20; i++)
      trial_close(&t[(i * 7) % 20]);
  }
}

/* The watchdog sleeps after a while in which nothing ran. */
static void it_wakes_up_again(void **state) {
  trial t;
  (void)state;
  timed_open(&t, 0);
  for (int i = 0; i < 3; i++) {
    uv_sleep(150);
    expect_kill(&t);
  }
  trial_close(&t);
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(a_handler_of_the_hosts_goes_on_and_comes_back,
                                silence),
      cmocka_unit_test_teardown(so_with_another_signal_and_again, silence),
      cmocka_unit_test_teardown(a_later_handler_of_the_hosts_is_left_alone,
                                silence),
      cmocka_unit_test_teardown(without_limits_of_time_no_handler_is_touched,
                                silence),
      cmocka_unit_test(no_other_thread_takes_the_hosts_signals),
      cmocka_unit_test(it_holds_where_all_signals_were_blocked),
      cmocka_unit_test(two_vms_take_turns_on_one_loop),
      cmocka_unit_test(a_vm_runs_inside_another),
      cmocka_unit_test(a_vm_is_closed_inside_another),
      cmocka_unit_test(vms_on_several_threads_have_limits_of_their_own),
      cmocka_unit_test(many_vms_come_and_go),
      cmocka_unit_test(it_wakes_up_again),
  };
  return cmocka_run_group_tests_name("watchdog", tests, NULL, NULL);
}
