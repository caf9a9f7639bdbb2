/*
** net.c - tests the modules net and stream in a host: their capability, and
** what of them is under way when the VM is closed.
*/
#include "limited.h"

static void what_a_script_has_kept_ends_with_the_capability(void **state) {
  neap_vm *vm = vm_on(NULL, NEAP_CAN_NET);
  (void)state;
  add_drop(vm, NEAP_CAN_NET);
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
  add_drop(vm, NEAP_CAN_NET);
  run_script(
      vm, "net = require 'net'\n"
          "server = await(net.listen('127.0.0.1', 0, function() end))\n"
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
    "kept = await(net.connect(server:address()))\n"
    "create_task(kept:pipe(kept))",
    "kept = {require 'fs'.watch('/'), require 'signal'.on('USR2', print),\n"
    "  require 'process'.spawn{'cat', stdin = 'pipe', stdout = 'pipe'},\n"
    "  await(net.connect(server:address()))}\n"
    "create_task(kept[3].stdout:pipe(kept[3].stdin))\n"
    "create_task(kept[3].stdin:write('x'))\n"
    "create_task(net.resolve('localhost'))\n"
    "create_task(require 'fs'.read('/proc/self/status'))",
    "server:close()",
};

static void on_a_hosts_loop_nothing_comes_after_the_close(void **state) {
  (void)state;
  for (size_t i = 0; i < 4 * sizeof begin / sizeof *begin; i++) {
    uv_loop_t loop;
    neap_vm *vm;
    char script[1000];
    assert_int_equal(uv_loop_init(&loop), 0);
    vm = vm_on(&loop, NEAP_CAN_NET | NEAP_CAN_FS | NEAP_CAN_PROCESS);
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

/* {======================================================
** Kills
** ======================================================= */

static int handles(neap_vm *vm) {
  uv_loop_t *loop;
  int n = 0;
  assert_int_equal(neap_loop(vm, &loop), NEAP_OK);
  uv_walk(loop, count_handle, &n);
  return n;
}

#define SOCKETS \
  "local net = require 'net'\n" \
  "local server = await(net.listen('127.0.0.1', 0, function()\n" \
  "  await(sleep(1000))\n" \
  "end, {max_connections = 2}))\n" \
  "local s = await(net.connect(server:address()))\n" \
  "local other = await(net.connect(server:address()))\n" \
  "local u = await(net.udp('127.0.0.1', 0))\n" \
  "local large = ('x'):rep(10000000)\n" \
  "begun = true\n"

/* For ever. */
static const char *const waits[] = {
    "await(s:read())",
    "for line in s:lines() do end",
    "await(s:readexactly(100))",
    "await(s:write(large))",
    "create_task(s:write(large)) await(sleep(0)) await(s:write('x'))",
    "create_task(s:write(large)) await(sleep(0)) await(s:shutdown())",
    "await(s:pipe(other))",
    "create_task(other:write(large)) await(sleep(0)) await(s:pipe(other))",
    "await(u:receive())",
    "await(server:wait_closed())",
    "while true do await(net.connect(server:address())) end",
    "while true do await(sleep(0)) await(u:send('x', u:address())) end",
    "create_task(s:read()) await(asyncio.wait_for(sleep(1000), 1000))",
};

#define WAITS (sizeof waits / sizeof *waits)

/* Goes on until what has ended is collected, and closed. */
static void settle(neap_vm *vm) {
  for (int i = 0; i < 5; i++) {
    run_lua(vm, "collectgarbage()");
    (void)neap_tick(vm, 0);
  }
}

/* By the deadline, or else killed after some turns. */
static void killed_tasks_leave_nothing(void **state) {
  trial t;
  neap_config config;
  (void)state;
  neap_config_init(&config);
  config.capabilities = NEAP_CAN_NET;
  config.limits.deadline = 1000;
  trial_open_with(&t, &config);
  expect_end(&t, NEAP_OK, SOCKETS "server:close() server:close_clients()");
  settle(t.vm);
  for (size_t i = 0; i < 4 * WAITS; i++) {
    int fds = descriptors(), left = handles(t.vm);
    char script[1000];
    ending e;
    neap_task task;
    neap_value begun = neap_nil();
    (void)snprintf(script, sizeof script, SOCKETS "%s", waits[i / 4]);
    assert_int_equal(neap_set(t.vm, "begun", &begun), NEAP_OK);
    task = start(&t, i % 4 == 0 ? 0.05 : 0, script, &e);
    while (e.count == 0 && (i % 4 == 0 || !global_is_true(t.vm, "begun")))
      assert_in_range(neap_tick(t.vm, 0), 0, 1);
    if (i % 4 != 0) {
      for (size_t turns = 1; turns < i % 4; turns++)
        assert_in_range(neap_tick(t.vm, 0), 0, 1);
      assert_int_equal(neap_kill(t.vm, task), NEAP_OK);
    }
    while (e.count == 0)
      assert_in_range(neap_tick(t.vm, 0), 0, 1);
    assert_int_equal(e.count, 1);
    assert_int_equal(e.status, i % 4 == 0 ? NEAP_EDEADLINE : NEAP_EKILLED);
    settle(t.vm);
    assert_int_equal(handles(t.vm), left);
    assert_int_equal(descriptors(), fds);
  }
  trial_close(&t);
}

static void the_end_of_memory_closes_sockets_too(void **state) {
  int fds = descriptors();
  (void)state;
  for (size_t i = 0; i < WAITS; i++) {
    trial t;
    neap_config config;
    char script[1000];
    ending e, eater;
    neap_config_init(&config);
    config.capabilities = NEAP_CAN_NET;
    config.limits.memory = 30 << 20;
    trial_open_with(&t, &config);
    (void)snprintf(script, sizeof script, SOCKETS "%s", waits[i]);
    start(&t, 0, script, &e);
    while (!global_is_true(t.vm, "begun"))
      assert_in_range(neap_tick(t.vm, 0), 0, 1);
    start(&t, 0, "local list = {}\n"
                 "while true do\n"
                 "  list[#list + 1] = ('x'):rep(100000) .. #list\n"
                 "  await(sleep(0))\n"
                 "end", &eater);
    while (e.count == 0 || eater.count == 0)
      (void)neap_tick(t.vm, 0);
    assert_int_equal(e.count, 1);
    assert_int_equal(e.status, NEAP_EMEMORY);
    assert_int_equal(eater.status, NEAP_EMEMORY);
    trial_close(&t);
    assert_int_equal(descriptors(), fds);
  }
}

/* ====================================================== } */

/* {======================================================
** Two VMs
** ======================================================= */

static const char serving[] =
    "local net = require 'net'\n"
    "local server <close> = await(net.listen('127.0.0.1', 0, function(s)\n"
    "  while true do\n"
    "    local data = await(s:read())\n"
    "    if not data then break end\n"
    "    await(s:write(data))\n"
    "  end\n"
    "  served = (served or 0) + 1\n"
    "end))\n"
    "local _\n"
    "_, port = server:address()\n"
    "if tell then tell(port) end\n"
    "while served ~= 10 do await(sleep(0.001)) end";

static const char asking[] =
    "local net = require 'net'\n"
    "local function ask(i)\n"
    "  local s <close> = await(net.connect('127.0.0.1', port))\n"
    "  local text = ('%d,'):format(i):rep(200000)\n"
    "  local writer = create_task(async(function()\n"
    "    await(s:write(text))\n"
    "    await(s:shutdown())\n"
    "  end)())\n"
    "  assert(await(s:read('a')) == text)\n"
    "  await(writer)\n"
    "end\n"
    "local list = {}\n"
    "for i = 1, 10 do list[i] = async(ask)(i) end\n"
    "await(gather(list))";

static void vms_on_one_loop_talk_to_each_other(void **state) {
  uv_loop_t loop;
  neap_vm *server, *client;
  neap_value port;
  int count = 0, closed = 0;
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  server = vm_on(&loop, NEAP_CAN_NET);
  client = vm_on(&loop, NEAP_CAN_NET);
  spawn(server, serving, succeeded, &count);
  while (!global_is_true(server, "port"))
    uv_run(&loop, UV_RUN_ONCE);
  assert_int_equal(neap_get(server, "port", &port), NEAP_OK);
  assert_int_equal(neap_set(client, "port", &port), NEAP_OK);
  spawn(client, asking, succeeded, &count);
  while (count < 2)
    uv_run(&loop, UV_RUN_ONCE);
  assert_int_equal(neap_close(client, set_flag, &closed), NEAP_OK);
  while (!closed)
    uv_run(&loop, UV_RUN_ONCE);
  close_vm_and_loop(server, &loop);
}

static atomic_int port_of_server;

static int tell_port(neap_frame *frame, void *ud) {
  lua_Integer port;
  int status = neap_arg_integer(frame, 1, &port);
  (void)ud;
  if (status == NEAP_OK)
    atomic_store(&port_of_server, (int)port);
  return status;
}

static void serve(void *ud) {
  neap_vm *vm = vm_on(NULL, NEAP_CAN_NET);
  (void)ud;
  assert_int_equal(neap_register(vm, "tell", tell_port, NULL), NEAP_OK);
  run_script(vm, serving);
  close_vm(vm);
}

static void vms_on_two_threads_talk_to_each_other(void **state) {
  uv_thread_t thread;
  neap_vm *vm = vm_on(NULL, NEAP_CAN_NET);
  neap_value port;
  (void)state;
  atomic_store(&port_of_server, 0);
  thread_start(&thread, serve, NULL);
  while (atomic_load(&port_of_server) == 0)
    sched_yield();
  port = neap_integer(atomic_load(&port_of_server));
  assert_int_equal(neap_set(vm, "port", &port), NEAP_OK);
  run_script(vm, asking);
  thread_join(&thread);
  close_vm(vm);
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_a_script_has_kept_ends_with_the_capability),
      cmocka_unit_test(a_server_ends_with_the_capability),
      cmocka_unit_test(on_a_hosts_loop_nothing_comes_after_the_close),
      cmocka_unit_test(killed_tasks_leave_nothing),
      cmocka_unit_test(the_end_of_memory_closes_sockets_too),
      cmocka_unit_test(vms_on_one_loop_talk_to_each_other),
      cmocka_unit_test(vms_on_two_threads_talk_to_each_other),
  };
  return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
