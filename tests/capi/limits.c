/*
** limits.c - tests limits of memory, tasks and output, and what they say of
** themselves. Limits of time: timed.c, watchdog.c; kills: kill.c.
*/
#include <math.h>

#include "limited.h"

/* {======================================================
** Memory
** ======================================================= */

static void a_vm_beyond_its_memory_is_killed(void **state) {
  trial t;
  (void)state;
  trial_open(&t, &(neap_limits){.memory = 1 << 20});
  expect_end(&t, NEAP_EMEMORY,
             "pcall(function() t = {} while true do t[#t + 1] = {} end end)"
             "survived = true");
  assert_false(global_is_true(t.vm, "survived"));
  trial_close(&t);
}

/* In one turn: who took it runs no instruction any more. */
static void so_is_one_whose_task_ends_as_it_takes_too_much(void **state) {
  trial t;
  ending e;
  (void)state;
  trial_open(&t, &(neap_limits){.memory = 1 << 20});
  start(&t, 0,
        "local text, copies = ('x'):rep(400000), {} "
        "for i = 1, 3 do copies[i] = create_task(async(string.sub)(text, i)) end "
        "await(create_task(async(function() "
        "for i = 1, 100000 do end survived = true end)())) await(copies[1])",
        &e);
  assert_int_equal(neap_run(t.vm), NEAP_OK);
  assert_int_equal(e.status, NEAP_EMEMORY);
  assert_false(global_is_true(t.vm, "survived"));
  trial_close(&t);
}

static void a_call_that_takes_too_much_memory_says_so(void **state) {
  trial t;
  (void)state;
  trial_open(&t, &(neap_limits){.memory = 1 << 20});
  assert_int_equal(call(&t, "local s = 'x' while true do s = s .. s end", 0),
                   NEAP_EMEMORY);
  trial_close(&t);
}

static void a_vm_killed_for_its_memory_can_only_be_closed(void **state) {
  trial t;
  neap_value f;
  (void)state;
  trial_open(&t, &(neap_limits){.memory = 1 << 20});
  start(&t, 0, "await(sleep(3600))", NULL);
  expect_end(&t, NEAP_EMEMORY, "t = {} while true do t[#t + 1] = {} end");
  f = load_script(t.vm, "");
  assert_int_equal(neap_call(t.vm, &f, NULL, 0, NULL, 0, 0), NEAP_EMEMORY);
  assert_int_equal(neap_spawn(t.vm, &f, NULL, 0, 0, NULL, NULL, NULL),
                   NEAP_EMEMORY);
  assert_int_equal(neap_run(t.vm), NEAP_OK);
  assert_false(neap_alive(t.vm));
  trial_close(&t);
}

static void garbage_does_not_count(void **state) {
  trial t;
  neap_statistics s;
  (void)state;
  trial_open(&t, &(neap_limits){.memory = 1 << 20});
  expect_end(&t, NEAP_OK, "for i = 1, 300 do local s = ('x'):rep(100000) .. i "
                          "for j = 1, 100 do s = {s} end end");
  assert_int_equal(neap_stats(t.vm, &s), NEAP_OK);
  assert_in_range(s.memory, 1, 1 << 20);
  assert_in_range(s.memory_peak, s.memory, 4 << 20);
  trial_close(&t);
}

static void what_is_collected_again_is_no_reason_for_a_kill(void **state) {
  trial t;
  (void)state;
  trial_open(&t, &(neap_limits){.memory = 1 << 20});
  expect_end(&t, NEAP_OK,
             "for i = 1, 20 do t = {} for j = 1, 8000 do t[j] = {} end end");
  trial_close(&t);
}

static void beyond_memory_hard_there_is_an_error(void **state) {
  trial t;
  (void)state;
  trial_open(&t, &(neap_limits){.memory_hard = 2 << 20});
  expect_end(&t, NEAP_OK,
             "local ok, e = pcall(string.rep, 'x', 4 << 20) "
             "assert(not ok and e == 'not enough memory', e) "
             "local t = {} "
             "ok, e = pcall(function() while true do t[#t + 1] = {} end end) "
             "assert(not ok and e == 'not enough memory', e)");
  expect_end(&t, NEAP_ENOMEM, "local t = {} while true do t[#t + 1] = {} end");
  assert_int_equal(call(&t, "local t = {} while true do t[#t + 1] = {} end", 0),
                   NEAP_ENOMEM);
  expect_end(&t, NEAP_OK, "");
  trial_close(&t);
}

static void memory_hard_is_four_times_memory_by_itself(void **state) {
  trial t;
  (void)state;
  trial_open(&t, &(neap_limits){.memory = 1 << 20});
  expect_end(&t, NEAP_OK, "assert(not pcall(string.rep, 'x', 5 << 20))");
  expect_end(&t, NEAP_EMEMORY, "assert(pcall(string.rep, 'x', 3 << 19)) "
                               "kept = ('x'):rep(3 << 19)");
  trial_close(&t);
}

static void what_the_host_stores_counts_too(void **state) {
  static char text[1 << 21];
  neap_value value = neap_bytes(text, sizeof text);
  trial t;
  neap_value f;
  (void)state;
  memset(text, 'x', sizeof text);
  trial_open(&t, &(neap_limits){.memory = 1 << 20});
  f = load_script(t.vm, "");
  assert_int_equal(neap_retain(t.vm, &f), NEAP_OK);
  assert_int_equal(neap_set(t.vm, "text", &value), NEAP_OK);
  assert_int_equal(neap_call(t.vm, &f, NULL, 0, NULL, 0, 0), NEAP_EMEMORY);
  trial_close(&t);
}

/* ====================================================== } */

/* {======================================================
** Tasks and output
** ======================================================= */

static void there_are_only_so_many_tasks(void **state) {
  trial t;
  (void)state;
  trial_open(&t, &(neap_limits){.tasks = 3});
  expect_end(&t, NEAP_OK,
             "local a, b = create_task(sleep(0)), create_task(sleep(0)) "
             "local ok, e = pcall(create_task, sleep(0)) "
             "assert(not ok and e:find('too many tasks', 1, true), e) "
             "await(a) await(b) "
             "assert(pcall(create_task, sleep(0)))");
  trial_close(&t);
}

static void nor_may_the_host_start_more(void **state) {
  trial t;
  ending e = {0};
  neap_value f;
  neap_error_info info;
  neap_statistics s;
  (void)state;
  trial_open(&t, &(neap_limits){.tasks = 1});
  start(&t, 0, "await(sleep(0))", NULL);
  f = load_script(t.vm, "");
  assert_int_equal(neap_spawn(t.vm, &f, NULL, 0, 0, note_end, &e, NULL),
                   NEAP_ESCRIPT);
  neap_error(t.vm, &info);
  assert_contains(info.message, "too many tasks: the limit is 1");
  assert_int_equal(neap_stats(t.vm, &s), NEAP_OK);
  assert_int_equal(s.tasks, 1);
  assert_int_equal(s.tasks_ended, 0);
  assert_int_equal(neap_run(t.vm), NEAP_OK);
  assert_int_equal(neap_stats(t.vm, &s), NEAP_OK);
  assert_int_equal(s.tasks, 0);
  assert_int_equal(s.tasks_ended, 1);
  assert_int_equal(e.count, 0);
  trial_close(&t);
}

static void print_stops_at_the_limit_of_output(void **state) {
  trial t;
  neap_statistics s;
  (void)state;
  trial_open(&t, &(neap_limits){.output = 10});
  expect_end(&t, NEAP_OK, "print('1234') "
                          "local ok, e = pcall(print, '123456') "
                          "assert(not ok and e:find('10 bytes', 1, true), e) "
                          "print('6789') assert(not pcall(print))");
  assert_int_equal(t.printed, 10);
  assert_int_equal(neap_stats(t.vm, &s), NEAP_OK);
  assert_int_equal(s.output, 10);
  trial_close(&t);
}

/* ====================================================== } */

/* {======================================================
** Setting them
** ======================================================= */

static void new_limits_hold_from_then_on(void **state) {
  trial t;
  neap_limits limits = {.tasks = 2, .output = 5, .memory = 4 << 20};
  (void)state;
  trial_open(&t, &limits);
  expect_end(&t, NEAP_OK, "print('1234') assert(not pcall(print))");
  limits.output = 0;
  limits.tasks = 0;
  assert_int_equal(neap_limits_set(t.vm, &limits), NEAP_OK);
  expect_end(&t, NEAP_OK, "print('123456789') "
                          "for i = 1, 10 do create_task(sleep(0)) end");
  limits.output = 3;
  limits.tasks = 1;
  assert_int_equal(neap_limits_set(t.vm, &limits), NEAP_OK);
  expect_end(&t, NEAP_OK, "print('12') assert(not pcall(print)) "
                          "assert(not pcall(create_task, sleep(0)))");
  limits.memory = 200000;
  assert_int_equal(neap_limits_set(t.vm, &limits), NEAP_OK);
  expect_end(&t, NEAP_EMEMORY, "t = {} for i = 1, 50000 do t[i] = i end");
  trial_close(&t);
}

static void limits_can_be_lifted(void **state) {
  trial t;
  neap_limits none = {0};
  (void)state;
  trial_open(&t, &(neap_limits){
                     .memory = 1 << 20, .deadline = 0.02, .slice = 0.005});
  assert_int_equal(neap_limits_set(t.vm, &none), NEAP_OK);
  expect_end(&t, NEAP_OK,
             "t = {} for i = 1, 100000 do t[i] = i end "
             "local begin = asyncio.time() "
             "while asyncio.time() < begin + 0.1 do end");
  trial_close(&t);
}

static void refused(neap_vm *vm, neap_limits limits) {
  assert_int_equal(neap_limits_set(vm, &limits), NEAP_EINVAL);
}

static void what_is_no_limit_is_refused(void **state) {
  trial t;
  (void)state;
  trial_open(&t, &(neap_limits){.memory = 1 << 20, .deadline = 1});
  refused(t.vm, (neap_limits){.deadline = -1});
  refused(t.vm, (neap_limits){.deadline = NAN});
  refused(t.vm, (neap_limits){.slice = -0.001});
  refused(t.vm, (neap_limits){.slice = NAN});
  refused(t.vm, (neap_limits){.memory = 5 << 20}); /* beyond memory_hard */
  trial_close(&t);
}

static void limits_of_a_new_kind_cannot_be_set_later(void **state) {
  trial t;
  (void)state;
  trial_open(&t, &(neap_limits){.tasks = 1});
  refused(t.vm, (neap_limits){.memory = 1 << 20});
  refused(t.vm, (neap_limits){.deadline = 1});
  refused(t.vm, (neap_limits){.slice = 1});
  assert_int_equal(neap_limits_set(t.vm, &(neap_limits){.tasks = 5}), NEAP_OK);
  trial_close(&t);
  trial_open(&t, &(neap_limits){.memory = 1 << 20});
  refused(t.vm, (neap_limits){.deadline = 1});
  trial_close(&t);
}

static void refused_new(neap_limits limits) {
  neap_config config;
  neap_vm *vm = NULL;
  neap_config_init(&config);
  config.limits = limits;
  assert_int_equal(neap_new(&vm, &config), NEAP_EINVAL);
  assert_null(vm);
}

static void nor_does_neap_new_take_it(void **state) {
  (void)state;
  refused_new((neap_limits){.deadline = -1});
  refused_new((neap_limits){.deadline = NAN});
  refused_new((neap_limits){.slice = -1});
  refused_new((neap_limits){.slice = NAN});
  refused_new((neap_limits){.memory = 2, .memory_hard = 1});
}

/* ====================================================== } */

/* {======================================================
** Statistics
** ======================================================= */

static void without_limits_there_are_statistics_of_what_costs_nothing(
    void **state) {
  trial t;
  neap_statistics s;
  (void)state;
  trial_open(&t, &(neap_limits){0});
  expect_end(&t, NEAP_OK, "for i = 1, 1e6 do end print('x')");
  assert_int_equal(neap_stats(t.vm, &s), NEAP_OK);
  assert_true(s.memory > 0);
  assert_int_equal(s.memory_peak, 0);
  assert_int_equal(s.run_time, 0);
  assert_int_equal(s.preemptions, 0);
  assert_int_equal(s.tasks, 0);
  assert_int_equal(s.output, 0);
  trial_close(&t);
}

typedef struct elsewhere_data {
  neap_vm *vm;
  int set, stats, kill;
} elsewhere_data;

static void call_elsewhere(void *ud) {
  elsewhere_data *e = ud;
  neap_limits limits = {0};
  neap_statistics s;
  e->set = neap_limits_set(e->vm, &limits);
  e->stats = neap_stats(e->vm, &s);
  e->kill = neap_kill(e->vm, 0);
}

static void another_thread_is_told_so(void **state) {
  trial t;
  elsewhere_data e;
  (void)state;
  trial_open(&t, &(neap_limits){.tasks = 1});
  e.vm = t.vm;
  elsewhere(call_elsewhere, &e);
  assert_int_equal(e.set, NEAP_ETHREAD);
  assert_int_equal(e.stats, NEAP_ETHREAD);
  assert_int_equal(e.kill, NEAP_ETHREAD);
  expect_end(&t, NEAP_OK, "");
  trial_close(&t);
}

/* A turn that ends with an error, for lack of memory: what the VM counts goes
   on as before, and nothing is left behind. */
static void a_turn_without_memory_ends_as_others_do(void **state) {
  int failures = 1, turns = 0;
  (void)state;
  for (long n = 0; failures > 0; n++) {
    trial t;
    neap_statistics before, after;
    trial_open(&t, &(neap_limits){.deadline = 60, .slice = 0.2});
    start(&t, 0,
          "local f = asyncio.Future() "
          "local g = gather(f, create_task(async(error)('boom'))) "
          "for i = 1, 40 do g:add_done_callback(print) end "
          "asyncio.call_soon(f.set_result, f) await(g)", NULL);
    t.memory.countdown = n;
    for (int i = 0; i < 5; i++)
      turns += neap_tick(t.vm, 0) < 0;
    t.memory.countdown = -1;
    failures = t.memory.failures;
    assert_int_equal(neap_stats(t.vm, &before), NEAP_OK);
    assert_int_equal(call(&t, "for i = 1, 1000 do end", 0), NEAP_OK);
    assert_int_equal(neap_stats(t.vm, &after), NEAP_OK);
    assert_true(after.run_time > before.run_time);
    trial_close(&t);
  }
  assert_true(turns > 0);
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_vm_beyond_its_memory_is_killed),
      cmocka_unit_test(so_is_one_whose_task_ends_as_it_takes_too_much),
      cmocka_unit_test(a_call_that_takes_too_much_memory_says_so),
      cmocka_unit_test(a_vm_killed_for_its_memory_can_only_be_closed),
      cmocka_unit_test(garbage_does_not_count),
      cmocka_unit_test(what_is_collected_again_is_no_reason_for_a_kill),
      cmocka_unit_test(beyond_memory_hard_there_is_an_error),
      cmocka_unit_test(memory_hard_is_four_times_memory_by_itself),
      cmocka_unit_test(what_the_host_stores_counts_too),
      cmocka_unit_test(there_are_only_so_many_tasks),
      cmocka_unit_test(nor_may_the_host_start_more),
      cmocka_unit_test(print_stops_at_the_limit_of_output),
      cmocka_unit_test(new_limits_hold_from_then_on),
      cmocka_unit_test(limits_can_be_lifted),
      cmocka_unit_test(what_is_no_limit_is_refused),
      cmocka_unit_test(limits_of_a_new_kind_cannot_be_set_later),
      cmocka_unit_test(nor_does_neap_new_take_it),
      cmocka_unit_test(
          without_limits_there_are_statistics_of_what_costs_nothing),
      cmocka_unit_test(another_thread_is_told_so),
      cmocka_unit_test(a_turn_without_memory_ends_as_others_do),
  };
  return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
