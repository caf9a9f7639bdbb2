/*
** fs.c - tests the module fs in a host: its capability, and what of it is
** under way when the VM is closed.
*/
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "threads.h"

static neap_vm *new_vm_with(unsigned capabilities, uv_loop_t *loop) {
  neap_config config;
  neap_config_init(&config);
  config.capabilities = capabilities;
  config.report = neap_report_stderr;
  config.loop = loop;
  return new_vm(&config);
}

static void without_the_capability_there_is_path_alone(void **state) {
  neap_vm *vm = new_vm_with(NEAP_CAN_ALL & ~NEAP_CAN_FS & ~NEAP_CAN_DEBUG &
                                ~NEAP_CAN_NATIVE,
                            NULL);
  (void)state;
  run_script(vm, "local ok, e = pcall(require, 'fs')\n"
                 "assert(not ok and e:find('capability fs', 1, true), e)\n"
                 "assert(not pcall(require, 'neap.fs.c'))\n"
                 "assert(require('path').basename('/a/b') == 'b')");
  close_vm(vm);
}

static void what_a_script_has_kept_ends_with_the_capability(void **state) {
  neap_vm *vm = new_vm_with(NEAP_CAN_FS, NULL);
  (void)state;
  add_drop(vm, NEAP_CAN_FS);
  run_script(
      vm, "local fs = require 'fs'\n"
          "local file = await(fs.open('/dev/null', 'r+'))\n"
          "local lines, walk = file:lines(), fs.walk('/')\n"
          "local watcher = fs.watch('/')\n"
          "assert(await(fs.read('/dev/null')) == '')\n"
          "drop()\n"
          "local function refused(...)\n"
          "  local ok, e = pcall(...)\n"
          "  assert(not ok and tostring(e):find('was taken away', 1, true),\n"
          "         tostring(e))\n"
          "end\n"
          "for name, f in pairs(fs) do\n"
          "  if name == 'watch' then refused(f, '/')\n"
          "  elseif name ~= 'walk' then\n"
          "    local first, second = '/dev/null', '/x'\n"
          "    if name:find '^temp' then first, second = nil\n"
          "    elseif name == 'chmod' then second = '644'\n"
          "    elseif name:find '^[lrmsto]' and name ~= 'rename' and\n"
          "        name ~= 'link' and name ~= 'symlink' then second = nil end\n"
          "    refused(await, f(first, second))\n"
          "  end\n"
          "end\n"
          "for _, name in ipairs{'read', 'write', 'seek', 'sync', 'stat',\n"
          "                      'truncate'} do\n"
          "  refused(await, file[name](file))\n"
          "end\n"
          "refused(lines) refused(walk) refused(watcher)\n"
          "refused(await, watcher:next())\n"
          "await(file:close()) watcher:close()");
  close_vm(vm);
}

/* A folder with a named pipe that nobody writes to, "pipe". */
static char *folder_new(void) {
  static char path[] = "/tmp/neap-capi-XXXXXX";
  char pipe[sizeof path + 5];
  memcpy(path + sizeof path - 7, "XXXXXX", 6);
  assert_non_null(mkdtemp(path));
  snprintf(pipe, sizeof pipe, "%s/pipe", path);
  assert_int_equal(mkfifo(pipe, 0600), 0);
  return path;
}

static void folder_free(const char *path) {
  char pipe[64];
  snprintf(pipe, sizeof pipe, "%s/pipe", path);
  assert_int_equal(unlink(pipe), 0);
  assert_int_equal(rmdir(path), 0); /* nothing else is in it */
}

/* Begins all kinds of things in the folder; `begun` tells. */
static void begin(neap_vm *vm, const char *folder) {
  neap_value value = neap_text(folder);
  assert_int_equal(neap_set(vm, "folder", &value), NEAP_OK);
  spawn(vm, "local fs = require 'fs'\n"
            "local pipe = folder .. '/pipe'\n"
            "watcher = fs.watch(folder)\n"
            "create_task(watcher:next())\n"
            "file = await(fs.open(pipe))\n"
            "for i = 1, 3 do create_task(file:read()) end\n"
            "for i = 1, 2 do create_task(fs.read(pipe)) end\n"
            "temporary = await(fs.tempfile{dir = folder})\n"
            "create_task(temporary:write(('x'):rep(1000000)))\n"
            "create_task(temporary:sync())\n"
            "create_task(temporary:close())\n"
            "for i = 1, 8 do create_task(fs.tempfile{dir = folder}) end\n"
            "begun = true\n"
            "await(sleep(1000))",
        NULL, NULL);
}

static int has_begun(neap_vm *vm) {
  neap_value value;
  assert_int_equal(neap_get(vm, "begun", &value), NEAP_OK);
  return value.type == NEAP_BOOLEAN;
}

static void a_vm_with_its_own_loop_closes_whatever_is_under_way(void **state) {
  (void)state;
  for (int turns = 0; turns < 8; turns++) {
    const char *folder = folder_new();
    neap_vm *vm = new_vm_with(NEAP_CAN_FS, NULL);
    int closed = 0;
    begin(vm, folder);
    while (!has_begun(vm))
      assert_true(neap_tick(vm, 0) >= 0);
    for (int i = 0; i < turns; i++)
      assert_true(neap_tick(vm, 0) >= 0);
    assert_int_equal(neap_close(vm, set_flag, &closed), NEAP_OK);
    assert_true(closed);
    folder_free(folder);
  }
}

static void on_a_hosts_loop_nothing_comes_after_the_close(void **state) {
  (void)state;
  for (int turns = 0; turns < 8; turns++) {
    const char *folder = folder_new();
    uv_loop_t loop;
    neap_vm *vm;
    assert_int_equal(uv_loop_init(&loop), 0);
    vm = new_vm_with(NEAP_CAN_FS, &loop);
    begin(vm, folder);
    while (!has_begun(vm))
      uv_run(&loop, UV_RUN_NOWAIT);
    for (int i = 0; i < turns; i++)
      uv_run(&loop, UV_RUN_NOWAIT);
    close_vm_and_loop(vm, &loop);
    folder_free(folder);
  }
}

static atomic_int synced_files, synced_folders;

/* In place of the C library's. */
__attribute__((visibility("default"))) int fsync(int fd) {
  struct stat st;
  assert_int_equal(fstat(fd, &st), 0);
  atomic_fetch_add(S_ISDIR(st.st_mode) ? &synced_folders : &synced_files, 1);
  return (int)syscall(SYS_fsync, fd);
}

static void expect_synced(const char *call, int files, int folders) {
  neap_vm *vm = new_vm_with(NEAP_CAN_FS, NULL);
  char text[256];
  synced_files = synced_folders = 0;
  snprintf(text, sizeof text,
           "local fs = require 'fs'\n"
           "local dir <close> = await(fs.tempdir())\n"
           "await(fs.symlink('.', dir.path .. '/link'))\n"
           "local path = dir.path .. '/link/a'\n"
           "await(%s)",
           call);
  run_script(vm, text);
  close_vm(vm);
  assert_int_equal(synced_files, files);
  assert_int_equal(synced_folders, folders);
}

static void what_is_synced_has_its_name_on_the_disk_too(void **state) {
  (void)state;
  expect_synced("fs.write(path, 'x')", 0, 0);
  expect_synced("fs.write(path, 'x', {atomic = true})", 1, 0);
  expect_synced("fs.write(path, 'x', {sync = true})", 1, 1);
  expect_synced("fs.append(path, 'x', {sync = true})", 1, 1);
  expect_synced("fs.write(path, 'x', {sync = true, atomic = true})", 1, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_the_capability_there_is_path_alone),
      cmocka_unit_test(what_a_script_has_kept_ends_with_the_capability),
      cmocka_unit_test(a_vm_with_its_own_loop_closes_whatever_is_under_way),
      cmocka_unit_test(on_a_hosts_loop_nothing_comes_after_the_close),
      cmocka_unit_test(what_is_synced_has_its_name_on_the_disk_too),
  };
  return cmocka_run_group_tests_name("fs", tests, NULL, NULL);
}
