/*
** frame.c - tests one call of a native function: its arguments, its results,
** its errors. The functions themselves: native.c.
*/
#include <limits.h>

#include "natives.h"

/* {======================================================
** Arguments
** ======================================================= */

static void arguments_are_counted(void **state) {
  (void)state;
  check(count, NULL, "assert(f() == 0 and f(nil) == 1 and f(1, 2, nil) == 3)\n"
                     "assert(f(table.unpack({}, 1, 200)) == 200)");
}

static void any_argument_can_be_given_back(void **state) {
  (void)state;
  check(give_back, NULL,
        "local t, co = {}, coroutine.create(print)\n"
        "local r = table.pack(f(nil, true, 1, 1.5, 'x', t, print, co, nil))\n"
        "assert(r.n == 9 and r[1] == nil and r[2] == true and r[3] == 1)\n"
        "assert(r[4] == 1.5 and r[5] == 'x' and r[6] == t)\n"
        "assert(r[7] == print and r[8] == co and r[9] == nil)");
}

static void there_may_be_many_arguments_and_results(void **state) {
  (void)state;
  check(give_back, NULL,
        "local list = {}\n"
        "for i = 1, 5000 do list[i] = i % 2 == 0 and i or ('s' .. i) end\n"
        "local r = table.pack(f(table.unpack(list)))\n"
        "assert(r.n == 5000)\n"
        "for i = 1, 5000 do assert(r[i] == list[i]) end");
}

static void look_outside(neap_frame *frame) {
  lua_Integer n;
  for (int i = -1000000; i <= 1000000; i += 250000) {
    if (i != 0)
      assert_int_equal(neap_arg(frame, i).type, NEAP_NIL);
    assert_int_equal(neap_arg_integer(frame, i, &n), NEAP_ESCRIPT);
  }
  for (int i = 2; i <= 40; i++)
    assert_int_equal(neap_arg(frame, i).type, NEAP_NIL);
  assert_int_equal(neap_arg(frame, 0).type, NEAP_NIL);
  assert_int_equal(neap_arg(frame, INT_MIN).type, NEAP_NIL);
  assert_int_equal(neap_arg(frame, INT_MAX).type, NEAP_NIL);
}

static int outside(neap_frame *frame, void *ud) {
  (void)ud;
  look_outside(frame);
  (void)neap_return(frame, neap_integer(1));
  (void)neap_return(frame, neap_integer(2)); /* are no arguments */
  look_outside(frame);
  assert_int_equal(neap_arg_count(frame), 1);
  return NEAP_OK;
}

static void beyond_the_arguments_there_is_nil(void **state) {
  (void)state;
  check(outside, NULL, "local a, b, c = f(7)\n"
                       "assert(a == 1 and b == 2 and c == nil)");
}

static int take_number(neap_frame *frame, void *ud) {
  lua_Number n;
  int status = neap_arg_number(frame, 1, &n);
  (void)ud;
  return status == NEAP_OK ? neap_return(frame, neap_number(n)) : status;
}

static int take_boolean(neap_frame *frame, void *ud) {
  int b;
  assert_int_equal(neap_arg_boolean(frame, 1, &b), NEAP_OK);
  (void)ud;
  return neap_return(frame, neap_boolean(b));
}

static int take_string(neap_frame *frame, void *ud) {
  const char *data;
  size_t size;
  int status = neap_arg_string(frame, 1, &data, &size);
  (void)ud;
  if (status != NEAP_OK)
    return status;
  assert_int_equal(data[size], 0);
  return neap_return(frame, neap_bytes(data, size));
}

static void arguments_convert_as_in_lua(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  add(vm, "integer", take_integer, NULL);
  add(vm, "number", take_number, NULL);
  add(vm, "boolean", take_boolean, NULL);
  add(vm, "string_", take_string, NULL);
  run_lua(vm, "local t = math.type\n"
              "assert(integer(3) == 3 and t(integer(3.0)) == 'integer')\n"
              "assert(integer('10') == 10 and integer('0x10') == 16)\n"
              "assert(integer(math.mininteger) == math.mininteger)\n"
              "assert(number(0.5) == 0.5 and t(number(3)) == 'float')\n"
              "assert(number('1e2') == 100)\n"
              "assert(boolean(0) == true and boolean('') == true)\n"
              "assert(boolean(nil) == false and boolean() == false)\n"
              "assert(string_('a\\0b') == 'a\\0b' and string_('') == '')\n"
              "assert(string_(12) == '12' and string_(1.0) == '1.0')");
  close_vm(vm);
}

static void a_wrong_argument_is_an_error_as_in_lua(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  add(vm, "app.integer", take_integer, NULL);
  add(vm, "number", take_number, NULL);
  add(vm, "text", take_string, NULL);
  run_lua(vm, "function fails(call, ...)\n"
              "  local ok, message = pcall(call, ...)\n"
              "  assert(not ok)\n"
              "  return message\n"
              "end");
#define BAD(call, what) \
  "assert(fails(" call ") == \"bad argument #1 to '" what "\")\n"
  run_lua(vm,
          BAD("app.integer, nil", "app.integer' (integer expected, got nil)")
          BAD("app.integer", "app.integer' (integer expected, got no value)")
          BAD("app.integer, {}", "app.integer' (integer expected, got table)")
          BAD("app.integer, 'x'", "app.integer' (integer expected, got string)")
          BAD("app.integer, 0.5",
              "app.integer' (number has no integer representation)")
          BAD("app.integer, '1.5'",
              "app.integer' (number has no integer representation)")
          BAD("number, true", "number' (number expected, got boolean)")
          BAD("text, print", "text' (string expected, got function)")
          BAD("text, sleep(0)", "text' (string expected, got coroutine object)")
          BAD("text, coroutine.create(print)",
              "text' (string expected, got thread)"));
#undef BAD
  run_lua(vm, "local line = 0\n"
              "local ok, message = pcall(function() text() end)\n"
              "assert(message:find(':2: bad argument #1', 1, true), message)");
  close_vm(vm);
}

/* Takes what is there. */
static int take_either(neap_frame *frame, void *ud) {
  const char *data;
  size_t size;
  lua_Integer n;
  (void)ud;
  if (neap_arg_integer(frame, 1, &n) == NEAP_OK)
    return neap_return(frame, neap_text("integer"));
  if (neap_arg_string(frame, 1, &data, &size) == NEAP_OK)
    return neap_return(frame, neap_text("string"));
  return NEAP_OK;
}

static void a_function_may_go_on_after_a_wrong_argument(void **state) {
  (void)state;
  check(take_either, NULL, "assert(f(1) == 'integer' and f('x') == 'string')\n"
                           "assert(select('#', f({})) == 0)");
}

typedef struct kept {
  neap_value value;
  const char *data;
} kept;

static int keep(neap_frame *frame, void *ud) {
  kept *k = ud;
  k->value = neap_arg(frame, 1);
  return NEAP_OK;
}

static void arguments_are_borrowed_until_the_return(void **state) {
  kept k;
  neap_vm *vm = new_vm_with(keep, &k);
  (void)state;
  for (int i = 0; i < 2; i++) {
    run_lua(vm, i == 0 ? "f({})" : "f(('x'):rep(100))");
    assert_int_equal(k.value.type, i == 0 ? NEAP_TABLE : NEAP_STRING);
    assert_int_equal(neap_set(vm, "x", &k.value), NEAP_EINVAL);
    assert_int_equal(neap_retain(vm, &k.value), NEAP_EINVAL);
  }
  close_vm(vm);
}

static int retain(neap_frame *frame, void *ud) {
  kept *k = ud;
  neap_value value = neap_arg(frame, 1);
  int status = neap_retain(neap_frame_vm(frame), &value);
  k->value = value;
  return status;
}

static void an_argument_can_be_retained(void **state) {
  kept k;
  neap_vm *vm = new_vm_with(retain, &k);
  (void)state;
  run_lua(vm, "f({x = 1})\ncollectgarbage()");
  assert_int_equal(neap_set(vm, "x", &k.value), NEAP_OK);
  run_lua(vm, "assert(x.x == 1)");
  assert_int_equal(neap_release(vm, &k.value), NEAP_OK);
  close_vm(vm);
}

/* What is borrowed before a call of the function's own holds after it. */
static int call_first(neap_frame *frame, void *ud) {
  neap_vm *vm = neap_frame_vm(frame);
  neap_value function = neap_arg(frame, 1), table = neap_arg(frame, 2);
  neap_value result;
  int status;
  (void)ud;
  status = neap_call(vm, &function, &table, 1, &result, 1, 0);
  if (status == NEAP_OK)
    status = neap_return(frame, table);
  return status == NEAP_OK ? neap_return(frame, result) : status;
}

static void scopes_nest(void **state) {
  (void)state;
  check(call_first, NULL,
        "local t = {}\n"
        "local a, b = f(function(x)\n"
        "  local c, d = f(function(y) return {y} end, 'inner')\n"
        "  assert(c == 'inner' and d[1] == 'inner' and x == t)\n"
        "  return d\n"
        "end, t)\n"
        "assert(a == t and b[1] == 'inner')");
}

static int borrow_much(neap_frame *frame, void *ud) {
  (void)ud;
  for (int i = 0; i < 1000; i++)
    (void)neap_arg(frame, 1);
  return NEAP_OK;
}

static void what_was_borrowed_takes_no_room_afterwards(void **state) {
  (void)state;
  check(borrow_much, NULL, "for i = 1, 2000 do f({}) end");
}

/* ====================================================== } */

/* {======================================================
** Results and errors
** ======================================================= */

/* `ud`: NULL, or each result is given by its address. */
static int give_all(neap_frame *frame, void *ud) {
  neap_value values[7], table;
  if (neap_table_new(neap_frame_vm(frame), &table) != NEAP_OK)
    return NEAP_ENOMEM;
  values[0] = neap_nil();
  values[1] = neap_boolean(0);
  values[2] = neap_integer(1);
  values[3] = neap_number(2);
  values[4] = neap_text("text");
  values[5] = neap_bytes("a\0b", 3);
  values[6] = table;
  for (int i = 0; i < 7; i++)
    assert_int_equal(ud == NULL ? neap_return(frame, values[i])
                                : neap_return_value(frame, &values[i]),
                     NEAP_OK);
  return NEAP_OK;
}

static void results_are_of_any_type(void **state) {
  int by_address;
  (void)state;
  for (by_address = 0; by_address <= 1; by_address++)
    check(give_all, by_address ? &by_address : NULL,
          "local r = table.pack(f())\n"
          "assert(r.n == 7 and r[1] == nil and r[2] == false)\n"
          "assert(math.type(r[3]) == 'integer' and r[3] == 1)\n"
          "assert(math.type(r[4]) == 'float' and r[5] == 'text')\n"
          "assert(r[6] == 'a\\0b' and type(r[7]) == 'table')");
}

static int give_many(neap_frame *frame, void *ud) {
  (void)ud;
  for (int i = 1; i <= 100000; i++)
    assert_int_equal(neap_return(frame, neap_integer(i)), NEAP_OK);
  return NEAP_OK;
}

static void there_may_be_more_results_than_lua_expects(void **state) {
  (void)state;
  check(give_many, NULL, "assert(select('#', f()) == 100000)\n"
                         "assert(select(100000, f()) == 100000)");
}

/* Lua's stacks have an end. */
static int give_too_many(neap_frame *frame, void *ud) {
  int status = NEAP_OK;
  (void)ud;
  for (int i = 1; i <= 2000000 && status == NEAP_OK; i++)
    status = neap_return(frame, neap_boolean(1));
  return status;
}

static void but_not_any_number(void **state) {
  neap_vm *vm = new_vm_with(give_too_many, NULL);
  (void)state;
  check_error(vm, "f()", "[string \"f()\"]:1: not enough memory");
  close_vm(vm);
}

static int give_nothing(neap_frame *frame, void *ud) {
  (void)frame;
  (void)ud;
  return NEAP_OK;
}

static void there_may_be_no_result(void **state) {
  (void)state;
  check(give_nothing, NULL, "assert(select('#', f(1, 2, 3)) == 0)");
}

/* Gives what it has kept from an earlier call, and does not look. */
static int give_stale(neap_frame *frame, void *ud) {
  kept *k = ud;
  if (neap_arg_count(frame) > 0)
    k->value = neap_arg(frame, 1);
  else {
    assert_int_equal(neap_return(frame, neap_integer(1)), NEAP_OK);
    assert_int_equal(neap_return(frame, k->value), NEAP_EINVAL);
    assert_int_equal(neap_return(frame, neap_integer(3)), NEAP_OK);
  }
  return NEAP_OK;
}

static void a_lost_result_is_an_error(void **state) {
  kept k;
  neap_vm *vm = new_vm_with(give_stale, &k);
  (void)state;
  run_lua(vm, "f({})");
  check_error(vm, "f()", "[string \"f()\"]:1: invalid argument");
  close_vm(vm);
}

static int fail_(neap_frame *frame, void *ud) {
  return neap_fail(frame, "%s %d%%", (const char *)ud, 42);
}

static void a_failure_has_its_message_and_the_position(void **state) {
  neap_vm *vm = new_vm_with(fail_, "boom");
  (void)state;
  check_error(vm, "local x = 1\nf()",
              "[string \"local x = 1...\"]:2: boom 42%");
  run_lua(vm, "local ok, message = pcall(f)\n"
              "assert(not ok and message == 'boom 42%')");
  close_vm(vm);
}

static int fail_long(neap_frame *frame, void *ud) {
  return neap_fail(frame, "%s", (const char *)ud);
}

static void a_long_message_is_cut(void **state) {
  char text[2001];
  (void)state;
  memset(text, 'x', 2000);
  text[2000] = '\0';
  check(fail_long, text, "local _, message = pcall(f)\n"
                         "assert(message == ('x'):rep(500))");
}

static void an_empty_message_is_one(void **state) {
  (void)state;
  check(fail_long, "", "local _, message = pcall(f)\nassert(message == '')");
}

static int return_code(neap_frame *frame, void *ud) {
  (void)frame;
  return *(int *)ud;
}

static void a_code_becomes_its_text(void **state) {
  int code;
  neap_vm *vm = new_vm_with(return_code, &code);
  (void)state;
  for (code = NEAP_ENOMEM; code >= NEAP_EINTR; code--) {
    char error[200];
    snprintf(error, sizeof error, "[string \"f()\"]:1: %s",
             neap_strerror(code));
    check_error(vm, "f()", error);
  }
  close_vm(vm);
}

static void a_code_that_is_none_is_an_error(void **state) {
  static const int codes[] = {NEAP_SUSPENDED, 2, 1000};
  int code;
  neap_vm *vm = new_vm_with(return_code, &code);
  (void)state;
  for (int i = 0; i < 3; i++) {
    code = codes[i];
    run_lua_failing(vm, "f()");
    assert_contains(lua_tostring(neap_lua(vm), -1), "'f' has to return "
                    "NEAP_SUSPENDED when it has opened a promise");
    lua_settop(neap_lua(vm), 0);
  }
  close_vm(vm);
}

static int call_argument(neap_frame *frame, void *ud) {
  neap_value function = neap_arg(frame, 1);
  (void)ud;
  return neap_call(neap_frame_vm(frame), &function, NULL, 0, NULL, 0, 0);
}

static void the_error_of_its_call_is_the_scripts(void **state) {
  neap_vm *vm = new_vm_with(call_argument, NULL);
  (void)state;
  check_error(vm, "f(function() error('boom', 0) end)",
              "[string \"f(function() error('boom', 0) end)\"]:1: boom");
  check_error(vm, "f(1)", "[string \"f(1)\"]:1: invalid argument");
  close_vm(vm);
}

/* Results that were given before are not those of the wait. */
static int give_and_wait(neap_frame *frame, void *ud) {
  (void)neap_return(frame, neap_text("too early"));
  return gate_wait(frame, ud);
}

static void results_before_a_wait_are_dropped(void **state) {
  gate g;
  neap_vm *vm = new_vm(NULL);
  int count_ = 0;
  (void)state;
  memset(&g, 0, sizeof g);
  add(vm, "f", give_and_wait, &g);
  spawn(vm, "assert(select('#', f(1, 2)) == 0)", succeeded, &count_);
  assert_int_equal(neap_tick(vm, 0), 0);
  gate_open(&g);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(count_, 1);
  close_vm(vm);
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arguments_are_counted),
      cmocka_unit_test(any_argument_can_be_given_back),
      cmocka_unit_test(there_may_be_many_arguments_and_results),
      cmocka_unit_test(beyond_the_arguments_there_is_nil),
      cmocka_unit_test(arguments_convert_as_in_lua),
      cmocka_unit_test(a_wrong_argument_is_an_error_as_in_lua),
      cmocka_unit_test(a_function_may_go_on_after_a_wrong_argument),
      cmocka_unit_test(arguments_are_borrowed_until_the_return),
      cmocka_unit_test(an_argument_can_be_retained),
      cmocka_unit_test(scopes_nest),
      cmocka_unit_test(what_was_borrowed_takes_no_room_afterwards),
      cmocka_unit_test(results_are_of_any_type),
      cmocka_unit_test(there_may_be_more_results_than_lua_expects),
      cmocka_unit_test(but_not_any_number),
      cmocka_unit_test(there_may_be_no_result),
      cmocka_unit_test(a_lost_result_is_an_error),
      cmocka_unit_test(a_failure_has_its_message_and_the_position),
      cmocka_unit_test(a_long_message_is_cut),
      cmocka_unit_test(an_empty_message_is_one),
      cmocka_unit_test(a_code_becomes_its_text),
      cmocka_unit_test(a_code_that_is_none_is_an_error),
      cmocka_unit_test(the_error_of_its_call_is_the_scripts),
      cmocka_unit_test(results_before_a_wait_are_dropped),
  };
  return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
