/*
** http.c - tests the module http in a host: what of it is under way when the
** VM is closed.
*/
#include "threads.h"

/* A request to a server, in the same VM, that never answers. */
static const char request[] =
    "local ok, http = pcall(require, 'http')\n"
    "state = ok and 'begun' or 'missing'\n"
    "if not ok then return end\n"
    "local server = await(require 'net'.listen('127.0.0.1', 0, function(s)\n"
    "  await(s:read('l')) state = 'asked' await(sleep(1000))\n"
    "end))\n"
    "local _, port = server:address()\n"
    "local session <close> = http.ClientSession()\n"
    "await(session:get(('http://127.0.0.1:%d/'):format(port)))";

static int is_state(neap_vm *vm, const char *state) {
  neap_value value;
  assert_int_equal(neap_get(vm, "state", &value), NEAP_OK);
  return value.type == NEAP_STRING && strcmp(value.as.string.data, state) == 0;
}

static void on_a_hosts_loop_nothing_comes_after_the_close(void **state) {
  uv_loop_t loop;
  neap_vm *vm;
  int missing;
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  vm = vm_on(&loop, NEAP_CAN_NET);
  spawn(vm, request, NULL, NULL);
  while (!(missing = is_state(vm, "missing")) && !is_state(vm, "asked"))
    uv_run(&loop, UV_RUN_ONCE);
  close_vm_and_loop(vm, &loop);
  if (missing)
    skip(); /* built without libcurl */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(on_a_hosts_loop_nothing_comes_after_the_close),
  };
  return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
