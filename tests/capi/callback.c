/*
** callback.c - tests neap_callback: Lua called from callbacks of libuv.
*/
#include "limited.h"

static uv_timer_t timer;
static int rings; /* the callback of libuv has come */

/* Calls the global `ring` with "ding" and 5. */
static void timer_rings(uv_timer_t *t) {
  lua_State *L = (lua_State *)t->data;
  int top = lua_gettop(L);
  rings++;
  lua_getglobal(L, "ring");
  lua_pushliteral(L, "ding");
  lua_pushinteger(L, 5);
  neap_callback(L, 2);
  assert_int_equal(lua_gettop(L), top);
  uv_close((uv_handle_t *)t, NULL);
}

static void start_timer(neap_vm *vm) {
  uv_loop_t *loop;
  assert_int_equal(neap_loop(vm, &loop), NEAP_OK);
  assert_int_equal(uv_timer_init(loop, &timer), 0);
  timer.data = neap_lua(vm);
  assert_int_equal(uv_timer_start(&timer, timer_rings, 1, 0), 0);
  rings = 0;
}

static const char makes_task[] =
    "asyncio = require 'asyncio'\n"
    "function ring(what, n)\n"
    "  assert(asyncio.current_task() == nil and what == 'ding' and n == 5)\n"
    "  create_task(async(function() await(sleep(0.001)) result = n + 1 end)())\n"
    "end\n";

static void it_may_create_tasks_in_neap_run(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  run_lua(vm, makes_task);
  start_timer(vm);
  assert_int_equal(neap_run(vm), NEAP_OK);
  run_lua(vm, "assert(result == 6)");
  close_vm(vm);
}

static void it_may_create_tasks_in_a_scripts_run(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  run_lua(vm, makes_task);
  start_timer(vm);
  run_lua(vm, "coroutine.wrap(function() run(async(function()\n"
              "  while not result do await(sleep(0.001)) end\n"
              "end)()) end)()\n"
              "assert(result == 6)");
  close_vm(vm);
}

static void it_may_create_tasks_on_a_hosts_loop(void **state) {
  uv_loop_t loop;
  neap_vm *vm;
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  vm = vm_on(&loop, NEAP_CAN_ALL);
  run_lua(vm, makes_task);
  start_timer(vm);
  assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
  run_lua(vm, "assert(result == 6)");
  close_vm(vm);
  close_loop(&loop);
}

static void an_error_is_reported(void **state) {
  reports said;
  neap_vm *vm = reporting_vm(&said, NEAP_CAN_ALL);
  (void)state;
  run_lua(vm, "function ring(what) error(what .. ' dong') end");
  start_timer(vm);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(said.count, 1);
  assert_contains(said.last, "Exception in callback\nhandle: ring() at ");
  assert_contains(said.last, "ding dong\nstack traceback:\n");
  close_vm(vm);
}

static void it_cannot_await(void **state) {
  reports said;
  neap_vm *vm = reporting_vm(&said, NEAP_CAN_ALL);
  (void)state;
  run_lua(vm, "function ring() await(sleep(0)) end");
  start_timer(vm);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_contains(said.last, "Exception in callback");
  close_vm(vm);
}

static void a_function_that_spins_is_killed(void **state) {
  neap_limits limits = {.slice = 0.001};
  trial t;
  (void)state;
  trial_open(&t, &limits);
  run_lua(t.vm, "function ring() while true do end end");
  start_timer(t.vm);
  assert_int_equal(neap_run(t.vm), NEAP_OK);
  assert_int_equal(rings, 1);
  trial_close(&t);
}

static void in_a_killed_vm_nothing_is_called(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  run_lua(vm, "function ring() called = true end");
  start_timer(vm);
  assert_int_equal(neap_kill(vm, 0), NEAP_OK);
  while (rings == 0)
    (void)uv_run(timer.loop, UV_RUN_ONCE);
  assert_false(global_is_true(vm, "called"));
  close_vm(vm);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_may_create_tasks_in_neap_run),
      cmocka_unit_test(it_may_create_tasks_in_a_scripts_run),
      cmocka_unit_test(it_may_create_tasks_on_a_hosts_loop),
      cmocka_unit_test(an_error_is_reported),
      cmocka_unit_test(it_cannot_await),
      cmocka_unit_test(a_function_that_spins_is_killed),
      cmocka_unit_test(in_a_killed_vm_nothing_is_called),
  };
  return cmocka_run_group_tests_name("callback", tests, NULL, NULL);
}
