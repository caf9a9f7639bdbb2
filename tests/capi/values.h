/*
** values.h - what the tests of values share.
*/
#ifndef VALUES_H
#define VALUES_H

#include "threads.h"

/* The value of an expression, until the next call. */
static inline neap_value eval(neap_vm *vm, const char *expression) {
  char code[500];
  neap_value function, value;
  neap_error_info info;
  int size = snprintf(code, sizeof code, "return %s", expression);
  assert_in_range(size, 0, sizeof code - 1);
  function = load_text(vm, "eval", code);
  if (neap_call(vm, &function, NULL, 0, &value, 1, 0) != NEAP_OK) {
    neap_error(vm, &info);
    fail_msg("%s: %s", expression, info.message);
  }
  return value;
}

static inline void assert_is_integer(neap_value value, lua_Integer expected) {
  assert_int_equal(value.type, NEAP_INTEGER);
  assert_int_equal(value.as.integer, expected);
}

static inline void assert_is_text(neap_value value, const char *expected) {
  assert_int_equal(value.type, NEAP_STRING);
  assert_int_equal(value.as.string.size, strlen(expected));
  assert_string_equal(value.as.string.data, expected);
}

static inline neap_value get(neap_vm *vm, const char *path) {
  neap_value value;
  assert_int_equal(neap_get(vm, path, &value), NEAP_OK);
  return value;
}

static inline void set(neap_vm *vm, const char *path, neap_value value) {
  assert_int_equal(neap_set(vm, path, &value), NEAP_OK);
}

static inline neap_value field(neap_vm *vm, neap_value table, neap_value key) {
  neap_value value;
  assert_int_equal(neap_table_get(vm, &table, &key, &value), NEAP_OK);
  return value;
}

/* It does not hold: nothing can be done with it. */
static inline void assert_stale(neap_vm *vm, neap_value value) {
  neap_value copy = value;
  assert_int_equal(neap_retain(vm, &copy), NEAP_EINVAL);
  assert_memory_equal(&copy, &value, sizeof copy);
  assert_int_equal(neap_set(vm, "stale", &value), NEAP_EINVAL);
  assert_int_equal(get(vm, "stale").type, NEAP_NIL);
}

#endif
