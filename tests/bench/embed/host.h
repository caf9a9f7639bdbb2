/*
** host.h - what every host program here needs: a VM, a script's function,
** and the end of the program when something fails.
*/
#ifndef HOST_H
#define HOST_H

#include <neap.h>

#include "../raw/bench.h"

/* ends the program when a function of the VM failed */
static inline void check(neap_vm *vm, int status) {
  neap_error_info info;
  if (status >= 0)
    return;
  neap_error(vm, &info);
  fail(info.message);
}

static inline neap_vm *open_vm(const neap_config *config) {
  neap_vm *vm;
  if (neap_new(&vm, config) != NEAP_OK)
    fail("no VM");
  return vm;
}

static inline void close_vm(neap_vm *vm) {
  if (neap_close(vm, NULL, NULL) != NEAP_OK)
    fail("the VM does not close");
}

/* the script, as a function that holds */
static inline neap_value load(neap_vm *vm, const char *code) {
  neap_value script;
  check(vm, neap_load(vm, "bench", code, strlen(code), &script));
  check(vm, neap_retain(vm, &script));
  return script;
}

/* the function that the script returns, likewise */
static inline neap_value load_function(neap_vm *vm, const char *code) {
  neap_value script = load(vm, code), function;
  check(vm, neap_call(vm, &script, NULL, 0, &function, 1, 0));
  check(vm, neap_retain(vm, &function));
  check(vm, neap_release(vm, &script));
  return function;
}

/* limits that code well-behaved never meets */
static inline void limit(neap_config *config) {
  config->limits.memory = (size_t)256 << 20;
  config->limits.deadline = 600;
  config->limits.slice = 0.01;
}

#endif
