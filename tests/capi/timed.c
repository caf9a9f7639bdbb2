/*
** timed.c - tests limits of time: deadlines and slices, with the signal and
** without.
**
** No test asserts that something is fast. What is to end by a deadline would
** go on for ever; what is to come to its end has a deadline far away.
*/
#include <math.h>

#include "limited.h"

#define FAR 60   /* seconds: never reached */
#define NEAR 0.05

/* Each test is run with the signal, and with the count hook. */
static int no_signal;

static int count_hook(void **state) {
  (void)state;
  no_signal = 1;
  return 0;
}

static int signal_(void **state) {
  (void)state;
  no_signal = 0;
  return 0;
}

static void timed_open(trial *t, double deadline, double slice) {
  neap_config config;
  neap_config_init(&config);
  config.limits.deadline = deadline;
  config.limits.slice = slice;
  config.signal = no_signal ? -1 : 0;
  trial_open_with(t, &config);
}

static double now(void) { return (double)uv_hrtime() / 1e9; }

/* {======================================================
** Deadlines
** ======================================================= */

static void check_deadline(const char *code) {
  double slices[] = {0, 0.005};
  for (int i = 0; i < 2; i++) {
    trial t;
    ending e;
    double begin;
    neap_statistics s;
    timed_open(&t, NEAR, slices[i]);
    begin = now();
    start(&t, 0, code, &e);
    assert_int_equal(neap_run(t.vm), NEAP_OK);
    assert_int_equal(e.count, 1);
    if (e.status != NEAP_EDEADLINE)
      fail_msg("%s: %d %s", code, e.status, e.message);
    assert_string_equal(e.message, neap_strerror(NEAP_EDEADLINE));
    assert_true(now() - begin >= NEAR);
    assert_int_equal(neap_stats(t.vm, &s), NEAP_OK);
    assert_int_equal(s.tasks, 0);
    assert_false(global_is_true(t.vm, "ran"));
    expect_end(&t, NEAP_OK, "await(sleep(0.001))"); /* it serves again */
    trial_close(&t);
  }
}

static void a_deadline_stops_a_task_that_spins(void **state) {
  (void)state;
  check_deadline("while true do end");
  check_deadline("while true do pcall(function() while true do end end) "
                 "ran = true end");
  check_deadline("while true do asyncio.catch(coroutine.wrap(function() "
                 "while true do end end)) ran = true end");
}

static void one_that_waits(void **state) {
  (void)state;
  check_deadline("await(sleep(3600)) ran = true");
  check_deadline("await(asyncio.Future()) ran = true");
  check_deadline("local l = asyncio.Lock() await(l:acquire()) "
                 "asyncio.catch(await, l:acquire()) ran = true");
}

static void one_that_does_a_little_now_and_then(void **state) {
  (void)state;
  check_deadline("while true do await(sleep(0)) end");
  check_deadline("while true do await(sleep(0.001)) end");
}

static void its_children(void **state) {
  (void)state;
  check_deadline("create_task(async(function() await(sleep(3600)) "
                 "ran = true end)()) "
                 "create_task(async(function() while true do end end)()) "
                 "await(sleep(3600))");
  check_deadline("local function more() create_task(async(more)()) end more() "
                 "while true do await(sleep(0)) end");
}

static void and_its_callbacks(void **state) {
  (void)state;
  check_deadline("local function again() asyncio.call_soon(again) end again() "
                 "await(sleep(3600))");
  check_deadline("local function later() asyncio.call_later(0, later) end "
                 "later() asyncio.call_later(3600, print) await(sleep(3600))");
  check_deadline("for i = 1, 100000 do asyncio.call_soon(function() "
                 "for i = 1, 10000 do end end) end await(sleep(3600))");
}

static void what_a_task_left_behind_ends_by_its_deadline(void **state) {
  trial t;
  ending e;
  neap_statistics s;
  (void)state;
  timed_open(&t, NEAR, 0.005);
  start(&t, 0, "asyncio.call_later(3600, print) "
               "local function again() asyncio.call_soon(again) end again() "
               "local g = gather(sleep(0), sleep(0)) "
               "g:add_done_callback(function() create_task(async(function() "
               "while true do await(sleep(0)) end end)()) end) "
               "create_task(sleep(3600)) await(g)", &e);
  assert_int_equal(neap_run(t.vm), NEAP_OK);
  assert_int_equal(e.status, NEAP_OK);
  assert_int_equal(neap_stats(t.vm, &s), NEAP_OK);
  assert_int_equal(s.tasks, 0);
  trial_close(&t);
}

static void each_task_of_the_host_has_its_own(void **state) {
  trial t;
  ending fast, slow, own;
  (void)state;
  timed_open(&t, FAR, 0.005);
  start(&t, 0, "while not ended do await(sleep(0.001)) end", &slow);
  start(&t, NEAR, "await(sleep(3600))", &fast);
  start(&t, HUGE_VAL, "while not ended do await(sleep(0.001)) end", &own);
  while (fast.count == 0)
    assert_in_range(neap_tick(t.vm, 1000), 0, 1);
  assert_int_equal(fast.status, NEAP_EDEADLINE);
  assert_int_equal(slow.count, 0);
  assert_int_equal(own.count, 0);
  assert_int_equal(call(&t, "ended = true", 0), NEAP_OK);
  assert_int_equal(neap_run(t.vm), NEAP_OK);
  assert_int_equal(slow.status, NEAP_OK);
  assert_int_equal(own.status, NEAP_OK);
  trial_close(&t);
}

static void a_call_has_a_deadline(void **state) {
  trial t;
  (void)state;
  timed_open(&t, NEAR, 0);
  assert_int_equal(call(&t, "while true do end", 0), NEAP_EDEADLINE);
  assert_int_equal(call(&t, "while true do pcall(function() while true do end "
                            "end) end", 0), NEAP_EDEADLINE);
  assert_int_equal(call(&t, "while true do end", 0.001), NEAP_EDEADLINE);
  assert_int_equal(call(&t, "return 1", 0), NEAP_OK);
  trial_close(&t);
}

static void or_none(void **state) {
  trial t;
  (void)state;
  timed_open(&t, NEAR, 0);
  assert_int_equal(call(&t, "local begin = asyncio.time() "
                            "while asyncio.time() < begin + 0.1 do end",
                        HUGE_VAL), NEAP_OK);
  expect_end(&t, NEAP_OK, "");
  trial_close(&t);
}

static void it_counts_anew_for_each_call(void **state) {
  trial t;
  (void)state;
  timed_open(&t, 2, 0);
  for (int i = 0; i < 6; i++)
    assert_int_equal(call(&t, "local begin = asyncio.time() "
                              "while asyncio.time() < begin + 0.4 do end", 0),
                     NEAP_OK);
  trial_close(&t);
}

static void what_a_call_left_behind_ends_by_its_deadline(void **state) {
  trial t;
  (void)state;
  timed_open(&t, NEAR, 0.005);
  assert_int_equal(call(&t, "create_task(async(function() while true do end "
                            "end)()) create_task(sleep(3600)) "
                            "asyncio.call_later(3600, print)", 0), NEAP_OK);
  assert_int_equal(neap_run(t.vm), NEAP_OK);
  assert_false(neap_alive(t.vm));
  trial_close(&t);
}

/* A native function that calls its argument, with a deadline. */
static int call_back(neap_frame *frame, void *ud) {
  neap_value f = neap_arg(frame, 1);
  int status = neap_call(neap_frame_vm(frame), &f, NULL, 0, NULL, 0,
                         *(double *)ud);
  return neap_return(frame, neap_integer(status));
}

static void a_call_within_a_call_has_no_more_time_than_that(void **state) {
  double deadlines[] = {0, FAR, HUGE_VAL};
  (void)state;
  for (int i = 0; i < 3; i++) {
    trial t;
    ending e;
    timed_open(&t, NEAR, 0);
    assert_int_equal(neap_register(t.vm, "call", call_back, &deadlines[i]),
                     NEAP_OK);
    assert_int_equal(call(&t, "call(function() while true do end end) "
                              "ran = true", 0), NEAP_EDEADLINE);
    start(&t, 0, "while true do pcall(call, function() while true do end end) "
                 "ran = true end", &e);
    assert_int_equal(neap_run(t.vm), NEAP_OK);
    assert_int_equal(e.status, NEAP_EDEADLINE);
    assert_false(global_is_true(t.vm, "ran"));
    trial_close(&t);
  }
}

static void but_it_may_have_less(void **state) {
  double deadline = NEAR;
  trial t;
  char code[300];
  (void)state;
  timed_open(&t, FAR, 0);
  assert_int_equal(neap_register(t.vm, "call", call_back, &deadline), NEAP_OK);
  snprintf(code, sizeof code,
           "assert(call(function() while true do end end) == %d) "
           "assert(call(function() pcall(function() while true do end end) "
           "end) == %d) assert(call(print) == 0)",
           NEAP_EDEADLINE, NEAP_EDEADLINE);
  assert_int_equal(call(&t, code, 0), NEAP_OK);
  expect_end(&t, NEAP_OK, code);
  trial_close(&t);
}

/* ====================================================== } */

/* {======================================================
** Slices
** ======================================================= */

static void tasks_that_spin_take_turns(void **state) {
  trial t;
  neap_statistics s;
  (void)state;
  timed_open(&t, FAR, 0.002);
  expect_end(&t, NEAP_OK,
             "local counts, rounds = {0, 0, 0}, 0 "
             "local function enough() for i = 1, 3 do "
             "if counts[i] < 20000 then return false end end return true end "
             "local function spin(i) while not enough() do "
             "counts[i] = counts[i] + 1 end end "
             "await(gather(async(spin)(1), async(spin)(2), async(spin)(3)))");
  assert_int_equal(neap_stats(t.vm, &s), NEAP_OK);
  assert_true(s.preemptions > 0);
  assert_true(s.run_time > 0);
  trial_close(&t);
}

static void others_have_their_timers_meanwhile(void **state) {
  trial t;
  (void)state;
  timed_open(&t, FAR, 0.002);
  expect_end(&t, NEAP_OK,
             "local turns = 0 "
             "local t = create_task(async(function() "
             "for i = 1, 10 do await(sleep(0.001)) turns = i end end)()) "
             "while turns < 10 do end await(t)");
  trial_close(&t);
}

static void so_has_the_rest_of_a_hosts_loop(void **state) {
  uv_loop_t loop;
  trial spinning, other;
  ending e;
  neap_config config;
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  neap_config_init(&config);
  config.loop = &loop;
  trial_open_with(&other, &config);
  config.limits.slice = 0.002;
  config.signal = no_signal ? -1 : 0;
  trial_open_with(&spinning, &config);
  for (int i = 0; i < 50; i++)
    start(&spinning, 0, "while true do end", NULL);
  start(&other, 0, "for i = 1, 20 do await(sleep(0.001)) end", &e);
  while (e.count == 0)
    assert_int_not_equal(uv_run(&loop, UV_RUN_ONCE), 0);
  close_vm(spinning.vm);
  close_vm(other.vm);
  close_loop(&loop);
  assert_int_equal(spinning.memory.blocks + other.memory.blocks, 0);
}

/* The same results, whoever else runs. */
static void preemption_changes_nothing(void **state) {
  static const char work[] =
      "local function work(n) "
      "local meta = {__index = function(_, k) return k * 2 end, "
      "__concat = function(a, b) return tostring(a) .. '-' .. tostring(b) end, "
      "__tostring = function() return 'T' end, "
      "__close = function() n = n + 1 end} "
      "local t, out = setmetatable({}, meta), 0 "
      "local function gen() for i = 1, 50 do coroutine.yield(i) end end "
      "for i = 1, 300 do "
      "local x <close> = t "
      "out = (out * 31 + t[i]) % 1000003 "
      "for v in coroutine.wrap(gen) do out = (out + v) % 1000003 end "
      "local ok, e = pcall(function() "
      "if i % 3 == 0 then error({i}) end return i end) "
      "out = out + (ok and e or e[1]) "
      "local s = ('abc'):rep(i % 5):gsub('b', function(c) return c .. i end) "
      "out = out + #s + #(t .. i) "
      "local l = {} for j = 1, 20 do l[j] = (j * 7919) % 31 end "
      "table.sort(l, function(a, b) return a > b end) "
      "out = out + l[1] "
      "out = out + select('#', xpcall(function(...) return ... end, "
      "print, 1, 2, 3)) "
      "end return out + n end ";
  trial t;
  char code[2000];
  (void)state;
  timed_open(&t, FAR, 0.0001);
  snprintf(code, sizeof code,
           "%s local expected = work(0) local tasks = {} "
           "for i = 1, 10 do tasks[i] = async(work)(0) end "
           "local results = await(gather(tasks)) "
           "for i = 1, 10 do assert(results[i] == expected) end", work);
  expect_end(&t, NEAP_OK, code);
  trial_close(&t);
}

/* The library counts on that between two awaits nobody else runs. */
static void the_library_is_not_cut_short(void **state) {
  trial t;
  (void)state;
  timed_open(&t, FAR, 0.00002);
  expect_end(&t, NEAP_OK,
             "local there, back = asyncio.Queue(1), asyncio.Queue(1) "
             "local echo = create_task(async(function() "
             "while true do await(back:put((await(there:get())))) end end)()) "
             "for i = 1, 10000 do await(there:put(i)) "
             "assert(await(back:get()) == i) for _ = 1, i % 97 do end end "
             "echo:cancel()");
  trial_close(&t);
}

/* Nor where it has called what a script gave it. */
static void not_even_while_it_compares(void **state) {
  trial t;
  neap_statistics s;
  (void)state;
  timed_open(&t, FAR, 0.001);
  expect_end(&t, NEAP_OK,
             "local q = asyncio.PriorityQueue() "
             "local item = {__lt = function(a, b) "
             "local over = asyncio.time() + 0.0005 "
             "while asyncio.time() < over do end return a.n < b.n end} "
             "local function fill() for i = 1, 10 do "
             "q:put_nowait(setmetatable({n = i * 7 % 11}, item)) end end "
             "await(gather(async(fill)(), async(fill)(), async(fill)())) "
             "assert(q:qsize() == 30) local last = 0 "
             "for _ = 1, 30 do local n = q:get_nowait().n "
             "assert(n >= last, n) last = n end");
  assert_int_equal(neap_stats(t.vm, &s), NEAP_OK);
  assert_true(s.preemptions > 0);
  trial_close(&t);
}

static void what_cannot_be_suspended_is_killed_after_ten_slices(void **state) {
  trial t;
  ending e;
  double begin;
  (void)state;
  timed_open(&t, FAR, 0.005);
  begin = now();
  assert_int_equal(call(&t, "pcall(function() while true do end end) "
                            "ran = true", 0), NEAP_ESTALL);
  assert_true(now() - begin >= 0.05);
  start(&t, 0, "pcall(string.gsub, 'x', 'x', function() while true do end end) "
               "ran = true", &e);
  assert_int_equal(neap_run(t.vm), NEAP_OK);
  assert_int_equal(e.status, NEAP_ESTALL);
  start(&t, 0, "asyncio.call_soon(function() while true do end end) "
               "await(sleep(3600)) ran = true", &e);
  assert_int_equal(neap_run(t.vm), NEAP_OK);
  assert_int_equal(e.status, NEAP_ESTALL);
  assert_false(global_is_true(t.vm, "ran"));
  expect_end(&t, NEAP_OK, "");
  trial_close(&t);
}

static void it_is_not_killed_before(void **state) {
  trial t;
  (void)state;
  timed_open(&t, FAR, 0.2);
  expect_end(&t, NEAP_OK,
             "('x'):gsub('x', function() local begin = asyncio.time() "
             "while asyncio.time() < begin + 0.3 do end end)");
  trial_close(&t);
}

static void code_full_of_callbacks_can_be_suspended_between_them(void **state) {
  trial t;
  (void)state;
  timed_open(&t, FAR, 0.005);
  expect_end(&t, NEAP_OK,
             "local ended, n = false, 0 "
             "local t = create_task(async(function() "
             "for i = 1, 50 do await(sleep(0.001)) end ended = true end)()) "
             "while not ended do ('xxxxxxxxxx'):gsub('.', function(c) "
             "n = n + 1 return c end) end await(t)");
  trial_close(&t);
}

/* Loops of so many instructions, nearly all of them in a callback. */
static void a_loop_does_not_keep_step_with_the_tries_to_suspend_it(
    void **state) {
  (void)state;
  for (int length = 40; length <= 120; length += 10) {
    trial t;
    char body[700] = "", code[1500];
    for (int i = 0; i < length; i++)
      strcat(body, "n=i ");
    snprintf(code, sizeof code,
             "local ended, gsub = false, string.gsub "
             "local function callback() local i, n = 1 %s end "
             "local t = create_task(async(function() "
             "for i = 1, 15 do await(sleep(0.001)) end ended = true end)()) "
             "while not ended do gsub('x', 'x', callback) end await(t)", body);
    timed_open(&t, FAR, 0.005);
    expect_end(&t, NEAP_OK, code);
    trial_close(&t);
  }
}

static void new_slices_and_deadlines_can_be_set(void **state) {
  trial t;
  neap_limits limits = {.deadline = FAR, .slice = 10};
  neap_statistics s;
  (void)state;
  timed_open(&t, limits.deadline, limits.slice);
  limits.slice = 0.002;
  assert_int_equal(neap_limits_set(t.vm, &limits), NEAP_OK);
  expect_end(&t, NEAP_OK,
             "local turns = 0 "
             "local t = create_task(async(function() "
             "for i = 1, 10 do await(sleep(0.001)) turns = i end end)()) "
             "while turns < 10 do end await(t)");
  assert_int_equal(neap_stats(t.vm, &s), NEAP_OK);
  assert_true(s.preemptions > 0);
  limits.deadline = NEAR;
  assert_int_equal(neap_limits_set(t.vm, &limits), NEAP_OK);
  expect_end(&t, NEAP_EDEADLINE, "await(sleep(3600))");
  trial_close(&t);
}

/* ====================================================== } */

#define BOTH(test)                                       \
  cmocka_unit_test_setup(test, signal_),                 \
  {#test "_without_a_signal", test, count_hook, NULL, NULL}

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH(a_deadline_stops_a_task_that_spins),
      BOTH(one_that_waits),
      BOTH(one_that_does_a_little_now_and_then),
      BOTH(its_children),
      BOTH(and_its_callbacks),
      BOTH(what_a_task_left_behind_ends_by_its_deadline),
      BOTH(each_task_of_the_host_has_its_own),
      BOTH(a_call_has_a_deadline),
      BOTH(or_none),
      BOTH(it_counts_anew_for_each_call),
      BOTH(what_a_call_left_behind_ends_by_its_deadline),
      BOTH(a_call_within_a_call_has_no_more_time_than_that),
      BOTH(but_it_may_have_less),
      BOTH(tasks_that_spin_take_turns),
      BOTH(others_have_their_timers_meanwhile),
      BOTH(so_has_the_rest_of_a_hosts_loop),
      BOTH(preemption_changes_nothing),
      BOTH(the_library_is_not_cut_short),
      BOTH(not_even_while_it_compares),
      BOTH(what_cannot_be_suspended_is_killed_after_ten_slices),
      BOTH(it_is_not_killed_before),
      BOTH(code_full_of_callbacks_can_be_suspended_between_them),
      BOTH(a_loop_does_not_keep_step_with_the_tries_to_suspend_it),
      BOTH(new_slices_and_deadlines_can_be_set),
  };
  return cmocka_run_group_tests_name("timed", tests, NULL, NULL);
}
