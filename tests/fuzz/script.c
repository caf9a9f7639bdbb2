/*
** script.c - fuzz target: the input is a script, which runs as a task of a
** sandbox with limits, until it has ended, waits, or is killed.
*/
#include "fuzz.h"

#include <unistd.h>

static int done;

static void on_done(void *ud, neap_vm *vm, int status,
                    const neap_value *results, int nresults) {
  char text[200];
  neap_error_info info;
  (void)ud;
  neap_error(vm, &info);
  assert_true(status == NEAP_OK || info.code == status);
  for (int i = 0; i < nresults; i++)
    assert_true(strlen(neap_describe(vm, &results[i], text, sizeof text)) <
                sizeof text);
  done++;
}

/* Native functions for it: one that gives what it gets, at once or later;
   and an object. */
static int echo(neap_frame *frame, void *ud) {
  int status = NEAP_OK;
  (void)ud;
  for (int i = 1; i <= neap_arg_count(frame) && status == NEAP_OK; i++)
    status = neap_return(frame, neap_arg(frame, i));
  return status;
}

static int later(neap_frame *frame, void *ud) {
  neap_promise *promise;
  neap_value arg = neap_arg(frame, 1);
  int status = neap_promise_open(frame, NULL, NULL, &promise);
  (void)ud;
  if (status != NEAP_SUSPENDED)
    return status;
  if (neap_resolve(promise, &arg, 1) != NEAP_OK)
    neap_reject(promise, "it cannot come later");
  neap_promise_release(promise);
  return status;
}

static const neap_method methods[] = {
  {"echo", echo, 0}, {"later", later, 1}, {"__call", echo, 0}, {NULL, NULL, 0}};
static const neap_class thing_class = {"Thing", methods, NULL};

static int thing(neap_frame *frame, void *ud) {
  neap_value value;
  int status = neap_object_new(neap_frame_vm(frame), &thing_class, ud, &value);
  return status == NEAP_OK ? neap_return(frame, value) : status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int object;
  neap_config config;
  neap_value function;
  neap_statistics stats;
  neap_vm *vm;
  int spawned = 0, turns = 0;
  done = 0;
  plugin_config(&config);
  assert_int_equal(neap_new(&vm, &config), NEAP_OK);
  assert_int_equal(neap_register(vm, "echo", echo, NULL), NEAP_OK);
  assert_int_equal(neap_register_async(vm, "later", later, NULL), NEAP_OK);
  assert_int_equal(neap_register(vm, "thing", thing, &object), NEAP_OK);
  if (neap_load(vm, "script", (const char *)data, size, &function) == NEAP_OK)
    spawned = neap_spawn(vm, &function, NULL, 0, 0, on_done, NULL, NULL) ==
              NEAP_OK;
  while (neap_alive(vm) && turns++ < 100 && neap_tick(vm, 1000) >= 0) {
    int ms = neap_backend_timeout(vm);
    if (ms < 0 || ms > 2)
      break; /* it waits for the host, or for longer than we do */
    usleep((useconds_t)ms * 1000);
  }
  assert_int_equal(neap_stats(vm, &stats), NEAP_OK);
  assert_true(stats.tasks <= config.limits.tasks);
  assert_true(stats.output <= config.limits.output);
  if (size % 2 == 1)
    (void)neap_kill(vm, 0);
  assert_int_equal(neap_close(vm, NULL, NULL), NEAP_OK);
  assert_int_equal(done, spawned);
  return 0;
}
