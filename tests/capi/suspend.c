/*
** suspend.c - tests C functions that suspend the task which calls them, and
** the loop on which a module in C puts its handles.
*/
#include <math.h>

#include "capi.h"

/* What the functions below wait for; one a VM, an upvalue of theirs. */
typedef struct bell {
  neap_wait wait;
  uv_timer_t timer;
  int resumed;   /* calls of the continuation */
  int cancelled; /* calls of `cancel` */
} bell;

static bell *bell_of(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

static int rung(lua_State *L, int status, lua_KContext ctx) {
  bell *b = (bell *)ctx;
  b->resumed++;
  lua_pushstring(L, status == NEAP_OK ? "rung" : neap_strerror(status));
  lua_pushvalue(L, 1);
  return 2;
}

static void cancelled(neap_wait *wait) {
  bell *b = (bell *)((char *)wait - offsetof(bell, wait));
  b->cancelled++;
}

/* Lua: listen(seconds or nil) -> "rung" or "the time has passed", argument */
static int listen_(lua_State *L) {
  bell *b = bell_of(L);
  lua_settop(L, 1);
  return neap_suspend(L, &b->wait, luaL_optnumber(L, 1, HUGE_VAL),
                      (lua_KContext)b, rung);
}

/* Lua: ring() -> whether somebody listened */
static int ring(lua_State *L) {
  lua_pushboolean(L, neap_wake(&bell_of(L)->wait));
  return 1;
}

static void timer_rings(uv_timer_t *timer) {
  bell *b = timer->data;
  neap_wake(&b->wait);
}

/* Lua: ring_later(ms): from a callback of libuv */
static int ring_later(lua_State *L) {
  bell *b = bell_of(L);
  uv_loop_t *loop;
  if (neap_loop(neap_from_lua(L), &loop) != NEAP_OK)
    return luaL_error(L, "no loop");
  assert_int_equal(uv_timer_init(loop, &b->timer), 0);
  b->timer.data = b;
  assert_int_equal(uv_timer_start(&b->timer, timer_rings,
                                  (uint64_t)luaL_checkinteger(L, 1), 0), 0);
  return 0;
}

/* Lua: hang_up(): closes the timer */
static int hang_up(lua_State *L) {
  uv_close((uv_handle_t *)&bell_of(L)->timer, NULL);
  return 0;
}

static int broken(lua_State *L, int status, lua_KContext ctx) {
  bell *b = (bell *)ctx;
  (void)status;
  b->resumed++;
  return luaL_error(L, "the bell is broken");
}

/* Lua: fails when it is rung */
static int listen_broken(lua_State *L) {
  bell *b = bell_of(L);
  return neap_suspend(L, &b->wait, HUGE_VAL, (lua_KContext)b, broken);
}

static int again(lua_State *L, int status, lua_KContext ctx) {
  bell *b = (bell *)ctx;
  (void)status;
  b->resumed++;
  return neap_suspend(L, &b->wait, HUGE_VAL, ctx, rung);
}

/* Lua: waits for two rings */
static int listen_twice(lua_State *L) {
  bell *b = bell_of(L);
  return neap_suspend(L, &b->wait, HUGE_VAL, (lua_KContext)b, again);
}

static neap_vm *new_vm_with(bell *b) {
  static const luaL_Reg functions[] = {
      {"listen", listen_},         {"ring", ring},
      {"ring_later", ring_later},  {"listen_broken", listen_broken},
      {"listen_twice", listen_twice}, {"hang_up", hang_up},
      {NULL, NULL}};
  neap_vm *vm = new_vm(NULL);
  lua_State *L = neap_lua(vm);
  memset(b, 0, sizeof *b);
  b->wait.cancel = cancelled;
  b->wait.what = "the bell";
  lua_pushglobaltable(L);
  lua_pushlightuserdata(L, b);
  luaL_setfuncs(L, functions, 1);
  lua_pop(L, 1);
  return vm;
}

/* Runs `body` as the main task and checks the two counts. */
static void check(const char *body, int resumed, int cancels) {
  bell b;
  neap_vm *vm = new_vm_with(&b);
  lua_State *L = neap_lua(vm);
  lua_pushfstring(L, "local asyncio = require 'asyncio' "
                     "run(async(function() %s end)())", body);
  run_lua(vm, lua_tostring(L, -1));
  assert_int_equal(b.resumed, resumed);
  assert_int_equal(b.cancelled, cancels);
  assert_false(b.wait.pending);
  close_vm(vm);
}

static void a_wait_ends_when_it_is_woken(void **state) {
  (void)state;
  check("local t = create_task(async(listen)()) await(sleep(0)) "
        "assert(ring() == true and ring() == false) "
        "assert(not t:done()) assert(await(t) == 'rung')", 1, 0);
}

static void nobody_is_woken_where_nobody_waits(void **state) {
  (void)state;
  check("assert(ring() == false)", 0, 0);
}

static void a_callback_of_libuv_wakes_a_task(void **state) {
  (void)state;
  check("ring_later(5) assert(listen() == 'rung') hang_up()", 1, 0);
}

/* Libuv runs timers that are due before it sleeps. */
static void a_task_woken_just_before_a_poll_does_not_wait_for_it(void **state) {
  (void)state;
  check("ring_later(0) local begin = asyncio.time() "
        "assert(listen(20) == 'rung') assert(asyncio.time() - begin < 10) "
        "hang_up()", 1, 0);
}

static void a_function_that_suspends_is_awaited_or_called(void **state) {
  (void)state;
  check("create_task(async(function() await(sleep(0)) ring() await(sleep(0)) "
        "ring() end)()) "
        "assert(await(async(listen)()) == 'rung') assert(listen() == 'rung')",
        2, 0);
}

static void it_suspends_through_pcall_and_generators(void **state) {
  (void)state;
  check("local t = create_task(async(function() local each = coroutine.wrap("
        "function() local _, how = pcall(listen) coroutine.yield(how) end) "
        "return each() end)()) "
        "await(sleep(0)) ring() assert(await(t) == 'rung')", 1, 0);
}

static void its_time_passes(void **state) {
  (void)state;
  check("local how, seconds = listen(0.01) "
        "assert(how == 'the time has passed' and seconds == 0.01)", 1, 0);
  check("assert(listen(0) == 'the time has passed')", 1, 0);
  check("assert(listen(-1) == 'the time has passed')", 1, 0);
}

static void a_wait_that_is_woken_leaves_no_timer(void **state) {
  (void)state;
  check("local t = create_task(async(listen)(3600)) await(sleep(0)) "
        "ring() assert(await(t) == 'rung') "
        "local begin = asyncio.time() await(sleep(0.001)) "
        "assert(asyncio.time() - begin < 60)", 1, 0);
}

/* Both happen in one turn: the ring counts, since it came before the step. */
static void a_ring_when_the_time_has_just_passed_counts(void **state) {
  (void)state;
  check("local t = create_task(async(listen)(0.001)) await(sleep(0)) "
        "local begin = asyncio.time() "
        "asyncio.call_soon(function() "
        "while asyncio.time() < begin + 0.01 do end asyncio.call_soon(ring) "
        "end) await(t)", 1, 0);
}

static void a_wait_can_serve_again(void **state) {
  (void)state;
  check("for i = 1, 100 do asyncio.call_soon(ring) "
        "assert(listen(i % 2 == 0 and 60 or nil) == 'rung') end", 100, 0);
}

static void a_continuation_may_raise(void **state) {
  (void)state;
  check("asyncio.call_soon(ring) local ok, e = pcall(listen_broken) "
        "assert(not ok and e:find('the bell is broken', 1, true)) "
        "asyncio.call_soon(ring) assert(listen() == 'rung')", 2, 0);
}

static void a_continuation_may_suspend_again(void **state) {
  (void)state;
  check("local t = create_task(async(listen_twice)()) await(sleep(0)) ring() "
        "await(sleep(0)) assert(not t:done()) ring() "
        "assert(await(t) == 'rung')", 2, 0);
}

/* {======================================================
** Cancellation
** ======================================================= */

static void cancelling_the_task_calls_cancel_at_once(void **state) {
  (void)state;
  check("local t = create_task(async(listen)()) await(sleep(0)) t:cancel('x') "
        "assert(ring() == false) "
        "local ok, e = asyncio.catch(await, t) "
        "assert(not ok and tostring(e) == 'CancelledError: x')", 0, 1);
  check("local t = create_task(async(listen)(60)) await(sleep(0)) t:cancel() "
        "assert(ring() == false) assert(not asyncio.catch(await, t))", 0, 1);
}

static void a_task_cancelled_after_the_ring_is_called_off(void **state) {
  (void)state;
  check("local t = create_task(async(listen)()) await(sleep(0)) ring() "
        "t:cancel() assert(not asyncio.catch(await, t))", 0, 1);
}

static void a_second_cancel_is_one_more_request_only(void **state) {
  (void)state;
  check("local t = create_task(async(listen)()) await(sleep(0)) t:cancel() "
        "t:cancel() assert(t:cancelling() == 2) "
        "assert(not asyncio.catch(await, t))", 0, 1);
}

static void a_task_that_cancelled_itself_does_not_wait(void **state) {
  (void)state;
  check("local t = create_task(async(function() "
        "asyncio.current_task():cancel() listen() end)()) "
        "assert(not asyncio.catch(await, t)) assert(ring() == false)", 0, 1);
}

static void the_end_of_the_run_calls_waits_off(void **state) {
  (void)state;
  check("create_task(async(listen)()) await(sleep(0))", 0, 1);
  check("create_task(async(listen)(3600)) await(sleep(0))", 0, 1);
}

/* The second neap_interrupt ends the run without asking its tasks. */
static int stop(lua_State *L) {
  neap_interrupt(neap_from_lua(L));
  neap_interrupt(neap_from_lua(L));
  return 0;
}

static void check_abandoned(const char *body) {
  bell b;
  neap_vm *vm = new_vm_with(&b);
  lua_register(neap_lua(vm), "stop", stop);
  run_lua_failing(vm, body);
  assert_true(neap_iskeyboardinterrupt(neap_lua(vm), -1));
  assert_int_equal(b.resumed, 0);
  assert_int_equal(b.cancelled, 1);
  assert_false(b.wait.pending);
  close_vm(vm);
}

static void a_run_that_is_broken_off_calls_waits_off(void **state) {
  (void)state;
  check_abandoned("run(async(function() create_task(async(listen)()) "
                  "await(sleep(0)) stop() await(sleep(60)) end)())");
  check_abandoned("run(async(function() create_task(async(listen)(60)) "
                  "await(sleep(0)) stop() ring() await(sleep(60)) end)())");
}

/* ====================================================== } */

/* {======================================================
** Misuse, and what people see
** ======================================================= */

static void check_refused(const char *code, const char *expected) {
  bell b;
  neap_vm *vm = new_vm_with(&b);
  run_lua_failing(vm, code);
  assert_contains(lua_tostring(neap_lua(vm), -1), expected);
  assert_int_equal(b.resumed, 0);
  assert_int_equal(b.cancelled, 1); /* what was begun is ended */
  close_vm(vm);
}

static void a_function_that_suspends_needs_a_task(void **state) {
  (void)state;
  check_refused("listen()", "outside a task");
  check_refused("run(async(function() table.sort({2, 1}, function(a, b) "
                "listen() end) end)())", "C-call boundary");
}

static void two_tasks_cannot_share_a_wait(void **state) {
  (void)state;
  check("local t = create_task(async(listen)()) await(sleep(0)) "
        "local ok, e = pcall(listen) assert(not ok and "
        "e:find('another task waits', 1, true)) ring() "
        "assert(not pcall(listen)) await(t)", 1, 0);
}

static void a_wait_that_nothing_can_end_is_a_deadlock(void **state) {
  bell b;
  neap_vm *vm = new_vm_with(&b);
  const char *text;
  (void)state;
  run_lua_failing(vm, "run(async(listen)())");
  text = lua_tostring(neap_lua(vm), -1);
  assert_contains(text, "deadlock");
  assert_contains(text, "wait_for=<the bell>");
  assert_int_equal(b.cancelled, 1);
  close_vm(vm);
}

static void a_dump_names_what_is_awaited(void **state) {
  (void)state;
  check("local t = create_task(async(listen)(60)) await(sleep(0)) "
        "local text = {} "
        "asyncio.dump{write = function(_, s) text[#text + 1] = s end} "
        "text = table.concat(text) "
        "assert(text:find('1 waiting', 1, true), text) "
        "assert(text:find('awaits the bell', 1, true), text) ring() await(t) ",
        1, 0);
}

static void the_loop_is_the_vms_own_or_the_hosts(void **state) {
  uv_loop_t loop, *found;
  neap_vm *vm = new_vm(NULL);
  (void)state;
  assert_int_equal(neap_loop(vm, &found), NEAP_OK);
  assert_non_null(found);
  run_lua(vm, "run(async(function() await(sleep(0.001)) end)())");
  close_vm(vm);
  assert_int_equal(uv_loop_init(&loop), 0);
  vm = vm_on(&loop, NEAP_CAN_ALL);
  assert_int_equal(neap_loop(vm, &found), NEAP_OK);
  assert_ptr_equal(found, &loop);
  close_vm(vm);
  close_loop(&loop);
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_wait_ends_when_it_is_woken),
      cmocka_unit_test(nobody_is_woken_where_nobody_waits),
      cmocka_unit_test(a_callback_of_libuv_wakes_a_task),
      cmocka_unit_test(a_task_woken_just_before_a_poll_does_not_wait_for_it),
      cmocka_unit_test(a_function_that_suspends_is_awaited_or_called),
      cmocka_unit_test(it_suspends_through_pcall_and_generators),
      cmocka_unit_test(its_time_passes),
      cmocka_unit_test(a_wait_that_is_woken_leaves_no_timer),
      cmocka_unit_test(a_ring_when_the_time_has_just_passed_counts),
      cmocka_unit_test(a_wait_can_serve_again),
      cmocka_unit_test(a_continuation_may_raise),
      cmocka_unit_test(a_continuation_may_suspend_again),
      cmocka_unit_test(cancelling_the_task_calls_cancel_at_once),
      cmocka_unit_test(a_task_cancelled_after_the_ring_is_called_off),
      cmocka_unit_test(a_second_cancel_is_one_more_request_only),
      cmocka_unit_test(a_task_that_cancelled_itself_does_not_wait),
      cmocka_unit_test(the_end_of_the_run_calls_waits_off),
      cmocka_unit_test(a_run_that_is_broken_off_calls_waits_off),
      cmocka_unit_test(a_function_that_suspends_needs_a_task),
      cmocka_unit_test(two_tasks_cannot_share_a_wait),
      cmocka_unit_test(a_wait_that_nothing_can_end_is_a_deadlock),
      cmocka_unit_test(a_dump_names_what_is_awaited),
      cmocka_unit_test(the_loop_is_the_vms_own_or_the_hosts),
  };
  return cmocka_run_group_tests_name("suspend", tests, NULL, NULL);
}
