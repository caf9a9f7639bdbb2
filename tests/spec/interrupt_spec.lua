-- interrupt_spec.lua: Ctrl-C: into awaiting, spinning and synchronous code;
-- the first one, the second one; cleanup; exit status (RU-10 to RU-13 of
-- the behaviours). Each test runs a child that interrupts itself.

local dropin = require "dropin"
local program = require "program"

-- What the scripts begin with. interrupt() returns when the signal has
-- arrived; guard(name) says when it is closed, after a turn of the loop.
local PRELUDE = [[
  local asyncio = require "asyncio"
  local function interrupt() ]] .. program.INTERRUPT .. [[ end
  local function guard(name)
    return setmetatable({}, {__close = function(_, err)
      await(sleep(0))
      await(sleep(0))
      print("cleanup", name)
    end})
  end
]]

-- Runs a script; asserts its output, and that Ctrl-C ended it.
local function interrupted(stdout, code)
  local result = program.run_script(PRELUDE .. code, {timeout = 30})
  assert.are.equal(stdout, result.stdout)
  assert.are.equal("KeyboardInterrupt\n", result.stderr)
  assert.are.equal(130, result.code)
end

-- Runs a script; asserts its output, and that it came to its end.
local function goes_on(stdout, code)
  local result = program.run_script(PRELUDE .. code, {timeout = 30})
  assert.are.equal("", result.stderr)
  assert.are.equal(stdout, result.stdout)
  assert.are.equal(0, result.code)
end

describe("Ctrl-C in an awaiting program", function()
  it("RU-10 cancels the main task; run raises KeyboardInterrupt", function()
    interrupted("CancelledError\ncleanup\tmain\n", [[
      run(async(function()
        local x <close> = guard "main"
        interrupt()
        local ok, err = asyncio.catch(await, sleep(1000))
        print(err)
        error(err)
      end)())
      print("not reached")
    ]])
  end)

  it("RU-10 cancels the other tasks, too; all cleanup runs", function()
    interrupted("cleanup\tmain\ncleanup\tone\ncleanup\ttwo\n", [[
      local wait = async(function(name)
        local x <close> = guard(name)
        await(asyncio.Future())
      end)
      run(async(function()
        local x <close> = guard "main"
        create_task(wait "one")
        create_task(wait "two")
        await(sleep(0))
        interrupt()
        await(sleep(1000))
      end)())
    ]])
  end)

  it("RU-10 wakes up a loop that sleeps", function()
    local result = program.run_script([[
      run(async(function()
        -- the signal comes when this process sleeps
        local pipe <close> = io.popen("until grep -q '^State:.S' " ..
          "/proc/$PPID/status; do :; done; kill -INT $PPID")
        await(sleep(1000))
      end)())
    ]], {timeout = 30})
    assert.are.equal("KeyboardInterrupt\n", result.stderr)
    assert.are.equal(130, result.code)
  end)

  it("RU-10 caught by the main task changes nothing else", function()
    goes_on("CancelledError\nafter\nresult\n", [[
      print(run(async(function()
        interrupt()
        print(select(2, asyncio.catch(await, sleep(1000))))
        await(sleep(0.001))
        print("after")
        return "result"
      end)()))
    ]])
  end)

  it("RU-10 lets another error of the main task come out", function()
    local result = program.run_script(PRELUDE .. [[
      run(async(function()
        interrupt()
        asyncio.catch(await, sleep(1000))
        error("other")
      end)())
    ]])
    assert.matches("script.lua:%d+: other\n", result.stderr)
    assert.are.equal(1, result.code)
  end)

  it("RU-11 lands in a main task that never blocks", function()
    interrupted("cleanup\tmain\n", [[
      run(async(function()
        local x <close> = guard "main"
        interrupt()
        while true do
          await(sleep(0))
        end
      end)())
    ]])
  end)

  it("RU-11 passes pcall, xpcall and generators", function()
    interrupted("", [[
      run(async(function()
        interrupt()
        while true do
          pcall(xpcall, coroutine.wrap(function()
            while true do
              pcall(await, sleep(0))
            end
          end), print)
        end
      end)())
    ]])
  end)

  it("RU-13 is no KeyboardInterrupt when a task cancelled main, too",
  function()
    goes_on("CancelledError: by hand\n", [[
      print(select(2, asyncio.catch(run, async(function()
        local me = asyncio.current_task()
        create_task(async(function() me:cancel("by hand") interrupt() end)())
        await(sleep(1000))
      end)())))
    ]])
  end)

  it("can be caught around run; the next run works", function()
    goes_on("true\nsecond\n", [[
      local function main()
        interrupt()
        await(sleep(1000))
      end
      local ok, err = asyncio.catch(run, async(main)())
      print(asyncio.isinstance(err, asyncio.KeyboardInterrupt))
      print(run(async(function() return await(sleep(0.001, "second")) end)()))
    ]])
  end)

  it("is not caught by pcall or xpcall around run", function()
    interrupted("", [[
      local main = async(function()
        interrupt()
        await(sleep(1000))
      end)
      pcall(xpcall, run, print, main())
      print("not reached")
    ]])
  end)

  it("is not caught by an xpcall older than all async functions", function()
    interrupted("", [[
      xpcall(function()
        run(async(function()
          interrupt()
          await(sleep(1000))
        end)())
      end, function(err)
        print("handler", err)
        return "text"
      end)
      print("not reached")
    ]])
  end)

  it("counts for each run anew", function()
    goes_on(("cleanup\tmain\nKeyboardInterrupt\n"):rep(3), [[
      for _ = 1, 3 do
        print(select(2, asyncio.catch(run, async(function()
          local x <close> = guard "main"
          interrupt()
          await(sleep(1000))
        end)())))
      end
    ]])
  end)
end)

describe("Ctrl-C in a program that spins", function()
  it("stops the main task; its cleanup runs", function()
    interrupted("cleanup\tmain\n", [[
      run(async(function()
        local x <close> = guard "main"
        interrupt()
        while true do end
      end)())
    ]])
  end)

  it("stops a task; all cleanup runs", function()
    interrupted("cleanup\tspin\ncleanup\tmain\ncleanup\tother\n", [[
      run(async(function()
        local x <close> = guard "main"
        local started = asyncio.Future()
        create_task(async(function()
          local y <close> = guard "other"
          started:set_result()
          await(sleep(1000))
        end)())
        await(started)
        create_task(async(function()
          local y <close> = guard "spin"
          interrupt()
          while true do end
        end)())
        await(sleep(1000))
      end)())
    ]])
  end)

  it("stops a generator in a task", function()
    interrupted("cleanup\tgenerator\ncleanup\tmain\n", [[
      run(async(function()
        local x <close> = guard "main"
        coroutine.wrap(function()
          local y <close> = guard "generator"
          interrupt()
          while true do end
        end)()
      end)())
    ]])
  end)

  it("stops code under pcall, coroutine.resume and in a sort", function()
    for _, spin in ipairs {
      "while true do pcall(function() while true do end end) end",
      "coroutine.resume(coroutine.create(function() while true do end end))",
      "table.sort({1, 2}, function() while true do end end)",
      "xpcall(function() while true do end end, print)",
    } do
      interrupted("", "run(async(function() interrupt() " .. spin
        .. " print('not reached') end)())")
    end
  end)

  it("stops the reader of load", function()
    interrupted("", [[
      run(async(function()
        interrupt()
        load(function() while true do end end)
        print("not reached")
      end)())
    ]])
  end)

  it("stops a callback; the main task's cleanup runs", function()
    interrupted("cleanup\tmain\n", [[
      run(async(function()
        local x <close> = guard "main"
        asyncio.call_soon(function()
          interrupt()
          while true do end
        end)
        await(sleep(1000))
      end)())
    ]])
  end)

  it("stops the text of an error that is reported, of a callback or of a collected task", function()
    for _, begin in ipairs{"asyncio.call_soon(fail)", "do create_task(async(fail)()) end", [[
      asyncio.ExceptionGroup.__tostring = nil
      do create_task(async(function() error(asyncio.ExceptionGroup('', {select(2, pcall(fail))})) end)()) end]]} do
      local result = program.run_script(PRELUDE .. [[
        local function fail()
          error(setmetatable({}, {__tostring = function() interrupt() while true do end end}))
        end
        run(async(function()
          ]] .. begin .. [[
          await(sleep(0))
          collectgarbage()
          await(sleep(1000))
        end)())
        print("not reached")
      ]], {timeout = 30})
      assert.matches("__tostring fails", result.stderr, 1, true)
      assert.matches("\nKeyboardInterrupt\n$", result.stderr)
      assert.are.equal(130, result.code)
    end
  end)

  it("stops what spins in the same turn, after the step that it came in", function()
    for _, code in ipairs {
      -- a task that begins where that one has ended
      "create_task(once()) create_task(spin())",
      -- one that goes on
      "create_task(once(sleep(0))) create_task(spin(sleep(0)))",
      "create_task(once()) asyncio.call_soon(endless)",
      -- one that begins on a Lua thread that is older
      "await(create_task(sleep(0))) asyncio.call_soon(interrupt) create_task(spin())",
    } do
      interrupted("cleanup\tmain\n", [[
        local function endless() while true do end end
        local once = async(function(first) if first then await(first) end interrupt() end)
        local spin = async(function(first) if first then await(first) end endless() end)
        run(async(function()
          local x <close> = guard "main"
          ]] .. code .. [[

          await(sleep(1000))
        end)())
      ]])
    end
  end)

  it("stops a generator that begins after it, or is closed", function()
    for _, code in ipairs {
      "local g = coroutine.wrap(endless) interrupt() g()",
      [[local g = coroutine.create(function()
          local x <close> = setmetatable({}, {__close = endless})
          coroutine.yield()
        end)
        coroutine.resume(g)
        interrupt()
        coroutine.close(g)]],
    } do
      interrupted("", [[
        local function endless() while true do end end
        run(async(function() ]] .. code .. [[ print("not reached") end)())
      ]])
    end
  end)

  it("leaves no other task the time to spin in that turn", function()
    interrupted("", [[
      run(async(function()
        create_task(async(function() interrupt() while true do end end)())
        create_task(async(function() print("not reached") end)())
        await(sleep(1000))
      end)())
    ]])
  end)

  it("can be caught by the code that spins", function()
    goes_on("false\tKeyboardInterrupt\nresult\n", [[
      print(run(async(function()
        print(asyncio.catch(function()
          interrupt()
          while true do end
        end))
        return "result"
      end)()))
    ]])
  end)

  it("lets a step that ends soon go on to its next await", function()
    interrupted("the step ends\ncleanup\tmain\n", [[
      run(async(function()
        local x <close> = guard "main"
        interrupt()
        print("the step ends")
        await(sleep(1000))
      end)())
    ]])
  end)
end)

describe("Ctrl-C in the last turn of a run", function()
  it("makes run raise KeyboardInterrupt in place of the result, or the error", function()
    for _, result in ipairs {"return 1", "error('other')"} do
      interrupted("", [[
        run(async(function() asyncio.call_soon(interrupt) ]] .. result .. [[ end)())
        print("not reached")
      ]])
    end
  end)
end)

describe("a second Ctrl-C", function()
  it("RU-12 ends at once, without waiting for the cleanup", function()
    interrupted("cleanup begins\n", [[
      run(async(function()
        local x <close> = setmetatable({}, {__close = function()
          print("cleanup begins")
          interrupt()
          await(sleep(1000))
          print("not reached")
        end})
        interrupt()
        await(sleep(1000))
      end)())
    ]])
  end)

  it("RU-12 ends a cleanup that spins", function()
    interrupted("cleanup begins\n", [[
      run(async(function()
        local x <close> = setmetatable({}, {__close = function()
          print("cleanup begins")
          interrupt()
          while true do end
        end})
        interrupt()
        await(sleep(1000))
      end)())
    ]])
  end)

  it("RU-12 ends a spinning step, and waits for no cleanup of it", function()
    interrupted("cleanup begins\n", [[
      run(async(function()
        local x <close> = setmetatable({}, {__close = function()
          print("cleanup begins")
          await(sleep(1000))
          print("not reached")
        end})
        interrupt()
        interrupt()
        while true do end
      end)())
    ]])
  end)

  it("RU-12 ends a program that catches the first one for ever", function()
    interrupted("caught\n", [[
      run(async(function()
        interrupt()
        asyncio.catch(await, sleep(1000))
        print("caught")
        interrupt()
        while true do
          asyncio.catch(await, sleep(1000))
        end
      end)())
    ]])
  end)

  it("RU-12 is any one while leftovers end: those are not waited for",
  function()
    for _, interrupts in ipairs {"interrupt()", "interrupt() interrupt()"} do
      local result = program.run_script(PRELUDE .. [[
        run(async(function()
          create_task(async(function()
            local x <close> = setmetatable({}, {__close = function()
              print("cleanup begins") ]] .. interrupts .. [[
              await(sleep(1000))
              print("not reached")
            end})
            await(sleep(1000))
          end)())
          await(sleep(0))
          print("main ends")
        end)())
      ]], {timeout = 30})
      assert.are.equal("main ends\ncleanup begins\n", result.stdout)
      local stderr = result.stderr:gsub("^Task was destroyed but it is "
        .. "pending!\ntask: [^\n]*\n", "")
      assert.are.equal("KeyboardInterrupt\n", stderr)
      assert.are.equal(130, result.code)
    end
  end)
end)

describe("Ctrl-C outside run", function()
  it("is an error as in lua5.4, before and after a run", function()
    for _, before in ipairs {"", "run(async(function() end)()) "} do
      local result = program.run_script(PRELUDE .. before
        .. "interrupt() while true do end")
      assert.matches("^[^\n]*: [^\n]*interrupted!\nstack traceback:\n",
        result.stderr)
      assert.are.equal(1, result.code)
    end
  end)

  it("is told when it stops the text of the error that run has raised", function()
    local result = program.run_script(PRELUDE .. [[
      run(async(function()
        error(setmetatable({}, {__tostring = function() interrupt() while true do end end}))
      end)())
    ]], {timeout = 30})
    assert.matches("^[^\n]*: interrupted!\nstack traceback:\n", result.stderr)
    assert.are.equal(1, result.code)
  end)

  it("can be caught by pcall, as in lua5.4", function()
    local result = dropin.same_script("print((pcall(function() "
      .. program.INTERRUPT .. " while true do end end)))")
    assert.are.equal("false\n", result.stdout)
  end)

  it("stops a coroutine, too", function()
    goes_on("false\n", [[
      print((pcall(coroutine.wrap(function()
        interrupt()
        while true do end
      end))))
    ]])
  end)

  it("leaves a run that comes later alone", function()
    goes_on("false\nvalue\n", [[
      print((pcall(function() interrupt() while true do end end)))
      print(run(async(function() return await(sleep(0.001, "value")) end)()))
    ]])
  end)
end)
