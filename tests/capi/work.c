/*
** work.c - tests what modules do on libuv's threads (stdlib/module/work.c):
** who is called when, with and without a task that waits.
*/
#include "../../stdlib/module/module.h"
#include "threads.h"

#define POOL 4 /* threads, unless UV_THREADPOOL_SIZE says otherwise */

/* What several works share, and what became of them. */
typedef struct bench {
  module_line line;
  uv_sem_t begun, go; /* of works that wait */
  _Atomic int runs, saw_cancelled;
  int dones, disposals, disposed_at_done;
  char log[64]; /* a letter for each run, done and dispose of a line */
  int waits, raises, is_stubborn, in_line; /* of the works to come */
} bench;

typedef struct job {
  module_work work;
  bench *b;
  char name;
  int waits, raises;
} job;

static void note(bench *b, const char *what, char name) {
  size_t len = strlen(b->log);
  assert_true(len + 3 < sizeof b->log);
  snprintf(b->log + len, sizeof b->log - len, "%s%c", what, name);
}

static void job_run(module_work *work) {
  job *j = (job *)work;
  if (j->waits) {
    uv_sem_post(&j->b->begun);
    uv_sem_wait(&j->b->go);
  }
  j->b->saw_cancelled += atomic_load(&work->cancelled);
  j->b->runs++;
  if (work->line != NULL)
    note(j->b, "r", j->name);
}

static int job_done(lua_State *L, module_work *work) {
  job *j = (job *)work;
  j->b->dones++;
  j->b->disposed_at_done = j->b->disposals;
  if (work->line != NULL)
    note(j->b, "d", j->name);
  if (j->raises)
    return luaL_error(L, "it raises");
  lua_pushvalue(L, 1);
  return 1;
}

static void job_dispose(module_work *work) {
  job *j = (job *)work;
  j->b->disposals++;
  if (work->line != NULL)
    note(j->b, "x", j->name);
}

/* Lua: work(name) -> name */
static int lua_work(lua_State *L) {
  bench *b = lua_touserdata(L, lua_upvalueindex(1));
  const char *name = luaL_checkstring(L, 1);
  job *j = module_work_new(L, sizeof *j);
  j->work.run = job_run;
  j->work.done = job_done;
  j->work.dispose = job_dispose;
  j->work.what = "a test";
  j->work.to_the_end = b->is_stubborn;
  j->work.line = b->in_line ? &b->line : NULL;
  j->b = b;
  j->name = *name;
  j->waits = b->waits;
  j->raises = b->raises;
  return module_work_run(L, &j->work);
}

/* Lua: begun() -> whether a work has begun that it has not yet told of */
static int lua_begun(lua_State *L) {
  bench *b = lua_touserdata(L, lua_upvalueindex(1));
  lua_pushboolean(L, uv_sem_trywait(&b->begun) == 0);
  return 1;
}

/* Lua: go(): lets a work that waits go on */
static int lua_go(lua_State *L) {
  uv_sem_post(&((bench *)lua_touserdata(L, lua_upvalueindex(1)))->go);
  return 0;
}

static void set_global(lua_State *L, const char *name, lua_CFunction f,
                       bench *b) {
  lua_pushlightuserdata(L, b);
  lua_pushcclosure(L, f, 1);
  lua_setglobal(L, name);
}

static neap_vm *new_vm_for(bench *b, uv_loop_t *loop) {
  neap_config config;
  neap_vm *vm;
  memset(b, 0, sizeof *b);
  assert_int_equal(uv_sem_init(&b->begun, 0), 0);
  assert_int_equal(uv_sem_init(&b->go, 0), 0);
  neap_config_init(&config);
  config.capabilities = NEAP_CAN_ALL;
  config.loop = loop;
  vm = new_vm(&config);
  set_global(neap_lua(vm), "work", lua_work, b);
  set_global(neap_lua(vm), "begun", lua_begun, b);
  set_global(neap_lua(vm), "go", lua_go, b);
  run_lua(vm, "asyncio = require 'asyncio'\n"
              "work = async(work, 'work')\n"
              "function until_begun()\n"
              "  while not begun() do await(sleep(0)) end\n"
              "end\n"
              "function cancelled(task)\n"
              "  task:cancel()\n"
              "  local ok, e = asyncio.catch(await, task)\n"
              "  assert(not ok and asyncio.isinstance(e, "
              "asyncio.CancelledError))\n"
              "end");
  return vm;
}

static void end(neap_vm *vm, bench *b) {
  close_vm(vm);
  uv_sem_destroy(&b->begun);
  uv_sem_destroy(&b->go);
}

static void work_gives_its_results_and_is_then_disposed_of(void **state) {
  bench b;
  neap_vm *vm = new_vm_for(&b, NULL);
  (void)state;
  run_script(vm, "assert(await(work('a')) == 'a')");
  assert_int_equal(b.runs, 1);
  assert_int_equal(b.dones, 1);
  assert_int_equal(b.disposed_at_done, 0);
  assert_int_equal(b.disposals, 1);
  end(vm, &b);
  assert_int_equal(b.disposals, 1);
}

static void an_error_of_done_disposes_of_it_at_once(void **state) {
  bench b;
  neap_vm *vm = new_vm_for(&b, NULL);
  (void)state;
  b.raises = 1;
  run_script(vm, "collectgarbage 'stop' "
                 "local ok, e = pcall(await, work('a')) "
                 "assert(not ok and e:find('it raises', 1, true), e)");
  assert_int_equal(b.disposals, 1);
  end(vm, &b);
}

static void outside_a_task_it_raises_and_is_disposed_of(void **state) {
  bench b;
  neap_vm *vm = new_vm_for(&b, NULL);
  (void)state;
  run_lua_failing(vm, "local f = work('a') debug.getuservalue(f, 1)('a')");
  lua_settop(neap_lua(vm), 0);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(b.dones, 0);
  assert_int_equal(b.disposals, 1);
  end(vm, &b);
}

static void work_that_has_begun_is_told_of_the_cancel(void **state) {
  bench b;
  neap_vm *vm = new_vm_for(&b, NULL);
  (void)state;
  b.waits = 1;
  run_script(vm, "local t = create_task(work('a')) await(sleep(0)) "
                 "until_begun() cancelled(t) go()");
  assert_int_equal(b.runs, 1);
  assert_int_equal(b.saw_cancelled, 1);
  assert_int_equal(b.dones, 0);
  assert_int_equal(b.disposals, 1);
  end(vm, &b);
}

static void work_that_has_not_begun_is_left_out(void **state) {
  bench b;
  neap_vm *vm = new_vm_for(&b, NULL);
  (void)state;
  b.waits = 1;
  run_script(vm, "local list = {} for i = 1, 5 do "
                 "list[i] = create_task(work('a')) end await(sleep(0)) "
                 "for i = 1, 4 do until_begun() end cancelled(list[5]) "
                 "for i = 1, 4 do go() end "
                 "for i = 1, 4 do await(list[i]) end");
  assert_int_equal(b.runs, POOL);
  assert_int_equal(b.dones, POOL);
  assert_int_equal(b.disposals, POOL + 1);
  end(vm, &b);
}

/* It has ended, and the task is cancelled before it goes on. */
static void work_that_has_ended_may_have_no_task_any_more(void **state) {
  bench b;
  uv_loop_t loop;
  neap_vm *vm;
  neap_task task;
  int status = NEAP_OK;
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  vm = new_vm_for(&b, &loop);
  task = spawn(vm, "await(work('a'))", note_status, &status);
  do
    uv_run(&loop, UV_RUN_NOWAIT);
  while (b.runs == 0 || loop.active_reqs.count > 0);
  assert_int_equal(neap_cancel(vm, task, NULL), NEAP_OK);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(status, NEAP_ECANCELED);
  assert_int_equal(b.dones, 0);
  assert_int_equal(b.disposals, 1);
  end(vm, &b);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&loop), 0);
}

static void work_to_the_end_is_done_whatever_becomes_of_its_task(void **state) {
  bench b;
  neap_vm *vm = new_vm_for(&b, NULL);
  (void)state;
  b.is_stubborn = 1;
  b.waits = 1;
  run_script(vm, "local list = {} for i = 1, 5 do "
                 "list[i] = create_task(work('a')) end await(sleep(0)) "
                 "for i = 1, 4 do until_begun() end "
                 "for i = 1, 5 do cancelled(list[i]) end "
                 "for i = 1, 5 do go() end");
  assert_int_equal(b.runs, POOL + 1);
  assert_int_equal(b.saw_cancelled, 0);
  assert_int_equal(b.dones, 0);
  assert_int_equal(b.disposals, POOL + 1);
  end(vm, &b);
}

static void works_of_a_line_are_done_one_after_the_other(void **state) {
  bench b;
  neap_vm *vm = new_vm_for(&b, NULL);
  (void)state;
  b.in_line = 1;
  run_script(vm, "await(gather(work('a'), work('b'), work('c'))) "
                 "await(work('d'))");
  assert_string_equal(b.log, "radaxarbdbxbrcdcxcrdddxd");
  end(vm, &b);
}

static void an_error_does_not_stop_a_line(void **state) {
  bench b;
  neap_vm *vm = new_vm_for(&b, NULL);
  (void)state;
  b.in_line = b.raises = 1;
  run_script(vm, "collectgarbage 'stop' await(gather{work('a'), work('b'), "
                 "return_exceptions = true})");
  assert_string_equal(b.log, "radaxarbdbxb");
  end(vm, &b);
}

static void who_stands_in_line_can_leave_it(void **state) {
  bench b;
  neap_vm *vm = new_vm_for(&b, NULL);
  (void)state;
  b.in_line = b.waits = 1;
  run_script(vm, "local l = {} for i, name in ipairs{'a', 'b', 'c', 'd'} do "
                 "l[i] = create_task(work(name)) end await(sleep(0)) "
                 "until_begun() cancelled(l[2]) cancelled(l[4]) go() "
                 "await(l[1]) until_begun() go() await(l[3])");
  assert_string_equal(b.log, "xbxdradaxarcdcxc");
  end(vm, &b);
}

/* The first is cancelled while it runs: the next waits for its end. */
static void a_line_goes_on_when_what_was_cancelled_has_ended(void **state) {
  bench b;
  neap_vm *vm = new_vm_for(&b, NULL);
  (void)state;
  b.in_line = b.waits = 1;
  run_script(vm, "local l = {} for i, name in ipairs{'a', 'b'} do "
                 "l[i] = create_task(work(name)) end await(sleep(0)) "
                 "until_begun() cancelled(l[1]) go() until_begun() go() "
                 "await(l[2])");
  assert_string_equal(b.log, "raxarbdbxb");
  end(vm, &b);
}

static void what_is_done_to_the_end_keeps_its_place_in_line(void **state) {
  bench b;
  neap_vm *vm = new_vm_for(&b, NULL);
  (void)state;
  b.in_line = b.waits = b.is_stubborn = 1;
  run_script(vm, "local l = {} for i, name in ipairs{'a', 'b', 'c'} do "
                 "l[i] = create_task(work(name)) end await(sleep(0)) "
                 "until_begun() cancelled(l[2]) go() "
                 "until_begun() go() until_begun() go() await(l[3])");
  assert_string_equal(b.log, "radaxarbxbrcdcxc");
  end(vm, &b);
}

static void the_end_of_a_run_does_not_wait_for_work(void **state) {
  bench b;
  neap_vm *vm = new_vm_for(&b, NULL);
  (void)state;
  b.waits = 1;
  run_lua(vm, "run(async(function() create_task(work('a')) await(sleep(0)) "
              "until_begun() end)())");
  assert_int_equal(b.disposals, 0); /* it is still in use */
  uv_sem_post(&b.go);
  b.waits = 0;
  run_lua(vm, "run(async(function() assert(await(work('b')) == 'b') end)())");
  assert_int_equal(b.dones, 1);
  end(vm, &b);
  assert_int_equal(b.disposals, 2);
}

/* The task is killed, in neap_close: only now its work may end. */
static void let_go(void *ud, neap_vm *vm, int status, const neap_value *results,
                   int nresults) {
  bench *b = ud;
  (void)vm;
  (void)results;
  (void)nresults;
  assert_int_equal(status, NEAP_ECLOSED);
  assert_int_equal(b->disposals, 0);
  uv_sem_post(&b->go);
}

static void the_close_waits_for_work(void **state) {
  bench b;
  int closed = 0;
  neap_vm *vm = new_vm_for(&b, NULL);
  (void)state;
  b.waits = 1;
  spawn(vm, "await(work('a'))", let_go, &b);
  while (neap_tick(vm, 0) == 1)
    ;
  uv_sem_wait(&b.begun);
  assert_int_equal(neap_close(vm, set_flag, &closed), NEAP_OK);
  assert_true(closed);
  assert_int_equal(b.runs, 1);
  assert_int_equal(b.saw_cancelled, 1);
  assert_int_equal(b.dones, 0);
  assert_int_equal(b.disposals, 1);
  end(NULL, &b);
}

static void on_a_hosts_loop_the_end_of_work_ends_the_close(void **state) {
  bench b;
  uv_loop_t loop;
  neap_vm *vm;
  int closed = 0;
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  vm = new_vm_for(&b, &loop);
  b.waits = b.in_line = 1;
  spawn(vm, "create_task(work('a')) create_task(work('b')) await(sleep(9))",
        NULL, NULL);
  while (uv_sem_trywait(&b.begun) != 0)
    uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(neap_close(vm, set_flag, &closed), NEAP_OK);
  for (int i = 0; i < 3; i++)
    uv_run(&loop, UV_RUN_NOWAIT);
  assert_false(closed);
  assert_string_equal(b.log, "xb");
  uv_sem_post(&b.go);
  assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
  assert_true(closed);
  assert_string_equal(b.log, "xbraxa");
  assert_int_equal(uv_loop_close(&loop), 0);
  end(NULL, &b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(work_gives_its_results_and_is_then_disposed_of),
      cmocka_unit_test(an_error_of_done_disposes_of_it_at_once),
      cmocka_unit_test(outside_a_task_it_raises_and_is_disposed_of),
      cmocka_unit_test(work_that_has_begun_is_told_of_the_cancel),
      cmocka_unit_test(work_that_has_not_begun_is_left_out),
      cmocka_unit_test(work_that_has_ended_may_have_no_task_any_more),
      cmocka_unit_test(work_to_the_end_is_done_whatever_becomes_of_its_task),
      cmocka_unit_test(works_of_a_line_are_done_one_after_the_other),
      cmocka_unit_test(an_error_does_not_stop_a_line),
      cmocka_unit_test(who_stands_in_line_can_leave_it),
      cmocka_unit_test(a_line_goes_on_when_what_was_cancelled_has_ended),
      cmocka_unit_test(what_is_done_to_the_end_keeps_its_place_in_line),
      cmocka_unit_test(the_end_of_a_run_does_not_wait_for_work),
      cmocka_unit_test(the_close_waits_for_work),
      cmocka_unit_test(on_a_hosts_loop_the_end_of_work_ends_the_close),
  };
  return cmocka_run_group_tests_name("work", tests, NULL, NULL);
}
