/*
** escape.c - tests the ways out of a sandbox that are known: each is a chunk
** that tries one, and holds when it does not succeed.
*/
#include "sandbox.h"

/* {======================================================
** Ways out
** ======================================================= */

static const chunk metatables[] = {
  {"the metatable of strings is hidden", NONE,
   "assert(getmetatable('') == false)\n"
   "refused('table expected', setmetatable, '', {})\n"},
  {"so are those of all that is not the script's", NONE,
   "local asyncio = require 'asyncio'\n"
   "local hidden = function(x) assert(getmetatable(x) == false) end\n"
   "hidden(async)\n"
   "in_task(function()\n"
   "  hidden(asyncio.current_task()) hidden(asyncio.Future())\n"
   "  local coro = sleep(0)\n"
   "  hidden(coro) coro:close()\n"
   "  coro = async(function() end)()\n"
   "  hidden(coro) coro:close()\n"
   "  hidden(asyncio.call_soon(collect)) hidden(gather(sleep(0)))\n"
   "  hidden(asyncio.Lock()) hidden(asyncio.Semaphore())\n"
   "  hidden(asyncio.BoundedSemaphore())\n"
   "  hidden(await(asyncio.Lock():acquire()))\n"
   "  do local group <close> = asyncio.TaskGroup() hidden(group.children) end\n"
   "end)\n"
   "refused('protected', setmetatable, async, {})\n"},
  {"and of asyncio, which C completes", NONE,
   "local asyncio = require 'asyncio'\n"
   "assert(getmetatable(asyncio) == false)\n"
   "refused('protected', setmetatable, asyncio, nil)\n"},
  {"and of files", FS,
   "assert(getmetatable(io.stdout) == false)\n"
   "assert(io.stdout.__gc == nil and io.stdout.__index == nil)\n"},
  {"and of what http keeps", NET,
   "local session = require 'http'.ClientSession()\n"
   "assert(getmetatable(session.multi) == false)\n"
   "assert(session.multi.__gc == nil and session.multi.__index == nil)\n"
   "session:close()\n"},
  {"a finalizer is refused", NONE,
   "refused('__gc is not available', setmetatable, {}, {__gc = print})\n"
   "refused('__gc is not available', setmetatable, {}, {__gc = false})\n"
   "refused('__gc is not available', pcall(setmetatable, {}, nil) and\n"
   "  setmetatable, setmetatable({}, {}), {__gc = 1})\n"},
  {"one that comes later does not run", NONE,
   "local meta = {}\n"
   "setmetatable({}, meta)\n"
   "meta.__gc = function() ran = true end\n"
   "refused('__gc', setmetatable, {}, meta)\n"
   "setmetatable({}, setmetatable({}, {__index = meta}))\n"
   "collect()\n"
   "assert(not ran)\n"},
  {"nor one in an error class, also of an error that C makes", NONE,
   "local asyncio = require 'asyncio'\n"
   "local function evil() ran = true end\n"
   "for _, class in pairs(asyncio) do\n"
   "  if type(class) == 'table' and class.__name then\n"
   "    rawset(class, '__gc', evil)\n"
   "    class.__index.__gc = evil\n"
   "    if getmetatable(class) then getmetatable(class).__gc = evil end\n"
   "  end\n"
   "end\n"
   "local mine = asyncio.Exception:subclass 'Mine'\n"
   "mine.__gc = evil\n"
   "pcall(mine, 'x') mine.__gc = evil mine('y', {z = 1})\n"
   "in_task(function()\n"
   "  local task = create_task(sleep(1))\n"
   "  task:cancel()\n"
   "  asyncio.catch(await, task)\n"
   "  pcall(task.set_result, task)\n"
   "  pcall(asyncio.Future().result, asyncio.Future())\n"
   "  pcall(error, asyncio.ExceptionGroup('g', {mine()}))\n"
   "end)\n"
   "collect()\n"
   "assert(not ran)\n"},
  {"nor one in a class of the library", NONE,
   "local asyncio = require 'asyncio'\n"
   "for _, name in ipairs{'Queue', 'Event', 'Condition', 'PriorityQueue'} do\n"
   "  local meta = getmetatable(asyncio[name]())\n"
   "  if meta then meta.__gc = function() ran = true end end\n"
   "  pcall(asyncio[name])\n"
   "end\n"
   "collect()\n"
   "assert(not ran)\n"},
  {"nor one in a mark of json's", NONE,
   "local json = require 'json'\n"
   "local function evil() ran = true end\n"
   "getmetatable(json.array()).__gc = evil json.array()\n"
   "getmetatable(json.array()).__gc = evil json.decode '[[], {}]'\n"
   "getmetatable(json.object()).__gc = evil json.object()\n"
   "getmetatable(json.null).__gc = evil\n"
   "json.JSONDecodeError.__gc = evil pcall(json.decode, '[')\n"
   "collect()\n"
   "assert(not ran)\n"},
  {"a protected metatable stays", NONE,
   "local t = setmetatable({}, {__metatable = 'mine'})\n"
   "refused('protected', setmetatable, t, {})\n"
   "assert(getmetatable(t) == 'mine')\n"},
};

static void metatables_are_no_way_out(void **state) {
  (void)state;
  RUN_CHUNKS(metatables);
}

static const chunk modules[] = {
  {"require gives no library that is not granted", NONE,
   "for _, name in ipairs{'io', 'debug', 'package', 'loadlib', 'load'} do\n"
   "  refused('not found', require, name)\n"
   "end\n"
   "assert(require '_G' == _G and require 'os' == os)\n"
   "assert(require 'string' == string and not require('os').execute)\n"},
  {"require takes nothing but a name of a module", NONE,
   "for _, name in ipairs{'../etc/passwd', '/etc/passwd', 'neap.', 'neap.json.',\n"
   "    'neap.json.decode', '.', '..', '', 'neap.asyncio.queue',\n"
   "    folder .. '/hostmodule'} do\n"
   "  refused('not found', require, name)\n"
   "end\n"},
  {"the host's modules are there: Lua in its folder, preloaded, loaded", NONE,
   "assert(require 'hostmodule' == 'of the host')\n"
   "assert(require 'preloaded' == 'from the host')\n"
   "assert(require 'loaded' == 'by the host')\n"},
  {"a module's own error, or what is no text, is told", NONE,
   "refused('error loading module', require, 'binary')\n"},
  {"a module in C that is not known is not loaded", NONE,
   "refused('not found', require, 'unknown')\n"
   "refused('not found', require, 'neap.unknown.part')\n"},
  {"http needs net, also its parts", FS | PROCESS | ENV | LOAD,
   "refused('net', require, 'http')\n"
   "refused('net', require, 'neap.http.curl')\n"
   "refused('net', require, 'neap.http.session')\n"},
  {"time needs process", FS | NET | ENV | LOAD,
   "refused('process', require, 'time')\n"},
  {"package has no way to other modules", FS,
   "for name in pairs(package) do assert(name == 'path', name) end\n"
   "assert(require 'package' == package)\n"
   "package.cpath = folder .. '/?.so'\n"
   "package.preload = {x = function() end}\n"
   "package.searchers = {function() return function() end end}\n"
   "refused('not found', require, 'unknown')\n"
   "refused('not found', require, 'x')\n"
   "package.path = nil\n"
   "refused('string expected', require, 'y')\n"},
  {"a replaced require does not deceive json", NONE,
   "local require_ = require\n"
   "for _, fake in ipairs{function() return 1 end, function() return {} end,\n"
   "    function() return {Exception = {subclass = function() return 5 end}} end} do\n"
   "  require = fake\n"
   "  local ok, json = pcall(require_, 'json')\n"
   "  if ok then assert(not pcall(json.decode, '[')) end\n"
   "end\n"},
};

static void require_is_no_way_out(void **state) {
  (void)state;
  write_file("hostmodule.lua", "return 'of the host'\n");
  write_file("binary.lua", "\x1bLua");
  write_file("unknown.so", "no library");
  RUN_CHUNKS(modules);
}

static const chunk code[] = {
  {"a binary chunk is refused by load", LOAD,
   "for _, mode in ipairs{'b', 'bt', 't', 'tb', ''} do\n"
   "  local f, err = load(binary, 'x', mode)\n"
   "  assert(not f and err:find 'binary', err)\n"
   "end\n"
   "local sent\n"
   "local f, err = load(function() sent = not sent return sent and binary end,\n"
   "  'x', 'b')\n"
   "assert(not f and err:find 'binary')\n"
   "local i = 0\n"
   "f, err = load(function() i = i + 1 return binary:sub(i, i) end)\n"
   "assert(not f and err:find 'binary')\n"
   "assert(not string.dump and not ran)\n"},
  {"by loadfile, dofile and require", FS,
   "local file = io.open(folder .. '/evil.lua', 'wb')\n"
   "file:write(binary):close()\n"
   "local path = folder .. '/evil.lua'\n"
   "for _, mode in ipairs{'b', 'bt', 't'} do\n"
   "  local f, err = loadfile(path, mode)\n"
   "  assert(not f and err:find 'binary', err)\n"
   "end\n"
   "assert(not loadfile(path))\n"
   "refused('binary', dofile, path)\n"
   "package.path = folder .. '/?.lua'\n"
   "refused('binary', require, 'evil')\n"
   "assert(not ran)\n"},
  {"behind a first line that is skipped, too", FS,
   "local file = io.open(folder .. '/evil.lua', 'wb')\n"
   "file:write('#!x\\n', binary):close()\n"
   "refused('binary', dofile, folder .. '/evil.lua')\n"
   "assert(not loadfile(folder .. '/evil.lua', 'b') and not ran)\n"},
  {"load takes no source without end", LOAD,
   "local f, err = load(function() return '--\\n' end)\n"
   "assert(not f and err:find 'more than 1048576 bytes', err)\n"
   "f, err = load((' '):rep((1 << 20) + 1))\n"
   "assert(not f and err:find 'more than 1048576 bytes', err)\n"
   "assert(load((' '):rep(1 << 20)))\n"
   "f, err = load(function() return (' '):rep(1 << 18) end)\n"
   "assert(not f and err:find 'more than 1048576 bytes', err)\n"},
  {"an environment gives nothing that the globals have not", LOAD,
   "local _ENV = setmetatable({}, {__index = _G})\n"
   "assert(not io and not debug and not _G.io and not _ENV.package)\n"
   "assert(load 'return _ENV' () == _G)\n"
   "assert(load('return io', 'x', 't', _ENV)() == nil)\n"},
  {"no function that is kept leads to the original ones", FS | LOAD,
   "local t = {}\n"
   "for _, f in ipairs{pairs, next, ipairs, coroutine.wrap, xpcall, load} do\n"
   "  for k, v in pairs(_G) do t[k] = v end\n"
   "end\n"
   "assert(not t.debug and not t.io.popen)\n"
   "refused('wrong number of arguments', table.insert, {})\n"},
};

static void code_is_text(void **state) {
  (void)state;
  RUN_CHUNKS(code);
}

static const chunk others[] = {
  {"the collector cannot be stopped", NONE,
   "for _, option in ipairs{'stop', 'restart', 'isrunning', 'setpause',\n"
   "    'setstepmul', 'incremental', 'generational', 'x'} do\n"
   "  refused(\"there are 'collect', 'count' and 'step'\", collectgarbage, option, 0)\n"
   "end\n"
   "collectgarbage('step', -1 << 31) collectgarbage('step', math.mininteger)\n"
   "collectgarbage('step', -1)\n"
   "local before = collectgarbage 'count'\n"
   "for i = 1, 1000 do local s = ('x'):rep(50000) .. i end\n"
   "assert(collectgarbage 'count' < before + 20000)\n"},
  {"os.date takes no long format, os.time any table", NONE,
   "refused('too long', os.date, ('%c'):rep(501))\n"
   "assert(#os.date(('%Y'):rep(500)) == 2000)\n"
   "refused('invalid conversion', os.date, '%Ez')\n"
   "refused('invalid conversion', os.date, '%')\n"
   "refused('cannot be represented', os.date, '%c', math.maxinteger)\n"
   "refused('missing', os.time, {})\n"
   "refused('mine', os.time, setmetatable({}, {__index = function() error 'mine' end}))\n"
   "refused('mine', os.time, setmetatable({}, {__index = function() return 7 end,\n"
   "  __newindex = function() error 'mine' end}))\n"},
  {"an error handler is no way out", NONE,
   "assert(not pcall(xpcall, print, debug))\n"
   "local ok, err = xpcall(error, function(e) return {e} end, 'x')\n"
   "assert(not ok and err[1] == 'x')\n"
   "local function deep() return pcall(deep) end\n"
   "local function deeper() return xpcall(deeper, deeper) end\n"
   "deep() deeper()\n"
   "local function endless(e) return error(e) end\n"
   "assert(not xpcall(endless, endless, 'x'))\n"
   "local function overflow() return 1 + overflow() end\n"
   "assert(not pcall(overflow))\n"},
  {"nor is an error that passes pcall", NONE,
   "local asyncio = require 'asyncio'\n"
   "local key\n"
   "for k in pairs(asyncio.CancelledError) do\n"
   "  if type(k) == 'userdata' then key = k end\n"
   "end\n"
   "for _, flags in ipairs{-1, 1, 2, 4, 255, 1 << 40, 'x', {}, 0.5} do\n"
   "  local forged = setmetatable({message = {}}, {[key] = flags, __name = {}})\n"
   "  asyncio.catch(error, forged)\n"
   "  asyncio.catch(in_task, function() error(forged) end)\n"
   "end\n"
   "asyncio.catch(error, key)\n"
   "asyncio.catch(in_task, function() error(key) end)\n"
   "local ok = asyncio.catch(in_task, function()\n"
   "  error(asyncio.KeyboardInterrupt())\n"
   "end)\n"
   "assert(not ok)\n"},
  {"the threads of tasks and of the host are not the script's", NONE,
   "local asyncio = require 'asyncio'\n"
   "local main, kept = coroutine.running(), nil\n"
   "in_task(function()\n"
   "  kept = coroutine.running()\n"
   "  local other = create_task(async(function()\n"
   "    assert(not coroutine.resume(kept) and not coroutine.resume(main))\n"
   "    refused('cannot close', coroutine.close, kept)\n"
   "    refused('cannot close', coroutine.close, main)\n"
   "    refused('cannot resume', coroutine.wrap(function()\n"
   "      assert(coroutine.resume(main)) end))\n"
   "  end)())\n"
   "  await(other)\n"
   "end)\n"
   "assert(not coroutine.resume(kept))\n"
   "coroutine.close(kept)\n"
   "in_task(function() assert(not coroutine.resume(kept)) await(sleep(0)) end)\n"
   "refused('cannot close', coroutine.close, main)\n"},
  {"what the library calls by itself takes any value", NONE,
   "local asyncio, stolen = require 'asyncio', {}\n"
   "local pcall_ = asyncio.catch\n"
   "local function thief(f, ...)\n"
   "  stolen[#stolen + 1] = f\n"
   "  return pcall_(f, ...)\n"
   "end\n"
   "pcall, asyncio.catch = thief, thief\n"
   "pcall_(in_task, function()\n"
   "  local group <close> = asyncio.TaskGroup()\n"
   "  group:create_task(async(function() error 'x' end)())\n"
   "  create_task(sleep(0))\n"
   "end)\n"
   "pcall_(in_task, function()\n"
   "  local queue = asyncio.Queue(1)\n"
   "  create_task(async(function() await(queue:get()) end)()):cancel()\n"
   "  await(sleep(0)) await(sleep(0))\n"
   "end)\n"
   "assert(#stolen > 0)\n"
   "for _, f in ipairs(stolen) do\n"
   "  for _, value in ipairs{1, 'x', {}, type, asyncio.Future(), asyncio.Lock(),\n"
   "      sleep(0), coroutine.running(), async} do\n"
   "    pcall_(f, value) pcall_(f, value, value, value) pcall_(f)\n"
   "  end\n"
   "end\n"},
  {"nor does shield settle what is no future", NONE,
   "local asyncio = require 'asyncio'\n"
   "local function no() return false end\n"
   "local fake\n"
   "asyncio.Future = function() return fake end\n"
   "in_task(function()\n"
   "  for _, object in ipairs{require 'json'.null, create_task(sleep(0)),\n"
   "      asyncio.Lock(), {}} do\n"
   "    fake = {done = no, add_done_callback = no}\n"
   "    if type(object) == 'userdata' then fake = object end\n"
   "    asyncio.catch(asyncio.shield, sleep(0))\n"
   "    await(sleep(0)) await(sleep(0))\n"
   "  end\n"
   "end)\n"},
  {"methods take no object of another kind", NONE,
   "local asyncio = require 'asyncio'\n"
   "local objects, methods = {}, {}\n"
   "in_task(function()\n"
   "  local coro = async(function() end)()\n"
   "  objects = {asyncio.current_task(), asyncio.Future(), gather(sleep(0)), coro,\n"
   "    asyncio.call_soon(collect), asyncio.Lock(), asyncio.Semaphore(1), sleep(0),\n"
   "    asyncio.Queue(), {}, 5, 'x', type, require 'json'.null}\n"
   "  for _, name in ipairs{'done', 'cancelled', 'result', 'exception', 'cancel',\n"
   "      'set_result', 'set_exception', 'add_done_callback', 'close',\n"
   "      'remove_done_callback', 'cancelling', 'uncancel', 'get_name', 'set_name',\n"
   "      'get_coro', 'get_stack', 'acquire', 'release', 'locked'} do\n"
   "    for _, object in ipairs(objects) do\n"
   "      local ok, f = pcall(function() return object[name] end)\n"
   "      if ok and type(f) == 'function' then methods[#methods + 1] = f end\n"
   "    end\n"
   "  end\n"
   "  assert(#methods > 20)\n"
   "  for _, method in ipairs(methods) do\n"
   "    for _, object in ipairs(objects) do asyncio.catch(method, object, object) end\n"
   "  end\n"
   "  asyncio.catch(await, sleep(0))\n"
   "end)\n"},
  {"http sends and trusts no file without fs", NET,
   "local http, asyncio = require 'http', require 'asyncio'\n"
   "refused('fs', http.ClientSession, {ca = '/etc/hosts'})\n"
   "in_task(function()\n"
   "  local session <close> = http.ClientSession()\n"
   "  refused('fs', await, session:post('http://localhost',\n"
   "    {files = {x = {path = '/etc/hosts'}}}))\n"
   "  local curl = require 'neap.http.curl'\n"
   "  local request = {method = 'POST', url = 'http://localhost', headers = {},\n"
   "    parts = {{name = 'x', path = '/etc/hosts'}}}\n"
   "  local multi = curl.multi{}\n"
   "  refused('fs', multi.start, multi, request)\n"
   "  request.parts, request.ca = nil, '/etc/hosts'\n"
   "  refused('fs', multi.start, multi, request)\n"
   "  request.ca, request.method = nil, nil\n"
   "  setmetatable(request, {__index = function() multi:close() end})\n"
   "  refused('expected', multi.start, multi, request)\n"
   "end)\n"},
  {"file: is no URL", NET,
   "in_task(function()\n"
   "  for _, url in ipairs{'file:///etc/hosts', 'file:/etc/hosts', 'ftp://h/x',\n"
   "      'dict://h/x', 'gopher://h/x', 'FILE:///etc/hosts'} do\n"
   "    refused('is not a URL', await, require 'http'.get(url))\n"
   "  end\n"
   "end)\n"},
  {"a pipe is no default file", FS | PROCESS,
   "refused('pipe', io.input, io.popen 'true')\n"
   "refused('pipe', io.output, io.popen 'true')\n"
   "local path = folder .. '/default'\n"
   "io.output(path) io.write 'x' io.close() io.output(io.stdout)\n"
   "io.input(path) assert(io.read 'a' == 'x') io.close(io.input())\n"
   "io.input(io.stdin)\n"},
};

static void the_rest_is_no_way_out(void **state) {
  (void)state;
  RUN_CHUNKS(others);
}

/* ====================================================== } */

/* {======================================================
** Reports
** ======================================================= */

/* Errors that act when somebody looks at them. `evil` is what they call. */
static const char *const hostile[] = {
  "error(setmetatable({}, {__tostring = evil}))",
  "error(setmetatable({}, {__index = evil, __metatable = evil, __name = 'x'}))",
  "error(setmetatable({}, {__name = setmetatable({}, {__tostring = evil})}))",
  "local class = asyncio.Exception:subclass('Mine')\n"
  "class.__name = setmetatable({}, {__tostring = evil, __concat = evil})\n"
  "error(class('x'))",
  "local class = asyncio.Exception:subclass('Mine')\n"
  "class.__tostring = evil class.__index = evil class.__close = evil\n"
  "error(class('x'))",
  "error(asyncio.Exception(setmetatable({}, {__tostring = evil,\n"
  "  __concat = evil})))",
  "error(asyncio.Exception(asyncio.Exception(setmetatable({}, {\n"
  "  __tostring = evil}))))",
  "error(asyncio.ExceptionGroup('x', setmetatable({}, {__index = evil,\n"
  "  __len = evil, __pairs = evil})))",
  "error(asyncio.ExceptionGroup('x', {setmetatable({}, {__tostring = evil})}))",
  "local group = asyncio.ExceptionGroup('x', {})\n"
  "group.exceptions[1] = group\n"
  "setmetatable(group, nil) setmetatable(group, {__index = evil, __groups = true,\n"
  "  __tostring = evil, __name = evil})\n"
  "error(group)",
  "local e = asyncio.Exception('x')\n"
  "e.traceback = setmetatable({}, {__tostring = evil, __concat = evil})\n"
  "error(e)",
};

static void a_report_runs_no_script(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
    reports said = {0, ""};
    neap_config config;
    neap_vm *vm;
    lua_State *L;
    configure(&config, NONE);
    config.report = reports_add;
    config.report_ud = &said;
    vm = open_sandbox(&config);
    L = neap_lua(vm);
    assert_int_equal(luaL_loadstring(L, hostile[i]), LUA_OK);
    lua_setglobal(L, "fail");
    run_lua(vm, "asyncio = require 'asyncio'\n"
                "function evil() called = true return 'evil' end\n"
                "in_task(function()\n"
                "  create_task(async(fail)())\n" /* nobody looks at it, */
                "  asyncio.call_soon(fail)\n"
                "  local future = asyncio.Future()\n"
                "  pcall(future.set_exception, future, select(2, pcall(fail)))\n"
                "  future = nil\n"
                "  await(sleep(0)) await(sleep(0))\n"
                "end)\n"
                "collect()"); /* so these are reported */
    lua_pushcfunction(L, neap_traceback);
    lua_getglobal(L, "fail");
    assert_int_equal(lua_pcall(L, 0, 0, 1), LUA_ERRRUN);
    assert_int_equal(lua_type(L, -1), LUA_TSTRING);
    if (said.count != 3 || global_is_true(vm, "called"))
      fail_msg("%d reports, %s, of: %s", said.count,
               global_is_true(vm, "called") ? "which called it" : "alone",
               hostile[i]);
    close_vm(vm);
  }
}

static void debug_mode_runs_no_script(void **state) {
  neap_config config;
  neap_vm *vm;
  (void)state;
  configure(&config, NONE);
  config.debug = 1;
  vm = open_sandbox(&config);
  run_lua(vm, "local asyncio = require 'asyncio'\n"
              "local _ = asyncio.Event\n" /* from now on its metatable is bare */
              "asyncio.slow_callback_duration = nil\n"
              "setmetatable(asyncio, {__index = function(_, name)\n"
              "  if name == 'slow_callback_duration' then called = true end\n"
              "end})\n"
              "in_task(function() await(sleep(0)) end)");
  assert_false(global_is_true(vm, "called"));
  close_vm(vm);
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
    TEST(metatables_are_no_way_out),
    TEST(require_is_no_way_out),
    TEST(code_is_text),
    TEST(the_rest_is_no_way_out),
    TEST(a_report_runs_no_script),
    TEST(debug_mode_runs_no_script),
  };
  return cmocka_run_group_tests_name("escape", tests, NULL, NULL);
}
