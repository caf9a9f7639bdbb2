/*
** value.c - tests values of Lua in C: globals, what is borrowed and what is
** retained, descriptions. Tables: table.c.
*/
#include <math.h>

#include "values.h"

/* {======================================================
** Globals
** ======================================================= */

static void plain_values_go_in_and_come_out(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value value;
  (void)state;
  set(vm, "a", neap_integer(LUA_MININTEGER));
  assert_is_integer(get(vm, "a"), LUA_MININTEGER);
  set(vm, "a", neap_number(0.5));
  value = get(vm, "a");
  assert_int_equal(value.type, NEAP_NUMBER);
  assert_true(value.as.number == 0.5);
  set(vm, "a", neap_boolean(7));
  value = get(vm, "a");
  assert_int_equal(value.type, NEAP_BOOLEAN);
  assert_int_equal(value.as.boolean, 1);
  set(vm, "a", neap_bytes("a\0b", 3));
  value = get(vm, "a");
  assert_int_equal(value.type, NEAP_STRING);
  assert_int_equal(value.as.string.size, 3);
  assert_memory_equal(value.as.string.data, "a\0b", 4); /* with a 0 behind */
  set(vm, "a", neap_bytes(NULL, 0));
  assert_is_text(get(vm, "a"), "");
  set(vm, "a", neap_nil());
  assert_int_equal(get(vm, "a").type, NEAP_NIL);
  close_vm(vm);
}

static void a_float_stays_a_float(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  set(vm, "a", neap_number(3));
  assert_int_equal(get(vm, "a").type, NEAP_NUMBER);
  run_lua(vm, "assert(math.type(a) == 'float')");
  close_vm(vm);
}

static void references_tell_their_type(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  assert_int_equal(eval(vm, "{}").type, NEAP_TABLE);
  assert_int_equal(eval(vm, "print").type, NEAP_FUNCTION);
  assert_int_equal(eval(vm, "function() end").type, NEAP_FUNCTION);
  assert_int_equal(eval(vm, "coroutine.create(print)").type, NEAP_OTHER);
  assert_int_equal(eval(vm, "io.stdout").type, NEAP_OTHER);
  assert_int_equal(eval(vm, "require('asyncio').Future()").type, NEAP_OTHER);
  close_vm(vm);
}

static void a_path_leads_through_tables(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value value;
  (void)state;
  run_lua(vm, "app = {config = {name = 'tide', [1] = 'x'}}");
  assert_is_text(get(vm, "app.config.name"), "tide");
  assert_int_equal(get(vm, "app.config.1").type, NEAP_NIL); /* no number */
  assert_int_equal(get(vm, "app.config").type, NEAP_TABLE);
  assert_int_equal(get(vm, "app.none").type, NEAP_NIL);
  assert_int_equal(get(vm, "app.none.at.all").type, NEAP_NIL);
  set(vm, "app.config.name", neap_text("neap"));
  run_lua(vm, "assert(app.config.name == 'neap')");
  value = get(vm, "app.config");
  set(vm, "other.place", value);
  run_lua(vm, "assert(other.place == app.config)");
  close_vm(vm);
}

static void tables_on_the_way_are_made(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  set(vm, "one.two.three", neap_integer(3));
  set(vm, "one.two.four", neap_integer(4));
  run_lua(vm, "assert(one.two.three == 3 and one.two.four == 4)");
  close_vm(vm);
}

static void a_bad_path_is_refused(void **state) {
  static const char *const paths[] = {"",     ".",    ".a",   "a.",
                                      "a..b", "n.b",  "n.b.c", "s.x",
                                      "f.x",  "new..x"};
  neap_vm *vm = new_vm(NULL);
  (void)state;
  run_lua(vm, "a, n, s, f = {}, 1, 'text', print");
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    neap_value value = neap_integer(1);
    neap_error_info info;
    assert_int_equal(neap_set(vm, paths[i], &value), NEAP_EINVAL);
    assert_int_equal(neap_get(vm, paths[i], &value), NEAP_EINVAL);
    assert_int_equal(value.type, NEAP_NIL);
    neap_error(vm, &info);
    assert_int_equal(info.code, NEAP_EINVAL);
    assert_contains(info.message, "path");
  }
  run_lua(vm, "assert(next(a) == nil and n == 1 and not new)");
  close_vm(vm);
}

static void no_metamethod_runs(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value table, key = neap_text("x"), value = neap_integer(1);
  (void)state;
  run_lua(vm, "local evil = {__index = error, __newindex = error,\n"
              "  __pairs = error, __len = error, __eq = error}\n"
              "t = setmetatable({}, evil) setmetatable(_G, evil)");
  assert_int_equal(get(vm, "missing").type, NEAP_NIL);
  assert_int_equal(get(vm, "t.missing").type, NEAP_NIL);
  set(vm, "fresh.x", neap_integer(1));
  set(vm, "t.x", neap_integer(1));
  table = get(vm, "t");
  assert_int_equal(neap_table_set(vm, &table, &key, &value), NEAP_OK);
  assert_is_integer(field(vm, table, key), 1);
  assert_int_equal(field(vm, table, neap_text("y")).type, NEAP_NIL);
  key = neap_nil();
  assert_int_equal(neap_table_next(vm, &table, &key, &value), 1);
  assert_is_text(key, "x");
  close_vm(vm);
}

/* ====================================================== } */

/* {======================================================
** Borrowed and retained
** ======================================================= */

static void what_is_borrowed_holds_until_the_next_call(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value table, text, other;
  (void)state;
  run_lua(vm, "text = ('x'):rep(100)");
  table = eval(vm, "{}");
  text = get(vm, "text");
  set(vm, "table", table);
  other = eval(vm, "nil");
  assert_int_equal(other.type, NEAP_NIL);
  assert_stale(vm, table);
  assert_stale(vm, text);
  assert_int_equal(get(vm, "table").type, NEAP_TABLE);
  assert_stale(vm, table); /* not mistaken for what is in its place now */
  close_vm(vm);
}

static void what_is_retained_holds(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value table = eval(vm, "{x = 1}"), text, key = neap_text("x");
  const char *data;
  (void)state;
  assert_int_equal(neap_retain(vm, &table), NEAP_OK);
  text = eval(vm, "('neap '):rep(20)");
  data = text.as.string.data;
  assert_int_equal(neap_retain(vm, &text), NEAP_OK);
  run_lua(vm, "collectgarbage() collectgarbage()");
  assert_int_equal(eval(vm, "{}").type, NEAP_TABLE);
  assert_is_integer(field(vm, table, key), 1);
  assert_ptr_equal(text.as.string.data, data);
  assert_memory_equal(data, "neap neap ", 10);
  set(vm, "text", text);
  run_lua(vm, "assert(#text == 100)");
  assert_int_equal(neap_release(vm, &table), NEAP_OK);
  assert_int_equal(neap_release(vm, &text), NEAP_OK);
  assert_int_equal(table.type, NEAP_NIL);
  assert_int_equal(text.type, NEAP_NIL);
  close_vm(vm);
}

static void what_is_released_is_collected(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value value;
  (void)state;
  run_lua(vm, "weak = setmetatable({{}}, {__mode = 'v'})");
  value = eval(vm, "weak[1]");
  assert_int_equal(neap_retain(vm, &value), NEAP_OK);
  run_lua(vm, "collectgarbage() assert(weak[1])");
  assert_int_equal(neap_release(vm, &value), NEAP_OK);
  assert_int_equal(eval(vm, "1").type, NEAP_INTEGER); /* the loan is over */
  run_lua(vm, "collectgarbage() assert(not weak[1])");
  close_vm(vm);
}

static void a_value_is_released_once(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value values[2], copies[2], other;
  neap_error_info info;
  (void)state;
  values[0] = eval(vm, "{}");
  assert_int_equal(neap_retain(vm, &values[0]), NEAP_OK);
  values[1] = eval(vm, "('x'):rep(50)");
  assert_int_equal(neap_retain(vm, &values[1]), NEAP_OK);
  for (int i = 0; i < 2; i++) {
    copies[i] = values[i];
    assert_int_equal(neap_release(vm, &values[i]), NEAP_OK);
    assert_int_equal(neap_release(vm, &values[i]), NEAP_OK); /* nil now */
    assert_stale(vm, copies[i]);
    assert_int_equal(neap_release(vm, &copies[i]), NEAP_EINVAL);
    neap_error(vm, &info);
    assert_contains(info.message, "given back");
  }
  other = eval(vm, "{}"); /* in the place of the first */
  assert_int_equal(neap_retain(vm, &other), NEAP_OK);
  assert_stale(vm, copies[0]);
  assert_int_equal(neap_release(vm, &copies[0]), NEAP_EINVAL);
  set(vm, "other", other);
  assert_int_equal(neap_release(vm, &other), NEAP_OK);
  close_vm(vm);
}

static void a_copy_that_is_retained_is_apart(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value value = eval(vm, "{x = 1}"), copy, key = neap_text("x");
  (void)state;
  assert_int_equal(neap_retain(vm, &value), NEAP_OK);
  copy = value;
  assert_int_equal(neap_retain(vm, &copy), NEAP_OK);
  assert_int_equal(neap_release(vm, &value), NEAP_OK);
  assert_is_integer(field(vm, copy, key), 1);
  assert_int_equal(neap_release(vm, &copy), NEAP_OK);
  close_vm(vm);
}

static void many_values_are_retained(void **state) {
  enum { MANY = 1000 };
  static neap_value values[MANY];
  neap_vm *vm = new_vm(NULL);
  (void)state;
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < MANY; i++) {
      char expression[20];
      snprintf(expression, sizeof expression, "{%d}", i);
      values[i] = eval(vm, expression);
      assert_int_equal(neap_retain(vm, &values[i]), NEAP_OK);
    }
    for (int i = 0; i < MANY; i++) {
      int which = (i * 7) % MANY;
      assert_is_integer(field(vm, values[which], neap_integer(1)), which);
      assert_int_equal(neap_release(vm, &values[which]), NEAP_OK);
    }
  }
  close_vm(vm);
}

static void what_needs_no_keeping_is_left_as_it_is(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value values[4];
  (void)state;
  values[0] = neap_nil();
  values[1] = neap_integer(3);
  values[2] = neap_text("made in C");
  values[3] = eval(vm, "2.5");
  for (int i = 0; i < 4; i++) {
    neap_value value = values[i];
    assert_int_equal(neap_retain(vm, &value), NEAP_OK);
    assert_int_equal(neap_release(vm, &value), NEAP_OK);
    assert_memory_equal(&value, &values[i], sizeof value);
  }
  close_vm(vm);
}

static void a_borrowed_value_is_not_released(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value value = eval(vm, "{}");
  (void)state;
  assert_int_equal(neap_release(vm, &value), NEAP_OK);
  assert_int_equal(value.type, NEAP_TABLE);
  set(vm, "t", value);
  close_vm(vm);
}

static void a_value_of_another_vm_is_found_out(void **state) {
  neap_vm *a = new_vm(NULL), *b = new_vm(NULL);
  neap_value value, other;
  (void)state;
  value = eval(a, "{}");
  other = eval(b, "{}"); /* stands at the same place */
  assert_int_equal(value.ref, other.ref);
  assert_stale(b, value);
  assert_int_equal(neap_retain(a, &value), NEAP_OK);
  assert_int_equal(neap_retain(b, &other), NEAP_OK);
  assert_int_equal(value.ref, other.ref);
  assert_stale(b, value);
  assert_int_equal(neap_release(b, &value), NEAP_EINVAL);
  value = eval(a, "'the same text'");
  assert_is_text(eval(b, "'the same text'"), "the same text");
  assert_stale(b, value);
  close_vm(a);
  close_vm(b);
}

static void what_is_retained_ends_with_the_vm(void **state) {
  heap memory = {0, -1, 0, 0};
  neap_vm *vm = counted_vm(&memory, 0);
  neap_value value = eval(vm, "{}");
  (void)state;
  assert_int_equal(neap_retain(vm, &value), NEAP_OK);
  close_vm(vm);
  assert_int_equal(memory.blocks, 0);
}

/* ====================================================== } */

/* {======================================================
** Descriptions
** ======================================================= */

static const char *described(neap_vm *vm, neap_value value) {
  static char buffer[200];
  memset(buffer, '#', sizeof buffer);
  assert_ptr_equal(neap_describe(vm, &value, buffer, sizeof buffer), buffer);
  return buffer;
}

static void a_description_is_what_lua_would_write(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  assert_string_equal(described(vm, neap_nil()), "nil");
  assert_string_equal(described(vm, neap_boolean(1)), "true");
  assert_string_equal(described(vm, neap_boolean(0)), "false");
  assert_string_equal(described(vm, neap_integer(-7)), "-7");
  assert_string_equal(described(vm, neap_number(1)), "1.0");
  assert_string_equal(described(vm, neap_text("a b")), "'a b'");
  assert_string_equal(described(vm, neap_bytes("it's\n\0\\", 7)),
                      "'it\\'s\\n\\x00\\\\'");
  assert_memory_equal(described(vm, eval(vm, "{}")), "table: 0x", 9);
  assert_memory_equal(described(vm, eval(vm, "print")), "function: ", 10);
  assert_memory_equal(described(vm, eval(vm, "coroutine.create(print)")),
                      "thread: 0x", 10);
  assert_memory_equal(described(vm, eval(vm, "io.stdout")), "FILE*: 0x", 9);
  close_vm(vm);
}

static void a_description_of_what_asyncio_has(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  run_lua(vm, "asyncio = require 'asyncio'\n"
              "local main = async(function()\n"
              "  task = create_task(sleep(0), {name = \"a\"})\n"
              "  await(task)\n"
              "end)\n"
              "run(main())\n"
              "Lost = asyncio.Exception:subclass('Lost')");
  assert_string_equal(described(vm, get(vm, "task")),
                      "<Task finished name='a'>");
  assert_string_equal(described(vm, eval(vm, "asyncio.Future()")),
                      "<Future pending>");
  assert_string_equal(described(vm, eval(vm, "asyncio.TimeoutError('slow')")),
                      "TimeoutError('slow')");
  assert_string_equal(described(vm, eval(vm, "Lost()")), "Lost()");
  assert_memory_equal(described(vm, eval(vm, "Lost(Lost())")), "Lost(table: ",
                      12);
  close_vm(vm);
}

static void a_description_runs_no_script(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  run_lua(vm, "local evil = {__tostring = error, __name = 'evil',\n"
              "  __index = error, __concat = error, __len = error}\n"
              "t = setmetatable({}, evil)\n"
              "e = require('asyncio').Exception('x')\n"
              "getmetatable(e).__name = setmetatable({}, evil)\n"
              "e.message = t\n"
              "for _, v in ipairs{true, 1, 'x', print} do\n"
              "  debug.setmetatable(v, evil)\n"
              "end\n"
              "debug.setmetatable(nil, evil)");
  assert_memory_equal(described(vm, get(vm, "t")), "table: 0x", 9);
  assert_memory_equal(described(vm, get(vm, "e")), "?(table: 0x", 11);
  assert_string_equal(described(vm, neap_nil()), "nil");
  assert_string_equal(described(vm, neap_boolean(1)), "true");
  assert_string_equal(described(vm, neap_integer(1)), "1");
  assert_string_equal(described(vm, neap_text("x")), "'x'");
  assert_memory_equal(described(vm, get(vm, "print")), "function: ", 10);
  close_vm(vm);
}

static void a_description_is_cut_to_the_buffer(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value value = eval(vm, "('x'):rep(1000)");
  char buffer[8] = "#######";
  (void)state;
  neap_describe(vm, &value, buffer, 5);
  assert_memory_equal(buffer, "'xxx\0##", 8);
  neap_describe(vm, &value, buffer, 1);
  assert_memory_equal(buffer, "\0xxx\0##", 8);
  neap_describe(vm, &value, buffer, 0);
  assert_memory_equal(buffer, "\0xxx\0##", 8);
  assert_int_equal(strlen(described(vm, value)), 199);
  value = neap_text("12345");
  neap_describe(vm, &value, buffer, 8); /* just fits */
  assert_string_equal(buffer, "'12345'");
  close_vm(vm);
}

static void a_description_of_what_holds_no_longer_says_so(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value value = eval(vm, "{}");
  (void)state;
  (void)eval(vm, "1");
  assert_string_equal(described(vm, value), neap_strerror(NEAP_EINVAL));
  close_vm(vm);
}

/* ====================================================== } */

/* {======================================================
** What can go wrong everywhere
** ======================================================= */

typedef struct elsewhere_data {
  neap_vm *vm;
  neap_value table;
  int statuses[9];
  char text[100];
} elsewhere_data;

static void use_all(void *ud) {
  elsewhere_data *d = ud;
  neap_value key = neap_integer(1), value = d->table, other, nil = neap_nil();
  int *s = d->statuses;
  *s++ = neap_retain(d->vm, &value);
  *s++ = neap_release(d->vm, &value);
  *s++ = neap_get(d->vm, "print", &other);
  *s++ = neap_set(d->vm, "print", &nil);
  *s++ = neap_table_new(d->vm, &other);
  *s++ = neap_table_get(d->vm, &d->table, &key, &other);
  *s++ = neap_table_set(d->vm, &d->table, &key, &nil);
  key = neap_nil();
  *s++ = neap_table_next(d->vm, &d->table, &key, &other);
  *s++ = value.type == d->table.type ? NEAP_ETHREAD : NEAP_OK;
  neap_describe(d->vm, &d->table, d->text, sizeof d->text);
}

static void another_thread_is_told_so(void **state) {
  elsewhere_data d;
  neap_error_info info;
  (void)state;
  memset(&d, 0, sizeof d);
  d.vm = new_vm(NULL);
  d.table = eval(d.vm, "{10}");
  assert_int_equal(neap_retain(d.vm, &d.table), NEAP_OK);
  elsewhere(use_all, &d);
  for (int i = 0; i < 9; i++)
    assert_int_equal(d.statuses[i], NEAP_ETHREAD);
  assert_string_equal(d.text, neap_strerror(NEAP_ETHREAD));
  neap_error(d.vm, &info);
  assert_int_equal(info.code, 0); /* nothing was done, nor remembered */
  assert_is_integer(field(d.vm, d.table, neap_integer(1)), 10);
  assert_int_equal(get(d.vm, "print").type, NEAP_FUNCTION);
  close_vm(d.vm);
}

/* Uses all functions: NEAP_OK, or the first error. */
static int use_values(neap_vm *vm) {
  neap_value table, inner, text, key, value;
  char buffer[100];
  int status, i, n = 0;
  if ((status = neap_table_new(vm, &table)) != NEAP_OK ||
      (status = neap_retain(vm, &table)) != NEAP_OK)
    return status;
  if ((status = neap_table_new(vm, &inner)) != NEAP_OK ||
      (status = neap_set(vm, "a.b.c", &inner)) != NEAP_OK)
    goto err;
  for (i = 0; i < 10; i++) {
    snprintf(buffer, sizeof buffer, "a long text with the number %d", i);
    key = neap_integer(i);
    value = neap_text(buffer);
    if ((status = neap_table_set(vm, &table, &key, &value)) != NEAP_OK ||
        (status = neap_table_get(vm, &table, &key, &text)) != NEAP_OK ||
        (status = neap_table_set(vm, &table, &text, &inner)) != NEAP_OK)
      goto err;
  }
  for (key = neap_nil();
       (status = neap_table_next(vm, &table, &key, &value)) == 1;)
    n++;
  if (status != NEAP_OK)
    goto err;
  if (n != 20)
    fail_msg("%d of 20 pairs", n);
  if ((status = neap_get(vm, "a.b.c", &value)) == NEAP_OK &&
      (status = neap_retain(vm, &value)) == NEAP_OK) {
    neap_describe(vm, &value, buffer, sizeof buffer);
    if (neap_release(vm, &value) != NEAP_OK)
      fail_msg("a release has failed");
  }
err:
  if (neap_release(vm, &table) != NEAP_OK)
    fail_msg("a release has failed");
  return status;
}

static void every_request_for_memory_may_fail(void **state) {
  (void)state;
  fail_each_request(use_values, "a = nil collectgarbage()", 10);
}

/* Lua's stacks have an end. */
static void too_many_borrowed_values_are_no_memory(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value value, function = eval(vm, "function() end");
  int n = 0;
  (void)state;
  assert_int_equal(neap_retain(vm, &function), NEAP_OK);
  run_lua(vm, "text = 'a text'");
  while (neap_get(vm, "text", &value) == NEAP_OK && n < 2000000)
    n++;
  assert_in_range(n, 400000, 1000000);
  assert_int_equal(value.type, NEAP_NIL);
  assert_int_equal(neap_get(vm, "text", &value), NEAP_ENOMEM);
  assert_int_equal(neap_call(vm, &function, NULL, 0, NULL, 0, 0), NEAP_OK);
  assert_is_text(get(vm, "text"), "a text");
  close_vm(vm);
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_values_go_in_and_come_out),
      cmocka_unit_test(a_float_stays_a_float),
      cmocka_unit_test(references_tell_their_type),
      cmocka_unit_test(a_path_leads_through_tables),
      cmocka_unit_test(tables_on_the_way_are_made),
      cmocka_unit_test(a_bad_path_is_refused),
      cmocka_unit_test(no_metamethod_runs),
      cmocka_unit_test(what_is_borrowed_holds_until_the_next_call),
      cmocka_unit_test(what_is_retained_holds),
      cmocka_unit_test(what_is_released_is_collected),
      cmocka_unit_test(a_value_is_released_once),
      cmocka_unit_test(a_copy_that_is_retained_is_apart),
      cmocka_unit_test(many_values_are_retained),
      cmocka_unit_test(what_needs_no_keeping_is_left_as_it_is),
      cmocka_unit_test(a_borrowed_value_is_not_released),
      cmocka_unit_test(a_value_of_another_vm_is_found_out),
      cmocka_unit_test(what_is_retained_ends_with_the_vm),
      cmocka_unit_test(a_description_is_what_lua_would_write),
      cmocka_unit_test(a_description_of_what_asyncio_has),
      cmocka_unit_test(a_description_runs_no_script),
      cmocka_unit_test(a_description_is_cut_to_the_buffer),
      cmocka_unit_test(a_description_of_what_holds_no_longer_says_so),
      cmocka_unit_test(another_thread_is_told_so),
      cmocka_unit_test(every_request_for_memory_may_fail),
      cmocka_unit_test(too_many_borrowed_values_are_no_memory),
  };
  return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
