/*
** interrupt.c - tests how a host asks a program to stop, and that nothing of
** it is lost, wherever the program is.
*/
#include "capi.h"

/* Calls `f` once, so many milliseconds from now, with the VM as `data`. */
static void start_timer(uv_timer_t *timer, uv_loop_t *loop, neap_vm *vm,
                        uv_timer_cb f, uint64_t delay) {
  assert_int_equal(uv_timer_init(loop, timer), 0);
  timer->data = vm;
  assert_int_equal(uv_timer_start(timer, f, delay, 0), 0);
}

static void close_all(uv_timer_t *timer, neap_vm *vm, uv_loop_t *loop) {
  uv_close((uv_handle_t *)timer, NULL);
  close_vm(vm);
  close_loop(loop);
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
  start_timer(&timer, &loop, vm, interrupt, 5);
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
  close_all(&timer, vm, &loop);
}

static void interrupt_twice(uv_timer_t *timer) {
  neap_interrupt(timer->data);
  neap_interrupt(timer->data);
}

/* The loop sees them together. */
static void two_interrupts_at_once_wait_for_no_cleanup(void **state) {
  uv_loop_t loop;
  uv_timer_t timer;
  neap_vm *vm = new_vm_on(&loop);
  (void)state;
  start_timer(&timer, &loop, vm, interrupt_twice, 5);
  run_lua_failing(vm, "run(async(function()\n"
                      "  local guard <close> = setmetatable({}, {\n"
                      "    __close = function()\n"
                      "      await(sleep(0.1)) missed = true\n"
                      "    end})\n"
                      "  await(sleep(1000))\n"
                      "end)())");
  assert_true(neap_iskeyboardinterrupt(neap_lua(vm), -1));
  assert_false(global_is_true(vm, "missed"));
  close_all(&timer, vm, &loop);
}

/* Lua: interrupts the VM that calls it. */
static int interrupt_myself(lua_State *L) {
  neap_interrupt(neap_from_lua(L));
  return 0;
}

/* Runs a chunk in which run ends by an interrupt, before it sets `missed`. */
static void check_interrupted(neap_vm *vm, const char *code) {
  run_lua_failing(vm, code);
  assert_true(neap_iskeyboardinterrupt(neap_lua(vm), -1));
  assert_false(global_is_true(vm, "missed"));
  lua_settop(neap_lua(vm), 0);
}

static int answers[5]; /* of neap_interrupt */
static int answered;

/* Lua: interrupts, and keeps the answer. */
static int interrupt_asking(lua_State *L) {
  assert_true(answered < 5);
  answers[answered++] = neap_interrupt(neap_from_lua(L));
  return 0;
}

static void an_interrupt_tells_how_many_came_in_this_run(void **state) {
  static const int expected[] = {0, 1, 2, 1, 2};
  neap_vm *vm = new_vm(NULL);
  (void)state;
  lua_register(neap_lua(vm), "interrupt", interrupt_asking);
  run_lua_failing(vm, "interrupt() while true do end");
  lua_settop(neap_lua(vm), 0);
  for (int i = 0; i < 2; i++)
    check_interrupted(vm, "run(async(function()\n"
                          "  interrupt()\n"
                          "  require 'asyncio'.catch(await, sleep(1000))\n"
                          "  interrupt()\n"
                          "  await(sleep(1000))\n"
                          "end)())");
  assert_int_equal(answered, 5);
  assert_memory_equal(answers, expected, sizeof expected);
  close_vm(vm);
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

/* {======================================================
** Where the core's own code runs
** ======================================================= */

/* The second one is raised at the next event: where the first report is
   made. */
static void report(void *ud, const char *text, size_t len) {
  neap_vm **due = ud, *vm = *due;
  (void)len;
  assert_null(strstr(text, "not enough memory"));
  *due = NULL;
  if (vm == NULL)
    return;
  neap_interrupt(vm);
  neap_interrupt(vm);
}

static void ask_for_a_dump(uv_timer_t *timer) {
  (void)neap_dump(timer->data);
}

static void an_interrupt_in_a_report_ends_the_run(void **state) {
  static const char *const codes[] = {
    "run(async(function()\n"
    "  require 'asyncio'.call_soon(error, 'x')\n"
    "  await(sleep(0.1)) missed = true\n"
    "end)())",
    "require 'asyncio'.slow_callback_duration = 0\n"
    "run(async(function()\n"
    "  await(sleep(0.1)) missed = true\n"
    "end)(), {debug = true})",
    "run(async(function()\n" /* of a dump */
    "  await(sleep(0.1)) missed = true\n"
    "end)())",
  };
  (void)state;
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    neap_config config;
    neap_vm *vm, *due;
    uv_loop_t loop;
    uv_timer_t timer;
    assert_int_equal(uv_loop_init(&loop), 0);
    neap_config_init(&config);
    config.capabilities = NEAP_CAN_ALL;
    config.module_path = own_modules();
    config.report = report;
    config.report_ud = &due;
    config.loop = &loop;
    vm = due = new_vm(&config);
    start_timer(&timer, &loop, vm, ask_for_a_dump, 20);
    check_interrupted(vm, codes[i]);
    assert_null(due);
    close_all(&timer, vm, &loop);
  }
}

/* In the turn that follows a poll, the first job is the core's. */
static void an_interrupt_ends_a_run_in_any_job(void **state) {
  static const char *const jobs[] = {
    "create_task(sleep(1000))", /* begins, on a new Lua thread */
    "local f = asyncio.Future() gather(f) f:set_exception 'x'",
  };
  (void)state;
  for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
    char code[500];
    uv_loop_t loop;
    uv_timer_t timer;
    neap_vm *vm = new_vm_on(&loop);
    start_timer(&timer, &loop, vm, interrupt_twice, 20);
    snprintf(code, sizeof code,
             "asyncio = require 'asyncio'\n"
             "run(async(function()\n"
             "  local over = asyncio.time() + 0.5\n"
             "  while asyncio.time() < over do %s await(sleep(0)) end\n"
             "  missed = true\n"
             "end)())",
             jobs[i]);
    check_interrupted(vm, code);
    close_all(&timer, vm, &loop);
  }
}

/* An allocator that interrupts a VM. */
typedef struct interrupting {
  neap_vm *vm;
  int times;
  size_t size; /* when so much is wanted; 0: at once */
} interrupting;

static void *interrupting_alloc(void *ud, void *block, size_t old_size,
                                size_t size) {
  interrupting *due = ud;
  neap_vm *vm = due->vm;
  (void)old_size;
  if (vm != NULL && (due->size == 0 || due->size == size)) {
    due->vm = NULL;
    for (int i = 0; i < due->times; i++)
      neap_interrupt(vm);
  }
  if (size > 0)
    return realloc(block, size);
  free(block);
  return NULL;
}

static neap_vm *new_vm_from(interrupting *due) {
  neap_config config;
  neap_config_init(&config);
  config.capabilities = NEAP_CAN_ALL;
  config.alloc = interrupting_alloc;
  config.alloc_ud = due;
  due->vm = NULL;
  return new_vm(&config);
}

/* Where no Lua could be told: run looks after what came while it began. */
static void an_interrupt_while_a_run_begins_cancels_it(void **state) {
  interrupting due;
  neap_vm *vm = new_vm_from(&due);
  lua_State *L = neap_lua(vm);
  (void)state;
  run_lua(vm, "main = async(function() await(sleep(0.1)) missed = true end)()");
  lua_getglobal(L, "run");
  lua_getglobal(L, "main");
  due = (interrupting){vm, 1, 0}; /* for the handles of the loop */
  assert_int_equal(lua_pcall(L, 1, 0, 0), LUA_ERRRUN);
  assert_null(due.vm);
  assert_true(neap_iskeyboardinterrupt(L, -1));
  assert_false(global_is_true(vm, "missed"));
  close_vm(vm);
}

/* Its Lua thread returns then, with nobody to catch an error. */
static void an_interrupt_while_a_task_ends_is_not_lost(void **state) {
  interrupting due;
  neap_vm *vm = new_vm_from(&due);
  (void)state;
  due = (interrupting){vm, 2, 1234 * 16}; /* bytes: its results */
  check_interrupted(vm, "run(async(function()\n"
                        "  create_task(async(function()\n"
                        "    return table.unpack({}, 1, 1234)\n"
                        "  end)())\n"
                        "  await(sleep(0.1)) missed = true\n"
                        "end)())");
  assert_null(due.vm);
  close_vm(vm);
}

static interrupting *armed;

/* Lua: two come at the next allocation. */
static int arm(lua_State *L) {
  *armed = (interrupting){neap_from_lua(L), 2, 0};
  return 0;
}

/* A task that was cancelled before it began ends in the core's own code, which
   the hook stops when it returns. */
static void an_interrupt_while_a_cancelled_task_ends_is_not_lost(void **state) {
  interrupting due;
  neap_vm *vm = new_vm_from(&due);
  (void)state;
  armed = &due;
  lua_register(neap_lua(vm), "arm", arm);
  check_interrupted(vm, "run(async(function()\n"
                        "  create_task(sleep(1)):cancel()\n"
                        "  arm()\n"
                        "  await(sleep(0))\n"
                        "  await(sleep(0.1)) missed = true\n"
                        "end)())");
  assert_null(due.vm);
  close_vm(vm);
}

/* ====================================================== } */

/* {======================================================
** What the host runs
** ======================================================= */

static int checkpoint(neap_frame *frame, void *ud) {
  (void)ud;
  return neap_checkpoint(frame);
}

static void an_interrupt_that_finds_no_script_stops_no_later_one(void **state) {
  interrupting due;
  neap_vm *vm = new_vm_from(&due);
  neap_value script = load_text(vm, "x", "error(('x'):rep(1234), 0)");
  (void)state;
  assert_int_equal(neap_register(vm, "check", checkpoint, NULL), NEAP_OK);
  due = (interrupting){vm, 1, 1235}; /* the message is copied for neap_error */
  assert_int_equal(neap_call(vm, &script, NULL, 0, NULL, 0, 0), NEAP_ESCRIPT);
  assert_null(due.vm);
  script = load_text(vm, "x", "check() coroutine.wrap(check)()");
  assert_int_equal(neap_call(vm, &script, NULL, 0, NULL, 0, 0), NEAP_OK);
  close_vm(vm);
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_interrupt_ends_a_run_that_waits),
    cmocka_unit_test(two_interrupts_at_once_wait_for_no_cleanup),
    cmocka_unit_test(an_interrupt_tells_how_many_came_in_this_run),
    cmocka_unit_test(an_interrupt_stops_a_task_that_spins),
    cmocka_unit_test(an_interrupt_outside_run_is_an_error),
    cmocka_unit_test(other_errors_are_no_keyboard_interrupts),
    cmocka_unit_test(an_interrupt_in_a_report_ends_the_run),
    cmocka_unit_test(an_interrupt_ends_a_run_in_any_job),
    cmocka_unit_test(an_interrupt_while_a_run_begins_cancels_it),
    cmocka_unit_test(an_interrupt_while_a_task_ends_is_not_lost),
    cmocka_unit_test(an_interrupt_while_a_cancelled_task_ends_is_not_lost),
    cmocka_unit_test(an_interrupt_that_finds_no_script_stops_no_later_one),
  };
  return cmocka_run_group_tests_name("interrupt", tests, NULL, NULL);
}
