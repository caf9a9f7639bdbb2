/*
** spawn.c - tests the tasks that a host starts: their results, errors,
** cancellation, and the numbers by which they are known. Kills: kill.c.
*/
#include "threads.h"

/* What a done callback was told. */
typedef struct outcome {
  int calls;
  int status;
  int nresults;
  long long sum;      /* of the integers */
  char message[200];
  char traceback[500];
} outcome;

static void note(void *ud, neap_vm *vm, int status, const neap_value *results,
                 int nresults) {
  outcome *o = ud;
  neap_error_info info;
  int i;
  o->calls++;
  o->status = status;
  o->nresults = nresults;
  for (i = 0; i < nresults; i++)
    o->sum += results[i].type == NEAP_INTEGER ? results[i].as.integer : 0;
  neap_error(vm, &info);
  if (status != NEAP_OK) {
    snprintf(o->message, sizeof o->message, "%s", info.message);
    snprintf(o->traceback, sizeof o->traceback, "%s", info.traceback);
  }
}

/* {======================================================
** Results and errors
** ======================================================= */

static void a_task_gives_all_its_results(void **state) {
  neap_vm *vm = new_vm(NULL);
  outcome none = {0}, one = {0}, many = {0};
  (void)state;
  spawn(vm, "await(sleep(0))", note, &none);
  spawn(vm, "await(sleep(0)) return 7", note, &one);
  spawn(vm, "local t = {} for i = 1, 100 do t[i] = i end\n"
            "return table.unpack(t)", note, &many);
  assert_int_equal(none.calls + one.calls + many.calls, 0);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(none.nresults, 0);
  assert_int_equal(one.sum, 7);
  assert_int_equal(many.nresults, 100);
  assert_int_equal(many.sum, 5050);
  assert_int_equal(none.calls + one.calls + many.calls, 3);
  close_vm(vm);
}

static void arguments_reach_plain_and_async_functions(void **state) {
  neap_vm *vm = new_vm(NULL);
  outcome plain = {0}, async = {0};
  neap_value args[2], function;
  (void)state;
  run_lua(vm, "function plain(a, b) await(sleep(0)) return a + b end\n"
              "function async.twice(a, b) await(sleep(0)) return a + b, 1 end");
  args[0] = neap_integer(40);
  args[1] = neap_integer(2);
  assert_int_equal(neap_get(vm, "plain", &function), NEAP_OK);
  assert_int_equal(neap_spawn(vm, &function, args, 2, 0, note, &plain, NULL),
                   NEAP_OK);
  assert_int_equal(neap_get(vm, "twice", &function), NEAP_OK);
  assert_int_equal(neap_spawn(vm, &function, args, 2, 0, note, &async, NULL),
                   NEAP_OK);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(plain.sum, 42);
  assert_int_equal(async.sum, 43);
  close_vm(vm);
}

static void an_error_comes_with_the_whole_await_chain(void **state) {
  neap_vm *vm = new_vm(NULL);
  outcome o = {0};
  (void)state;
  spawn(vm, "\nfunction async.inner() await(sleep(0)) error 'boom' end\n"
            "function async.outer() await(inner()) end\n"
            "await(outer())", note, &o);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(o.status, NEAP_ESCRIPT);
  assert_string_equal(o.message, "script:2: boom");
  assert_contains(o.traceback, "script:2: in async function 'inner'");
  assert_contains(o.traceback, "script:3: in async function 'outer'");
  assert_contains(o.traceback, "script:4: in main chunk");
  close_vm(vm);
}

static void an_error_that_nobody_is_told_is_reported(void **state) {
  reports said;
  neap_vm *vm = reporting_vm(&said, 0);
  (void)state;
  spawn(vm, "error 'unheard'", NULL, NULL);
  spawn(vm, "return", NULL, NULL);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(said.count, 1);
  assert_contains(said.last, "unheard");
  close_vm(vm);
  assert_int_equal(said.count, 1);
}

static void what_is_no_function_is_no_task(void **state) {
  neap_vm *vm = new_vm(NULL);
  outcome o = {0};
  neap_value no = neap_text("f");
  neap_task task = 5;
  (void)state;
  assert_int_equal(neap_spawn(vm, &no, NULL, 0, 0, note, &o, &task),
                   NEAP_EINVAL);
  assert_int_equal(task, 0);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(o.calls, 0);
  close_vm(vm);
}

/* ====================================================== } */

/* {======================================================
** Cancelling
** ======================================================= */

static void a_cancelled_task_cleans_up_and_may_await_then(void **state) {
  neap_vm *vm = new_vm(NULL);
  outcome o = {0};
  neap_task task = spawn(vm,
      "local x <close> = setmetatable({}, {__close = function(_, e)\n"
      "  await(sleep(0)) cleaned = tostring(e) == 'CancelledError: enough'\n"
      "end})\n"
      "await(asyncio.Future())", note, &o);
  (void)state;
  assert_int_equal(neap_tick(vm, 0), 0);
  assert_int_equal(neap_cancel(vm, task, "enough"), NEAP_OK);
  assert_true(neap_pending(vm, task));
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(o.status, NEAP_ECANCELED);
  assert_true(global_is_true(vm, "cleaned"));
  assert_false(neap_pending(vm, task));
  assert_int_equal(neap_cancel(vm, task, NULL), NEAP_ENOENT);
  close_vm(vm);
}

/* ====================================================== } */

/* {======================================================
** Numbers, and many
** ======================================================= */

static void no_task_has_the_number_of_another(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_task before = 0;
  int i, count = 0;
  (void)state;
  for (i = 0; i < 1000; i++) {
    neap_task task = spawn(vm, "return", succeeded, &count);
    assert_int_not_equal(task, 0);
    assert_int_not_equal(task, before);
    assert_false(neap_pending(vm, before));
    assert_true(neap_pending(vm, task));
    assert_int_equal(neap_run(vm), NEAP_OK);
    before = task;
  }
  assert_int_equal(neap_cancel(vm, 12345, NULL), NEAP_ENOENT);
  assert_int_equal(neap_kill(vm, UINT64_MAX), NEAP_ENOENT);
  assert_int_equal(count, 1000);
  close_vm(vm);
}

static void ten_thousand_tasks_end_each_once(void **state) {
  neap_vm *vm = new_vm(NULL);
  int i, count = 0;
  (void)state;
  for (i = 0; i < 10000; i++)
    spawn(vm, "await(sleep(0))", succeeded, &count);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(count, 10000);
  close_vm(vm);
}

/* A done callback: starts the next one, `ud` says how many more. */
static void next_one(void *ud, neap_vm *vm, int status,
                     const neap_value *results, int nresults) {
  int *left = ud;
  (void)results;
  (void)nresults;
  assert_int_equal(status, NEAP_OK);
  if (--*left > 0)
    spawn(vm, "await(sleep(0))", next_one, ud);
}

static void the_end_of_a_task_may_start_the_next(void **state) {
  neap_vm *vm = new_vm(NULL);
  int left = 100;
  (void)state;
  spawn(vm, "return", next_one, &left);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(left, 0);
  close_vm(vm);
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_task_gives_all_its_results),
      cmocka_unit_test(arguments_reach_plain_and_async_functions),
      cmocka_unit_test(an_error_comes_with_the_whole_await_chain),
      cmocka_unit_test(an_error_that_nobody_is_told_is_reported),
      cmocka_unit_test(what_is_no_function_is_no_task),
      cmocka_unit_test(a_cancelled_task_cleans_up_and_may_await_then),
      cmocka_unit_test(no_task_has_the_number_of_another),
      cmocka_unit_test(ten_thousand_tasks_end_each_once),
      cmocka_unit_test(the_end_of_a_task_may_start_the_next),
  };
  return cmocka_run_group_tests_name("spawn", tests, NULL, NULL);
}
