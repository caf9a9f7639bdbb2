-- luv_spec.lua: the system's luv on the VM's loop.

local program = require "program"
local scripts = require "scripts"

local PRELUDE = [[
  local asyncio = require "asyncio"
  local uv = require "luv"
  -- calls f in a callback of luv, so many ms later
  local function later(ms, f)
    local timer = uv.new_timer()
    timer:start(ms, 0, function() timer:close() f() end)
  end
]]

local run, prints, prints_in_main = scripts.with(PRELUDE)

describe("luv's callbacks", function()
  it("come while tasks wait, and settle futures", function()
    prints_in_main("5\tslept\n", [[
      local future = asyncio.Future()
      later(5, function() future:set_result(5) end)
      print(await(future), await(sleep(0, "slept")))
    ]])
  end)

  it("may create tasks, also when nothing else is ready", function()
    prints_in_main("nil\ndone\n", [[
      local future = asyncio.Future()
      later(1, function()
        print(asyncio.current_task())
        create_task(async(function() await(sleep(0.001)) future:set_result "done" end)())
      end)
      print(await(future))
    ]])
  end)

  it("may schedule callbacks and cancel tasks", function()
    prints_in_main("soon\nCancelledError\n", [[
      local task = create_task(sleep(10))
      later(1, function() task:cancel() asyncio.call_soon(print, "soon") end)
      print(select(2, asyncio.catch(await, task)))
    ]])
  end)

  it("cannot await", function()
    prints_in_main("false\n", [[
      local future = asyncio.Future()
      later(1, function() print((pcall(await, future))) end)
      await(sleep(0.02))
    ]])
  end)

  it("that fail are reported, and nothing else happens", function()
    local result = run [[
      run(async(function()
        later(1, function() error "boom" end)
        later(1, function() error(asyncio.TimeoutError "late") end)
        await(sleep(0.02))
        print "goes on"
      end)())
    ]]
    assert.are.equal("goes on\n", result.stdout)
    assert.are.equal(0, result.code)
    assert.matches("^Exception in callback\nhandle: function at script.lua:6\nscript.lua:9: boom\n"
      .. "stack traceback:\n.*script.lua:9: in ", result.stderr)
    assert.matches("\nTimeoutError: late\n", result.stderr)
  end)

  it("end at Ctrl-C when they spin", function()
    local result = run(([[
      run(async(function()
        local guard <close> = setmetatable({}, {__close = function() print "cleanup" end})
        later(1, function() %s while true do end end)
        await(sleep(10))
      end)())
    ]]):format(program.INTERRUPT))
    assert.are.equal("cleanup\n", result.stdout)
    assert.are.equal("KeyboardInterrupt\n", result.stderr)
    assert.are.equal(130, result.code)
  end)

  it("of requests and sockets come, too", function()
    prints_in_main("directory\nfrom the server\n", [[
      local stat, answer = asyncio.Future(), asyncio.Future()
      uv.fs_stat("/", function(_, result) stat:set_result(result.type) end)
      print(await(stat))
      local server, client = uv.new_tcp(), uv.new_tcp()
      server:bind("127.0.0.1", 0)
      server:listen(1, function()
        local peer = uv.new_tcp()
        server:accept(peer)
        peer:write("from the server", function() peer:close() end)
      end)
      client:connect("127.0.0.1", server:getsockname().port, function()
        client:read_start(function(_, data) if data then answer:set_result(data) end end)
      end)
      print(await(answer))
      server:close()
      client:close()
    ]])
  end)
end)

describe("luv.run", function()
  it("runs the loop, with tasks on it", function()
    prints("task\nfalse\n", [[
      later(1, function()
        create_task(async(function() await(sleep(0.001)) print "task" end)())
      end)
      print(uv.run())
    ]])
  end)

  it("ends with luv.stop, and can go on", function()
    prints("true\nfalse\nrun\n", [[
      local timer, count = uv.new_timer(), 0
      timer:start(1, 1, function()
        count = count + 1
        if count == 1 then uv.stop() else timer:close() end
      end)
      print(uv.run())
      print(uv.run())
      run(async(function() await(sleep(0)) print "run" end)())
    ]])
  end)

  it("does one turn as 'nowait' and 'once'", function()
    prints("true\ntick\nfalse\n", [[
      later(20, function() print "tick" end)
      print(uv.run "nowait")
      uv.run "once"
      print(uv.run "nowait")
    ]])
  end)

  it("is refused in a task", function()
    prints_in_main("script.lua:9: luv: run: the loop is running already: leave it out, and await what is to come\n", [[
      print(select(2, pcall(function() uv.run() end)))
    ]])
  end)

  it("is refused where the modes are others", function()
    prints_in_main("false\n", [[print((pcall(uv.run, "twice")))]])
  end)
end)

describe("luv.stop in a run", function()
  it("does nothing", function()
    prints_in_main("still here\n", [[
      later(1, uv.stop)
      await(sleep(0.02))
      print "still here"
    ]])
  end)
end)

describe("luv.walk", function()
  it("finds luv's handles, and no others", function()
    prints_in_main("2\ntrue\n", [[
      local signal = require "signal"
      local handler <close> = signal.on("HUP", print)
      local one, two = uv.new_timer(), uv.new_idle()
      local found = {}
      uv.walk(function(handle) found[#found + 1] = handle end)
      print(#found)
      uv.walk(function(handle) handle:close() end)
      print(one:is_closing() and two:is_closing())
    ]])
  end)
end)

describe("at the end of the program", function()
  it("what is open, closing or under way is dropped", function()
    prints_in_main("the end\n", [[
      local open, closing = uv.new_timer(), uv.new_timer()
      open:start(0, 1, function() end)
      closing:close(function() end)
      for _ = 1, 20 do uv.fs_stat("/", function() end) end
      uv.fs_opendir("/", function() end) -- a leak is found by a sanitizer alone
      local server = uv.new_tcp()
      server:bind("127.0.0.1", 0)
      local client = uv.new_tcp()
      client:connect("127.0.0.1", server:getsockname().port, function() end)
      print "the end"
    ]])
  end)

  it("requests alone are, too", function()
    prints("", [[for _ = 1, 20 do uv.fs_stat("/", print) end]])
  end)

  it("work on threads, and what it needs, is ended first", function()
    prints_in_main("the end\n", [[
      local function count(n)
        local sum = 0
        for i = 1, n do sum = sum + i end
        return sum
      end
      local over = asyncio.Event()
      for _ = 1, 30 do uv.new_work(count, function() end):queue(100000) end
      uv.fs_opendir("/", function(_, dir)
        dir:readdir(function() end)
        print "the end"
        over:set()
      end, 10)
      await(over:wait())
    ]])
  end)

  it("without a run nothing runs", function()
    prints("", [[later(0, function() print "never" end)]])
  end)
end)

describe("require 'luv'", function()
  it("gives one luv, whose file is told", function()
    prints("true\ttrue\n", [[
      local again, file = require "luv"
      print(again == uv, file == nil or file:find "luv.so" ~= nil)
    ]])
  end)

  it("takes a program's own luv.lua first", function()
    local folder <close> = program.folder()
    folder:write("luv.lua", "return 'own'")
    local result = program.run({program.neap, "-e", "print(require 'luv')"}, {cwd = folder.path})
    assert.are.equal("own\t./luv.lua\n", result.stdout)
  end)

  it("says so when the system has none", function()
    local result = program.run({program.neap, "-e", "package.cpath = '' print(pcall(require, 'luv'))"})
    assert.matches("luv: the system has no module 'luv'", result.stdout, 1, true)
  end)
end)
