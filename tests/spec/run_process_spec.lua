-- run_process_spec.lua: run where the process itself is concerned: Ctrl-C,
-- os.exit inside tasks, an output that is closed, memory that ends.

local program = require "program"

local INTERRUPT = program.INTERRUPT

-- Runs a script that may use `at_end(fn)` and the module asyncio.
local function script(code, options)
  return program.run_script([[
    local asyncio = require "asyncio"
    local function at_end(fn) return setmetatable({}, {__close = fn}) end
    at_end(at_end) -- used, or not
    ]] .. code, options)
end

-- Runs the body of an async function `main`, and prints what came of it.
local function interrupted(body)
  return script([[
    local main = async(function() ]] .. body .. [[ end)
    local result = table.pack(asyncio.catch(run, main()))
    for _, class in ipairs{"KeyboardInterrupt", "CancelledError", "Exception"} do
      if asyncio.isinstance(result[2], asyncio[class]) then
        print("raised", class)
      end
    end
    if result[1] then print("returned", table.unpack(result, 2, result.n)) end
    print(#asyncio.all_tasks(), "tasks left")]])
end

local function ends_with(expected, result)
  assert.same({code = 0, stdout = expected, stderr = ""}, result)
end

describe("run and Ctrl-C", function()
  it("RU-10 the first one cancels main, and run raises KeyboardInterrupt", function()
    ends_with("cleaned up\nraised\tKeyboardInterrupt\n0\ttasks left\n",
      interrupted([[
        local _ <close> = at_end(function()
          await(sleep(0.001))
          print("cleaned up")
        end)
        ]] .. INTERRUPT .. [[
        await(sleep(30))
        print("not reached")]]))
  end)

  it("RU-10 comes as CancelledError to main, which pcall lets pass", function()
    ends_with("true\t1\nraised\tKeyboardInterrupt\n0\ttasks left\n",
      interrupted([[
        local ok, err = asyncio.catch(function()
          pcall(function()
            ]] .. INTERRUPT .. [[
            pcall(await, sleep(30))
            print("not reached")
          end)
          print("nor this")
        end)
        print(asyncio.isinstance(err, asyncio.CancelledError),
          asyncio.current_task():cancelling())
        error(err, 0)]]))
  end)

  it("RU-10 reaches main inside what it awaits", function()
    ends_with("child cancelled\nraised\tKeyboardInterrupt\n0\ttasks left\n",
      interrupted([[
        local child = create_task(async(function()
          local _ <close> = at_end(function() print("child cancelled") end)
          await(sleep(30))
        end)())
        create_task(async(function() ]] .. INTERRUPT .. [[ end)())
        await(gather(child, sleep(30)))]]))
  end)

  it("RU-10 cancels the other tasks as at the end of any run", function()
    ends_with("main ends\nother ends\nraised\tKeyboardInterrupt\n0\ttasks left\n",
      interrupted([[
        local _ <close> = at_end(function() print("main ends") end)
        create_task(async(function()
          local _ <close> = at_end(function()
            await(sleep(0.001))
            print("other ends")
          end)
          await(sleep(30))
        end)())
        await(sleep(0))
        ]] .. INTERRUPT .. [[ await(sleep(30))]]))
  end)

  it("RU-10 lets main's value stand when main refuses to end", function()
    ends_with("returned\tvalue\n0\ttasks left\n", interrupted([[
      ]] .. INTERRUPT .. [[
      asyncio.catch(await, sleep(30))
      await(sleep(0.001))
      return "value"]]))
  end)

  it("RU-10 lets the error of main's cleanup stand", function()
    ends_with("raised\tException\n0\ttasks left\n", interrupted([[
      local _ <close> = at_end(function() error(asyncio.Exception("mine")) end)
      ]] .. INTERRUPT .. [[
      await(sleep(30))]]))
  end)

  it("RU-10 wakes a loop that sleeps", function()
    ends_with("raised\tKeyboardInterrupt\n0\ttasks left\n", interrupted([[
      local later = io.popen("sleep 0.1; kill -INT $PPID")
      local _ <close> = at_end(function() later:close() end)
      await(sleep(30))]]))
  end)

  it("RU-11 lands while main spins on sleep(0)", function()
    ends_with("raised\tKeyboardInterrupt\n0\ttasks left\n", interrupted([[
      ]] .. INTERRUPT .. [[
      while true do pcall(await, sleep(0)) end]]))
  end)

  it("RU-11 lands while other tasks and callbacks spin", function()
    ends_with("raised\tKeyboardInterrupt\n0\ttasks left\n", interrupted([[
      create_task(async(function() while true do await(sleep(0)) end end)())
      local function again() asyncio.call_soon(again) end
      again()
      asyncio.call_later(0.001, function() ]] .. INTERRUPT .. [[ end)
      await(asyncio.Future())]]))
  end)

  it("RU-11 lands in a step that never awaits", function()
    ends_with("cleaned up\nraised\tKeyboardInterrupt\n0\ttasks left\n",
      interrupted([[
        local _ <close> = at_end(function() print("cleaned up") end)
        ]] .. INTERRUPT .. [[
        while true do pcall(string.rep, "x") end]]))
  end)

  it("RU-11 lands in a step of another task that never awaits", function()
    ends_with("cleaned up\nraised\tKeyboardInterrupt\n0\ttasks left\n",
      interrupted([[
        local _ <close> = at_end(function() print("cleaned up") end)
        create_task(async(function()
          ]] .. INTERRUPT .. [[
          while true do end
        end)())
        await(sleep(30))]]))
  end)

  it("RU-12 the second one does not wait for the cleanup", function()
    local result = script([[
      local main = async(function()
        local _ <close> = at_end(function()
          print("cleanup begins")
          ]] .. INTERRUPT .. [[
          await(sleep(30))
          print("not reached")
        end)
        ]] .. INTERRUPT .. [[
        await(sleep(30))
      end)
      local _, err = asyncio.catch(run, main())
      print(asyncio.isinstance(err, asyncio.KeyboardInterrupt))]])
    assert.equal("cleanup begins\ntrue\n", result.stdout)
    assert.equal(0, result.code)
  end)

  it("RU-12 the second one ends tasks that refuse to end", function()
    local result = script([[
      local refuse = async(function()
        while true do asyncio.catch(await, sleep(30)) end
      end)
      local main = async(function()
        create_task(refuse())
        create_task(async(function()
          ]] .. INTERRUPT .. [[
          asyncio.catch(await, sleep(30))
          ]] .. INTERRUPT .. [[
          asyncio.catch(await, sleep(30))
        end)())
        await(sleep(30))
      end)
      local _, err = asyncio.catch(run, main())
      print(asyncio.isinstance(err, asyncio.KeyboardInterrupt))]])
    assert.equal("true\n", result.stdout)
    assert.equal(0, result.code)
  end)

  it("RU-13 CancelledError comes out when a task has cancelled main, too", function()
    ends_with("raised\tCancelledError\n0\ttasks left\n", interrupted([[
      local this = asyncio.current_task()
      create_task(async(function()
        this:cancel()
        ]] .. INTERRUPT .. [[
      end)())
      await(sleep(30))]]))
  end)

  it("a run after one that was interrupted works as ever", function()
    ends_with("value\nagain\ttrue\n", script([[
      local interrupted = async(function() ]] .. INTERRUPT .. [[ await(sleep(30)) end)
      asyncio.catch(run, interrupted())
      print(run(async(function() await(sleep(0.001)) return "value" end)()))
      local _, err = asyncio.catch(run, interrupted())
      print("again", asyncio.isinstance(err, asyncio.KeyboardInterrupt))]]))
  end)
end)

describe("run without descriptors", function()
  it("says that no event loop can be opened, however many are left", function()
    local refused = 0
    for limit = 4, 16 do
      local result = program.run(([[ulimit -n %d; exec "$LUA" -e 'run(sleep(0)) print "ran"']]):format(limit),
        {env = {LUA = program.neap}})
      if result.stdout == "ran\n" then
        assert.equal(0, result.code)
      else
        assert.equal(1, result.code)
        if result.stderr:find "cannot open an event loop: too many open files" then refused = refused + 1 end
      end
    end
    assert.is_true(refused > 1)
  end)
end)

describe("os.exit inside a task", function()
  for _, close in ipairs{"false", "true"} do
    local function exits(code, body)
      local result = script((body:gsub("EXIT", ("os.exit(%d, %s)"):format(code, close))))
      assert.same({code = code, stdout = "before\n", stderr = ""}, result)
    end

    describe("with close = " .. close, function()
      it("ends the program with its code", function()
        exits(3, [[
          io.write("before\n")
          run(async(function() EXIT end)())
          print("not reached")]])
      end)

      it("ends it after awaits, while other tasks wait", function()
        exits(0, [[
          local wait = async(function(what) await(what) print("not reached") end)
          run(async(function()
            create_task(wait(sleep(30)))
            create_task(wait(asyncio.Future()))
            create_task(wait(gather(sleep(30), asyncio.Future())))
            create_task(sleep(0.5))
            asyncio.call_later(30, print)
            await(sleep(0.001))
            asyncio.call_soon(print)
            io.write("before\n")
            EXIT
          end)())]])
      end)

      it("ends it in a callback, in a generator, in a cleanup", function()
        exits(4, [[
          io.write("before\n")
          run(async(function()
            asyncio.call_soon(function() EXIT end)
            await(sleep(30))
          end)())]])
        exits(5, [[
          io.write("before\n")
          run(async(function()
            for _ in coroutine.wrap(function()
              await(sleep(0))
              EXIT
            end) do end
          end)())]])
        exits(6, [[
          io.write("before\n")
          run(async(function()
            create_task(async(function()
              local _ <close> = at_end(function() await(sleep(0)) EXIT end)
              await(sleep(30))
            end)())
            await(sleep(0))
          end)())]])
      end)
    end)
  end

  it("runs finalizers with close = true", function()
    local result = script([[
      finalized = setmetatable({}, {__gc = function() print("finalized") end})
      run(async(function()
        await(sleep(0))
        os.exit(true, true)
      end)())]])
    assert.same({code = 0, stdout = "finalized\n", stderr = ""}, result)
  end)
end)

describe("a closed output", function()
  local function closed(redirection, code)
    local folder <close> = program.folder()
    folder:write("script.lua", code)
    return program.run(('exec "$LUA" script.lua %s'):format(redirection),
      {env = {LUA = program.neap}, cwd = folder.path})
  end

  local code = [[
    local asyncio = require "asyncio"
    local printing = async(function(n)
      for i = 1, n do
        print(i)
        await(sleep(0))
      end
      return n
    end)
    local a, b = run(async(function()
      asyncio.call_soon(print, "callback")
      create_task(async(function() error("reported") end)())
      local list = await(gather(printing(10), printing(20)))
      return table.unpack(list)
    end)())
    collectgarbage()
    collectgarbage()
    os.exit(a + b)]]

  it("does not disturb the tasks that print", function()
    local result = closed(">&-", code)
    assert.equal(30, result.code)
    assert.equal("", result.stdout)
    assert.matches("reported", result.stderr)
  end)

  it("does not disturb the reports", function()
    local result = closed("2>&-", code)
    assert.equal(30, result.code)
    assert.equal("", result.stderr)
    assert.equal(30, closed(">&- 2>&-", code).code)
    assert.equal(30, closed("<&- >&- 2>&-", code).code)
  end)

  it("at a full device makes io.write fail in the task alone", function()
    if not io.open("/dev/full", "w") then
      return pending "/dev/full is missing"
    end
    local result = closed(">/dev/full", [[
      local main = async(function()
        io.stdout:setvbuf("no")
        local ok, err = io.write("text")
        await(sleep(0))
        assert(not ok)
        error(err, 0)
      end)
      local _, err = pcall(run, main())
      io.stderr:write(err, "\n")]])
    assert.equal("No space left on device\n", result.stderr)
  end)

  it("at a pipe that nobody reads ends the program as it ends lua5.4", function()
    local result = program.run([[
      ("$LUA" -e "run(async(function()
        for i = 1, 1e6 do print(i) if i % 100 == 0 then await(sleep(0)) end end
      end)())"; echo $? >&2) | head -n 1]], {env = {LUA = program.neap}})
    assert.equal("1\n", result.stdout)
    assert.equal("141\n", result.stderr)
  end)
end)
