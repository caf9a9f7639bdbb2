/*
** vm.c - tests a VM's life: what it is made of, what it reports, where it
** finds modules, and how it ends.
*/
#include <unistd.h>

#include <sys/stat.h>

#include "capi.h"

static void a_config_has_defaults(void **state) {
  neap_config config;
  (void)state;
  memset(&config, 0xff, sizeof config);
  neap_config_init(&config);
  assert_int_equal(config.capabilities, 0);
  assert_null(config.alloc);
  assert_null(config.loop);
  assert_null(config.report);
  assert_null(config.module_path);
  assert_int_equal(config.debug, 0);
}

static void a_vm_without_a_config_runs_a_task(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  run_lua(vm, "local main = async(function() await(sleep(0)) done = true end)\n"
              "run(main())");
  assert_true(global_is_true(vm, "done"));
  close_vm(vm);
}

static void closing_no_vm_is_allowed(void **state) {
  (void)state;
  assert_int_equal(neap_close(NULL, NULL, NULL), NEAP_OK);
}

static void all_memory_comes_from_the_hosts_allocator_and_returns(void **state) {
  heap memory = {0, -1, 0, 0};
  neap_vm *vm = counted_vm(&memory, NEAP_CAN_ALL);
  (void)state;
  assert_true(memory.blocks > 0);
  run_lua(vm, "local tasks = {}\n"
              "local work = async(function() await(sleep(0.001)) end)\n"
              "run(async(function()\n"
              "  for i = 1, 1000 do tasks[i] = create_task(work()) end\n"
              "  await(gather(tasks))\n"
              "end)())");
  close_vm(vm);
  assert_int_equal(memory.blocks, 0);
}

/* Lua: interrupts the VM that calls it. */
static int interrupt_myself(lua_State *L) {
  neap_interrupt(neap_from_lua(L));
  return 0;
}

/* The second interrupt ends `run` at once, whatever else there is to do. */
static void a_vm_closes_with_work_that_is_not_done(void **state) {
  heap memory = {0, -1, 0, 0};
  reports said = {0, ""};
  neap_config config;
  neap_vm *vm;
  (void)state;
  neap_config_init(&config);
  config.capabilities = NEAP_CAN_ALL;
  config.alloc = heap_alloc;
  config.alloc_ud = &memory;
  config.report = reports_add;
  config.report_ud = &said;
  vm = new_vm(&config);
  lua_register(neap_lua(vm), "interrupt_myself", interrupt_myself);
  run_lua_failing(vm, "local asyncio = require 'asyncio'\n"
                      "local work = async(function() await(sleep(1000)) end)\n"
                      "run(async(function()\n"
                      "  task, coro = create_task(work()), work()\n"
                      "  handle = asyncio.call_later(1000, print)\n"
                      "  future = asyncio.Future()\n"
                      "  future:add_done_callback(print)\n"
                      "  await(sleep(0))\n"
                      "  late = create_task(work())\n"
                      "  interrupt_myself() interrupt_myself()\n"
                      "  await(future)\n"
                      "end)())");
  assert_true(neap_iskeyboardinterrupt(neap_lua(vm), -1));
  close_vm(vm);
  assert_int_equal(memory.blocks, 0);
}

/* Lua: adds 1 to the int of the upvalue. */
static int count_call(lua_State *L) {
  int *calls = lua_touserdata(L, lua_upvalueindex(1));
  ++*calls;
  return 0;
}

static void finalizers_run_when_a_vm_closes(void **state) {
  neap_vm *vm = new_vm(NULL);
  int calls = 0;
  (void)state;
  lua_pushlightuserdata(neap_lua(vm), &calls);
  lua_pushcclosure(neap_lua(vm), count_call, 1);
  lua_setglobal(neap_lua(vm), "count_call");
  run_lua(vm, "object = setmetatable({}, {__gc = count_call})");
  assert_int_equal(calls, 0);
  close_vm(vm);
  assert_int_equal(calls, 1);
}

/* Lua: notes what the VM says of its heap; the upvalue is the place. */
static int note_memory(lua_State *L) {
  neap_statistics *stats = lua_touserdata(L, lua_upvalueindex(1));
  assert_int_equal(neap_stats(neap_from_lua(L), stats), NEAP_OK);
  return 0;
}

static void the_size_of_the_heap_is_not_told_in_a_finalizer(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_statistics stats;
  (void)state;
  lua_pushlightuserdata(neap_lua(vm), &stats);
  lua_pushcclosure(neap_lua(vm), note_memory, 1);
  lua_setglobal(neap_lua(vm), "note_memory");
  run_lua(vm, "note_memory()");
  assert_in_range(stats.memory, 1000, 1 << 20);
  run_lua(vm, "setmetatable({}, {__gc = note_memory}) collectgarbage()");
  assert_int_equal(stats.memory, 0);
  close_vm(vm);
}

static void diagnostics_go_to_the_host(void **state) {
  reports said;
  neap_vm *vm = reporting_vm(&said, NEAP_CAN_ALL);
  (void)state;
  run_lua(vm, "local forgotten = async(function() end)\n"
              "forgotten()\n"
              "forgotten = nil\n"
              "collectgarbage() collectgarbage()");
  assert_int_equal(said.count, 1);
  assert_contains(said.last, "never awaited");
  close_vm(vm);
  assert_int_equal(said.count, 1);
}

static void modules_are_found_in_the_module_path(void **state) {
  char folder[] = "/tmp/neap-capi-XXXXXX";
  char path[sizeof folder + 64], parts[sizeof path + 16],
      part[sizeof path + 32];
  char *module_path;
  FILE *file;
  neap_config config;
  neap_vm *vm;
  (void)state;
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/capimodule.lua", folder);
  file = fopen(path, "w");
  assert_non_null(file);
  fputs("return {answer = require 'neap.capimodule.part'}\n", file);
  assert_int_equal(fclose(file), 0);
  snprintf(parts, sizeof parts, "%s/capimodule", folder);
  assert_int_equal(mkdir(parts, 0700), 0);
  snprintf(part, sizeof part, "%s/part.lua", parts);
  file = fopen(part, "w");
  assert_non_null(file);
  fputs("return 42\n", file);
  assert_int_equal(fclose(file), 0);

  /* two folders; the string is the VM's to copy */
  module_path = malloc(sizeof folder + 64);
  assert_non_null(module_path);
  snprintf(module_path, sizeof folder + 64, "/nonexistent;%s", folder);
  neap_config_init(&config);
  config.capabilities = NEAP_CAN_ALL;
  config.module_path = module_path;
  vm = new_vm(&config);
  memset(module_path, 'x', strlen(module_path));
  free(module_path);

  run_lua(vm, "assert(require 'capimodule'.answer == 42)\n"
              "local ok, err = pcall(require, 'capimodule2')\n"
              "assert(not ok and err:find('capimodule2', 1, true))\n"
              "for _, name in ipairs{'capimodule.part', 'neap.capimodule', "
              "'neap.capimodule.other', 'neap.capimodule..part', 'neap.', "
              "'neap.capimodule.part.x', 'neap.capimodule.', 'neap..part', "
              "'..', 'capimodule/part', 'neap.asyncio.lock'} do\n"
              "  ok, err = pcall(require, name)\n"
              "  assert(not ok and err:find('not found:', 1, true), err)\n"
              "end");
  close_vm(vm);
  assert_int_equal(remove(part), 0);
  assert_int_equal(rmdir(parts), 0);
  assert_int_equal(remove(path), 0);
  assert_int_equal(rmdir(folder), 0);
}

static void a_lua_thread_leads_to_its_vm(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_vm *other = new_vm(NULL);
  lua_State *foreign = luaL_newstate();
  (void)state;
  assert_non_null(foreign);
  assert_ptr_equal(neap_from_lua(neap_lua(vm)), vm);
  assert_ptr_equal(neap_from_lua(neap_lua(other)), other);
  assert_ptr_equal(neap_from_lua(lua_newthread(neap_lua(vm))), vm);
  assert_null(neap_from_lua(foreign));
  lua_close(foreign);
  close_vm(other);
  close_vm(vm);
}

/* Lua: closes the VM that calls it; true when that was refused. */
static int close_from_inside(lua_State *L) {
  lua_pushboolean(L, neap_close(neap_from_lua(L), NULL, NULL) == NEAP_EBUSY);
  return 1;
}

static void a_vm_cannot_be_closed_from_inside_its_run(void **state) {
  neap_vm *vm = new_vm(NULL);
  (void)state;
  lua_register(neap_lua(vm), "close_from_inside", close_from_inside);
  run_lua(vm, "run(async(function()\n"
              "  refused = close_from_inside()\n"
              "  await(sleep(0))\n"
              "  survived = true\n"
              "end)())");
  assert_true(global_is_true(vm, "refused"));
  assert_true(global_is_true(vm, "survived"));
  close_vm(vm);
}

static void an_error_has_the_traceback_of_its_await_chain(void **state) {
  neap_vm *vm = new_vm(NULL);
  lua_State *L = neap_lua(vm);
  (void)state;
  lua_pushcfunction(L, neap_traceback);
  assert_int_equal(luaL_loadstring(L,
      "local inner = async(function() await(sleep(0)) error 'oops' end)\n"
      "function async.outermost() await(inner()) end\n"
      "run(outermost())"), LUA_OK);
  assert_int_not_equal(lua_pcall(L, 0, 0, 1), LUA_OK);
  assert_contains(lua_tostring(L, -1), "oops");
  assert_contains(lua_tostring(L, -1), "traceback");
  assert_contains(lua_tostring(L, -1), "outermost");
  lua_settop(L, 0);
  close_vm(vm);
}

/* Lua: asks for a dump; gives whether the VM is in `run`. */
static int dump_myself(lua_State *L) {
  lua_pushboolean(L, neap_dump(neap_from_lua(L)));
  return 1;
}

static void a_dump_goes_to_the_host(void **state) {
  reports said;
  neap_vm *vm = reporting_vm(&said, NEAP_CAN_ALL);
  (void)state;
  lua_register(neap_lua(vm), "dump_myself", dump_myself);
  run_lua(vm, "run(async(function()\n"
              "  create_task(sleep(0), {name = 'other'})\n"
              "  asked = dump_myself()\n"
              "  await(sleep(0))\n"
              "end)())");
  assert_true(global_is_true(vm, "asked"));
  assert_int_equal(said.count, 1);
  assert_contains(said.last, "2 unfinished tasks: 1 running, 1 not started\n"
                             "task 'Task-1' running, created at ");
  assert_contains(said.last, "task 'other' not started");
  close_vm(vm);
}

static void a_dump_outside_run_is_refused(void **state) {
  reports said;
  neap_vm *vm = reporting_vm(&said, NEAP_CAN_ALL);
  (void)state;
  assert_int_equal(neap_dump(vm), 0);
  run_lua(vm, "run(async(function() await(sleep(0)) end)())");
  assert_int_equal(neap_dump(vm), 0);
  run_lua(vm, "local x = 1");
  assert_int_equal(said.count, 0);
  close_vm(vm);
}

static void codes_have_texts(void **state) {
  (void)state;
#define CHECK_TEXT(name, value, text) \
  assert_string_equal(neap_strerror(NEAP_##name), text); \
  assert_int_equal(NEAP_##name, value);
  NEAP_ERROR_MAP(CHECK_TEXT)
#undef CHECK_TEXT
  assert_string_equal(neap_strerror(NEAP_OK), "success");
  assert_string_equal(neap_strerror(-4711), "unknown error");
}

static void the_library_tells_its_version(void **state) {
  char version[32];
  (void)state;
  snprintf(version, sizeof version, "%d.%d.%d", NEAP_VERSION_MAJOR,
           NEAP_VERSION_MINOR, NEAP_VERSION_PATCH);
  assert_string_equal(NEAP_VERSION, version);
  assert_string_equal(neap_version(), NEAP_VERSION);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_config_has_defaults),
    cmocka_unit_test(a_vm_without_a_config_runs_a_task),
    cmocka_unit_test(closing_no_vm_is_allowed),
    cmocka_unit_test(all_memory_comes_from_the_hosts_allocator_and_returns),
    cmocka_unit_test(a_vm_closes_with_work_that_is_not_done),
    cmocka_unit_test(finalizers_run_when_a_vm_closes),
    cmocka_unit_test(the_size_of_the_heap_is_not_told_in_a_finalizer),
    cmocka_unit_test(diagnostics_go_to_the_host),
    cmocka_unit_test(modules_are_found_in_the_module_path),
    cmocka_unit_test(a_lua_thread_leads_to_its_vm),
    cmocka_unit_test(a_vm_cannot_be_closed_from_inside_its_run),
    cmocka_unit_test(an_error_has_the_traceback_of_its_await_chain),
    cmocka_unit_test(a_dump_goes_to_the_host),
    cmocka_unit_test(a_dump_outside_run_is_refused),
    cmocka_unit_test(codes_have_texts),
    cmocka_unit_test(the_library_tells_its_version),
  };
  return cmocka_run_group_tests_name("vm", tests, NULL, NULL);
}
