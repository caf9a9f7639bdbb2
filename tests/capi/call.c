/*
** call.c - tests neap_load, neap_call and neap_error: what goes in, what
** comes out, and what is said when it fails.
*/
#include <math.h>

#include "threads.h"

static neap_value load(neap_vm *vm, const char *code) {
  neap_value function = load_text(vm, "plugin", code);
  assert_int_equal(function.type, NEAP_FUNCTION);
  return function;
}

/* Calls a script without arguments, which has to fail so. */
static neap_error_info fail_with(neap_vm *vm, const char *code, int status) {
  neap_value function = load(vm, code);
  neap_error_info info;
  assert_int_equal(neap_call(vm, &function, NULL, 0, NULL, 0, 0), status);
  neap_error(vm, &info);
  assert_int_equal(info.code, status);
  return info;
}

/* {======================================================
** Loading
** ======================================================= */

static int load_status(neap_vm *vm, const char *text, size_t size) {
  neap_value function;
  int status = neap_load(vm, "plugin", text, size, &function);
  assert_int_equal(function.type, status == NEAP_OK ? NEAP_FUNCTION : NEAP_NIL);
  return status;
}

static void a_script_that_does_not_compile_is_a_syntax_error(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_error_info info;
  (void)state;
  assert_int_equal(load_status(vm, "x = = 1", 7), NEAP_ESYNTAX);
  neap_error(vm, &info);
  assert_int_equal(info.code, NEAP_ESYNTAX);
  assert_string_equal(info.message, "plugin:1: unexpected symbol near '='");
  assert_string_equal(info.traceback, "");
  close_vm(vm);
}

static void a_script_too_deep_for_the_parser_does_not_compile(void **state) {
  neap_vm *vm = new_vm(NULL);
  char text[10000];
  (void)state;
  memset(text, '(', sizeof text);
  assert_int_equal(load_status(vm, text, sizeof text), NEAP_ESYNTAX);
  close_vm(vm);
}

static void a_binary_chunk_is_refused(void **state) {
  neap_vm *vm = new_vm(NULL);
  lua_State *L = neap_lua(vm);
  size_t size;
  const char *chunk;
  neap_error_info info;
  (void)state;
  run_lua(vm, "chunk = string.dump(function() end)");
  lua_getglobal(L, "chunk");
  chunk = lua_tolstring(L, -1, &size);
  assert_int_equal(load_status(vm, chunk, size), NEAP_ESYNTAX);
  neap_error(vm, &info);
  assert_contains(info.message, "binary chunk");
  lua_settop(L, 0);
  close_vm(vm);
}

static void a_first_line_for_the_shell_counts_as_a_line(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_error_info info;
  (void)state;
  info = fail_with(vm, "#!/usr/bin/neap\nerror 'here'", NEAP_ESCRIPT);
  assert_string_equal(info.message, "plugin:2: here");
  assert_int_equal(load_status(vm, "#!", 2), NEAP_OK);
  assert_int_equal(load_status(vm, "#", 1), NEAP_OK);
  assert_int_equal(load_status(vm, "", 0), NEAP_OK);
  close_vm(vm);
}

static void a_script_may_hold_zeros_and_need_not_end_with_one(void **state) {
  neap_vm *vm = new_vm(NULL);
  static const char text[] = {'r', 'e', 't', 'u', 'r', 'n', ' ', '#',
                              '"', 'a', '\0', 'b', '"'};
  neap_value function, result;
  (void)state;
  assert_int_equal(neap_load(vm, "zeros", text, sizeof text, &function),
                   NEAP_OK);
  assert_int_equal(neap_call(vm, &function, NULL, 0, &result, 1, 0), NEAP_OK);
  assert_int_equal(result.as.integer, 3);
  close_vm(vm);
}

/* ====================================================== } */

/* {======================================================
** Arguments and results
** ======================================================= */

static void values_of_all_types_go_in_and_come_out(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value args[7], results[8], echo = load(vm, "return ...");
  int i;
  (void)state;
  args[0] = neap_nil();
  args[1] = neap_boolean(1);
  args[2] = neap_integer(INT64_MIN);
  args[3] = neap_number(-0.5);
  args[4] = neap_bytes("a\0b", 3);
  assert_int_equal(neap_table_new(vm, &args[5]), NEAP_OK);
  args[6] = echo;
  for (i = 0; i < 8; i++)
    results[i] = neap_integer(99);
  assert_int_equal(neap_call(vm, &echo, args, 7, results, 8, 0), NEAP_OK);
  assert_int_equal(results[0].type, NEAP_NIL);
  assert_int_equal(results[1].type, NEAP_BOOLEAN);
  assert_true(results[1].as.boolean);
  assert_true(results[2].as.integer == INT64_MIN);
  assert_true(results[3].type == NEAP_NUMBER && results[3].as.number == -0.5);
  assert_int_equal(results[4].as.string.size, 3);
  assert_memory_equal(results[4].as.string.data, "a\0b", 4);
  assert_int_equal(results[5].type, NEAP_TABLE);
  assert_int_equal(results[6].type, NEAP_FUNCTION);
  assert_int_equal(results[7].type, NEAP_NIL); /* there were only seven */
  close_vm(vm);
}

static void a_call_takes_and_gives_a_thousand_values(void **state) {
  neap_vm *vm = new_vm(NULL);
  static neap_value args[1000], results[1000];
  neap_value echo = load(vm, "return ...");
  int i;
  (void)state;
  for (i = 0; i < 1000; i++)
    args[i] = i % 2 ? neap_integer(i) : neap_text("text");
  assert_int_equal(neap_retain(vm, &echo), NEAP_OK);
  assert_int_equal(neap_call(vm, &echo, NULL, 0, results, 1000, 0), NEAP_OK);
  assert_int_equal(results[999].type, NEAP_NIL);
  assert_int_equal(neap_call(vm, &echo, args, 1000, results, 1000, 0), NEAP_OK);
  assert_int_equal(results[999].as.integer, 999);
  assert_string_equal(results[998].as.string.data, "text");
  close_vm(vm);
}

static void results_that_nobody_wants_are_dropped(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value many = load(vm, "return 1, 2, 3"), first;
  int top = lua_gettop(neap_lua(vm));
  (void)state;
  assert_int_equal(neap_retain(vm, &many), NEAP_OK);
  assert_int_equal(neap_call(vm, &many, NULL, 0, NULL, 0, 0), NEAP_OK);
  assert_int_equal(neap_call(vm, &many, NULL, 0, &first, 1, 0), NEAP_OK);
  assert_int_equal(first.as.integer, 1);
  first = many;
  assert_int_equal(neap_call(vm, &first, NULL, 0, &first, 1, 0), NEAP_OK);
  assert_int_equal(first.as.integer, 1); /* where the function stood */
  assert_int_equal(lua_gettop(neap_lua(vm)), top);
  close_vm(vm);
}

static void what_was_borrowed_ends_with_the_next_call(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value make = load(vm, "return {}"), table, key = neap_integer(1), value;
  (void)state;
  assert_int_equal(neap_retain(vm, &make), NEAP_OK);
  assert_int_equal(neap_call(vm, &make, NULL, 0, &table, 1, 0), NEAP_OK);
  assert_int_equal(neap_table_set(vm, &table, &key, &key), NEAP_OK);
  assert_int_equal(neap_call(vm, &make, NULL, 0, NULL, 0, 0), NEAP_OK);
  assert_int_equal(neap_table_get(vm, &table, &key, &value), NEAP_EINVAL);
  close_vm(vm);
}

/* ====================================================== } */

/* {======================================================
** Errors
** ======================================================= */

static void a_number_of_values_is_not_negative(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value nothing = load(vm, ""), value = neap_nil();
  (void)state;
  assert_int_equal(neap_call(vm, &nothing, &value, -1, NULL, 0, 0),
                   NEAP_EINVAL);
  assert_int_equal(neap_call(vm, &nothing, NULL, 0, &value, -1, 0),
                   NEAP_EINVAL);
  assert_int_equal(neap_spawn(vm, &nothing, &value, -1, 0, NULL, NULL, NULL),
                   NEAP_EINVAL);
  close_vm(vm);
}

static void what_is_no_function_is_not_called(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value no = neap_integer(5), result = neap_integer(1);
  neap_error_info info;
  (void)state;
  assert_int_equal(neap_call(vm, &no, NULL, 0, &result, 1, 0), NEAP_EINVAL);
  assert_int_equal(result.type, NEAP_NIL);
  neap_error(vm, &info);
  assert_string_equal(info.message, "a function expected");
  close_vm(vm);
}

static void a_deadline_is_not_negative_nor_no_number(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value nothing = load(vm, "");
  (void)state;
  assert_int_equal(neap_call(vm, &nothing, NULL, 0, NULL, 0, -1), NEAP_EINVAL);
  assert_int_equal(neap_call(vm, &nothing, NULL, 0, NULL, 0, NAN), NEAP_EINVAL);
  assert_int_equal(neap_call(vm, &nothing, NULL, 0, NULL, 0, HUGE_VAL),
                   NEAP_OK);
  close_vm(vm);
}

static void an_error_has_a_message_and_a_traceback(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_error_info info;
  (void)state;
  neap_error(vm, &info);
  assert_int_equal(info.code, 0);
  assert_non_null(info.message);
  info = fail_with(vm, "local function f()\n  error('boom')\nend\nf()",
                   NEAP_ESCRIPT);
  assert_string_equal(info.message, "plugin:2: boom");
  assert_string_equal(info.traceback, "\n\t[C]: in function 'error'"
                                      "\n\tplugin:2: in local 'f'"
                                      "\n\tplugin:4: in main chunk");
  close_vm(vm);
}

static void an_error_object_tells_its_class_or_its_type(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  assert_string_equal(
      fail_with(vm, "error(require'asyncio'.TimeoutError('late'))",
                NEAP_ESCRIPT).message, "TimeoutError: late");
  assert_string_equal(
      fail_with(vm, "error(setmetatable({}, {__tostring = function()\n"
                    "  ran = true return 'x' end}))", NEAP_ESCRIPT).message,
      "(error object is a table value)");
  assert_string_equal(fail_with(vm, "error()", NEAP_ESCRIPT).message,
                      "(error object is a nil value)");
  assert_false(global_is_true(vm, "ran"));
  close_vm(vm);
}

static void a_cancelled_error_has_a_code_of_its_own(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  fail_with(vm, "error(require'asyncio'.CancelledError())", NEAP_ECANCELED);
  close_vm(vm);
}

static void a_call_cannot_await_and_says_so(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  assert_contains(fail_with(vm, "await(sleep(0))", NEAP_ESCRIPT).message,
                  "await outside a task");
  assert_contains(fail_with(vm, "run(async(function() end)())",
                            NEAP_ESCRIPT).message,
                  "the event loop is running already");
  close_vm(vm);
}

/* ====================================================== } */

/* {======================================================
** Calls in calls
** ======================================================= */

static void a_task_that_a_call_has_made_goes_on_in_the_loop(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value script = load(vm, "create_task(async(function()\n"
                               "  await(sleep(0)) done = true end)())");
  (void)state;
  assert_int_equal(neap_call(vm, &script, NULL, 0, NULL, 0, 0), NEAP_OK);
  assert_false(global_is_true(vm, "done"));
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_true(global_is_true(vm, "done"));
  close_vm(vm);
}

/* A native function: calls its argument, and gives its result. */
static int call_back(neap_frame *frame, void *ud) {
  neap_value function = neap_arg(frame, 1), result;
  int status = neap_call(neap_frame_vm(frame), &function, NULL, 0, &result, 1,
                         0);
  (void)ud;
  return status == NEAP_OK ? neap_return(frame, result) : status;
}

static void natives_call_scripts_which_call_natives(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  assert_int_equal(neap_register(vm, "call_back", call_back, NULL), NEAP_OK);
  run_script(vm, "local function deep(n)\n"
                 "  if n == 0 then return 'bottom' end\n"
                 "  return call_back(function() return deep(n - 1) end)\n"
                 "end\n"
                 "assert(deep(20) == 'bottom')\n"
                 "local ok, why = pcall(deep, 100000)\n" /* ends, in Lua */
                 "assert(not ok and why:find 'overflow', why)\n"
                 "ok, why = pcall(call_back, function() error 'mine' end)\n"
                 "assert(why:find 'mine', why)\n"
                 "ok, why = pcall(call_back, function() await(sleep(0)) end)\n"
                 "assert(why:find 'cannot await', why)\n");
  close_vm(vm);
}

/* What another thread gets, which has no business here. */
static void try_all(void *ud) {
  neap_vm *vm = ud;
  neap_value value = neap_integer(1);
  neap_task task;
  assert_int_equal(neap_load(vm, "x", "", 0, &value), NEAP_ETHREAD);
  assert_int_equal(neap_call(vm, &value, NULL, 0, NULL, 0, 0), NEAP_ETHREAD);
  assert_int_equal(neap_spawn(vm, &value, NULL, 0, 0, NULL, NULL, &task),
                   NEAP_ETHREAD);
  assert_int_equal(neap_cancel(vm, 1, NULL), NEAP_ETHREAD);
  assert_int_equal(neap_kill(vm, 0), NEAP_ETHREAD);
  assert_int_equal(neap_run(vm), NEAP_ETHREAD);
  assert_int_equal(neap_tick(vm, 0), NEAP_ETHREAD);
  assert_int_equal(neap_stop(vm), NEAP_ETHREAD);
  assert_int_equal(neap_close(vm, NULL, NULL), NEAP_ETHREAD);
  assert_false(neap_pending(vm, 1));
  assert_false(neap_alive(vm));
}

static void another_thread_is_refused(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  elsewhere(try_all, vm);
  run_script(vm, "return");
  close_vm(vm);
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_script_that_does_not_compile_is_a_syntax_error),
      cmocka_unit_test(a_script_too_deep_for_the_parser_does_not_compile),
      cmocka_unit_test(a_binary_chunk_is_refused),
      cmocka_unit_test(a_first_line_for_the_shell_counts_as_a_line),
      cmocka_unit_test(a_script_may_hold_zeros_and_need_not_end_with_one),
      cmocka_unit_test(values_of_all_types_go_in_and_come_out),
      cmocka_unit_test(a_call_takes_and_gives_a_thousand_values),
      cmocka_unit_test(results_that_nobody_wants_are_dropped),
      cmocka_unit_test(what_was_borrowed_ends_with_the_next_call),
      cmocka_unit_test(a_number_of_values_is_not_negative),
      cmocka_unit_test(what_is_no_function_is_not_called),
      cmocka_unit_test(a_deadline_is_not_negative_nor_no_number),
      cmocka_unit_test(an_error_has_a_message_and_a_traceback),
      cmocka_unit_test(an_error_object_tells_its_class_or_its_type),
      cmocka_unit_test(a_cancelled_error_has_a_code_of_its_own),
      cmocka_unit_test(a_call_cannot_await_and_says_so),
      cmocka_unit_test(a_task_that_a_call_has_made_goes_on_in_the_loop),
      cmocka_unit_test(natives_call_scripts_which_call_natives),
      cmocka_unit_test(another_thread_is_refused),
  };
  return cmocka_run_group_tests_name("call", tests, NULL, NULL);
}
