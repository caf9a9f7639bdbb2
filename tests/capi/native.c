/*
** native.c - tests native functions: how they are registered, async ones,
** and what stops them. Their arguments and results: frame.c; those that
** suspend the task: promise.c, offload.c.
*/
#include "natives.h"

/* {======================================================
** Registering
** ======================================================= */

static void a_function_is_registered_by_its_path(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_error_info info;
  (void)state;
  add(vm, "app.tools.count", count, NULL);
  run_lua(vm, "assert(app.tools.count(1, 2) == 2)");
  assert_int_equal(neap_register(vm, "", count, NULL), NEAP_EINVAL);
  assert_int_equal(neap_register(vm, "app..x", count, NULL), NEAP_EINVAL);
  assert_int_equal(neap_register(vm, "print.x", count, NULL), NEAP_EINVAL);
  assert_int_equal(neap_register_async(vm, "x.", count, NULL), NEAP_EINVAL);
  assert_int_equal(neap_register(vm, "x", NULL, NULL), NEAP_EINVAL);
  neap_error(vm, &info);
  assert_int_equal(info.code, NEAP_EINVAL);
  run_lua(vm, "assert(x == nil)");
  close_vm(vm);
}

static void the_name_is_copied(void **state) {
  char name[20] = "app.fails";
  neap_vm *vm = new_vm(NULL);
  (void)state;
  add(vm, name, take_integer, NULL);
  memset(name, 'x', sizeof name - 1);
  run_lua(vm, "collectgarbage()");
  check_error(vm, "app.fails()", "[string \"app.fails()\"]:1: bad argument #1 "
                                 "to 'app.fails' (integer expected, got no "
                                 "value)");
  close_vm(vm);
}

static void a_function_is_a_value_too(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value function, result, args[2] = {neap_nil(), neap_nil()};
  (void)state;
  assert_int_equal(neap_function_new(vm, "count", count, NULL, &function),
                   NEAP_OK);
  assert_int_equal(function.type, NEAP_FUNCTION);
  assert_int_equal(neap_retain(vm, &function), NEAP_OK);
  assert_int_equal(neap_call(vm, &function, args, 2, &result, 1, 0), NEAP_OK);
  assert_int_equal(result.as.integer, 2);
  assert_int_equal(neap_release(vm, &function), NEAP_OK);
  assert_int_equal(neap_function_new(vm, "x", NULL, NULL, &function),
                   NEAP_EINVAL);
  assert_int_equal(function.type, NEAP_NIL);
  close_vm(vm);
}

static int give_ud(neap_frame *frame, void *ud) {
  return neap_return(frame, neap_integer(*(int *)ud));
}

static void each_function_has_its_own_ud(void **state) {
  int one = 1, two = 2;
  neap_vm *vm = new_vm(NULL);
  (void)state;
  add(vm, "one", give_ud, &one);
  add(vm, "two", give_ud, &two);
  two = 22;
  run_lua(vm, "assert(one() == 1 and two() == 22)");
  close_vm(vm);
}

static int check_vm(neap_frame *frame, void *ud) {
  neap_vm **vm = ud;
  assert_ptr_equal(neap_frame_vm(frame), *vm);
  return NEAP_OK;
}

static void a_frame_knows_its_vm(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  add(vm, "f", check_vm, &vm);
  run_lua(vm, "f()");
  close_vm(vm);
}

/* Nothing depends on how it is called. */
static void a_function_is_called_from_everywhere(void **state) {
  (void)state;
  check(give_back, NULL,
        "assert(coroutine.wrap(function() return f(1) end)() == 1)\n"
        "assert(coroutine.wrap(f)(2) == 2)\n"
        "assert(select(2, pcall(f, 3)) == 3)\n"
        "local t = setmetatable({}, {__index = f, __len = f})\n"
        "assert(t.x == t and #t == t)\n"
        "assert(('abc'):gsub('b', f) == 'abc')\n"
        "for x in f, 4 do assert(x == 4) break end\n"
        "local main = async(function()\n"
        "  assert(f(5) == 5)\n"
        "  return coroutine.wrap(function() return f(6) end)()\n"
        "end)\n"
        "assert(run(main()) == 6)\n"
        "assert(require('asyncio').catch(f, 7))");
}

/* Calls the VM, and notes what it says. */
static int call_vm(neap_frame *frame, void *ud) {
  neap_value value;
  *(int *)ud = neap_get(neap_frame_vm(frame), "print", &value);
  return neap_fail(frame, "the end");
}

static void a_finalizer_may_call_it_at_the_end(void **state) {
  int status = 1;
  neap_vm *vm = new_vm_with(call_vm, &status);
  (void)state;
  run_lua(vm, "local f = f\n"
              "setmetatable({}, {__gc = function() f(1) end})");
  close_vm(vm);
  assert_int_equal(status, NEAP_ECLOSED);
}

/* ====================================================== } */

/* {======================================================
** Async functions
** ======================================================= */

static neap_vm *new_vm_with_async(neap_function f, void *ud, reports *said) {
  neap_vm *vm = reporting_vm(said, NEAP_CAN_ALL);
  assert_int_equal(neap_register_async(vm, "app.f", f, ud), NEAP_OK);
  return vm;
}

static void an_async_function_gives_a_coroutine_object(void **state) {
  reports said;
  neap_vm *vm = new_vm_with_async(give_back, NULL, &said);
  (void)state;
  run_lua(vm, "local asyncio = require 'asyncio'\n"
              "local main = async(function()\n"
              "  local c = app.f(1, nil, 'x')\n"
              "  assert(asyncio.iscoroutine(c))\n"
              "  assert(tostring(c):find '^<coroutine object app.f at ')\n"
              "  local a, b, c = await(c)\n"
              "  assert(a == 1 and b == nil and c == 'x')\n"
              "  local r = await(gather(app.f(1), app.f(2)))\n"
              "  assert(r[1] == 1 and r[2] == 2)\n"
              "  assert(await(create_task(app.f('t'))) == 't')\n"
              "  return 'end'\n"
              "end)\n"
              "assert(run(main()) == 'end')\n"
              "assert(run(app.f(8)) == 8)");
  close_vm(vm);
  assert_int_equal(said.count, 0);
}

static int note_call(neap_frame *frame, void *ud) {
  (void)frame;
  ++*(int *)ud;
  return NEAP_OK;
}

static void it_runs_when_it_is_awaited(void **state) {
  reports said;
  int calls = 0;
  neap_vm *vm = new_vm_with_async(note_call, &calls, &said);
  (void)state;
  run_lua(vm, "c = app.f()");
  assert_int_equal(calls, 0);
  run_lua(vm, "run(c)");
  assert_int_equal(calls, 1);
  close_vm(vm);
  assert_int_equal(said.count, 0);
}

static void one_that_is_never_awaited_is_reported_by_its_name(void **state) {
  reports said;
  int calls = 0;
  neap_vm *vm = new_vm_with_async(note_call, &calls, &said);
  (void)state;
  run_lua(vm, "app.f() collectgarbage() collectgarbage()");
  assert_int_equal(calls, 0);
  assert_int_equal(said.count, 1);
  assert_contains(said.last, "coroutine 'app.f' was never awaited");
  close_vm(vm);
}

static void its_error_is_raised_where_it_is_awaited(void **state) {
  reports said;
  neap_vm *vm = new_vm_with_async(take_integer, NULL, &said);
  (void)state;
  check_error(vm, "local main = async(function()\n"
                  "  local c = app.f('x')\n"
                  "  await(c)\n"
                  "end)\n"
                  "run(main())",
              "[string \"local main = async(function()...\"]:3: bad argument "
              "#1 to 'app.f' (integer expected, got string)");
  close_vm(vm);
}

/* ====================================================== } */

/* {======================================================
** Kills and interrupts
** ======================================================= */

typedef struct killer {
  neap_task task;
  int status;    /* of neap_checkpoint, after the kill */
  gate gate;
} killer;

static int kill_myself(neap_frame *frame, void *ud) {
  killer *k = ud;
  assert_int_equal(neap_checkpoint(frame), NEAP_OK);
  assert_int_equal(neap_kill(neap_frame_vm(frame), k->task), NEAP_OK);
  k->status = neap_checkpoint(frame);
  return neap_return(frame, neap_integer(1));
}

static int kill_myself_and_fail(neap_frame *frame, void *ud) {
  (void)kill_myself(frame, ud);
  return ((killer *)ud)->status;
}

static int kill_myself_and_wait(neap_frame *frame, void *ud) {
  killer *k = ud;
  (void)kill_myself(frame, ud);
  return gate_wait(frame, &k->gate);
}

static int wait_and_kill_myself(neap_frame *frame, void *ud) {
  killer *k = ud;
  int status = gate_wait(frame, &k->gate);
  (void)kill_myself(frame, ud);
  return status;
}

static void a_function_that_kills_its_task_ends_it(void **state) {
  static const neap_function functions[] = {kill_myself, kill_myself_and_fail,
                                            kill_myself_and_wait,
                                            wait_and_kill_myself};
  (void)state;
  for (int i = 0; i < 8; i++) {
    killer k;
    neap_vm *vm = new_vm(NULL);
    int status = 1;
    memset(&k, 0, sizeof k);
    add(vm, "die", functions[i % 4], &k);
    k.task = spawn(vm,
                   i < 4 ? "while true do pcall(die) lived = true end"
                         : "coroutine.wrap(function() pcall(die) lived = true "
                           "end)() lived = true",
                   note_status, &status);
    assert_int_equal(neap_run(vm), NEAP_OK);
    assert_int_equal(status, NEAP_EKILLED);
    assert_int_equal(k.status, NEAP_EKILLED);
    assert_false(global_is_true(vm, "lived"));
    assert_int_equal(k.gate.cancelled, k.gate.promise != NULL);
    if (k.gate.promise != NULL)
      neap_promise_release(k.gate.promise);
    close_vm(vm);
  }
}

/* Until it is told to stop. */
static int work_long(neap_frame *frame, void *ud) {
  int status;
  (void)ud;
  while ((status = neap_checkpoint(frame)) == NEAP_OK)
    ;
  return status;
}

static void a_checkpoint_tells_the_deadline(void **state) {
  neap_config config;
  neap_vm *vm;
  int status = 1;
  (void)state;
  neap_config_init(&config);
  config.limits.deadline = 0.02;
  vm = new_vm(&config);
  add(vm, "work", work_long, NULL);
  spawn(vm, "while true do pcall(work) end", note_status, &status);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(status, NEAP_EDEADLINE);
  close_vm(vm);
}

static int interrupt(neap_frame *frame, void *ud) {
  neap_interrupt(neap_frame_vm(frame));
  return work_long(frame, ud);
}

static void a_checkpoint_tells_an_interrupt(void **state) {
  neap_vm *vm = new_vm_with(interrupt, NULL);
  (void)state;
  check_error(vm, "f()", "[string \"f()\"]:1: interrupted");
  close_vm(vm);
}

/* ====================================================== } */

/* {======================================================
** What can go wrong everywhere
** ======================================================= */

typedef struct elsewhere_data {
  neap_vm *vm;
  neap_value function;
  int statuses[3];
} elsewhere_data;

static void use_all(void *ud) {
  elsewhere_data *d = ud;
  d->statuses[0] = neap_register(d->vm, "x", count, NULL);
  d->statuses[1] = neap_register_async(d->vm, "x", count, NULL);
  d->statuses[2] = neap_function_new(d->vm, "x", count, NULL, &d->function);
}

static void another_thread_is_told_so(void **state) {
  elsewhere_data d;
  (void)state;
  d.vm = new_vm(NULL);
  elsewhere(use_all, &d);
  for (int i = 0; i < 3; i++)
    assert_int_equal(d.statuses[i], NEAP_ETHREAD);
  run_lua(d.vm, "assert(x == nil)");
  close_vm(d.vm);
}

/* Takes and gives what needs memory. */
static int use_memory(neap_frame *frame, void *ud) {
  neap_vm *vm = neap_frame_vm(frame);
  neap_value function = neap_arg(frame, 1), table, result;
  const char *data;
  size_t size;
  int i, status;
  (void)ud;
  if ((status = neap_arg_string(frame, 2, &data, &size)) != NEAP_OK ||
      (status = neap_return(frame, neap_bytes(data, size))) != NEAP_OK ||
      (status = neap_table_new(vm, &table)) != NEAP_OK ||
      (status = neap_return(frame, table)) != NEAP_OK ||
      (status = neap_call(vm, &function, &table, 1, &result, 1, 0)) != NEAP_OK)
    return status;
  for (i = 0; i < 50; i++) {
    if ((status = neap_return(frame, neap_text("a text"))) != NEAP_OK)
      return status;
  }
  if ((status = neap_arg_string(frame, 3, &data, &size)) == NEAP_OK)
    return neap_fail(frame, "no error");
  assert_int_equal(neap_return(frame, result) == NEAP_OK, 1);
  return status; /* the one of the argument */
}

static int use_natives(neap_vm *vm) {
  static const char code[] =
      "local t, n = f(function(t) return {t} end, 12345.678, nil)";
  neap_value function;
  neap_error_info info;
  int status;
  if ((status = neap_register(vm, "f", use_memory, NULL)) != NEAP_OK ||
      (status = neap_register_async(vm, "app.g", count, NULL)) != NEAP_OK ||
      (status = neap_function_new(vm, "h", count, NULL, &function)) !=
          NEAP_OK ||
      (status = neap_load(vm, "use", code, sizeof code - 1, &function)) !=
          NEAP_OK)
    return status;
  status = neap_call(vm, &function, NULL, 0, NULL, 0, 0);
  if (status != NEAP_ESCRIPT)
    return status == NEAP_OK ? NEAP_EINVAL : status; /* it has to fail */
  neap_error(vm, &info);
  if (strstr(info.message, "bad argument #3 to 'f' (string expected") != NULL)
    return NEAP_OK;
  return strstr(info.message, "not enough memory") != NULL ||
                 strcmp(info.message, neap_strerror(NEAP_ESCRIPT)) == 0
             ? NEAP_ENOMEM
             : NEAP_EINVAL;
}

static void every_request_for_memory_may_fail(void **state) {
  (void)state;
  fail_each_request(use_natives, "f, app = nil collectgarbage()", 20);
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_function_is_registered_by_its_path),
      cmocka_unit_test(the_name_is_copied),
      cmocka_unit_test(a_function_is_a_value_too),
      cmocka_unit_test(each_function_has_its_own_ud),
      cmocka_unit_test(a_frame_knows_its_vm),
      cmocka_unit_test(a_function_is_called_from_everywhere),
      cmocka_unit_test(a_finalizer_may_call_it_at_the_end),
      cmocka_unit_test(an_async_function_gives_a_coroutine_object),
      cmocka_unit_test(it_runs_when_it_is_awaited),
      cmocka_unit_test(one_that_is_never_awaited_is_reported_by_its_name),
      cmocka_unit_test(its_error_is_raised_where_it_is_awaited),
      cmocka_unit_test(a_function_that_kills_its_task_ends_it),
      cmocka_unit_test(a_checkpoint_tells_the_deadline),
      cmocka_unit_test(a_checkpoint_tells_an_interrupt),
      cmocka_unit_test(another_thread_is_told_so),
      cmocka_unit_test(every_request_for_memory_may_fail),
  };
  return cmocka_run_group_tests_name("native", tests, NULL, NULL);
}
