-- signal_spec.lua: the module `signal`. Each test runs a script that sends
-- signals to itself.

local scripts = require "scripts"

local PRELUDE = [[
  local asyncio = require "asyncio"
  local signal = require "signal"
  -- returns when the signals have been sent; they arrive in a later poll
  local function send(...)
    for _, name in ipairs {...} do io.popen("kill -" .. name .. " $PPID"):close() end
  end
  local function turns(n) for _ = 1, n do await(sleep(0.001)) end end
]]

local run, _, prints_in_main = scripts.with(PRELUDE)

describe("signal.wait", function()
  it("gives the name of the signal that came", function()
    prints_in_main("HUP\tUSR2\n", [[
      local one, two = create_task(signal.wait "HUP"), create_task(signal.wait("TERM", "SIGUSR2"))
      await(sleep(0))
      send("USR2", "HUP")
      print(await(one), await(two))
    ]])
  end)

  it("wakes every task that waits for the signal", function()
    prints_in_main("3\n", [[
      local tasks = {}
      for i = 1, 3 do tasks[i] = create_task(signal.wait "TERM") end
      await(sleep(0))
      send "TERM"
      print(#await(gather(tasks)))
    ]])
  end)

  it("takes nothing before it is awaited, and nothing after it", function()
    for _, code in ipairs {
      'local waiting = signal.wait "TERM" send "TERM" await(sleep(5)) await(waiting)',
      'create_task(signal.wait "TERM"):cancel() await(sleep(0)) send "TERM" await(sleep(5))',
      'pcall(await, asyncio.wait_for(signal.wait "TERM", 0.01)) send "TERM" await(sleep(5))',
      'local t = create_task(signal.wait "TERM") await(sleep(0)) send "TERM" print(await(t))'
        .. 'send "TERM" await(sleep(5))',
    } do
      local result = run("run(async(function()\n" .. code .. "\nend)())")
      assert.are.equal(15, result.signal, code .. result.stderr)
    end
  end)

  it("is no deadlock", function()
    prints_in_main("TERM\n", [[
      local shell = io.popen("sleep 0.1; kill -TERM $PPID")
      print(await(signal.wait "TERM"))
      shell:close()
    ]])
  end)

  it("can have a limit of time", function()
    prints_in_main("TimeoutError\n", [[
      print(select(2, pcall(await, asyncio.wait_for(signal.wait "HUP", 0.001))))
    ]])
  end)

  it("refuses what it cannot wait for", function()
    prints_in_main([[
script.lua:10: signal.wait: no program can catch KILL
script.lua:10: signal.wait: no program can catch STOP
script.lua:10: signal.wait: SEGV tells of an error in the program itself, which cannot go on then
script.lua:10: signal.wait: URG stops scripts whose time is over
script.lua:10: signal.wait: no signal is called 'TREM'; write "TERM", say
script.lua:10: signal.wait: a zero byte in the signal
script.lua:10: signal.wait: a string expected as the signal, got number
script.lua:12: signal.wait: no signal is named
]], [[
      for _, name in ipairs {"KILL", "SIGSTOP", "SEGV", "SIGURG", "TREM", "TERM\0x", 15} do
        print(select(2, pcall(await, signal.wait(name))))
      end
      print(select(2, pcall(await, signal.wait())))
    ]])
  end)
end)

describe("signal.each", function()
  it("gives what comes, also between two turns of the loop", function()
    prints_in_main("HUP\nUSR1\nUSR1\n", [[
      local task = create_task(async(function()
        local n = 0
        for name in signal.each("HUP", "USR1") do
          n = n + 1
          print(name)
          if n == 3 then break end
          if n == 1 then send "USR1" turns(3) end
        end
      end)())
      await(sleep(0))
      send "HUP"
      turns(20)
      send "USR1"
      await(task)
    ]])
  end)

  it("counts once what comes while nobody asks", function()
    prints_in_main("HUP\nTERM\n", [[
      local next_signal, watch, _, closing = signal.each("HUP", "TERM")
      local _ <close> = closing
      send "HUP" turns(2) send "HUP" turns(2)
      print(next_signal(watch))
      send "TERM"
      print(next_signal(watch))
    ]])
  end)

  it("ends with its loop: the signal does again what it did before", function()
    local result = run [[
      run(async(function()
        local t = create_task(async(function()
          for name in signal.each "TERM" do print(name) break end
        end)())
        await(sleep(0))
        send "TERM"
        await(t)
        send "TERM"
        await(sleep(5))
      end)())
    ]]
    assert.are.equal("TERM\n", result.stdout)
    assert.are.equal(15, result.signal)
  end)

  it("is for one task at a time", function()
    prints_in_main("script.lua:13: signal: another task waits for these signals\n", [[
      local next_signal, watch, _, closing = signal.each "HUP"
      local _ <close> = closing
      local first = create_task(async(function() next_signal(watch) end)())
      await(sleep(0))
      print(select(2, pcall(function() next_signal(watch) end)))
      first:cancel()
    ]])
  end)

  it("ends when what it goes through is closed meanwhile", function()
    prints_in_main("over\n", [[
      local next_signal, watch, _, closing = signal.each "HUP"
      local task = create_task(async(function()
        for _ in next_signal, watch do end
        print "over"
      end)())
      await(sleep(0))
      getmetatable(closing).__close(closing)
      await(task)
    ]])
  end)
end)

describe("signal.on", function()
  it("makes a task for each signal", function()
    prints_in_main("<Handler HUP USR1>\nbegin HUP\nbegin USR1\nend HUP\nend USR1\n", [[
      local handler <close> = signal.on("HUP", "USR1", async(function(name)
        print("begin " .. name)
        turns(20)
        print("end " .. name)
      end))
      print(handler)
      send "HUP" turns(2)
      send "USR1" turns(40)
    ]])
  end)

  it("gets a signal that is named twice once", function()
    prints_in_main("HUP\nUSR1\n", [[
      local handler <close> = signal.on("HUP", "SIGHUP", "USR1", print)
      send "HUP" turns(3)
      send "USR1" turns(3)
    ]])
  end)

  it("outside of a run takes nothing", function()
    local result = run [[
      collectgarbage "stop" -- which would give it back, too
      print(pcall(signal.on, "TERM", print))
      send "TERM"
      print "still there"
    ]]
    assert.matches("^false\tcreate_task: no running event loop[^\n]*\n$", result.stdout)
    assert.are.equal("", run [[
      pcall(signal.on, "TERM", print)
      collectgarbage() -- warns of what was never awaited
    ]].stderr)
    assert.are.equal(15, result.signal or result.code - 128) -- TERM; the shell may tell it
  end)

  it("calls a plain function, too", function()
    prints_in_main("TERM\n", [[
      local stop = asyncio.Event()
      local handler <close> = signal.on("TERM", function(name) print(name) stop:set() end)
      send "TERM"
      await(stop:wait())
    ]])
  end)

  it("reports an error of the function, and goes on", function()
    local result = run [[
      run(async(function()
        local handler <close> = signal.on("HUP", function() error "boom" end)
        send "HUP" turns(3)
        send "HUP" turns(3)
        collectgarbage()
        collectgarbage()
      end)())
    ]]
    assert.are.equal(0, result.code)
    local _, count = result.stderr:gsub("\nscript.lua:9: boom", "")
    assert.are.equal(2, count, result.stderr)
  end)

  it("ends when it is closed, at once", function()
    local result = run [[
      run(async(function()
        local handler = signal.on("TERM", print)
        handler:close()
        handler:close()
        print(handler)
        send "TERM"
        await(sleep(5))
      end)())
    ]]
    assert.are.equal(15, result.signal, result.stderr)
  end)

  it("ends with the run", function()
    local result = run [[
      run(async(function() signal.on("TERM", print) end)())
      send "TERM"
      require("time").sleep(5)
    ]]
    assert.are.equal(15, result.signal, result.stderr)
  end)

  it("wants a function", function()
    prints_in_main([[
script.lua:9: signal: on: a function expected after the signals, got a string
script.lua:10: signal: on: a function expected after the signals, got nil
script.lua:11: signal.on: no signal is named
script.lua:13: signal: Handler.close: a handler expected, got nil; write handler:close()
]], [[
      print(select(2, pcall(function() signal.on "HUP" end)))
      print(select(2, pcall(function() signal.on() end)))
      print(select(2, pcall(function() signal.on(print) end)))
      local handler <close> = signal.on("HUP", print)
      print(select(2, pcall(function() handler.close() end)))
    ]])
  end)
end)

describe("Ctrl-C", function()
  it("is the script's while it holds INT, and then the program's again", function()
    local result = run [[
      run(async(function()
        local t = create_task(signal.wait "INT")
        await(sleep(0))
        send "INT"
        print("took", await(t))
        local guard <close> = setmetatable({}, {__close = function() print "cleanup" end})
        send "INT"
        await(sleep(5))
      end)())
    ]]
    assert.are.equal("took\tINT\ncleanup\n", result.stdout)
    assert.are.equal("KeyboardInterrupt\n", result.stderr)
    assert.are.equal(130, result.code)
  end)

  it("SIGQUIT asks for a dump again when the script has let go of it", function()
    local result = run [[
      run(async(function()
        local t = create_task(signal.wait "QUIT")
        await(sleep(0))
        send "QUIT"
        print(await(t))
      end)())
      run(async(function()
        send "QUIT"
        turns(2)
      end)())
    ]]
    assert.are.equal("QUIT\n", result.stdout)
    assert.matches("^1 unfinished task", result.stderr)
    assert.are.equal(0, result.code)
  end)

  it("of two holders, the last one gives the signal back", function()
    local result = run [[
      run(async(function()
        local one, two = signal.on("INT", print), signal.on("INT", print)
        one:close()
        send "INT" turns(2)
        two:close()
        local guard <close> = setmetatable({}, {__close = function() print "cleanup" end})
        send "INT"
        await(sleep(5))
      end)())
    ]]
    assert.are.equal("INT\ncleanup\n", result.stdout)
    assert.are.equal(130, result.code)
  end)
end)
