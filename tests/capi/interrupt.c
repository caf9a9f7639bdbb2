/*
** interrupt.c - tests how a host asks a program to stop.
*/
#include "capi.h"

/* The loop is new, too. */
static neap_vm *new_vm_on(uv_loop_t *loop) {
  assert_int_equal(uv_loop_init(loop), 0);
  return vm_on(loop, NEAP_CAN_ALL);
}

/* {======================================================
** In a run, and outside
** ======================================================= */

static void interrupt(uv_timer_t *timer) {
  neap_interrupt(timer->data);
}

static void an_interrupt_ends_a_run_that_waits(void **state) {
  uv_loop_t loop;
  uv_timer_t timer;
  neap_vm *vm = new_vm_on(&loop);
  (void)state;
  assert_int_equal(uv_timer_init(&loop, &timer), 0);
  timer.data = vm;
  assert_int_equal(uv_timer_start(&timer, interrupt, 5, 0), 0);
  run_lua_failing(vm, "run(async(function()\n"
                      "  local guard <close> = setmetatable({}, {\n"
                      "    __close = function()\n"
                      "      await(sleep(0)) cleaned = true\n"
                      "    end})\n"
                      "  await(sleep(1000))\n"
                      "end)())");
  assert_true(neap_iskeyboardinterrupt(neap_lua(vm), -1));
  assert_true(global_is_true(vm, "cleaned"));
  lua_settop(neap_lua(vm), 0);
  /* the VM is as good as before */
  run_lua(vm, "run(async(function() await(sleep(0.001)) end)())");
  uv_close((uv_handle_t *)&timer, NULL);
  close_vm(vm);
  close_loop(&loop);
}

/* Lua: interrupts the VM that calls it. */
static int interrupt_myself(lua_State *L) {
  neap_interrupt(neap_from_lua(L));
  return 0;
}

static void an_interrupt_stops_a_task_that_spins(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  lua_register(neap_lua(vm), "interrupt_myself", interrupt_myself);
  run_lua_failing(vm, "run(async(function()\n"
                      "  interrupt_myself()\n"
                      "  while true do end\n"
                      "end)())");
  assert_true(neap_iskeyboardinterrupt(neap_lua(vm), -1));
  close_vm(vm);
}

static void an_interrupt_outside_run_is_an_error(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  lua_register(neap_lua(vm), "interrupt_myself", interrupt_myself);
  run_lua_failing(vm, "interrupt_myself() while true do end");
  assert_contains(lua_tostring(neap_lua(vm), -1), "interrupted!");
  assert_false(neap_iskeyboardinterrupt(neap_lua(vm), -1));
  lua_settop(neap_lua(vm), 0);
  run_lua(vm, "for i = 1, 10000 do end");
  close_vm(vm);
}

static void other_errors_are_no_keyboard_interrupts(void **state) {
  neap_vm *vm = new_vm(NULL);
  lua_State *L = neap_lua(vm);
  (void)state;
  run_lua_failing(vm, "error 'KeyboardInterrupt'");
  assert_false(neap_iskeyboardinterrupt(L, -1));
  run_lua_failing(vm, "error(nil)");
  assert_false(neap_iskeyboardinterrupt(L, -1));
  run_lua_failing(vm, "error(require 'asyncio'.CancelledError())");
  assert_false(neap_iskeyboardinterrupt(L, -1));
  run_lua_failing(vm, "error(require 'asyncio'.KeyboardInterrupt())");
  assert_true(neap_iskeyboardinterrupt(L, -1));
  close_vm(vm);
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_interrupt_ends_a_run_that_waits),
    cmocka_unit_test(an_interrupt_stops_a_task_that_spins),
    cmocka_unit_test(an_interrupt_outside_run_is_an_error),
    cmocka_unit_test(other_errors_are_no_keyboard_interrupts),
  };
  return cmocka_run_group_tests_name("interrupt", tests, NULL, NULL);
}
