-- embed_spec.lua: the host programs of scripts/embed, built beside the
-- program under test, print what they should, to the byte.

local program = require "program"

local sources = "scripts/embed/"
local built = assert(program.neap:match "^(.*)/") .. "/" .. sources

-- The lines as one text, as a program writes them.
local function lines(list)
  return #list > 0 and table.concat(list, "\n") .. "\n" or ""
end

local function run_host(name, arguments, options)
  return program.run({built .. name, table.unpack(arguments or {})}, options)
end

local function succeeds(result, stdout)
  assert.equal("", result.stderr)
  assert.equal(lines(stdout), result.stdout)
  assert.equal(0, result.code)
end

-- It has printed nothing but why.
local function fails(result, stderr)
  assert.equal("", result.stdout)
  assert.equal(stderr, result.stderr)
  assert.equal(1, result.code)
end

-- What each plugin has printed, and what was said of it: lists by name. The
-- order between plugins is open.
local function by_plugin(text)
  local plugins = {}
  for name, line in text:gmatch "([^\n:]*): ([^\n]*)\n" do
    plugins[name] = plugins[name] or {}
    table.insert(plugins[name], line)
  end
  return plugins
end

describe("host programs", function()
  describe("1-smallest", function()
    local function run_script(code)
      local folder <close> = program.folder()
      local path = folder:write("script.lua", code)
      local result = run_host("1-smallest", {path})
      result.stderr = result.stderr:gsub(path:gsub("%p", "%%%0"), "script.lua")
      return result
    end

    it("runs a script of its own", function()
      succeeds(run_host "1-smallest", {"hello", "hello again"})
    end)

    it("runs a file, which awaits at its top level", function()
      succeeds(run_script "await(sleep(0.001)) print(await(async(function() return 1, 2 end)()))", {"1\t2"})
    end)

    it("prints an error with its traceback, and fails", function()
      local result = run_script [[
local inner = async(function() await(sleep(0)) error("boom") end)
await(inner())]]
      assert.equal("", result.stdout)
      assert.matches("^script.lua:1: boom\n.*in async function 'inner'\n.*script.lua:2: in ", result.stderr)
      assert.equal(1, result.code)
    end)

    it("prints the error of a script that does not compile", function()
      fails(run_script "x = = 1", "script.lua:1: unexpected symbol near '='\n")
    end)

    it("tells of a script that waits for what cannot come", function()
      fails(run_script "await(require 'asyncio'.Future())", "every task waits, and nothing can wake one\n")
    end)

    it("prints the warnings of a script that succeeds", function()
      local result = run_script "local f = async(function() end) f()"
      assert.matches("^RuntimeWarning: coroutine 'f' was never awaited\n", result.stderr)
      assert.equal(0, result.code)
    end)

    it("gives the script no access to files", function()
      succeeds(run_script "print(io, os.execute, os.time() > 0)", {"nil\tnil\ttrue"})
    end)

    it("tells of a file that is not there", function()
      fails(run_host("1-smallest", {"/nowhere.lua"}), "/nowhere.lua: No such file or directory\n")
    end)
  end)

  it("2-uv-loop: two VMs and a timer of the host's share a loop, which is empty in the end", function()
    succeeds(run_host "2-uv-loop", {
      "tick 1", "tick 2", "tick 3",
      "VM 0: the ticks add up to 6", "VM 1: the ticks add up to 6",
      "VM 0: closed", "VM 1: closed",
    })
  end)

  it("3-epoll: a VM runs from an epoll loop", function()
    succeeds(run_host "3-epoll", {"tick 1", "tick 2", "tick 3", "the ticks add up to 6"})
  end)

  it("3-epoll: has nothing of libuv in its code", function()
    assert.is_nil(program.read(sources .. "3-epoll.c"):find "uv_")
  end)

  it("4-game: frames go on beside a script that is never done, and an object ends", function()
    succeeds(run_host "4-game", {
      "the knight meets the goblin",
      "goblin: game:5: calling 'move' on bad self (this Entity is gone)",
      "knight: arrived",
      "dragon: the VM is closed",
    })
  end)

  describe("5-plugins", function()
    -- The thread sanitizer hands a signal on when the program makes a system
    -- call. One that spins makes none, and no limit of time can stop it.
    local function it_stops_spinners_and(name, fn)
      it(name, (os.getenv "SAN" or ""):find "thread" and function()
        pending "the thread sanitizer holds signals back"
      end or fn)
    end

    it_stops_spinners_and("kills the plugins that hit a limit, while the others go on", function()
      local result = run_host("5-plugins", {}, {stdin = "one\ntwo\n"})
      local me = ("me "):rep(100)
      local crowd = "crowd.lua:6: too many tasks: the limit is 100 unfinished ones"
      local flood = "flood.lua:5: print: the limit of output (1000 bytes) was reached"
      assert.equal("", result.stderr)
      assert.same({
        ["burglar.lua"] = {"can load http: false", "can load http: false"},
        ["counter.lua"] = {'event 1 is "one"', 'event 2 is "two"'},
        ["crowd.lua"] = {crowd, crowd},
        ["flood.lua"] = {me, me, me, flood, me, me, me, flood},
        ["hog.lua"] = {"killed: the limit of memory was reached"},
        ["spinner.lua"] = {"killed: the limit of time was reached"},
        ["stuck.lua"] = {"killed: it cannot be preempted where it runs"},
      }, by_plugin(result.stdout))
      assert.equal(0, result.code)
    end)

    it_stops_spinners_and("loads a plugin again when its file has changed", function()
      local folder <close> = program.folder()
      local output = folder:file "output"
      folder:write("good.lua", "return function(line) print('old ' .. line) end")
      folder:write("bad.lua", "while true do end")
      folder:write("worse.lua", "return function(line) print('still ' .. line) end")
      folder:write("good.new", "return function(line) print('new ' .. line) end")
      folder:write("bad.new", "return function(line) print('better ' .. line) end")
      folder:write("worse.new", "x = = 1")
      local command = [[
cd "$FOLDER" || exit
{
  echo one
  until grep -qs "old one" output; do sleep 0.01; done
  for name in good bad worse; do
    mv $name.new $name.lua
    touch -d @1 $name.lua # another time, however fast this was
  done
  echo two
} | "$HOST" . >output]]
      local result = program.run(command, {env = {FOLDER = folder.path, HOST = built .. "5-plugins"}})
      assert.equal("", result.stderr)
      assert.same({
        ["good.lua"] = {"old one", "new two"},
        ["bad.lua"] = {"killed: it cannot be preempted where it runs", "better two"},
        ["worse.lua"] = {"still one", "worse.lua:1: unexpected symbol near '='", "still two"},
      }, by_plugin(program.read(output)))
      assert.equal(0, result.code)
    end)

    it("goes on when a plugin has mistakes", function()
      local folder <close> = program.folder()
      folder:write("a.lua", "return function(line) error('not ' .. line) end")
      folder:write("b.lua", "x = = 1")
      folder:write("c.lua", "error 'boom'")
      folder:write("d.lua", "return 1")
      folder:write("e.lua", "return function(line) print(line) end")
      local result = run_host("5-plugins", {folder.path}, {stdin = "one\ntwo\n"})
      assert.equal("", result.stderr)
      assert.same({
        ["a.lua"] = {"a.lua:1: not one", "a.lua:1: not two"},
        ["b.lua"] = {"b.lua:1: unexpected symbol near '='"},
        ["c.lua"] = {"c.lua:1: boom"},
        ["d.lua"] = {"a function expected"},
        ["e.lua"] = {"one", "two"},
      }, by_plugin(result.stdout))
      assert.equal(0, result.code)
    end)

    it("tells of a folder that has no plugins", function()
      local folder <close> = program.folder()
      fails(run_host("5-plugins", {folder.path}), folder.path .. ": no plugins\n")
    end)
  end)

  it("6-native-async: threads settle promises, and are told when nobody waits", function()
    succeeds(run_host "6-native-async", {
      "measured\t300\t100",
      "false\tthere is no sensor 0",
      "sensor 1000 is told to stop",
      "cancelled\ttrue",
      "checksum\t13930",
    })
  end)

  it("7-threads: VMs on three threads send numbers to each other", function()
    succeeds(run_host "7-threads", {
      "Ann gets 1", "Ben gets 2", "Cid gets 3", "Ann gets 4", "Ben gets 5", "Cid gets 6",
      "Ann gets 7", "Ben gets 8", "Cid gets 9",
      "Ann: the VM is closed", "Ben: the VM is closed", "Cid: the VM is closed",
    })
  end)

  it("are shorter than 150 lines each, and have a test and a line in README.md", function()
    local readme = program.read(sources .. "README.md")
    local spec = program.read("tests/spec/embed_spec.lua")
    local count = 0
    for path in program.capture("ls " .. sources .. "*.c"):gmatch "[^\n]+" do
      local name = path:match "([^/]+)%.c$"
      local _, length = program.read(path):gsub("\n", "")
      count = count + 1
      assert.is_true(length < 150, path .. " has " .. length .. " lines")
      assert.is_truthy(readme:find("`" .. name .. ".c`", 1, true), path .. " is not in README.md")
      assert.is_truthy(spec:find('"' .. name .. '"', 1, true), path .. " has no test")
    end
    assert.equal(7, count)
  end)
end)
