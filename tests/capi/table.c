/*
** table.c - tests tables of Lua in C: made, read, written, gone through.
*/
#include <math.h>

#include "values.h"

/* {======================================================
** Tables
** ======================================================= */

static void a_tables_fields_are_read_and_written(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value table, one = neap_integer(1), key, value;
  (void)state;
  assert_int_equal(neap_table_new(vm, &table), NEAP_OK);
  assert_int_equal(table.type, NEAP_TABLE);
  assert_int_equal(field(vm, table, one).type, NEAP_NIL);
  value = neap_text("first");
  assert_int_equal(neap_table_set(vm, &table, &one, &value), NEAP_OK);
  key = neap_number(1); /* the same key */
  value = field(vm, table, key);
  assert_is_text(value, "first");
  key = neap_boolean(0);
  assert_int_equal(neap_table_set(vm, &table, &key, &table), NEAP_OK);
  key = field(vm, table, key); /* itself, as a key */
  assert_int_equal(neap_table_set(vm, &table, &key, &one), NEAP_OK);
  set(vm, "t", table);
  run_lua(vm, "assert(t[1] == 'first' and t[false] == t and t[t] == 1)");
  key = neap_nil(); /* reading is allowed */
  assert_int_equal(field(vm, table, key).type, NEAP_NIL);
  close_vm(vm);
}

static void a_key_is_neither_nil_nor_nan(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value table, key = neap_nil(), value = neap_integer(1);
  (void)state;
  assert_int_equal(neap_table_new(vm, &table), NEAP_OK);
  assert_int_equal(neap_table_set(vm, &table, &key, &value), NEAP_EINVAL);
  key = neap_number(NAN);
  assert_int_equal(neap_table_set(vm, &table, &key, &value), NEAP_EINVAL);
  key = neap_nil();
  assert_int_equal(neap_table_next(vm, &table, &key, &value), 0);
  close_vm(vm);
}

static void what_is_no_table_has_no_fields(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value values[4], key = neap_integer(1), value;
  (void)state;
  values[0] = neap_nil();
  values[1] = neap_text("text");
  values[2] = eval(vm, "print");
  memset(&values[3], 0, sizeof *values); /* a table that C has forged */
  values[3].type = NEAP_TABLE;
  for (int i = 0; i < 4; i++) {
    assert_int_equal(neap_table_get(vm, &values[i], &key, &value),
                     NEAP_EINVAL);
    assert_int_equal(value.type, NEAP_NIL);
    assert_int_equal(neap_table_set(vm, &values[i], &key, &key), NEAP_EINVAL);
    assert_int_equal(neap_table_next(vm, &values[i], &key, &value),
                     NEAP_EINVAL);
    assert_is_integer(key, 1); /* as it was */
  }
  close_vm(vm);
}

static void a_table_is_gone_through(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value table = eval(vm, "{10, 20, x = 'y', [0.5] = {}, [print] = true}");
  neap_value key = neap_nil(), value;
  int seen = 0, status;
  (void)state;
  while ((status = neap_table_next(vm, &table, &key, &value)) == 1) {
    if (key.type == NEAP_INTEGER) {
      assert_is_integer(value, 10 * key.as.integer);
      seen |= (int)key.as.integer;
    }
    else if (key.type == NEAP_STRING) {
      assert_is_text(key, "x");
      assert_is_text(value, "y");
      seen |= 4;
    }
    else if (key.type == NEAP_NUMBER) {
      assert_int_equal(value.type, NEAP_TABLE);
      seen |= 8;
    }
    else {
      assert_int_equal(key.type, NEAP_FUNCTION);
      assert_int_equal(value.type, NEAP_BOOLEAN);
      seen |= 16;
    }
  }
  assert_int_equal(status, 0);
  assert_int_equal(seen, 31);
  assert_int_equal(key.type, NEAP_NIL);
  assert_int_equal(value.type, NEAP_NIL);
  close_vm(vm);
}

static void a_key_that_the_table_has_not_is_refused(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value table = eval(vm, "{x = 1}");
  neap_value key = neap_text("y"), value;
  neap_error_info info;
  (void)state;
  assert_int_equal(neap_table_next(vm, &table, &key, &value), NEAP_EINVAL);
  assert_is_text(key, "y");
  neap_error(vm, &info);
  assert_contains(info.message, "key");
  key = neap_text("x"); /* one that C knows */
  assert_int_equal(neap_table_next(vm, &table, &key, &value), 0);
  close_vm(vm);
}

static void fields_may_be_removed_on_the_way(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value table = eval(vm, "{1, 2, a = 1, b = 2, c = 3, d = 4}");
  neap_value key = neap_nil(), value, nil = neap_nil();
  int n = 0;
  (void)state;
  while (neap_table_next(vm, &table, &key, &value) == 1) {
    n++;
    assert_int_equal(neap_table_set(vm, &table, &key, &nil), NEAP_OK);
  }
  assert_int_equal(n, 6);
  assert_int_equal(key.type, NEAP_NIL);
  assert_int_equal(neap_table_next(vm, &table, &key, &value), 0);
  close_vm(vm);
}

/* More pairs than what is borrowed can be at once. */
static void a_pair_takes_the_place_of_the_pair_before(void **state) {
  static const char *const tables[] = {
      "'k' .. i, 'v' .. i", "i, 'v' .. i", "'k' .. i, i", "i, {}"};
  neap_vm *vm = new_vm(NULL);
  (void)state;
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    char code[200];
    neap_value table, key = neap_nil(), value;
    int n = 0, status;
    snprintf(code, sizeof code, "(function() local t = {} for i = 1, 300000 "
                                "do local k, v = %s t[k] = v end return t "
                                "end)()", tables[i]);
    table = eval(vm, code);
    while ((status = neap_table_next(vm, &table, &key, &value)) == 1)
      n++;
    assert_int_equal(status, 0);
    assert_int_equal(n, 300000);
  }
  close_vm(vm);
}

static void tables_are_gone_through_inside_each_other(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value outer, inner, key1 = neap_nil(), key2;
  neap_value value;
  int n = 0;
  (void)state;
  outer = eval(vm, "{{a = 'x', b = 'y'}, {a = 'x'}, k = {a = 1, b = 2}}");
  while (neap_table_next(vm, &outer, &key1, &inner) == 1) {
    key2 = neap_nil();
    while (neap_table_next(vm, &inner, &key2, &value) == 1)
      n++;
  }
  assert_int_equal(n, 5);
  close_vm(vm);
}

static void two_tables_are_gone_through_side_by_side(void **state) {
  static const char *const tables[] = {"{a = 'x', b = 'y', c = 'z'}",
                                       "{'x', 'y', 'z'}"};
  neap_vm *vm = new_vm(NULL);
  (void)state;
  for (int i = 0; i < 2; i++) {
    neap_value a = eval(vm, tables[i]), b, key1 = neap_nil();
    neap_value key2 = neap_nil(), value1, value2;
    set(vm, "keep", a);
    b = eval(vm, tables[i]);
    a = get(vm, "keep");
    for (int k = 0; k < 3; k++) {
      assert_int_equal(neap_table_next(vm, &a, &key1, &value1), 1);
      assert_int_equal(neap_table_next(vm, &b, &key2, &value2), 1);
      assert_string_equal(value1.as.string.data, value2.as.string.data);
      set(vm, "a", value1);
      set(vm, "b", value2);
    }
    assert_int_equal(neap_table_next(vm, &a, &key1, &value1), 0);
    assert_int_equal(neap_table_next(vm, &b, &key2, &value2), 0);
  }
  close_vm(vm);
}

static void what_was_got_between_two_pairs_still_holds(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value table, key = neap_nil(), value, got;
  (void)state;
  run_lua(vm, "name = 'a text'");
  table = eval(vm, "{x = 'y', y = 'z'}");
  assert_int_equal(neap_table_next(vm, &table, &key, &value), 1);
  got = get(vm, "name");
  assert_int_equal(neap_table_next(vm, &table, &key, &value), 1);
  set(vm, "copy", got);
  run_lua(vm, "assert(copy == 'a text')");
  close_vm(vm);
}

/* Only a pair gives way to the next one, and only to that of its key. */
static void what_looks_like_a_pair_still_holds(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value table, list, key, old = neap_nil(), value, other;
  (void)state;
  run_lua(vm, "name = 'x' other = 'a text'");
  table = eval(vm, "{x = 'y'}");
  key = get(vm, "name");
  other = get(vm, "other");
  assert_int_equal(neap_table_next(vm, &table, &key, &value), 0);
  set(vm, "copy", other);
  list = eval(vm, "{10, 20, 30}");
  assert_int_equal(neap_retain(vm, &list), NEAP_OK);
  assert_int_equal(neap_table_next(vm, &list, &old, &value), 1);
  assert_int_equal(neap_table_next(vm, &list, &old, &value), 1);
  table = eval(vm, "{[2.5] = 'z'}"); /* its pair will stand there, too */
  key = neap_nil();
  assert_int_equal(neap_table_next(vm, &table, &key, &value), 1);
  assert_int_equal(key.ref, old.ref);
  assert_int_equal(neap_table_next(vm, &list, &old, &other), 1);
  assert_is_integer(other, 30);
  set(vm, "copy", value);
  run_lua(vm, "assert(copy == 'z')");
  close_vm(vm);
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_tables_fields_are_read_and_written),
      cmocka_unit_test(a_key_is_neither_nil_nor_nan),
      cmocka_unit_test(what_is_no_table_has_no_fields),
      cmocka_unit_test(a_table_is_gone_through),
      cmocka_unit_test(a_key_that_the_table_has_not_is_refused),
      cmocka_unit_test(fields_may_be_removed_on_the_way),
      cmocka_unit_test(a_pair_takes_the_place_of_the_pair_before),
      cmocka_unit_test(tables_are_gone_through_inside_each_other),
      cmocka_unit_test(two_tables_are_gone_through_side_by_side),
      cmocka_unit_test(what_was_got_between_two_pairs_still_holds),
      cmocka_unit_test(what_looks_like_a_pair_still_holds),
  };
  return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
