/*
** net.c - tests the modules net and stream in a host: what of them is under
** way when the VM is closed.
*/
#include "threads.h"

/* A server, a connection with both ends at it, a datagram socket. */
static const char script[] =
    "local net = require 'net'\n"
    "server = await(net.listen('127.0.0.1', 0, function(s)\n"
    "  accepted = s create_task(s:write(('x'):rep(9000000))) await(s:read())\n"
    "end))\n"
    "client = await(net.connect(server:address()))\n"
    "udp = await(net.udp('127.0.0.1', 0))\n"
    "create_task(udp:receive())\n"
    "create_task(net.connect('localhost', 1))\n"
    "create_task(client:read(9000000))\n"
    "while not accepted do await(sleep(0)) end\n"
    "begun = true\n"
    "await(sleep(1000))";

static void on_a_hosts_loop_nothing_comes_after_the_close(void **state) {
  (void)state;
  for (int turns = 0; turns < 8; turns++) {
    uv_loop_t loop;
    neap_vm *vm;
    assert_int_equal(uv_loop_init(&loop), 0);
    vm = vm_on(&loop, NEAP_CAN_NET);
    spawn(vm, script, NULL, NULL);
    while (!global_is_true(vm, "begun"))
      uv_run(&loop, UV_RUN_NOWAIT);
    for (int i = 0; i < turns; i++)
      uv_run(&loop, UV_RUN_NOWAIT);
    close_vm_and_loop(vm, &loop);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(on_a_hosts_loop_nothing_comes_after_the_close),
  };
  return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
