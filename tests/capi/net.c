/*
** net.c - tests the modules net and stream in a host: their capability, and
** what of them is under way when the VM is closed.
*/
#include "threads.h"

static int drop_net(neap_frame *frame, void *ud) {
  (void)ud;
  return neap_drop(neap_frame_vm(frame), NEAP_CAN_NET);
}

static void what_a_script_has_kept_ends_with_the_capability(void **state) {
  neap_vm *vm = vm_on(NULL, NEAP_CAN_NET);
  (void)state;
  assert_int_equal(neap_register(vm, "drop", drop_net, NULL), NEAP_OK);
  run_script(
      vm, "local net = require 'net'\n"
          "local server = await(net.listen('127.0.0.1', 0, function(s)\n"
          "  pcall(await, s:read())\n"
          "end))\n"
          "local s = await(net.connect(server:address()))\n"
          "local u = await(net.udp('127.0.0.1', 0))\n"
          "local lines, host, port = s:lines(), u:address()\n"
          "drop()\n"
          "local function refused(...)\n"
          "  local ok, e = pcall(...)\n"
          "  assert(not ok and tostring(e):find('was taken away', 1, true),\n"
          "         tostring(e))\n"
          "end\n"
          "refused(await, net.resolve('localhost'))\n"
          "refused(await, net.connect('localhost', port))\n"
          "refused(await, net.connect('127.0.0.1', port))\n"
          "refused(await, net.connect_unix('/x'))\n"
          "refused(await, net.listen('127.0.0.1', 0, print))\n"
          "refused(await, net.listen_unix('/x/y', print))\n"
          "refused(await, net.udp())\n"
          "refused(await, u:send('x', host, port))\n"
          "refused(await, u:receive())\n"
          "refused(await, u:connect(host, port))\n"
          "refused(lines)\n"
          "for name, argument in pairs{read = 1, readexactly = 1,\n"
          "    readuntil = 'x', write = 'x', shutdown = false, pipe = s} do\n"
          "  refused(await, s[name](s, argument))\n"
          "end\n"
          "s:close() u:close() server:close()");
  close_vm(vm);
}

static void a_server_ends_with_the_capability(void **state) {
  reports said;
  neap_vm *vm = reporting_vm(&said, NEAP_CAN_NET);
  (void)state;
  assert_int_equal(neap_register(vm, "drop", drop_net, NULL), NEAP_OK);
  run_script(
      vm, "net = require 'net'\n"
          "server = await(net.listen('127.0.0.1', 0, print))\n"
          "s = await(net.connect(server:address()))\n"
          "s:close()\n"
          "s = create_task(net.connect(server:address()))\n"
          "await(sleep(0))\n"
          "drop()\n"
          "asyncio.catch(await, s)\n"
          "while server:address() do await(sleep(0.001)) end");
  run_lua(vm, "s, server = nil collectgarbage()");
  assert_int_equal(said.count, 1);
  assert_contains(said.last, "listen: the capability net was taken away");
  close_vm(vm);
}

/* One of these, each time: `begun` tells that it is under way. */
static const char *const begin[] = {
    "await(net.connect(server:address()))",
    "kept = await(net.connect(server:address()))\n"
    "create_task(kept:write(('x'):rep(10000000)))\n"
    "create_task(kept:read('l'))",
    "kept = await(net.udp('127.0.0.1', 0))\n"
    "create_task(kept:receive())",
    "kept = create_task(net.connect(server:address()))",
    "create_task(net.resolve('localhost'))\n"
    "create_task(net.connect('localhost', 1))",
    "kept = {}\n"
    "for i = 1, 100 do\n"
    "  kept[i] = create_task(net.connect(server:address()))\n"
    "end",
    "server:close()",
};

static void on_a_hosts_loop_nothing_comes_after_the_close(void **state) {
  (void)state;
  for (size_t i = 0; i < 4 * sizeof begin / sizeof *begin; i++) {
    uv_loop_t loop;
    neap_vm *vm;
    char script[512];
    assert_int_equal(uv_loop_init(&loop), 0);
    vm = vm_on(&loop, NEAP_CAN_NET);
    (void)snprintf(script, sizeof script,
                   "net = require 'net'\n"
                   "server = await(net.listen('127.0.0.1', 0, function(s)\n"
                   "  await(s:read(1)) await(sleep(1000))\n"
                   "end))\n"
                   "%s\n"
                   "begun = true\n"
                   "await(sleep(1000))",
                   begin[i / 4]);
    spawn(vm, script, NULL, NULL);
    while (!global_is_true(vm, "begun"))
      uv_run(&loop, UV_RUN_NOWAIT);
    for (size_t turns = 0; turns < i % 4; turns++)
      uv_run(&loop, UV_RUN_NOWAIT);
    close_vm_and_loop(vm, &loop);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_a_script_has_kept_ends_with_the_capability),
      cmocka_unit_test(a_server_ends_with_the_capability),
      cmocka_unit_test(on_a_hosts_loop_nothing_comes_after_the_close),
  };
  return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
