/*
** memory.c - tests a VM when memory runs out: every request fails in turn,
** and each time the VM says so, stays whole, and gives all back.
*/
#include "capi.h"

static void config_on(neap_config *config, heap *memory, reports *said) {
  neap_config_init(config);
  config->capabilities = NEAP_CAN_ALL;
  config->alloc = heap_alloc;
  config->alloc_ud = memory;
  config->report = reports_add;
  config->report_ud = said;
  config->module_path = own_modules();
}

static void creation_fails_at_every_request(void **state) {
  reports said = {0, ""};
  heap memory;
  (void)state;
  for (long n = 0;; n++) {
    neap_config config;
    neap_vm *vm = NULL;
    int status;
    memory = (heap){0, n, 0, 0};
    config_on(&config, &memory, &said);
    config.module_path = "/nonexistent";
    status = neap_new(&vm, &config);
    if (memory.failures == 0) {
      assert_int_equal(status, NEAP_OK);
      close_vm(vm);
      assert_int_equal(memory.blocks, 0);
      assert_true(n > 100);
      return;
    }
    /* what it could do without is another matter */
    if (status == NEAP_OK)
      close_vm(vm);
    else
      assert_int_equal(status, NEAP_ENOMEM);
    assert_int_equal(memory.blocks, 0);
  }
}

/* Lua: asks for a dump of the VM that calls it. */
static int ask_for_dump(lua_State *L) {
  neap_dump(neap_from_lua(L));
  return 0;
}

/*
** Runs `program` (a Lua function body) again and again in one VM, each
** time with the failure one request later, until there is none. `in_a_row`
** requests fail (Lua asks again after a collection), 0: all that follow.
** `before`, if not NULL, runs first, without failures; if it defines the
** function `check`, that must find all whole each time.
*/
static void fail_in_turn_after(const char *before, const char *program,
                               int in_a_row) {
  reports said = {0, ""};
  heap memory = {0, -1, in_a_row, 0};
  neap_config config;
  neap_vm *vm;
  lua_State *L;
  config_on(&config, &memory, &said);
  vm = new_vm(&config);
  L = neap_lua(vm);
  assert_int_equal(luaL_loadstring(L, program), LUA_OK);
  lua_setglobal(L, "program");
  lua_register(L, "ask_for_dump", ask_for_dump);
  run_lua(vm, "run(async(function() await(sleep(0)) end)())");
  if (before != NULL)
    run_lua(vm, before);
  for (long n = 0;; n++) {
    int status;
    lua_getglobal(L, "program");
    memory.countdown = n;
    memory.failures = 0;
    status = lua_pcall(L, 0, 0, 0);
    memory.countdown = -1;
    if (memory.failures == 0) {
      if (status != LUA_OK)
        fail_msg("request %ld: %s", n, luaL_tolstring(L, -1, NULL));
      break;
    }
    /* an error says what is wrong */
    if (status != LUA_OK)
      assert_contains(luaL_tolstring(L, -1, NULL), "not enough memory");
    lua_settop(L, 0);
    /* nothing is left over, and the VM works */
    run_lua(vm, "assert(#require 'asyncio'.all_tasks() == 0)\n"
                "local work = async(function(x) await(sleep(0)) return x end)\n"
                "local t = run(async(function()\n"
                "  return await(gather(work(1), create_task(work(2))))\n"
                "end)())\n"
                "assert(t[1] == 1 and t[2] == 2)");
    run_lua(vm, "if check then check() end");
  }
  close_vm(vm);
  assert_int_equal(memory.blocks, 0);
}

static void fail_in_turn(const char *program, int in_a_row) {
  fail_in_turn_after(NULL, program, in_a_row);
}

static const char tasks[] =
  "local work = async(function(i)\n"
  "  await(sleep(0)) await(sleep(0.0001)) return i\n"
  "end)\n"
  "run(async(function()\n"
  "  local list = {}\n"
  "  for i = 1, 8 do list[i] = create_task(work(i)) end\n"
  "  for i = 1, 8 do assert(await(list[i]) == i) end\n"
  "end)())";

static const char others[] =
  "local asyncio = require 'asyncio'\n"
  "local work = async(function(i) await(sleep(0)) return i, i, i end)\n"
  "run(async(function()\n"
  "  local future = asyncio.Future()\n"
  "  future:add_done_callback(function() end)\n"
  "  asyncio.call_soon(function(x) future:set_result(x) end, 1)\n"
  "  asyncio.call_later(0.0001, function() end)\n"
  "  assert(await(future) == 1)\n"
  "  local task = create_task(work(3), {name = 'third'})\n"
  "  local results = await(gather{work(1), task, work(2)})\n"
  "  assert(results.n == 3)\n"
  "  local lost = create_task(work(1))\n"
  "  lost:cancel()\n"
  "  await(sleep(0)) await(sleep(0))\n"
  "  assert(lost:cancelled())\n"
  "end)())";

/* Tasks that await each other. */
static const char deadlock[] =
  "local asyncio = require 'asyncio'\n"
  "local ok, err = asyncio.catch(run, async(function()\n"
  "  local a, b\n"
  "  a = create_task(async(function() await(b) end)())\n"
  "  b = create_task(async(function() await(a) end)())\n"
  "  await(a)\n"
  "end)())\n"
  "if not tostring(err):find '^deadlock' then error(err, 0) end";

/* Tasks that are left over at the end of run; one cleanup fails. */
static const char leftovers[] =
  "local asyncio = require 'asyncio'\n"
  "run(async(function()\n"
  "  for i = 1, 3 do create_task(async(function()\n"
  "    local guard <close> = setmetatable({}, {__close = function()\n"
  "      await(sleep(0)) if i == 2 then error('boom') end\n"
  "    end})\n"
  "    await(sleep(100))\n"
  "  end)()) end\n"
  "  create_task(async(function() await(asyncio.Future()) end)())\n"
  "  await(sleep(0))\n"
  "end)())";

/* Dumps of tasks in every state. */
static const char dumps[] =
  "local asyncio = require 'asyncio'\n"
  "run(async(function()\n"
  "  local future = asyncio.Future()\n"
  "  local a = create_task(async(function() await(future) end)())\n"
  "  local b = gather(a, future, sleep(0.0001))\n"
  "  create_task(async(function() await(b) end)())\n"
  "  create_task(async(function() await(a) end)())\n"
  "  await(sleep(0))\n"
  "  local done = false\n"
  "  ask_for_dump() done = true\n"
  "  asyncio.dump()\n"
  "  asyncio.dump{write = function() end}\n"
  "  future:set_result()\n"
  "  await(b)\n"
  "end)())";

/* Leftovers that cannot be ended, children of a gather among them. */
static const char stuck[] =
  "local asyncio = require 'asyncio'\n"
  "local work = async(function()\n"
  "  local guard <close> = setmetatable({}, {__close = function()\n"
  "    await(asyncio.Future())\n"
  "  end})\n"
  "  await(sleep(100))\n"
  "end)\n"
  "run(async(function()\n"
  "  for i = 1, 3 do create_task(work()) end\n"
  "  local all = gather(create_task(work()))\n"
  "  await(sleep(0))\n"
  "end)())";

/* Errors, cancellation, and a generator that awaits. */
static const char errors[] =
  "local asyncio = require 'asyncio'\n"
  "run(async(function()\n"
  "  local t = {return_exceptions = true}\n"
  "  for i = 1, 3 do\n"
  "    t[i] = create_task(async(function() await(sleep(0)) error({}) end)())\n"
  "    t[i]:add_done_callback(function() error('callback') end)\n"
  "  end\n"
  "  await(gather(t))\n"
  "  local u = create_task(async(function() await(sleep(100)) end)())\n"
  "  await(sleep(0)) u:cancel('message') asyncio.catch(await, u)\n"
  "  local v = gather(sleep(100), sleep(100))\n"
  "  await(sleep(0)) v:cancel('message') asyncio.catch(await, v)\n"
  "  local w = coroutine.wrap(function()\n"
  "    await(sleep(0)) coroutine.yield(1) await(sleep(0))\n"
  "  end)\n"
  "  w() w()\n"
  "end)())";

/* What waits in line, is cancelled there, and is woken: the objects live on,
   and nothing of them may be lost. */
static const char objects[] =
  "asyncio = require 'asyncio'\n"
  "function hold(o)\n"
  "  local guard <close> = await(o.lock:acquire())\n"
  "  local permit <close> = await(o.limit:acquire())\n"
  "  await(sleep(0))\n"
  "end\n"
  "o = {lock = asyncio.Lock(), queue = asyncio.Queue(3),\n"
  "  limit = asyncio.BoundedSemaphore(1), event = asyncio.Event()}\n"
  "function check()\n"
  "  assert(not o.lock:locked() and not o.limit:locked())\n"
  "  while not o.queue:empty() do o.queue:get_nowait() end\n"
  "  run(async(function()\n"
  "    hold(o) await(o.queue:put(1)) assert(await(o.queue:get()) == 1)\n"
  "  end)())\n"
  "end";

static const char library[] =
  "run(async(function()\n"
  "  local holders = {}\n"
  "  for i = 1, 4 do holders[i] = create_task(async(hold)(o)) end\n"
  "  local waiter = create_task(o.event:wait())\n"
  "  await(sleep(0))\n"
  "  pcall(holders[3].cancel, holders[3], 'message')\n"
  "  local puts = create_task(async(function()\n"
  "    for i = 1, 3 do await(o.queue:put(i)) end\n"
  "  end)())\n"
  "  await(puts)\n"
  "  for i = 1, 3 do assert(await(o.queue:get()) == i) end\n"
  "  o.event:set() await(waiter) o.event:clear()\n"
  "  for i = 1, 4 do asyncio.catch(await, holders[i]) end\n"
  "end)())";

/* A text of JSON and back, with errors, and more than fits at first. */
static const char json[] =
  "local json = require 'json'\n"
  "local value = {{a = 1, b = {}}, ('text\\n'):rep(1000)}\n"
  "for i = 3, 100 do value[i] = {[tostring(i)] = i / 3} end\n"
  "for i = 1, 50 do value = {value} end\n"
  "local text = json.encode(value)\n"
  "assert(json.encode(json.decode(text), {sort_keys = false}) ~= '')\n"
  "local ok, err = pcall(json.decode, text .. ',')\n"
  "assert(not ok)\n"
  "if not err.pos then error(err, 0) end";

/* Requests that are refused, or to a port where nobody is. */
static const char http[] =
  "local http = require 'http'\n"
  "local asyncio = require 'asyncio'\n"
  "run(async(function()\n"
  "  local session <close> = http.ClientSession{headers = {a = 'b'}, cookies = {c = 'd'}}\n"
  "  for _, url in ipairs{'http://127.0.0.1:1/x', 'http://u:p@127.0.0.1:1/', 'ftp://x/'} do\n"
  "    local ok, err = asyncio.catch(await, session:post(url, {form = {a = 1}, params = {b = 2}}))\n"
  "    assert(not ok)\n"
  "    if not asyncio.isinstance(err, http.ClientError) then error(err, 0) end\n"
  "  end\n"
  "end)())";

static void tasks_fail_at_every_request(void **state) {
  (void)state;
  fail_in_turn(tasks, 0);
}

static void tasks_survive_a_single_failure(void **state) {
  (void)state;
  fail_in_turn(tasks, 1);
}

static void futures_callbacks_and_gather_fail_at_every_request(void **state) {
  (void)state;
  fail_in_turn(others, 0);
}

static void futures_callbacks_and_gather_survive_a_single_failure(
    void **state) {
  (void)state;
  fail_in_turn(others, 1);
}

static void a_deadlock_fails_at_every_request(void **state) {
  (void)state;
  fail_in_turn(deadlock, 0);
}

static void a_deadlock_survives_a_single_failure(void **state) {
  (void)state;
  fail_in_turn(deadlock, 1);
}

static void leftover_tasks_fail_at_every_request(void **state) {
  (void)state;
  fail_in_turn(leftovers, 0);
}

static void leftover_tasks_survive_a_single_failure(void **state) {
  (void)state;
  fail_in_turn(leftovers, 1);
}

static void tasks_that_cannot_end_fail_at_every_request(void **state) {
  (void)state;
  fail_in_turn(stuck, 0);
}

static void tasks_that_cannot_end_survive_a_single_failure(void **state) {
  (void)state;
  fail_in_turn(stuck, 1);
}

static void errors_and_cancellation_fail_at_every_request(void **state) {
  (void)state;
  fail_in_turn(errors, 0);
}

static void errors_and_cancellation_survive_a_single_failure(void **state) {
  (void)state;
  fail_in_turn(errors, 1);
}

static void dumps_fail_at_every_request(void **state) {
  (void)state;
  fail_in_turn(dumps, 0);
}

static void dumps_survive_a_single_failure(void **state) {
  (void)state;
  fail_in_turn(dumps, 1);
}

static void the_library_survives_a_single_failure(void **state) {
  (void)state;
  fail_in_turn_after(objects, library, 1);
}

static void the_library_survives_two_failures_in_a_row(void **state) {
  (void)state;
  fail_in_turn_after(objects, library, 2);
}

static void cancellation_survives_two_failures_in_a_row(void **state) {
  (void)state;
  fail_in_turn(errors, 2);
}

static void json_fails_at_every_request(void **state) {
  (void)state;
  fail_in_turn(json, 0);
}

static void json_survives_a_single_failure(void **state) {
  (void)state;
  fail_in_turn(json, 1);
}

static void http_survives_a_single_failure(void **state) {
  (void)state;
  fail_in_turn(http, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(creation_fails_at_every_request),
    cmocka_unit_test(tasks_fail_at_every_request),
    cmocka_unit_test(tasks_survive_a_single_failure),
    cmocka_unit_test(futures_callbacks_and_gather_fail_at_every_request),
    cmocka_unit_test(futures_callbacks_and_gather_survive_a_single_failure),
    cmocka_unit_test(a_deadlock_fails_at_every_request),
    cmocka_unit_test(a_deadlock_survives_a_single_failure),
    cmocka_unit_test(leftover_tasks_fail_at_every_request),
    cmocka_unit_test(leftover_tasks_survive_a_single_failure),
    cmocka_unit_test(tasks_that_cannot_end_fail_at_every_request),
    cmocka_unit_test(tasks_that_cannot_end_survive_a_single_failure),
    cmocka_unit_test(errors_and_cancellation_fail_at_every_request),
    cmocka_unit_test(errors_and_cancellation_survive_a_single_failure),
    cmocka_unit_test(dumps_fail_at_every_request),
    cmocka_unit_test(dumps_survive_a_single_failure),
    cmocka_unit_test(the_library_survives_a_single_failure),
    cmocka_unit_test(the_library_survives_two_failures_in_a_row),
    cmocka_unit_test(cancellation_survives_two_failures_in_a_row),
    cmocka_unit_test(json_fails_at_every_request),
    cmocka_unit_test(json_survives_a_single_failure),
    cmocka_unit_test(http_survives_a_single_failure),
  };
  return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
