/*
** kill.c - tests neap_kill and what it means to be killed: nothing of the
** script runs any more, what came of it ends, the rest goes on.
*/
#include <math.h>

#include "limited.h"

/* A native function that kills; `ud` is who. */
typedef struct killer {
  neap_task task; /* 0: all */
  int calls;
  gate gate; /* that kill_and_wait waits for */
} killer;

static int kill_now(neap_frame *frame, void *ud) {
  killer *k = ud;
  k->calls++;
  assert_int_equal(neap_kill(neap_frame_vm(frame), k->task), NEAP_OK);
  return NEAP_OK;
}

/* The same, and then it waits for what never comes. */
static int kill_and_wait(neap_frame *frame, void *ud) {
  killer *k = ud;
  int status = gate_wait(frame, &k->gate);
  assert_int_equal(status, NEAP_SUSPENDED);
  (void)kill_now(frame, ud);
  return status;
}

/* Nobody waits for it, if it was opened. */
static void check_cancelled(gate *g) {
  assert_int_equal(g->cancelled, g->promise != NULL);
  neap_promise_release(g->promise);
}

/* The limits that the tests are run with. */
static const neap_limits limit_sets[] = {
    {0},
    {.memory = 8 << 20},
    {.deadline = 60, .slice = 0.005},
};

#define FOR_ALL_LIMITS(i) \
  for (size_t i = 0; i < sizeof limit_sets / sizeof *limit_sets; i++)

static void tick(trial *t, int times) {
  while (times-- > 0)
    assert_in_range(neap_tick(t->vm, 0), 0, 1);
}

/* {======================================================
** One task
** ======================================================= */

/* Starts `code`, lets it run, kills it; then it has ended, and nothing is
   left that could run. */
static void check_killed(const char *code) {
  FOR_ALL_LIMITS(i) {
    trial t;
    ending e;
    gate g;
    neap_task task;
    neap_statistics s;
    trial_open(&t, &limit_sets[i]);
    add_gate(t.vm, &g);
    task = start(&t, 0, code, &e);
    tick(&t, 5);
    assert_int_equal(e.count, 0);
    assert_int_equal(neap_kill(t.vm, task), NEAP_OK);
    assert_int_equal(neap_run(t.vm), NEAP_OK);
    assert_int_equal(e.count, 1);
    assert_int_equal(e.status, NEAP_EKILLED);
    assert_string_equal(e.message, neap_strerror(NEAP_EKILLED));
    assert_int_equal(neap_kill(t.vm, task), NEAP_ENOENT);
    assert_false(neap_pending(t.vm, task));
    assert_false(global_is_true(t.vm, "ran"));
    assert_int_equal(neap_stats(t.vm, &s), NEAP_OK);
    assert_int_equal(s.tasks, 0);
    check_cancelled(&g);
    expect_end(&t, NEAP_OK, "await(sleep(0))");
    trial_close(&t);
    assert_int_equal(t.reports.count, 0); /* nobody is left to look at errors */
  }
}

static void a_task_that_waits_is_killed(void **state) {
  (void)state;
  check_killed("await(sleep(3600)) ran = true");
  check_killed("await(asyncio.Future()) ran = true");
  check_killed("local l = asyncio.Lock() await(l:acquire()) "
               "await(l:acquire()) ran = true");
  check_killed("await(gather(sleep(3600), asyncio.Future())) ran = true");
  check_killed("await(gather(gather(sleep(3600)), sleep(3600))) ran = true");
  check_killed("await(create_task(sleep(3600))) ran = true");
  check_killed("while true do await(sleep(0)) end");
}

static void nothing_of_it_runs_any_more(void **state) {
  static const char *const waits[] = {
      "await(sleep(3600))", "await(asyncio.Future())",
      "local q = asyncio.Queue() await(q:get())",
      "local l = asyncio.Lock() await(l:acquire()) await(l:acquire())",
      "await(create_task(async(function() await(sleep(3600)) end)()))",
      "await(gather(sleep(3600), asyncio.Future()))",
      "coroutine.wrap(function() await(sleep(3600)) end)()",
      "await(gate())", "await(asyncio.wait_for(sleep(9), 9))"};
  (void)state;
  for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
    char code[400];
    snprintf(code, sizeof code,
             "local x <close> = setmetatable({}, {__close = function() "
             "ran = true end}) "
             "pcall(function() %s end) ran = true", waits[i]);
    check_killed(code);
  }
  check_killed(
      "local x <close> = setmetatable({}, {__close = function() ran = true "
      "end}) "
      "pcall(function() local y <close> = x await(sleep(3600)) end) "
      "ran = true");
  check_killed("xpcall(function() asyncio.catch(await, sleep(3600)) "
               "ran = true end, function() ran = true end) ran = true");
  check_killed("coroutine.wrap(function() "
               "local x <close> = setmetatable({}, {__close = function() "
               "ran = true end}) await(sleep(3600)) end)()");
}

static void all_that_came_of_it_ends_too(void **state) {
  (void)state;
  check_killed("local function spin() while true do await(sleep(0)) end end "
               "for i = 1, 3 do create_task(async(function() "
               "create_task(async(spin)()) await(sleep(3600)) ran = true end)"
               "()) end "
               "local function later() asyncio.call_later(0, later) end later()"
               "asyncio.call_later(3600, print) await(sleep(3600))");
  check_killed("local function again() create_task(async(function() "
               "await(sleep(0)) asyncio.call_soon(again) end)()) end "
               "again() asyncio.call_later(0.001, again) await(sleep(3600))");
}

static void so_does_what_an_ended_task_left_behind(void **state) {
  FOR_ALL_LIMITS(i) {
    trial t;
    ending e, other;
    neap_task task;
    neap_statistics s;
    (void)state;
    trial_open(&t, &limit_sets[i]);
    start(&t, 0, "while not ended do await(sleep(0)) end", &other);
    task = start(&t, 0,
                 "create_task(async(function() while true do await(sleep(0)) "
                 "end end)()) "
                 "create_task(async(function() await(sleep(3600)) ran = true "
                 "end)()) asyncio.call_later(3600, print)", &e);
    tick(&t, 5);
    assert_int_equal(e.status, NEAP_OK);
    assert_int_equal(e.count, 1);
    assert_false(neap_pending(t.vm, task));
    assert_int_equal(neap_kill(t.vm, task), NEAP_OK);
    tick(&t, 2);
    assert_int_equal(neap_kill(t.vm, task), NEAP_ENOENT);
    assert_int_equal(neap_stats(t.vm, &s), NEAP_OK);
    assert_int_equal(s.tasks, 1);
    assert_int_equal(other.count, 0);
    assert_int_equal(call(&t, "ended = true", 0), NEAP_OK);
    assert_int_equal(neap_run(t.vm), NEAP_OK);
    assert_int_equal(e.count, 1);
    assert_false(global_is_true(t.vm, "ran"));
    trial_close(&t);
  }
}

static void a_callback_of_a_future_comes_of_who_settles_it(void **state) {
  FOR_ALL_LIMITS(i) {
    trial t;
    ending adds, settles;
    neap_task task;
    neap_statistics s;
    (void)state;
    trial_open(&t, &limit_sets[i]);
    task = start(&t, 0, "f = asyncio.Future() f:add_done_callback(function() "
                        "ran = true create_task(sleep(3600)) end) "
                        "await(sleep(3600))", &adds);
    tick(&t, 2);
    assert_int_equal(neap_kill(t.vm, task), NEAP_OK);
    tick(&t, 2);
    assert_int_equal(adds.status, NEAP_EKILLED);
    task = start(&t, 0, "f:set_result() await(sleep(3600))", &settles);
    tick(&t, 3);
    assert_true(global_is_true(t.vm, "ran"));
    assert_int_equal(neap_kill(t.vm, task), NEAP_OK);
    tick(&t, 2);
    assert_int_equal(settles.status, NEAP_EKILLED);
    assert_int_equal(neap_stats(t.vm, &s), NEAP_OK);
    assert_int_equal(s.tasks, 0);
    trial_close(&t);
  }
}

static void it_is_killed_before_its_first_step(void **state) {
  trial t;
  ending e;
  neap_task task;
  (void)state;
  trial_open(&t, &(neap_limits){0});
  task = start(&t, 0, "ran = true", &e);
  assert_int_equal(neap_kill(t.vm, task), NEAP_OK);
  assert_int_equal(neap_run(t.vm), NEAP_OK);
  assert_int_equal(e.count, 1);
  assert_int_equal(e.status, NEAP_EKILLED);
  assert_false(global_is_true(t.vm, "ran"));
  trial_close(&t);
}

static void a_task_that_has_ended_is_not_there(void **state) {
  trial t;
  neap_task task;
  (void)state;
  trial_open(&t, &(neap_limits){0});
  task = start(&t, 0, "", NULL);
  assert_int_equal(neap_run(t.vm), NEAP_OK);
  assert_int_equal(neap_kill(t.vm, task), NEAP_ENOENT);
  assert_int_equal(neap_kill(t.vm, 12345), NEAP_ENOENT);
  trial_close(&t);
}

static void others_go_on(void **state) {
  FOR_ALL_LIMITS(i) {
    trial t;
    ending killed, other;
    neap_task task;
    (void)state;
    trial_open(&t, &limit_sets[i]);
    task = start(&t, 0, "me = asyncio.current_task() await(sleep(3600))",
                 &killed);
    start(&t, 0, "await(sleep(0)) "
                 "local ok, e = asyncio.catch(await, gather(me, sleep(0))) "
                 "assert(not ok and asyncio.isinstance(e, "
                 "asyncio.CancelledError), e) "
                 "ok, e = asyncio.catch(await, me) "
                 "assert(not ok and asyncio.isinstance(e, "
                 "asyncio.CancelledError), e) "
                 "assert(me:cancelled())", &other);
    tick(&t, 5);
    assert_int_equal(neap_kill(t.vm, task), NEAP_OK);
    assert_int_equal(neap_run(t.vm), NEAP_OK);
    assert_int_equal(killed.status, NEAP_EKILLED);
    if (other.status != NEAP_OK)
      fail_msg("%s", other.message);
    assert_int_equal(other.count, 1);
    trial_close(&t);
  }
}

/* A permit, or a wake-up, that it was given and has not used. */
static void what_it_was_woken_for_goes_to_the_next(void **state) {
  static const struct {
    const char *begin, *wait, *wake;
  } cases[] = {
      {"l = asyncio.Lock() await(l:acquire())", "await(l:acquire())",
       "l:release()"},
      {"l = asyncio.Semaphore(1) await(l:acquire())", "await(l:acquire())",
       "l:release()"},
      {"l = asyncio.Lock() await(l:acquire())",
       "coroutine.wrap(function() await(l:acquire()) end)()", "l:release()"},
      {"q = asyncio.Queue()", "await(q:get())", "q:put_nowait(1)"},
      {"q = asyncio.PriorityQueue(1) q:put_nowait(1)", "await(q:put(2))",
       "q:get_nowait()"},
  };
  (void)state;
  FOR_ALL_LIMITS(i) {
    for (size_t j = 0; j < sizeof cases / sizeof *cases; j++) {
      char wake[100];
      trial t;
      killer k = {0};
      ending killed, in_line, next, waker;
      neap_task queued;
      trial_open(&t, &limit_sets[i]);
      assert_int_equal(neap_register(t.vm, "kill", kill_now, &k), NEAP_OK);
      expect_end(&t, NEAP_OK, cases[j].begin);
      snprintf(wake, sizeof wake, "%s kill()", cases[j].wake);
      queued = start(&t, 0, cases[j].wait, &in_line);
      k.task = start(&t, 0, cases[j].wait, &killed);
      start(&t, 0, cases[j].wait, &next);
      tick(&t, 3);
      /* one that is killed in line was given nothing */
      assert_int_equal(neap_kill(t.vm, queued), NEAP_OK);
      tick(&t, 3);
      assert_int_equal(in_line.status, NEAP_EKILLED);
      assert_int_equal(next.count, 0);
      start(&t, 0, wake, &waker);
      assert_int_equal(neap_run(t.vm), NEAP_OK);
      assert_int_equal(k.calls, 1);
      assert_int_equal(killed.status, NEAP_EKILLED);
      assert_int_equal(waker.status, NEAP_OK);
      assert_int_equal(next.status, NEAP_OK);
      assert_int_equal(next.count, 1);
      trial_close(&t);
    }
  }
}

/* It ends what it has called of the library's before it dies. */
static void what_others_use_is_left_whole(void **state) {
  static const struct {
    const char *begin, *other, *killed;
  } cases[] = {
      /* killed where the library compares, before it wakes the other one */
      {"q = asyncio.PriorityQueue() item = setmetatable({}, {__lt = kill})",
       "for i = 1, 2 do await(q:get()) end",
       "q:put_nowait(item) q:put_nowait(item) ran = true"},
      /* before the library suspends, in the line of the other one */
      {"c = asyncio.Condition()",
       "await(c:acquire()) await(c:wait()) c:notify() c:release()",
       "await(c:acquire()) c:notify() c:release() "
       "await(c:acquire()) await(c:wait_for(kill)) ran = true"},
  };
  (void)state;
  FOR_ALL_LIMITS(i) {
    for (size_t j = 0; j < sizeof cases / sizeof *cases; j++) {
      trial t;
      killer k = {0};
      ending killed, other;
      trial_open(&t, &limit_sets[i]);
      assert_int_equal(neap_register(t.vm, "kill", kill_now, &k), NEAP_OK);
      expect_end(&t, NEAP_OK, cases[j].begin);
      start(&t, 0, cases[j].other, &other);
      k.task = start(&t, 0, cases[j].killed, &killed);
      assert_int_equal(neap_run(t.vm), NEAP_OK);
      assert_int_equal(k.calls, 1);
      assert_int_equal(killed.status, NEAP_EKILLED);
      if (other.status != NEAP_OK)
        fail_msg("%s", other.message);
      assert_int_equal(other.count, 1);
      assert_false(global_is_true(t.vm, "ran"));
      trial_close(&t);
    }
  }
}

/* The library goes round, by C functions alone. */
static void but_the_library_hides_nobody(void **state) {
  trial t;
  ending e;
  (void)state;
  trial_open(&t, &(neap_limits){.deadline = 60});
  start(&t, 0.05,
        "await(asyncio.wait(setmetatable({}, {__index = asyncio.current_task, "
        "__len = function() return math.maxinteger end})))", &e);
  assert_int_equal(neap_run(t.vm), NEAP_OK);
  if (e.status != NEAP_EDEADLINE)
    fail_msg("%s", e.message);
  assert_int_equal(e.count, 1);
  assert_int_equal(e.status, NEAP_EDEADLINE);
  trial_close(&t);
}

static void without_a_done_function_it_is_reported(void **state) {
  trial t;
  (void)state;
  trial_open(&t, &(neap_limits){0});
  neap_kill(t.vm, start(&t, 0, "", NULL));
  assert_int_equal(neap_run(t.vm), NEAP_OK);
  assert_int_equal(t.reports.count, 1);
  assert_string_equal(t.reports.last, neap_strerror(NEAP_EKILLED));
  trial_close(&t);
}

/* ====================================================== } */

/* {======================================================
** By a native function of the task itself
** ======================================================= */

static void check_suicide(neap_function f, const char *code) {
  FOR_ALL_LIMITS(i) {
    trial t;
    ending e;
    killer k = {0};
    trial_open(&t, &limit_sets[i]);
    assert_int_equal(neap_register(t.vm, "kill", f, &k), NEAP_OK);
    k.task = start(&t, 0, code, &e);
    assert_int_equal(neap_run(t.vm), NEAP_OK);
    assert_int_equal(e.count, 1);
    if (e.status != NEAP_EKILLED)
      fail_msg("%s: %d %s", code, e.status, e.message);
    assert_int_equal(k.calls, 1);
    check_cancelled(&k.gate);
    assert_false(global_is_true(t.vm, "ran"));
    expect_end(&t, NEAP_OK, "await(sleep(0))");
    trial_close(&t);
  }
}

static void it_ends_when_the_function_returns(void **state) {
  (void)state;
  check_suicide(kill_now, "kill() ran = true");
  check_suicide(kill_now, "pcall(kill) ran = true");
  check_suicide(kill_now, "pcall(kill) ran = true while true do end");
  check_suicide(kill_now, "asyncio.catch(kill) ran = true");
  check_suicide(kill_now, "xpcall(kill, function() ran = true end) "
                          "ran = true");
  check_suicide(kill_now, "return kill()");
}

/* Kills, and then does what a host may do still. */
static int kill_and_use(neap_frame *frame, void *ud) {
  static const char code[] = "other = true";
  neap_vm *vm = neap_frame_vm(frame);
  neap_value value, script;
  char text[20];
  (void)kill_now(frame, ud);
  value = neap_text("still here");
  assert_int_equal(neap_set(vm, "note", &value), NEAP_OK);
  assert_int_equal(neap_get(vm, "note", &value), NEAP_OK);
  assert_string_equal(neap_describe(vm, &value, text, sizeof text),
                      "'still here'");
  assert_int_equal(neap_table_new(vm, &value), NEAP_OK);
  assert_int_equal(neap_load(vm, "other", code, sizeof code - 1, &script),
                   NEAP_OK);
  assert_int_equal(neap_spawn(vm, &script, NULL, 0, 0, NULL, NULL, NULL),
                   NEAP_OK);
  return NEAP_OK;
}

static void the_vm_serves_the_function_until_then(void **state) {
  (void)state;
  check_suicide(kill_and_use, "other = false kill() ran = true");
  check_suicide(kill_and_use, "pcall(string.gsub, 'x', 'x', kill) ran = true");
}

static void it_ends_where_it_cannot_be_suspended(void **state) {
  (void)state;
  check_suicide(kill_now, "('x'):gsub('x', kill) ran = true");
  check_suicide(kill_now, "pcall(string.gsub, 'x', 'x', function() kill() "
                          "ran = true end) ran = true");
  check_suicide(kill_now,
                "local x <close> = setmetatable({}, {__close = function() "
                "ran = true end}) "
                "pcall(string.gsub, 'x', 'x', function() "
                "xpcall(kill, function() ran = true end) ran = true end)");
}

/* A task kills itself in 50,000 protected calls. In each one that an error
   passes Lua looks at all of the stack: all of them would take minutes. */
static void check_deep_suicide(const char *code) {
  trial t;
  ending e;
  killer k = {0};
  char text[500];
  snprintf(text, sizeof text,
           "local down down = async(function(n) if n == 0 then %s end "
           "pcall(await, down(n - 1)) ran = true end) await(down(50000))",
           code);
  trial_open(&t, &(neap_limits){.deadline = 60});
  assert_int_equal(neap_register(t.vm, "kill", kill_now, &k), NEAP_OK);
  k.task = start(&t, 0, text, &e);
  assert_int_equal(neap_run(t.vm), NEAP_OK);
  assert_int_equal(e.status, NEAP_EKILLED);
  assert_int_equal(k.calls, 1);
  assert_false(global_is_true(t.vm, "ran"));
  trial_close(&t);
}

static void it_ends_in_the_first_of_many_protected_calls(void **state) {
  (void)state;
  check_deep_suicide("string.gsub('x', 'x', function() kill() ran = true end)");
  check_deep_suicide("local x <close> = setmetatable({}, {__close = kill}) "
                     "asyncio.current_task():cancel() await(sleep(0))");
}

static void it_ends_in_generators(void **state) {
  (void)state;
  check_suicide(kill_now, "pcall(coroutine.wrap(kill)) ran = true");
  check_suicide(kill_now,
                "coroutine.resume(coroutine.create(function() "
                "pcall(coroutine.wrap(function() kill() ran = true end)) "
                "ran = true end)) ran = true");
  check_suicide(kill_now,
                "local co = coroutine.create(function() local x <close> = "
                "setmetatable({}, {__close = kill}) coroutine.yield() end) "
                "coroutine.resume(co) pcall(coroutine.close, co) ran = true");
}

static void it_ends_very_deep(void **state) {
  (void)state;
  check_suicide(
      kill_now,
      "local function deep(n) if n == 0 then kill() ran = true end "
      "return (deep(n - 1)) end "
      "xpcall(function() xpcall(deep, function() ran = true end, 20000) "
      "ran = true end, function() ran = true end) ran = true");
}

static void it_ends_though_the_function_suspends(void **state) {
  (void)state;
  check_suicide(kill_and_wait, "kill() ran = true");
  check_suicide(kill_and_wait, "pcall(await, async(kill)()) ran = true");
}

/* ====================================================== } */

/* {======================================================
** The VM
** ======================================================= */

static void all_tasks_are_killed_at_once(void **state) {
  FOR_ALL_LIMITS(i) {
    trial t;
    ending a, b;
    neap_value f;
    (void)state;
    trial_open(&t, &limit_sets[i]);
    start(&t, 0, "await(sleep(3600)) ran = true", &a);
    start(&t, 0, "asyncio.call_later(3600, print) "
                 "while true do await(sleep(0)) end", &b);
    f = load_script(t.vm, "ran = true");
    tick(&t, 3);
    assert_int_equal(neap_kill(t.vm, 0), NEAP_OK);
    assert_int_equal(neap_run(t.vm), NEAP_OK);
    assert_int_equal(a.status, NEAP_EKILLED);
    assert_int_equal(b.status, NEAP_EKILLED);
    assert_int_equal(a.count + b.count, 2);
    assert_false(neap_alive(t.vm));
    f = load_script(t.vm, "ran = true");
    assert_int_equal(neap_call(t.vm, &f, NULL, 0, NULL, 0, 0), NEAP_EKILLED);
    assert_int_equal(neap_spawn(t.vm, &f, NULL, 0, 0, NULL, NULL, NULL),
                     NEAP_EKILLED);
    assert_int_equal(neap_kill(t.vm, 0), NEAP_OK);
    assert_false(global_is_true(t.vm, "ran"));
    trial_close(&t);
  }
}

static void a_native_function_kills_the_vm(void **state) {
  FOR_ALL_LIMITS(i) {
    trial t;
    killer k = {0};
    (void)state;
    trial_open(&t, &limit_sets[i]);
    assert_int_equal(neap_register(t.vm, "kill", kill_now, &k), NEAP_OK);
    assert_int_equal(call(&t, "pcall(kill) ran = true", 0), NEAP_EKILLED);
    assert_int_equal(call(&t, "ran = true", 0), NEAP_EKILLED);
    assert_false(global_is_true(t.vm, "ran"));
    trial_close(&t);
  }
}

/* A done function that kills, and starts anew. */
static void kill_all(void *ud, neap_vm *vm, int status,
                     const neap_value *results, int nresults) {
  (void)results;
  (void)nresults;
  *(int *)ud = status;
  assert_int_equal(neap_kill(vm, 0), NEAP_OK);
}

static void so_may_a_done_function(void **state) {
  trial t;
  ending e;
  neap_value f;
  int status = -99;
  (void)state;
  trial_open(&t, &(neap_limits){0});
  f = load_script(t.vm, "");
  assert_int_equal(neap_spawn(t.vm, &f, NULL, 0, 0, kill_all, &status, NULL),
                   NEAP_OK);
  start(&t, 0, "await(sleep(3600))", &e);
  assert_int_equal(neap_run(t.vm), NEAP_OK);
  assert_int_equal(status, NEAP_OK);
  assert_int_equal(e.status, NEAP_EKILLED);
  trial_close(&t);
}

static void neap_close_kills_what_is_left(void **state) {
  FOR_ALL_LIMITS(i) {
    trial t;
    ending a, b;
    (void)state;
    trial_open(&t, &limit_sets[i]);
    start(&t, 0, "asyncio.call_later(3600, print) "
                 "local g = gather(sleep(3600), asyncio.Future()) "
                 "g:add_done_callback(print) await(g)", &a);
    start(&t, 0, "local x <close> = setmetatable({}, {__close = print}) "
                 "await(asyncio.Future())", &b);
    assert_int_equal(call(&t, "asyncio.call_later(3600, print) "
                              "asyncio.call_soon(print)", 0), NEAP_OK);
    tick(&t, 2);
    trial_close(&t);
    assert_int_equal(a.status, NEAP_ECLOSED);
    assert_int_equal(b.status, NEAP_ECLOSED);
    assert_int_equal(a.count + b.count, 2);
    assert_int_equal(t.printed, 1);
  }
}

/* ====================================================== } */

/* {======================================================
** From another thread
** ======================================================= */

static void wait_and_kill(void *ud) {
  neap_port *port = ud;
  uv_sleep(20);
  assert_int_equal(neap_port_kill(port), NEAP_OK);
  neap_port_release(port);
}

static void check_port_kill(const neap_limits *limits, const char *code) {
  trial t;
  ending e;
  neap_port *port;
  uv_thread_t thread;
  trial_open(&t, limits);
  assert_int_equal(neap_port_open(t.vm, &port), NEAP_OK);
  start(&t, HUGE_VAL, code, &e);
  thread_start(&thread, wait_and_kill, port);
  assert_int_equal(neap_run(t.vm), NEAP_OK);
  thread_join(&thread);
  assert_int_equal(e.count, 1);
  assert_int_equal(e.status, NEAP_EKILLED);
  trial_close(&t);
}

static void a_port_kills_a_script_that_spins(void **state) {
  (void)state;
  check_port_kill(&limit_sets[2], "while true do end");
  check_port_kill(&limit_sets[2], "await(sleep(3600))");
  check_port_kill(&(neap_limits){.deadline = 3600}, "while true do end");
  check_port_kill(&(neap_limits){.deadline = 3600},
                  "while true do pcall(string.gsub, 'x', 'x', function() "
                  "while true do end end) end");
}

static void or_waits_for_its_return_where_there_is_no_limit_of_time(
    void **state) {
  (void)state;
  check_port_kill(&limit_sets[0], "while true do await(sleep(0)) end");
  check_port_kill(&limit_sets[1], "await(sleep(3600))");
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_task_that_waits_is_killed),
      cmocka_unit_test(nothing_of_it_runs_any_more),
      cmocka_unit_test(all_that_came_of_it_ends_too),
      cmocka_unit_test(so_does_what_an_ended_task_left_behind),
      cmocka_unit_test(a_callback_of_a_future_comes_of_who_settles_it),
      cmocka_unit_test(it_is_killed_before_its_first_step),
      cmocka_unit_test(a_task_that_has_ended_is_not_there),
      cmocka_unit_test(others_go_on),
      cmocka_unit_test(what_it_was_woken_for_goes_to_the_next),
      cmocka_unit_test(what_others_use_is_left_whole),
      cmocka_unit_test(but_the_library_hides_nobody),
      cmocka_unit_test(without_a_done_function_it_is_reported),
      cmocka_unit_test(it_ends_when_the_function_returns),
      cmocka_unit_test(the_vm_serves_the_function_until_then),
      cmocka_unit_test(it_ends_where_it_cannot_be_suspended),
      cmocka_unit_test(it_ends_in_the_first_of_many_protected_calls),
      cmocka_unit_test(it_ends_in_generators),
      cmocka_unit_test(it_ends_very_deep),
      cmocka_unit_test(it_ends_though_the_function_suspends),
      cmocka_unit_test(all_tasks_are_killed_at_once),
      cmocka_unit_test(a_native_function_kills_the_vm),
      cmocka_unit_test(so_may_a_done_function),
      cmocka_unit_test(neap_close_kills_what_is_left),
      cmocka_unit_test(a_port_kills_a_script_that_spins),
      cmocka_unit_test(or_waits_for_its_return_where_there_is_no_limit_of_time),
  };
  return cmocka_run_group_tests_name("kill", tests, NULL, NULL);
}
