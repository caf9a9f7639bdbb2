/*
** sandbox.c - tests what a script has without and with each capability, that
** none comes back when it was taken away, and where print goes.
*/
#include <lualib.h>

#include "sandbox.h"

/* {======================================================
** What there is
** ======================================================= */

static const chunk granted[] = {
  {"without a capability there is the language, and nothing of the system",
   NONE,
   "local there = {}\n"
   "for name in ([[_G _VERSION assert async await collectgarbage coroutine\n"
   "    create_task error gather getmetatable ipairs math next os pairs pcall\n"
   "    print rawequal rawget rawlen rawset require run select setmetatable\n"
   "    sleep string table tonumber tostring type utf8 warn xpcall\n"
   "    refused collect in_task folder binary]]):gmatch('%S+') do\n"
   "  assert(_G[name] ~= nil, name)\n"
   "  there[name] = true\n"
   "end\n"
   "for name in pairs(_G) do assert(there[name], name) end\n"
   "for name in pairs(os) do\n"
   "  assert(name == 'clock' or name == 'date' or name == 'difftime'\n"
   "    or name == 'time', name)\n"
   "end\n"},
  {"the language works as ever", NONE,
   "assert(os.time{year=2020, month=1, day=1} > 0)\n"
   "assert(os.date('!%Y', 0) == '1970' and os.date('*t').year > 2000)\n"
   "assert(('%d'):format(5) == '5' and #utf8.char(228) == 2)\n"
   "local t = setmetatable({}, {__index = math, __close = function() end})\n"
   "assert(t.floor(1.5) == 1 and getmetatable(t).__index == math)\n"
   "assert(select('#', table.unpack({1, 2, 3})) == 3)\n"
   "assert(collectgarbage('count') > 0 and collectgarbage() == 0)\n"
   "while not collectgarbage('step') do end\n"},
  {"asyncio is whole", NONE,
   "local asyncio = require 'asyncio'\n"
   "in_task(function()\n"
   "  local queue, event = asyncio.Queue(2), asyncio.Event()\n"
   "  local lock, semaphore = asyncio.Lock(), asyncio.Semaphore(2)\n"
   "  local reached = {}\n"
   "  do\n"
   "    local group <close> = asyncio.TaskGroup()\n"
   "    group:create_task(async(function()\n"
   "      for i = 1, 5 do await(queue:put(i)) end\n"
   "      event:set()\n"
   "    end)())\n"
   "    group:create_task(async(function()\n"
   "      local guard <close> = await(lock:acquire())\n"
   "      for i = 1, 5 do reached[i] = await(queue:get()) end\n"
   "      await(event:wait())\n"
   "    end)())\n"
   "  end\n"
   "  assert(#reached == 5)\n"
   "  local done = await(asyncio.wait({create_task(sleep(0)), asyncio.Future()},\n"
   "    {timeout = 0}))\n"
   "  assert(done)\n"
   "  for task in asyncio.as_completed{create_task(sleep(0, 7))} do\n"
   "    assert(await(task) == 7)\n"
   "  end\n"
   "  assert(await(asyncio.wait_for(sleep(0, 1), 5)) == 1)\n"
   "  assert(await(asyncio.shield(sleep(0, 2))) == 2)\n"
   "  refused('awaitable', asyncio.as_completed, {5})\n"
   "end)\n"},
  {"json is there", NONE,
   "local json = require 'json'\n"
   "assert(json.encode(json.decode '[1,{\"a\":null}]') == '[1,{\"a\":null}]')\n"
   "refused('JSONDecodeError', json.decode, '[')\n"},
  {"fs: files, and modules along package.path", FS,
   "local path = folder .. '/there.lua'\n"
   "local file = assert(io.open(path, 'w'))\n"
   "file:write('return ', 6 * 7, '\\n'):close()\n"
   "assert(io.type(file) == 'closed file')\n"
   "for line in io.lines(path) do assert(line == 'return 42') end\n"
   "file = io.open(path)\n"
   "assert(file:seek('end') == 10 and file:seek('set') == 0)\n"
   "for a, b in file:lines(3, 'L') do assert(a == 'ret' and b == 'urn 42\\n') end\n"
   "assert(file:close())\n"
   "assert(dofile(path) == 42 and loadfile(path)() == 42)\n"
   "assert(loadfile(path, 't', {})() == 42)\n"
   "package.path = folder .. '/?.lua'\n"
   "local there, where = require 'there'\n"
   "assert(there == 42 and where == path)\n"
   "refused('no file', require, 'not.there')\n"
   "assert(os.rename(path, path .. '2') and os.remove(path .. '2'))\n"
   "assert(os.remove(os.tmpname()))\n"
   "assert(not io.popen and not os.execute and not os.exit)\n"},
  {"fs: an error or an await passes dofile", FS,
   "local file = io.open(folder .. '/waits.lua', 'w')\n"
   "file:write('await(sleep(0)) return ...'):close()\n"
   "in_task(function() assert(dofile(folder .. '/waits.lua') == nil) end)\n"
   "refused('outside a task', dofile, folder .. '/waits.lua')\n"
   "refused('cannot open', dofile, folder .. '/missing.lua')\n"},
  {"process: programs, and no other files", PROCESS,
   "for name in pairs(io) do assert(name == 'popen', name) end\n"
   "local pipe = io.popen('echo hello')\n"
   "assert(pipe:read() == 'hello')\n"
   "assert(pipe:close())\n"
   "refused('closed file', pipe.read, pipe)\n"
   "local ok, how, code = io.popen('exit 3'):close()\n"
   "assert(not ok and how == 'exit' and code == 3)\n"
   "for line in io.popen('echo line'):lines() do assert(line == 'line') end\n"
   "assert(os.execute('exit 0') and os.setlocale() and os.exit)\n"
   "assert(require 'time'.time() > 0)\n"
   "assert(not os.remove and not dofile and not package and not os.getenv)\n"},
  {"env: getenv alone", ENV,
   "assert(os.getenv 'PATH' and not os.exit and not os.remove and not io)\n"},
  {"debug: debug alone", DEBUG,
   "assert(debug.getinfo(1, 'S').source == '=chunk' and debug.traceback())\n"
   "assert(require 'debug' == debug and not io and not load)\n"},
  {"native: loadlib, and modules in C", NATIVE,
   "assert(type(package.loadlib) == 'function' and not package.path)\n"
   "refused('unknown.so', require, 'unknown')\n"
   "assert(not io and not debug and not load)\n"},
  {"load: text, with a name and an environment", LOAD,
   "assert(load 'return ...' (5) == 5 and load('return x', 'n', 't', {x = 1})() == 1)\n"
   "assert(load(('x = 1 '):rep(100000), '=long', nil, {}))\n"
   "local pieces = {'ret', 'urn ', '42'}\n"
   "assert(load(function() return table.remove(pieces, 1) end)() == 42)\n"
   "assert(select(2, load 'x = = 1'):find('[string \"x = = 1\"]:1:', 1, true))\n"
   "assert(select(2, load('x = =', '=name')):find('name:1:', 1, true))\n"
   "assert(select(2, load(function() return 1, {} end)))\n"
   "assert(select(2, load(function() return {} end)):find 'must return a string')\n"
   "assert(select(2, load(function() error('mine', 0) end)) == 'mine')\n"
   "refused('function expected', load, nil)\n"
   "local ok, err = load('return _ENV', '=x', 'bt', nil)\n"
   "assert(ok() == nil)\n"
   "assert(load 'return _ENV' () == _G)\n"},
};

static void a_capability_gives_what_it_names(void **state) {
  (void)state;
  write_file("unknown.so", "no library");
  RUN_CHUNKS(granted);
}

static void with_all_capabilities_lua_is_as_it_was(void **state) {
  neap_config config;
  neap_vm *vm;
  lua_State *L = luaL_newstate(), *ours;
  (void)state;
  assert_non_null(L);
  luaL_openlibs(L);
  configure(&config, NEAP_CAN_ALL);
  vm = new_vm(&config);
  ours = neap_lua(vm);
  lua_getglobal(L, "setmetatable");
  lua_getglobal(ours, "setmetatable");
  assert_ptr_equal(lua_tocfunction(L, -1), lua_tocfunction(ours, -1));
  lua_getglobal(L, "print");
  lua_getglobal(ours, "print");
  assert_ptr_equal(lua_tocfunction(L, -1), lua_tocfunction(ours, -1));
  lua_close(L);
  lua_settop(ours, 0);
  run_lua(vm, "assert(getmetatable('').__index == string)\n"
              "assert(package.loaded.io == io and debug.getregistry())\n"
              "assert(load(string.dump(function() return 5 end))() == 5)\n"
              "collectgarbage 'stop' collectgarbage 'restart'\n"
              "setmetatable({}, {__gc = function() finalized = true end})\n"
              "collectgarbage()\n"
              "assert(finalized)");
  close_vm(vm);
}

/* ====================================================== } */

/* {======================================================
** Taking away
** ======================================================= */

typedef struct loss {
  const char *what;
  unsigned granted;
  unsigned dropped;
  const char *before;
  const char *after;
} loss;

static const loss losses[] = {
  {"fs", FS | PROCESS, FS,
   "local path = folder .. '/kept'\n"
   "keep = {open = io.open, lines = io.lines, write = io.write, dofile = dofile,\n"
   "  loadfile = loadfile, remove = os.remove, type = io.type, tmpfile = io.tmpfile}\n"
   "file = io.open(path, 'w') file:write('1\\n2\\n'):flush()\n"
   "file = io.open(path, 'r+')\n"
   "read = file.read\n"
   "next_line, next_of_file = io.lines(path), file:lines()\n"
   "wrapped = coroutine.wrap(function() for line in next_line do\n"
   "  coroutine.yield(line) end end)\n"
   "assert(wrapped() == '1' and next_of_file() == '1')\n"
   "pipe = io.popen('echo pipe; echo pipe')\n"
   "pipe_lines = pipe:lines()\n"
   "package.path = folder .. '/own/?.lua'\n"
   "assert(require 'kept' == 1)\n",
   "local gone = 'the capability fs was taken away'\n"
   "for name, f in pairs(keep) do refused(gone, f, 'x') end\n"
   "for _, name in ipairs{'open', 'lines', 'read', 'write', 'output', 'input',\n"
   "    'close', 'flush'} do\n"
   "  refused(gone, io[name])\n"
   "end\n"
   "refused(gone, os.rename, 'x', 'y') refused(gone, os.tmpname)\n"
   "for _, name in ipairs{'read', 'write', 'lines', 'seek', 'setvbuf', 'flush'} do\n"
   "  refused(gone, file[name], file, 'x')\n"
   "end\n"
   "refused(gone, read, file) refused(gone, next_line) refused(gone, wrapped)\n"
   "refused(gone, next_of_file)\n"
   "refused(gone, require, 'other')\n"
   "assert(require 'kept' == 1 and require 'hostmodule')\n"
   "assert(file:close() and tostring(file) == 'file (closed)')\n"
   "refused('closed', file.read, file)\n"
   "assert(pipe:read() == 'pipe' and pipe_lines() == 'pipe' and pipe:close())\n"},
  {"process", FS | PROCESS, PROCESS,
   "pipe = io.popen('cat', 'w') source = io.popen('yes')\n"
   "lines = source:lines()\n"
   "assert(lines() == 'y')\n"
   "popen, execute, exit = io.popen, os.execute, os.exit\n"
   "time = require 'time'\n"
   "now = time.time assert(now() > 0)\n"
   "process, signal = require 'process', require 'signal'\n"
   "spawn, cwd = process.spawn, process.cwd assert(cwd() ~= '')\n"
   "child = spawn {'cat', stdin = 'pipe'}\n"
   "refused('the capability env was taken away', process.getenv, 'HOME')\n"
   "refused('the capability env was taken away', process.environ)\n"
   "file = io.open(folder .. '/plain', 'w')\n",
   "local gone = 'the capability process was taken away'\n"
   "refused(gone, popen, 'true') refused(gone, execute) refused(gone, exit)\n"
   "refused(gone, io.popen) refused(gone, os.setlocale)\n"
   "refused(gone, pipe.write, pipe, 'x') refused(gone, source.read, source)\n"
   "refused(gone, lines) refused(gone, pipe.lines, pipe)\n"
   "refused(gone, now) refused(gone, time.sleep, 0)\n"
   "refused(gone, time.monotonic) refused(gone, require 'time'.time)\n"
   "refused(gone, time.iso)\n"
   "refused(gone, spawn, {'true'}) refused(gone, cwd)\n"
   "refused(gone, process.chdir, '/') refused(gone, process.kill, 1, 'HUP')\n"
   "refused(gone, function() return process.stdin end)\n"
   "refused(gone, child.kill, child) refused(gone, child.terminate, child)\n"
   "in_task(function()\n"
   "  refused(gone, await, child:wait())\n"
   "  refused(gone, await, child.stdin:write 'x')\n"
   "  refused(gone, await, process.run {'true'})\n"
   "  refused(gone, await, signal.wait 'HUP')\n"
   "end)\n"
   "refused(gone, signal.each, 'HUP')\n"
   "child:__close()\n"
   "assert(pipe:close()) source:close()\n"
   "assert(file:write 'x' and file:close())\n"},
  {"env", ENV, ENV, "getenv = os.getenv",
   "refused('the capability env was taken away', getenv, 'HOME')\n"
   "refused('env', os.getenv, 'HOME')\n"},
  {"load", LOAD, LOAD, "kept, f = load, load 'return 5'",
   "refused('the capability load was taken away', kept, 'return 1')\n"
   "refused('load', load, 'x') assert(f() == 5)\n"},
  {"debug", DEBUG, DEBUG,
   "kept = {} for k, v in pairs(debug) do kept[k] = v end\n"
   "kept.sethook()\n"
   "asyncio = require 'asyncio'\n"
   "in_task(function() await(asyncio.wait{create_task(sleep(0))}) end)\n",
   "for name, f in pairs(kept) do\n"
   "  refused('the capability debug was taken away', f, 1)\n"
   "end\n"
   "in_task(function() await(asyncio.wait{create_task(sleep(0))}) end)\n"},
  {"native", NATIVE, NATIVE, "loadlib = package.loadlib",
   "refused('the capability native was taken away', loadlib, 'x', 'y')\n"
   "refused('not found', require, 'unknown')\n"},
  {"net", NET, NET,
   "http = require 'http'\n"
   "get, session = http.get, http.ClientSession()\n"
   "curl = require 'neap.http.curl' multi = curl.multi\n",
   "local gone = 'the capability net is not granted'\n"
   "in_task(function()\n"
   "  refused(gone, await, get('http://localhost'))\n"
   "  refused(gone, await, session:get('http://localhost'))\n"
   "end)\n"
   "refused(gone, http.ClientSession) refused(gone, multi, {})\n"
   "refused(gone, session.multi.start, session.multi, {})\n"
   "session:close()\n"},
  {"net, before http was there", NET, NET, "",
   "refused('the capability net', require, 'http')\n"},
};

static void what_is_taken_away_is_gone(void **state) {
  char own[sizeof folder + 8];
  (void)state;
  snprintf(own, sizeof own, "%s/own", folder);
  assert_int_equal(mkdir(own, 0700), 0);
  write_file("own/kept.lua", "return 1\n");
  write_file("own/other.lua", "return 2\n");
  write_file("hostmodule.lua", "return 'of the host'\n");
  write_file("unknown.so", "no library");
  for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
    const loss *l = &losses[i];
    neap_config config;
    neap_vm *vm;
    configure(&config, l->granted);
    vm = open_sandbox(&config);
    run_lua(vm, l->before);
    assert_true(neap_can(vm, l->dropped));
    assert_int_equal(neap_drop(vm, l->dropped), NEAP_OK);
    assert_false(neap_can(vm, l->dropped));
    assert_true(neap_can(vm, l->granted & ~l->dropped));
    run_lua(vm, l->after);
    assert_int_equal(neap_drop(vm, l->dropped), NEAP_OK); /* nothing left */
    close_vm(vm);
  }
}

static void what_cannot_be_taken_away_is_refused(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_config config;
  (void)state;
  assert_int_equal(neap_drop(vm, FS), NEAP_EINVAL);
  assert_true(neap_can(vm, NEAP_CAN_ALL));
  run_lua(vm, "assert(io.open and io.stdout:write(''))");
  close_vm(vm);
  configure(&config, FS);
  vm = open_sandbox(&config);
  assert_int_equal(neap_drop(vm, NEAP_CAN_ALL + 1), NEAP_EINVAL);
  assert_int_equal(neap_drop(vm, FS | 1u << 31), NEAP_EINVAL);
  assert_true(neap_can(vm, FS));
  assert_int_equal(neap_drop(vm, NET), NEAP_OK); /* never had */
  assert_int_equal(neap_drop(vm, 0), NEAP_OK);
  assert_true(neap_can(vm, 0));
  assert_true(neap_can(vm, FS));
  assert_false(neap_can(vm, FS | NET));
  close_vm(vm);
}

/* ====================================================== } */

/* {======================================================
** Output
** ======================================================= */

typedef struct sink {
  int count;
  char text[256];
} sink;

static void sink_write(void *ud, const char *text, size_t len) {
  sink *s = ud;
  s->count++;
  assert_true(strlen(s->text) + len < sizeof s->text);
  strncat(s->text, text, len);
}

static void print_goes_to_the_host(void **state) {
  sink out = {0, ""};
  neap_config config;
  neap_vm *vm;
  (void)state;
  configure(&config, NONE);
  config.output = sink_write;
  config.output_ud = &out;
  vm = open_sandbox(&config);
  run_lua(vm, "print('a', 1, nil, true, 2.5)\n"
              "print()\n"
              "print(setmetatable({}, {__tostring = function()\n"
              "  print 'inner' return 'object' end}))\n"
              "refused('must return a string', print, setmetatable({},\n"
              "  {__tostring = function() return {} end}), 'x')");
  assert_string_equal(out.text, "a\t1\tnil\ttrue\t2.5\n\ninner\nobject\n");
  assert_int_equal(out.count, 4);
  config.limits.output = 3; /* a limit that comes later */
  assert_int_equal(neap_limits_set(vm, &config.limits), NEAP_OK);
  run_lua(vm, "print 'ab' refused('limit of output', print)");
  assert_int_equal(out.count, 5);
  close_vm(vm);
}

static void print_ends_at_the_limit_of_output(void **state) {
  sink out = {0, ""};
  neap_config config;
  neap_statistics stats;
  neap_vm *vm;
  (void)state;
  configure(&config, NEAP_CAN_ALL);
  config.output = sink_write;
  config.output_ud = &out;
  config.limits.output = 10;
  vm = open_sandbox(&config);
  run_lua(vm, "print '1234'\n"
              "refused('print: the limit of output (10 bytes) was reached',\n"
              "  print, '12345')\n"
              "print '5678'\n"
              "refused('limit of output', print)");
  assert_string_equal(out.text, "1234\n5678\n");
  assert_int_equal(neap_stats(vm, &stats), NEAP_OK);
  assert_int_equal(stats.output, 10);
  config.limits.output = 2;
  assert_int_equal(neap_limits_set(vm, &config.limits), NEAP_OK);
  run_lua(vm, "refused('(2 bytes)', print, 'ab') print 'x'");
  assert_string_equal(out.text, "1234\n5678\nx\n");
  close_vm(vm);
}

/* A neap_report_fn; `ud` counts the bytes. */
static void count_bytes(void *ud, const char *text, size_t len) {
  (void)text;
  *(size_t *)ud += len;
}

/* What is collected for it is no memory of Lua's. */
static void a_long_warning_is_cut_in_a_sandbox(void **state) {
  static const unsigned capabilities[] = {NONE, NEAP_CAN_ALL};
  size_t lengths[2] = {0, 0};
  (void)state;
  for (int i = 0; i < 2; i++) {
    neap_config config;
    neap_vm *vm;
    configure(&config, capabilities[i]);
    config.report = count_bytes;
    config.report_ud = &lengths[i];
    vm = open_sandbox(&config);
    run_lua(vm, "local s, list = ('x'):rep(1 << 10), {}\n"
                "for i = 1, 100 do list[i] = s end\n"
                "warn('@on') warn(table.unpack(list))");
    close_vm(vm);
  }
  assert_true(lengths[0] > 1000 && lengths[0] < 10000);
  assert_true(lengths[1] > 100 << 10);
}

static void without_a_handler_print_goes_to_stdout(void **state) {
  int ends[2], saved;
  char text[64] = "";
  neap_config config;
  neap_vm *vm;
  (void)state;
  configure(&config, NONE);
  vm = open_sandbox(&config);
  fflush(stdout);
  assert_int_equal(pipe(ends), 0);
  saved = dup(STDOUT_FILENO);
  assert_true(saved >= 0);
  assert_int_equal(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
  run_lua(vm, "print('to', 'stdout')");
  assert_int_equal(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
  close(saved);
  close(ends[1]);
  assert_true(read(ends[0], text, sizeof text - 1) > 0);
  close(ends[0]);
  assert_string_equal(text, "to\tstdout\n");
  close_vm(vm);
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
    TEST(a_capability_gives_what_it_names),
    TEST(with_all_capabilities_lua_is_as_it_was),
    TEST(what_is_taken_away_is_gone),
    TEST(what_cannot_be_taken_away_is_refused),
    TEST(print_goes_to_the_host),
    TEST(print_ends_at_the_limit_of_output),
    TEST(a_long_warning_is_cut_in_a_sandbox),
    TEST(without_a_handler_print_goes_to_stdout),
  };
  return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
