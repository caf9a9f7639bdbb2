/*
** tls.c - tests the module tls in a host: its capability, VMs on several
** threads, and what of it is under way when the VM is closed.
*/
#include <stdlib.h>

#include "threads.h"

/* Where the certificate and its key are, as text of Lua's. */
static char options[256];

/* What the scripts begin with: `listen` and `connect`. */
static void add_script(char *script, size_t size, const char *rest) {
  (void)snprintf(script, size,
                 "net, tls = require 'net', require 'tls'\n"
                 "local options = %s\n"
                 "function listen(handler)\n"
                 "  return await(net.listen('127.0.0.1', 0, handler,\n"
                 "                          {tls = options}))\n"
                 "end\n"
                 "function connect(server)\n"
                 "  local _, port = server:address()\n"
                 "  return net.connect('localhost', port,\n"
                 "                     {tls = {ca = options.cert}})\n"
                 "end\n%s",
                 options, rest);
}

static void a_stream_ends_with_the_capability(void **state) {
  neap_vm *vm = vm_on(NULL, NEAP_CAN_NET | NEAP_CAN_FS);
  char script[2000];
  (void)state;
  add_drop(vm, NEAP_CAN_NET);
  add_script(script, sizeof script,
             "local server = listen(function(s) pcall(await, s:read()) end)\n"
             "local s = await(connect(server))\n"
             "local plain = await(net.connect(server:address()))\n"
             "drop()\n"
             "local function refused(...)\n"
             "  local ok, e = pcall(...)\n"
             "  e = tostring(e)\n"
             "  assert(not ok and e:find('was taken away', 1, true), e)\n"
             "end\n"
             "refused(await, s:read())\n"
             "refused(await, s:write 'x')\n"
             "refused(tls.info, s)\n"
             "refused(await, tls.connect(plain, {verify = false}))\n"
             "refused(await, connect(server))\n"
             "s:close() plain:close() server:close()");
  run_script(vm, script);
  close_vm(vm);
}

static void without_files_texts_will_do(void **state) {
  neap_vm *vm = vm_on(NULL, NEAP_CAN_NET);
  char script[2000];
  (void)state;
  add_script(script, sizeof script,
             "local ok, e = pcall(tls.context, options)\n"
             "assert(not ok and e:find('the capability fs', 1, true), e)\n"
             "tls.context()");
  run_script(vm, script);
  close_vm(vm);
}

/* One of these, each time: `begun` tells that it is under way. */
static const char *const begin[] = {
    "await(connect(server))",
    "kept = await(connect(server))\n"
    "create_task(kept:write(('x'):rep(10000000)))\n"
    "create_task(kept:read('l'))",
    "kept = create_task(connect(server))",
    "kept = {} for i = 1, 10 do kept[i] = create_task(connect(server)) end",
    "kept = await(net.connect(server:address()))",
};

static void on_a_hosts_loop_nothing_comes_after_the_close(void **state) {
  (void)state;
  for (size_t i = 0; i < 8 * sizeof begin / sizeof *begin; i++) {
    uv_loop_t loop;
    neap_vm *vm;
    char script[2000], what[1000];
    assert_int_equal(uv_loop_init(&loop), 0);
    vm = vm_on(&loop, NEAP_CAN_NET | NEAP_CAN_FS);
    (void)snprintf(what, sizeof what,
                   "server = listen(function(s)\n"
                   "  await(s:read(1)) await(sleep(1000))\n"
                   "end)\n"
                   "%s\n"
                   "begun = true\n"
                   "await(sleep(1000))",
                   begin[i / 8]);
    add_script(script, sizeof script, what);
    spawn(vm, script, NULL, NULL);
    while (!global_is_true(vm, "begun"))
      uv_run(&loop, UV_RUN_NOWAIT);
    for (size_t turns = 0; turns < i % 8; turns++)
      uv_run(&loop, UV_RUN_NOWAIT);
    close_vm_and_loop(vm, &loop);
  }
}

static void talk(void *ud) {
  neap_vm *vm = vm_on(NULL, NEAP_CAN_NET | NEAP_CAN_FS);
  char script[2000];
  add_script(script, sizeof script,
             "local server <close> = listen(function(s)\n"
             "  await(s:pipe(s))\n"
             "  await(s:shutdown())\n"
             "end)\n"
             "local data = ('0123456789abcdef'):rep(1 << 13)\n"
             "for _ = 1, 5 do\n"
             "  local s <close> = await(connect(server))\n"
             "  await(s:write(data))\n"
             "  await(s:shutdown())\n"
             "  assert(await(s:read 'a') == data)\n"
             "end\n"
             "for _ = 1, 5 do\n"
             "  assert(not pcall(tls.context, {ca = options.key}))\n"
             "end");
  spawn(vm, script, succeeded, ud);
  assert_int_equal(neap_run(vm), NEAP_OK);
  close_vm(vm);
}

static void vms_of_several_threads_know_nothing_of_each_other(void **state) {
  uv_thread_t threads[3];
  int count[3] = {0};
  (void)state;
  for (size_t i = 0; i < 3; i++)
    thread_start(&threads[i], talk, &count[i]);
  for (size_t i = 0; i < 3; i++) {
    thread_join(&threads[i]);
    assert_int_equal(count[i], 1);
  }
}

static char folder[] = "/tmp/neap-tls-XXXXXX";

static int make_certificate(void **state) {
  char command[512];
  (void)state;
  if (mkdtemp(folder) == NULL)
    return 1;
  (void)snprintf(options, sizeof options,
                 "{cert = '%s/cert.pem', key = '%s/key.pem'}", folder, folder);
  (void)snprintf(command, sizeof command,
                 "cd %s && openssl req -x509 -newkey ec "
                 "-pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
                 "-keyout key.pem -out cert.pem -subj /CN=localhost "
                 "-addext subjectAltName=DNS:localhost 2>errors",
                 folder);
  return system(command);
}

static int remove_certificate(void **state) {
  char command[128];
  (void)state;
  (void)snprintf(command, sizeof command, "rm -r %s", folder);
  return system(command);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_stream_ends_with_the_capability),
      cmocka_unit_test(without_files_texts_will_do),
      cmocka_unit_test(on_a_hosts_loop_nothing_comes_after_the_close),
      cmocka_unit_test(vms_of_several_threads_know_nothing_of_each_other),
  };
  return cmocka_run_group_tests_name("tls", tests, make_certificate,
                                     remove_certificate);
}
