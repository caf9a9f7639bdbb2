/*
** drive.c - tests who runs the loop: neap_run, neap_tick, a foreign loop, and
** a libuv loop of the host's.
*/
#include <errno.h>
#include <poll.h>

#include "threads.h"

/* {======================================================
** neap_run
** ======================================================= */

static void a_run_ends_when_nothing_is_left(void **state) {
  neap_vm *vm = new_vm(NULL);
  int count = 0;
  (void)state;
  assert_int_equal(neap_run(vm), NEAP_OK);
  spawn(vm, "await(sleep(0.002))", succeeded, &count);
  spawn(vm, "asyncio.call_later(0.004, function() late = true end)", succeeded,
        &count);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(count, 2);
  assert_true(global_is_true(vm, "late"));
  close_vm(vm);
}

static void tasks_that_nothing_can_wake_are_a_deadlock(void **state) {
  neap_vm *vm = new_vm(NULL);
  int status = 1;
  neap_task task = spawn(vm, "await(asyncio.Future())", note_status, &status);
  (void)state;
  assert_int_equal(neap_run(vm), NEAP_EDEADLK);
  assert_true(neap_pending(vm, task));
  assert_int_equal(neap_cancel(vm, task, NULL), NEAP_OK); /* it goes on */
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(status, NEAP_ECANCELED);
  close_vm(vm);
}

/* A native function. */
static int stop(neap_frame *frame, void *ud) {
  (void)ud;
  return neap_stop(neap_frame_vm(frame));
}

static int interrupt(neap_frame *frame, void *ud) {
  (void)ud;
  assert_true(neap_interrupt(neap_frame_vm(frame)));
  return NEAP_OK;
}

static void a_run_can_be_stopped_and_goes_on_later(void **state) {
  neap_vm *vm = new_vm(NULL);
  int count = 0;
  (void)state;
  assert_int_equal(neap_register(vm, "stop", stop, NULL), NEAP_OK);
  spawn(vm, "stop() await(sleep(0)) await(sleep(0))", succeeded, &count);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(count, 0);
  assert_true(neap_alive(vm));
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(count, 1);
  close_vm(vm);
}

/* The second one is an error that pcall does not stop; a script may raise it,
   too, to end the program. */
static void what_catches_an_interrupt_is_ended_by_the_next(void **state) {
  static const char spins[] =
    "pcall(function() interrupt() while true do end end)\n"
    "pcall(function() interrupt() while true do end end) while true do end";
  neap_vm *vm = new_vm(NULL);
  neap_error_info info;
  neap_value script;
  (void)state;
  assert_int_equal(neap_register(vm, "interrupt", interrupt, NULL), NEAP_OK);
  spawn(vm, spins, NULL, NULL);
  assert_true(neap_tick(vm, 0) >= 0);
  neap_error(vm, &info);
  assert_int_equal(info.code, NEAP_EINTR);
  assert_string_equal(info.message, "KeyboardInterrupt");
  assert_int_equal(info.exit_code, -1);
  assert_int_equal(neap_tick(vm, 0), 0);
  script = load_text(vm, "x", spins);
  assert_int_equal(neap_call(vm, &script, NULL, 0, NULL, 0, 0), NEAP_EINTR);
  spawn(vm, "error(asyncio.KeyboardInterrupt('over', {code = 256 + 3}))", NULL,
        NULL);
  assert_int_equal(neap_run(vm), NEAP_EINTR);
  neap_error(vm, &info);
  assert_string_equal(info.message, "KeyboardInterrupt: over");
  assert_int_equal(info.exit_code, 3);
  assert_int_equal(neap_run(vm), NEAP_OK);
  close_vm(vm);
}

static void an_interrupt_ends_a_run(void **state) {
  neap_vm *vm = new_vm(NULL);
  int status = 1, count = 0;
  neap_value script;
  (void)state;
  assert_int_equal(neap_register(vm, "interrupt", interrupt, NULL), NEAP_OK);
  spawn(vm, "interrupt() for i = 1, 1e9 do end", note_status, &status);
  assert_int_equal(neap_run(vm), NEAP_EINTR);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(status, NEAP_ESCRIPT); /* "interrupted!" */
  script = load_text(vm, "x", "interrupt() while true do end");
  assert_int_equal(neap_call(vm, &script, NULL, 0, NULL, 0, 0), NEAP_ESCRIPT);
  spawn(vm, "await(sleep(0))", succeeded, &count);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(count, 1);
  close_vm(vm);
}

/* What a callback may not do. */
static int try_driving(neap_frame *frame, void *ud) {
  neap_vm *vm = neap_frame_vm(frame);
  (void)ud;
  assert_int_equal(neap_run(vm), NEAP_EBUSY);
  assert_int_equal(neap_tick(vm, 0), NEAP_EBUSY);
  assert_int_equal(neap_close(vm, NULL, NULL), NEAP_EBUSY);
  return NEAP_OK;
}

static void callbacks_do_not_run_the_loop_nor_close(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  assert_int_equal(neap_register(vm, "try", try_driving, NULL), NEAP_OK);
  run_script(vm, "try()");
  close_vm(vm);
}

static void a_script_does_not_run_a_loop_of_its_own(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  run_script(vm, "local ok, why = pcall(run, async(print)())\n"
                 "assert(why:find 'running already', why)");
  spawn(vm, "await(sleep(1000))", NULL, NULL);
  run_lua_failing(vm, "run(async(print)())");
  assert_contains(lua_tostring(neap_lua(vm), -1), "the host runs tasks");
  close_vm(vm);
}

/* ====================================================== } */

/* {======================================================
** neap_tick, and a foreign loop
** ======================================================= */

static void a_tick_without_a_budget_is_one_turn(void **state) {
  neap_vm *vm = new_vm(NULL);
  int count = 0, ticks = 0;
  (void)state;
  spawn(vm, "for i = 1, 4 do await(sleep(0)) end", succeeded, &count);
  while (neap_tick(vm, 0) == 1)
    ticks++;
  assert_int_equal(ticks, 5); /* the fifth step ends it; then who waits */
  assert_int_equal(count, 1);
  assert_int_equal(neap_tick(vm, 0), 0);
  close_vm(vm);
}

static void a_tick_with_a_budget_leaves_the_rest_for_later(void **state) {
  neap_vm *vm = new_vm(NULL);
  int count = 0, i;
  uint64_t began, longest = 0;
  (void)state;
  for (i = 0; i < 50; i++)
    spawn(vm, "for i = 1, 200000 do end", succeeded, &count);
  i = 0;
  for (;;) {
    int status;
    began = uv_hrtime();
    status = neap_tick(vm, 1000);
    if (uv_hrtime() - began > longest)
      longest = uv_hrtime() - began;
    i++;
    if (status == 0)
      break;
    assert_int_equal(status, 1);
  }
  assert_int_equal(count, 50);
  assert_true(i > 2); /* it was not all done at once */
  close_vm(vm);
}

/* Drives the VM as a host that knows nothing but a descriptor. */
static void drive(neap_vm *vm, int *done) {
  struct pollfd p = {neap_backend_fd(vm), POLLIN, 0};
  assert_true(p.fd >= 0);
  while (!*done) {
    int status = neap_tick(vm, 1000), timeout = neap_backend_timeout(vm);
    assert_true(status >= 0);
    if (status == 1)
      assert_int_equal(timeout, 0);
    if (*done)
      break; /* there may be nothing left to wait for */
    if (poll(&p, 1, timeout) < 0)
      assert_int_equal(errno, EINTR);
  }
}

static void a_foreign_loop_drives_by_descriptor_and_timeout(void **state) {
  neap_vm *vm = new_vm(NULL);
  int count = 0, done = 0;
  (void)state;
  assert_int_equal(neap_backend_timeout(vm), -1);
  spawn(vm, "await(sleep(0))", succeeded, &count);
  assert_int_equal(neap_backend_timeout(vm), 0);
  spawn(vm, "for i = 1, 5 do await(sleep(0.001)) end", succeeded, &done);
  drive(vm, &done);
  assert_int_equal(count, 1);
  assert_int_equal(neap_tick(vm, 0), 0);
  spawn(vm, "await(sleep(60))", NULL, NULL);
  assert_int_equal(neap_tick(vm, 0), 0);
  assert_in_range(neap_backend_timeout(vm), 50000, 60000);
  close_vm(vm);
}

static void on_post(neap_vm *vm, void *payload) {
  int *done = payload;
  (void)vm;
  *done = 1;
}

static void post_it(void *ud) {
  void **args = ud;
  assert_int_equal(neap_post(args[0], on_post, args[1], NULL), NEAP_OK);
}

static void a_post_wakes_a_foreign_loop_that_waits_for_ever(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_port *port;
  uv_thread_t thread;
  int done = 0;
  void *args[2];
  (void)state;
  assert_int_equal(neap_port_open(vm, &port), NEAP_OK);
  args[0] = port;
  args[1] = &done;
  thread_start(&thread, post_it, args);
  drive(vm, &done);
  thread_join(&thread);
  neap_port_release(port);
  close_vm(vm);
}

static void a_vm_is_alive_while_it_has_something_to_do(void **state) {
  neap_vm *vm = new_vm(NULL);
  gate g;
  (void)state;
  add_gate(vm, &g);
  assert_false(neap_alive(vm));
  spawn(vm, "await(gate())", NULL, NULL);
  assert_true(neap_alive(vm)); /* it is ready */
  assert_int_equal(neap_tick(vm, 0), 0);
  assert_true(neap_alive(vm)); /* a promise */
  gate_open(&g);
  while (neap_alive(vm))
    (void)neap_tick(vm, 0);
  spawn(vm, "await(asyncio.Future())", NULL, NULL);
  (void)neap_tick(vm, 0);
  assert_false(neap_alive(vm)); /* it waits for the host */
  close_vm(vm);
}

/* ====================================================== } */

/* {======================================================
** A loop of the host's
** ======================================================= */

static void on_timer(uv_timer_t *timer) {
  int *ticks = timer->data;
  if (++*ticks == 5)
    uv_close((uv_handle_t *)timer, NULL);
}

static void the_loop_of_a_host_runs_its_vms_and_ends(void **state) {
  uv_loop_t loop;
  uv_timer_t timer;
  neap_vm *a, *b;
  int count = 0, ticks = 0, closed = 0;
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  loop.data = &count;
  a = vm_on(&loop, 0);
  b = vm_on(&loop, 0);
  (void)uv_timer_init(&loop, &timer);
  timer.data = &ticks;
  (void)uv_timer_start(&timer, on_timer, 1, 1);
  spawn(a, "for i = 1, 5 do await(sleep(0.001)) end", succeeded, &count);
  spawn(b, "for i = 1, 100 do await(sleep(0)) end", succeeded, &count);
  assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
  assert_int_equal(count, 2);
  assert_int_equal(ticks, 5);
  assert_ptr_equal(loop.data, &count); /* it is the host's */
  assert_int_equal(neap_run(a), NEAP_EINVAL);
  assert_int_equal(neap_tick(a, 0), NEAP_EINVAL);
  assert_int_equal(neap_close(a, set_flag, &closed), NEAP_OK);
  assert_int_equal(neap_close(b, NULL, NULL), NEAP_OK);
  assert_int_equal(closed, 0);
  close_loop(&loop);
  assert_int_equal(closed, 1);
}

static void it_may_run_once_at_a_time_or_without_waiting(void **state) {
  static const uv_run_mode modes[] = {UV_RUN_ONCE, UV_RUN_NOWAIT};
  size_t i;
  (void)state;
  for (i = 0; i < 2; i++) {
    uv_loop_t loop;
    neap_vm *vm;
    int count = 0;
    assert_int_equal(uv_loop_init(&loop), 0);
    vm = vm_on(&loop, 0);
    spawn(vm, "for i = 1, 3 do await(sleep(0.001)) await(sleep(0)) end",
          succeeded, &count);
    while (uv_run(&loop, modes[i]) != 0)
      ;
    assert_int_equal(count, 1);
    close_vm(vm);
    while (uv_run(&loop, modes[i]) != 0)
      ;
    assert_int_equal(uv_loop_close(&loop), 0);
  }
}

static void tasks_of_a_call_run_on_the_hosts_loop(void **state) {
  uv_loop_t loop;
  neap_vm *vm;
  neap_value script;
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  vm = vm_on(&loop, 0);
  script = load_text(vm, "x", "create_task(async(function() "
                              "await(sleep(0.001)) done = true end)())");
  assert_int_equal(neap_call(vm, &script, NULL, 0, NULL, 0, 0), NEAP_OK);
  assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
  assert_true(global_is_true(vm, "done"));
  close_vm(vm);
  close_loop(&loop);
}

static void a_dump_of_a_hosts_tasks_is_reported(void **state) {
  reports said;
  neap_vm *vm = reporting_vm(&said, 0);
  (void)state;
  assert_false(neap_dump(vm)); /* there is nothing */
  spawn(vm, "await(sleep(1000))", NULL, NULL);
  (void)neap_tick(vm, 0);
  assert_true(neap_dump(vm));
  (void)neap_tick(vm, 0);
  assert_int_equal(said.count, 1);
  assert_contains(said.last, "sleep");
  close_vm(vm);
}

/* ====================================================== } */

/* {======================================================
** Nobody
** ======================================================= */

static void errors_are_told_where_the_loop_never_runs(void **state) {
  reports said;
  neap_vm *vm = reporting_vm(&said, NEAP_CAN_ALL);
  neap_value f = load_script(
      vm, "local err = setmetatable({}, {__tostring = function() return 'mine' end})\n"
          "do require 'asyncio'.Future():set_exception(err) end\n"
          "collectgarbage()\n");
  (void)state;
  assert_int_equal(neap_call(vm, &f, NULL, 0, NULL, 0, 0), NEAP_OK);
  assert_int_equal(said.count, 1);
  assert_contains(said.last, "mine");
  close_vm(vm);
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_run_ends_when_nothing_is_left),
      cmocka_unit_test(tasks_that_nothing_can_wake_are_a_deadlock),
      cmocka_unit_test(a_run_can_be_stopped_and_goes_on_later),
      cmocka_unit_test(an_interrupt_ends_a_run),
      cmocka_unit_test(what_catches_an_interrupt_is_ended_by_the_next),
      cmocka_unit_test(callbacks_do_not_run_the_loop_nor_close),
      cmocka_unit_test(a_script_does_not_run_a_loop_of_its_own),
      cmocka_unit_test(a_tick_without_a_budget_is_one_turn),
      cmocka_unit_test(a_tick_with_a_budget_leaves_the_rest_for_later),
      cmocka_unit_test(a_foreign_loop_drives_by_descriptor_and_timeout),
      cmocka_unit_test(a_post_wakes_a_foreign_loop_that_waits_for_ever),
      cmocka_unit_test(a_vm_is_alive_while_it_has_something_to_do),
      cmocka_unit_test(the_loop_of_a_host_runs_its_vms_and_ends),
      cmocka_unit_test(it_may_run_once_at_a_time_or_without_waiting),
      cmocka_unit_test(tasks_of_a_call_run_on_the_hosts_loop),
      cmocka_unit_test(a_dump_of_a_hosts_tasks_is_reported),
      cmocka_unit_test(errors_are_told_where_the_loop_never_runs),
  };
  return cmocka_run_group_tests_name("drive", tests, NULL, NULL);
}
