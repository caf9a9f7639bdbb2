/*
** luv.c - tests luv in a host: several VMs, limits, the end of a VM.
*/
#include "limited.h"

#define PRELUDE \
  "local uv = require 'luv'\n" \
  "local function later(ms, f)\n" \
  "  local timer = uv.new_timer()\n" \
  "  timer:start(ms, 0, function() timer:close() f() end)\n" \
  "end\n"

/* Timers, work on threads and a socket, each with a task that awaits it. */
static const char busy[] =
    PRELUDE
    "local function promised(start)\n"
    "  local future = asyncio.Future()\n"
    "  start(function(value) future:set_result(value) end)\n"
    "  return future\n"
    "end\n"
    "local list = {}\n"
    "for i = 1, 20 do\n"
    "  list[#list + 1] = promised(function(f)\n"
    "    later(i % 3, function() f(i) end)\n"
    "  end)\n"
    "  list[#list + 1] = promised(function(f)\n"
    "    uv.new_work(function(n) return n end, f):queue(i)\n"
    "  end)\n"
    "end\n"
    "local server, client = uv.new_tcp(), uv.new_tcp()\n"
    "server:bind('127.0.0.1', 0)\n"
    "server:listen(1, function()\n"
    "  local peer = uv.new_tcp()\n"
    "  server:accept(peer)\n"
    "  peer:write('5', function() peer:close() end)\n"
    "end)\n"
    "list[#list + 1] = promised(function(f)\n"
    "  client:connect('127.0.0.1', server:getsockname().port, function()\n"
    "    client:read_start(function(_, data) if data then f(data) end end)\n"
    "  end)\n"
    "end)\n"
    "local sum = 0\n"
    "for _, value in ipairs(await(gather(list))) do sum = sum + value end\n"
    "assert(sum == 425, sum)\n"
    "server:close() client:close()";

static void in_a_thread(void *ud) {
  neap_vm *vm = new_vm(NULL);
  (void)ud;
  for (int i = 0; i < 5; i++)
    run_script(vm, busy);
  close_vm(vm);
}

static void vms_on_two_threads_have_luv_each(void **state) {
  uv_thread_t threads[2];
  (void)state;
  for (int i = 0; i < 2; i++)
    thread_start(&threads[i], in_a_thread, NULL);
  for (int i = 0; i < 2; i++)
    thread_join(&threads[i]);
}

static void vms_on_one_thread_have_luv_each(void **state) {
  neap_vm *vms[2];
  int count[2] = {0, 0};
  (void)state;
  for (int i = 0; i < 2; i++) {
    vms[i] = new_vm(NULL);
    spawn(vms[i], busy, succeeded, &count[i]);
  }
  while (count[0] == 0 || count[1] == 0)
    for (int i = 0; i < 2; i++)
      assert_in_range(neap_tick(vms[i], 0), 0, 1);
  run_lua(vms[0], "require('luv').new_timer():start(0, 1, error)");
  close_vm(vms[0]);
  run_script(vms[1], busy);
  close_vm(vms[1]);
}

static void a_hosts_loop_has_none(void **state) {
  uv_loop_t loop;
  neap_vm *vm;
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  vm = vm_on(&loop, NEAP_CAN_ALL);
  run_lua_failing(vm, "require 'luv'");
  assert_contains(lua_tostring(neap_lua(vm), -1), "the loop is the host's");
  lua_settop(neap_lua(vm), 0);
  close_vm_and_loop(vm, &loop);
}

static void at_the_end_all_that_is_open_goes(void **state) {
  static const char *const open[] = {
      "uv.new_timer():start(0, 1, done)",
      "uv.new_tcp()",
      "uv.new_timer():close(done)",
      "uv.fs_stat('/', done)",
      "uv.getaddrinfo('localhost', nil, {}, done)",
      "uv.new_work(function(n) return n end, done):queue(1)",
      "uv.spawn('sleep', {args = {'1000'}}, done):kill()",
      "later(1, function() create_task(sleep(1000)) end)",
  };
  (void)state;
  for (size_t i = 0; i < 3 * (sizeof open / sizeof *open); i++) {
    heap memory = {0, -1, 0, 0};
    neap_vm *vm = counted_vm(&memory, NEAP_CAN_ALL);
    char script[600];
    (void)snprintf(script, sizeof script, PRELUDE
                   "local function done() end\n%s", open[i / 3]);
    spawn(vm, script, NULL, NULL);
    for (size_t turns = 0; turns <= i % 3; turns++)
      assert_in_range(neap_tick(vm, 0), 0, 1);
    close_vm(vm);
    assert_int_equal(memory.blocks, 0);
  }
}

/* It came of no task: a deadline does not end it, and the slice ends all. */
static void a_callback_that_spins_ends_the_vm(void **state) {
  trial t;
  neap_config config;
  (void)state;
  neap_config_init(&config);
  config.capabilities = NEAP_CAN_ALL;
  config.limits.slice = 0.01;
  trial_open_with(&t, &config);
  expect_end(&t, NEAP_ESTALL,
             PRELUDE "later(1, function() spun = true while true do end end)\n"
                     "await(sleep(1000))");
  assert_true(global_is_true(t.vm, "spun"));
  trial_close(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(vms_on_two_threads_have_luv_each),
      cmocka_unit_test(vms_on_one_thread_have_luv_each),
      cmocka_unit_test(a_hosts_loop_has_none),
      cmocka_unit_test(at_the_end_all_that_is_open_goes),
      cmocka_unit_test(a_callback_that_spins_ends_the_vm),
  };
  return cmocka_run_group_tests_name("luv", tests, NULL, NULL);
}
