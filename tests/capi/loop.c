/*
** loop.c - tests VMs on event loops: their own, the host's, several in one
** process.
*/
#include "capi.h"

/* {======================================================
** The host's loop
** ======================================================= */

static void mark(uv_timer_t *timer) {
  int *flag = timer->data;
  *flag = 1;
}

static void the_hosts_handles_run_while_lua_waits(void **state) {
  uv_loop_t loop;
  uv_timer_t timer;
  int fired = 0;
  neap_vm *vm = new_vm_on(&loop);
  (void)state;
  assert_int_equal(uv_timer_init(&loop, &timer), 0);
  timer.data = &fired;
  assert_int_equal(uv_timer_start(&timer, mark, 5, 0), 0);
  run_lua(vm, "run(async(function() await(sleep(0.05)) end)())");
  assert_true(fired);
  uv_close((uv_handle_t *)&timer, NULL);
  close_vm(vm);
  close_loop(&loop);
}

static void a_hosts_loop_lives_on_after_the_vm(void **state) {
  uv_loop_t loop;
  uv_timer_t timer;
  int fired = 0;
  neap_vm *vm = new_vm_on(&loop);
  (void)state;
  assert_int_equal(uv_timer_init(&loop, &timer), 0);
  timer.data = &fired;
  assert_int_equal(uv_timer_start(&timer, mark, 20, 0), 0);
  run_lua(vm, "run(async(function() await(sleep(0)) end)())");
  close_vm(vm);
  assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
  assert_true(fired);
  uv_close((uv_handle_t *)&timer, NULL);
  close_loop(&loop);
}

/* A job that is ready for the VM's next run is nothing to the host's. */
static void a_hosts_run_goes_on_while_a_vm_has_something_ready(void **state) {
  uv_loop_t loop;
  uv_timer_t timer;
  int fired = 0;
  neap_vm *vm = new_vm_on(&loop);
  (void)state;
  run_lua(vm, "future = require 'asyncio'.Future() "
              "future:add_done_callback(print) "
              "run(async(function() await(sleep(0.001)) end)()) "
              "future:set_result(1)");
  assert_int_equal(uv_timer_init(&loop, &timer), 0);
  timer.data = &fired;
  assert_int_equal(uv_timer_start(&timer, mark, 5, 0), 0);
  assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
  assert_true(fired);
  uv_close((uv_handle_t *)&timer, NULL);
  close_vm(vm);
  close_loop(&loop);
}

/* The VM's own alarm must not be lost among the host's timers. */
static void a_sleep_that_is_over_waits_for_no_timer_of_the_host(void **state) {
  uv_loop_t loop;
  uv_timer_t timer;
  int fired = 0;
  neap_vm *vm = new_vm_on(&loop);
  (void)state;
  assert_int_equal(uv_timer_init(&loop, &timer), 0);
  timer.data = &fired;
  assert_int_equal(uv_timer_start(&timer, mark, 60000, 0), 0);
  run_lua(vm, "local asyncio = require 'asyncio' "
              "run(async(function() "
              "local t = create_task(sleep(0.001)) await(sleep(0)) "
              "local begin = asyncio.time() "
              "while asyncio.time() < begin + 0.01 do end "
              "await(t) end)())");
  assert_false(fired);
  uv_close((uv_handle_t *)&timer, NULL);
  close_vm(vm);
  close_loop(&loop);
}

static void a_vm_that_never_ran_leaves_the_hosts_loop_alone(void **state) {
  uv_loop_t loop;
  neap_vm *vm = new_vm_on(&loop);
  (void)state;
  close_vm(vm);
  assert_int_equal(uv_loop_close(&loop), 0);
}

static void two_vms_share_a_hosts_loop(void **state) {
  uv_loop_t loop;
  neap_vm *first = new_vm_on(&loop);
  neap_vm *second = vm_on(&loop, NEAP_CAN_ALL);
  (void)state;
  run_lua(first, "run(async(function() await(sleep(0.001)) end)())");
  run_lua(second, "run(async(function() await(sleep(0.001)) end)())");
  run_lua(first, "run(async(function() await(sleep(0.001)) end)())");
  close_vm(first);
  run_lua(second, "run(async(function() await(sleep(0.001)) end)())");
  close_vm(second);
  close_loop(&loop);
}

/* ====================================================== } */

/* {======================================================
** Several VMs
** ======================================================= */

/* Lua: runs a program in the VM of the upvalue. */
static int run_other(lua_State *L) {
  neap_vm *other = lua_touserdata(L, lua_upvalueindex(1));
  run_lua(other, "run(async(function() await(sleep(0.001)) ran = true end)())");
  return 0;
}

static void a_run_may_stand_inside_the_run_of_another_vm(void **state) {
  neap_vm *outer = new_vm(NULL);
  neap_vm *inner = new_vm(NULL);
  (void)state;
  lua_pushlightuserdata(neap_lua(outer), inner);
  lua_pushcclosure(neap_lua(outer), run_other, 1);
  lua_setglobal(neap_lua(outer), "run_other");
  run_lua(outer, "run(async(function()\n"
                 "  await(sleep(0)) run_other() await(sleep(0))\n"
                 "  ran = true\n"
                 "end)())");
  assert_true(global_is_true(inner, "ran"));
  assert_true(global_is_true(outer, "ran"));
  close_vm(outer);
  close_vm(inner);
}

#define THREADS 4

/* One thread's work: a VM from birth to end. No assertion of cmocka may
   fail outside its own thread, so the outcome goes into `data`. */
static void live(void *data) {
  int *ok = data;
  neap_vm *vm;
  if (neap_new(&vm, NULL) != NEAP_OK)
    return;
  *ok = luaL_dostring(neap_lua(vm),
                      "local work = async(function(i)\n"
                      "  await(sleep(0)) await(sleep(0.001)) return i\n"
                      "end)\n"
                      "run(async(function()\n"
                      "  local list = {}\n"
                      "  for i = 1, 500 do list[i] = work(i) end\n"
                      "  local results = await(gather(list))\n"
                      "  for i = 1, 500 do assert(results[i] == i) end\n"
                      "end)())") == LUA_OK;
  if (neap_close(vm, NULL, NULL) != NEAP_OK)
    *ok = 0;
}

static void vms_live_on_several_threads(void **state) {
  uv_thread_t threads[THREADS];
  int ok[THREADS] = {0};
  (void)state;
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(uv_thread_create(&threads[i], live, &ok[i]), 0);
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(uv_thread_join(&threads[i]), 0);
  for (int i = 0; i < THREADS; i++)
    assert_true(ok[i]);
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_hosts_handles_run_while_lua_waits),
    cmocka_unit_test(a_hosts_loop_lives_on_after_the_vm),
    cmocka_unit_test(a_hosts_run_goes_on_while_a_vm_has_something_ready),
    cmocka_unit_test(a_sleep_that_is_over_waits_for_no_timer_of_the_host),
    cmocka_unit_test(a_vm_that_never_ran_leaves_the_hosts_loop_alone),
    cmocka_unit_test(two_vms_share_a_hosts_loop),
    cmocka_unit_test(a_run_may_stand_inside_the_run_of_another_vm),
    cmocka_unit_test(vms_live_on_several_threads),
  };
  return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
