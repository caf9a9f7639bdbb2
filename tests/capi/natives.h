/*
** natives.h - what the tests of native functions share.
*/
#ifndef NATIVES_H
#define NATIVES_H

#include "threads.h"

static inline void add(neap_vm *vm, const char *path, neap_function f,
                       void *ud) {
  assert_int_equal(neap_register(vm, path, f, ud), NEAP_OK);
}

/* A VM with one native function, `f`. */
static inline neap_vm *new_vm_with(neap_function f, void *ud) {
  neap_vm *vm = new_vm(NULL);
  add(vm, "f", f, ud);
  return vm;
}

/* Runs a chunk in a VM with one native function. */
static inline void check(neap_function f, void *ud, const char *code) {
  neap_vm *vm = new_vm_with(f, ud);
  run_lua(vm, code);
  close_vm(vm);
}

/* Checks the error of a chunk. */
static inline void check_error(neap_vm *vm, const char *code,
                               const char *error) {
  run_lua_failing(vm, code);
  assert_string_equal(lua_tostring(neap_lua(vm), -1), error);
  lua_settop(neap_lua(vm), 0);
}

static inline int count(neap_frame *frame, void *ud) {
  (void)ud;
  return neap_return(frame, neap_integer(neap_arg_count(frame)));
}

static inline int give_back(neap_frame *frame, void *ud) {
  int i, n = neap_arg_count(frame), status = NEAP_OK;
  (void)ud;
  for (i = 1; i <= n && status == NEAP_OK; i++)
    status = neap_return(frame, neap_arg(frame, i));
  return status;
}

static inline int take_integer(neap_frame *frame, void *ud) {
  lua_Integer n;
  int status = neap_arg_integer(frame, 1, &n);
  (void)ud;
  return status == NEAP_OK ? neap_return(frame, neap_integer(n)) : status;
}

#endif
