-- regression_spec.lua: what once went wrong, a test for each bug: circles,
-- sleep(0), messages of cancellation, finalizers that interfere, ends of run.

local asyncio = require "asyncio"
local program = require "program"
local tasks = require "tasks"

local caught, co, main, turns = tasks.caught, tasks.co, tasks.main, tasks.turns
local sanitized = tasks.sanitized

-- What is raised by an await of something that is cancelled, as text.
local function reason(...)
  return tostring(caught(await, ...))
end

-- Runs a script; asserts what it prints, and that it ends well.
local function prints(stdout, code, options)
  local result = program.run_script("local asyncio = require 'asyncio'\n"
    .. code, options)
  assert.equal("", result.stderr)
  assert.equal(stdout, result.stdout)
  assert.equal(0, result.code)
end

describe("cancellation", function()
  it("of a circle, asked for twice, loses no job", function()
    local calls, a, b = 0
    local function call()
      calls = calls + 1
    end
    main(function()
      a = create_task(co(function() await(b) end))
      b = create_task(co(function() await(a) end))
      turns(2)
      for _ = 1, 3 do asyncio.call_soon(call) end
      a:cancel()
      a:cancel()
      for _ = 1, 3 do asyncio.call_soon(call) end
      turns(5)
    end)
    assert.equal(6, calls)
    assert.is_true(a:cancelled())
    assert.is_true(b:cancelled())
  end)

  it("delivers a message once", function()
    local reasons = {}
    main(function()
      local task = create_task(co(function()
        for i = 1, 2 do reasons[i] = reason(sleep(1000)) end
      end))
      turns(1)
      task:cancel("first")
      turns(2)
      task:cancel()
      await(task)
    end)
    assert.same({"CancelledError: first", "CancelledError"}, reasons)
  end)

  it("delivers the first of two messages to a task that waits", function()
    local text
    main(function()
      local task = create_task(co(function() text = reason(sleep(1000)) end))
      turns(1)
      task:cancel("x")
      task:cancel("y")
      await(task)
    end)
    assert.equal("CancelledError: x", text)
  end)

  it("reaches all children of a large gather", function()
    prints("true\nCancelledError\ntrue\ttrue\n", ([[
      run(async(function()
        local list = {}
        for i = 1, %d do list[i] = asyncio.Future() end
        local all = gather(list)
        print(all:cancel())
        print(select(2, asyncio.catch(await, all)))
        print(list[1]:cancelled(), list[#list]:cancelled())
      end)())
    ]]):format(sanitized and 100000 or 1000000))
  end)

  it("of deep chains is linear in their depth when an xpcall was left",
  function()
    prints("done\n", ([[
      local left = coroutine.create(function()
        xpcall(coroutine.yield, print)
      end)
      coroutine.resume(left)
      local down
      down = async(function(n)
        local x = await(n == 0 and sleep(1000) or down(n - 1))
        return x
      end)
      run(async(function()
        for _ = 1, %d do
          local task = create_task(down(12000))
          await(sleep(0))
          task:cancel()
          asyncio.catch(await, task)
        end
        print("done")
      end)())
    ]]):format(sanitized and 40 or 150), {timeout = 15})
  end)

  it("passes the xpcall around an assert that raises it", function()
    prints("false\ttrue\n", [[
      local err = asyncio.CancelledError("x")
      local ok, got = asyncio.catch(xpcall, function()
        assert(false, err)
      end, function(text)
        print("handler")
        return text
      end)
      print(ok, rawequal(got, err))
    ]])
  end)
end)

describe("Ctrl-C", function()
  it("leaves the main task time for a long cleanup", function()
    local result = program.run_script([[
      run(async(function()
        local x <close> = setmetatable({}, {__close = function()
          await(sleep(0.3))
          print("cleanup")
        end})
        ]] .. program.INTERRUPT .. [[

        await(sleep(1000))
      end)())
    ]], {timeout = 30})
    assert.equal("cleanup\n", result.stdout)
    assert.equal("KeyboardInterrupt\n", result.stderr)
    assert.equal(130, result.code)
  end)
end)

describe("sleep(0)", function()
  it("can come out of __await", function()
    prints("awaited\n", [[
      local object = setmetatable({}, {__await = function()
        return sleep(0)
      end})
      run(async(function()
        await(object)
        await(gather(object, object))
        print("awaited")
      end)())
    ]])
  end)

  it("can be collected with the function that made it", function()
    prints("the body ran\n", [[
      -- an object made where the shared one was must not pass for it
      local weak = setmetatable({}, {__mode = "v"})
      local where = (function()
        local pause = sleep(0)
        pause:close()
        weak[1] = pause
        return string.format("%p", pause)
      end)()
      ;(function() sleep, asyncio.sleep = nil, nil end)()
      ;(function(...) return select("#", ...) end)(table.unpack({}, 1, 30))
      collectgarbage()
      collectgarbage()
      local ran = weak[1] ~= nil -- or it was collected
      local f = async(function() ran = true end)
      run(async(function()
        local keep = {}
        for i = 1, ran and 0 or 100000 do
          local object = f()
          if string.format("%p", object) == where then
            await(object)
            break
          end
          object:close()
          keep[i] = object
        end
      end)())
      print(ran and "the body ran" or "the body did not run")
    ]])
  end)

  it("in a task leaves other ones to their owners", function()
    main(function()
      local task = create_task(sleep(0))
      local other = sleep(0)
      await(task)
      await(other)
    end)
  end)

  it("can be given to gather twice", function()
    main(function()
      local pause = sleep(0)
      assert.equal(2, await(gather(pause, pause)).n)
    end)
  end)
end)

describe("a finalizer", function()
  it("may settle a child while its gather is being made", function()
    prints("done\n", ([[
      collectgarbage("incremental", 150, 400, 5)
      run(async(function()
        local last = {}
        for i = 1, %d do
          local bad, good = asyncio.Future(), asyncio.Future()
          bad:set_exception("x")
          bad:exception()
          do
            local _ = setmetatable({}, {__gc = function()
              if not good:done() then good:set_result(1) end
            end})
          end
          local junk = {}
          for j = 1, i %% 37 do junk[j] = {} end
          last[#last + 1] = asyncio.Future()
          gather(bad, good, last[#last]):exception()
          await(sleep(0))
          if #last == 1000 then
            -- a child that is counted twice would have let go of the gather
            collectgarbage()
            await(sleep(0))
            collectgarbage()
            for j = 1, #last do last[j]:set_result(j) end
            await(sleep(0))
            last = {}
          end
        end
        print("done")
      end)())
    ]]):format(sanitized and 5000 or 20000))
  end)

  it("that settles a future that is being cancelled does it first",
  function()
    prints("0\n", ([[
      local twice = 0
      run(async(function()
        for i = 1, %d do
          local future, set = asyncio.Future(), false
          do
            local _ = setmetatable({}, {__gc = function()
              if not future:done() then
                future:set_result(1)
                set = true
              end
            end})
          end
          future:cancel()
          if set and future:cancelled() then twice = twice + 1 end
        end
      end)())
      print(twice)
    ]]):format(sanitized and 5000 or 20000))
  end)

  it("may call run when the program ends", function()
    prints("ran\n", [[
      run(async(function() gather(asyncio.Future()) await(sleep(0)) end)())
      keep = setmetatable({}, {__gc = function()
        run(async(function() await(create_task(sleep(0.001))) end)())
        print("ran")
      end})
    ]])
  end)
end)

describe("the end of run", function()
  -- a task that cannot be ended: its cleanup waits for ever
  local STUCK = [[
    local stuck = async(function()
      local x <close> = setmetatable({}, {__close = function()
        await(asyncio.Future())
      end})
      await(sleep(1000))
    end)
  ]]

  -- Runs a script; gives what it prints, and its standard error.
  local function stuck(code)
    local result = program.run_script("local asyncio = require 'asyncio'\n"
      .. STUCK .. code)
    assert.equal(0, result.code)
    return result.stdout, result.stderr
  end

  it("reports no gather whose children were destroyed", function()
    local _, stderr = stuck [[
      run(async(function()
        gather(create_task(stuck()))
        await(sleep(0))
      end)())
      collectgarbage()
    ]]
    assert.matches("^Task was destroyed but it is pending!\n", stderr)
    assert.is_nil(stderr:find("never retrieved", 1, true), stderr)
  end)

  it("leaves tasks that it destroyed cancelled", function()
    local stdout = stuck [[
      local task
      run(async(function()
        task = create_task(stuck())
        await(sleep(0))
      end)())
      print(task:cancelled(), asyncio.catch(run, async(function()
        return await(task)
      end)()))
    ]]
    assert.equal("true\tfalse\tCancelledError\n", stdout)
  end)

  it("reports 20 tasks as destroyed at most", function()
    local _, stderr = stuck [[
      run(async(function()
        for _ = 1, 50 do create_task(stuck()) end
        await(sleep(0))
      end)())
    ]]
    local _, count = stderr:gsub("Task was destroyed", "")
    assert.equal(20, count)
  end)
end)

describe("os.exit(code, true) in a task", function()
  it("reports coroutines that were never awaited", function()
    local result = program.run_script [[
      local forgotten = async(function() end)
      run(async(function()
        forgotten()
        os.exit(0, true)
      end)())
    ]]
    assert.matches("^RuntimeWarning: coroutine '.-' was never awaited\n",
      result.stderr)
    assert.equal(0, result.code)
  end)
end)

describe("the thread of a finished task", function()
  local function finished_thread()
    local thread
    main(function()
      await(create_task(co(function() thread = coroutine.running() end)))
    end)
    return thread
  end

  it("can be closed, as any dead coroutine", function()
    local thread = finished_thread()
    assert.equal("dead", coroutine.status(thread))
    assert.is_true(coroutine.close(thread))
  end)

  it("cannot be resumed, as any dead coroutine", function()
    local ok, err = coroutine.resume(finished_thread())
    assert.is_false(ok)
    assert.equal("cannot resume dead coroutine", err)
  end)
end)

describe("callbacks", function()
  it("take 10,000 arguments", function()
    local arguments, soon, later = {}, nil, nil
    for i = 1, 10000 do arguments[i] = i end
    main(function()
      asyncio.call_soon(function(...) soon = {...} end,
        table.unpack(arguments))
      local done = asyncio.Future()
      asyncio.call_later(0, function(...)
        later = {...}
        done:set_result()
      end, table.unpack(arguments))
      await(done)
    end)
    assert.same(arguments, soon)
    assert.same(arguments, later)
  end)
end)

describe("options", function()
  it("that do not exist are named", function()
    local f = async(function() end)
    local ok, err = pcall(run, f(), {dbug = true})
    assert.is_false(ok)
    assert.matches("unknown option 'dbug'", err, 1, true)
    main(function()
      local coro = f()
      local _, why = pcall(create_task, coro, {nam = "x"})
      assert.matches("create_task: unknown option 'nam'", why, 1, true)
      await(coro)
    end)
  end)
end)

describe("a gather around a gather that was cancelled before", function()
  it("does not take a cancellation that comes too late", function()
    main(function()
      local inner = gather(asyncio.Future())
      local outer = gather{inner, return_exceptions = true}
      assert.is_true(inner:cancel())
      assert.is_false(outer:cancel())
      assert.is_true(asyncio.isinstance(await(outer)[1],
        asyncio.CancelledError))
    end)
  end)
end)

describe("a gather over a future that outlives the run", function()
  it("ends with the run", function()
    local future, all = asyncio.Future(), nil
    run(async(function() all = gather(future) end)())
    assert.is_true(all:cancelled())
    future:set_result(1)
    assert.equal(1, future:result())
  end)
end)

describe("a generator that died of a cancellation", function()
  it("is closed without passing it on again", function()
    local generator = coroutine.create(function() await(sleep(100)) end)
    run(async(function()
      create_task(async(function() coroutine.resume(generator) end)())
      await(sleep(0))
    end)())
    assert.equal("dead", coroutine.status(generator))
    assert.is_false((coroutine.close(generator)))
  end)
end)

describe("objects of the library that scripts have written into", function()
  it("raise errors: no field of theirs is trusted by C code", function()
    local event = asyncio.Event()
    event.line = 12
    assert.is_false((pcall(event.set, event)))
    assert.is_false((pcall(event.set, {is_on = false, line = io.stdout})))
    run(async(function()
      local other = asyncio.Event()
      local waiter = create_task(other:wait())
      await(sleep(0))
      assert.is_false((pcall(asyncio.Future().cancel, other.line)))
      assert.is_false((pcall(asyncio.Future().done, other.line)))
      assert.is_false(waiter:done())
      other:set()
    end)())
    for _, value in ipairs {io.stdout, event, asyncio.Event().line, 12} do
      run(async(function()
        local group, coro = asyncio.TaskGroup(), sleep(0)
        group.children = value
        assert.is_false((pcall(group.create_task, group, coro)))
        assert.is_false((pcall(function() local _ <close> = group end)))
        coro:close()
      end)())
    end
  end)
end)

describe("a finalizer that runs while a future settles", function()
  it("may add a done callback: it is called", function()
    local result = program.run_script([[
      local asyncio = require "asyncio"
      run(async(function()
        collectgarbage("incremental", 100, 1000, 30) -- one step is a whole cycle
        collectgarbage("stop")
        local future = asyncio.Future()
        setmetatable({}, {__gc = function()
          future:add_done_callback(function() print "called" end)
        end})
        local set_exception = future.set_exception
        collectgarbage("restart")
        set_exception(future, "x") -- makes a reporter, and so runs the finalizer
        future:exception()
        await(sleep(0))
      end)())]])
    assert.same({code = 0, stdout = "called\n", stderr = ""}, result)
  end)

  -- Finalizers run at each allocation; the k-th of them while `act` runs calls
  -- `interfere`: for each k in turn.
  local at_each_allocation = [[
    local asyncio = require "asyncio"
    collectgarbage("incremental", 1, 1000, 30)
    local function try(k, act, interfere)
      local count, acting, over = 0, false, false
      local function again()
        if acting then
          count = count + 1
          if count == k then
            over = true
            interfere()
          end
        end
        if not over then setmetatable({}, {__gc = again}) end
      end
      again()
      for _ = 1, 1000 do local _ = {} end -- from now on
      acting = true
      act()
      acting = false
      local interfered = over
      over = true
      return interfered
    end
    run(async(function()
      local k, again = 0
      repeat
        k = k + 1
        local future, made, called = asyncio.Future(), 0, 0
        local function add()
          made = made + 1
          future:add_done_callback(function() called = called + 1 end)
        end
        %s
        await(sleep(0))
        assert(called == made, called)
      until not again
      print(k > 1)
    end)())]]

  it("may add done callbacks while many are kept for their call", function()
    local result = program.run_script(at_each_allocation:format [[
      for _ = 1, 3000 do add() end
      again = try(k, function() future:set_result() end, add)]])
    assert.same({code = 0, stdout = "true\n", stderr = ""}, result)
  end)

  it("may settle it while many callbacks are kept for their call", function()
    local result = program.run_script(at_each_allocation:format [[
      for _ = 1, 1500 * k do add() end -- more than there was room for
      again = try(k, function() pcall(future.set_exception, future, "later") end,
        function() future:set_result("faster") end)
      assert(future:exception() == nil and future:result() == "faster" or not again)]])
    assert.same({code = 0, stdout = "true\n", stderr = ""}, result)
  end)

  it("may settle it while its first done callback is added", function()
    local result = program.run_script(at_each_allocation:format [[
      again = try(k, add, function() future:set_result() end)
      if not again then future:set_result() end]])
    assert.same({code = 0, stdout = "true\n", stderr = ""}, result)
  end)

  it("may add its first done callback while another one is added", function()
    local result = program.run_script(at_each_allocation:format [[
      again = try(k, add, add)
      future:set_result()]])
    assert.same({code = 0, stdout = "true\n", stderr = ""}, result)
  end)
end)

describe("a finalizer that runs while a run ends", function()
  it("can create no task that nobody would run", function()
    local result = program.run_script [[
      local asyncio = require "asyncio"
      collectgarbage("incremental", 1, 1000, 30)
      local nothing, over = async(function() end), false
      local function again()
        local coro = nothing()
        if not pcall(create_task, coro) then coro:close() end
        if not over then setmetatable({}, {__gc = again}) end
      end
      setmetatable({}, {__gc = again})
      for _ = 1, 10 do
        run(async(function()
          for _ = 1, 600 do create_task(sleep(0)) end -- room that is given back
          await(sleep(0))
        end)())
      end
      over = true
      print(pcall(run, nothing()))]]
    assert.same({code = 0, stdout = "true\n", stderr = ""}, result)
  end)

  it("schedules nothing for the next one", function()
    local result = program.run_script [[
      local asyncio = require "asyncio"
      collectgarbage("incremental", 1, 1000, 30)
      local wrong, ended = 0, false
      local function again()
        if ended then return end
        pcall(asyncio.call_later, 0, function() wrong = wrong + (ended and 1 or 0) end)
        setmetatable({}, {__gc = again})
      end
      setmetatable({}, {__gc = again})
      run(async(function()
        create_task(async(function()
          local _ <close> = setmetatable({}, {__close = function() await(asyncio.Future()) end})
          await(asyncio.Future())
        end)())
        for _ = 1, 1000 do local _ = {} end -- finalizers at each allocation, from now on
        await(sleep(0))
      end)()) -- the task does not end, and is told of
      ended = true
      run(sleep(0.001))
      print(wrong)]]
    assert.equal("0\n", result.stdout)
    assert.matches("destroyed but it is pending", result.stderr)
  end)
end)

describe("reports", function()
  it("of many tasks take no longer for each when there are many tasks", function()
    local function seconds(n)
      local result = program.run_script(([[
        local asyncio = require "asyncio"
        local fail = async(function() error("x", 0) end)
        local wait = async(function(f) await(f) end)
        run(async(function()
          local never = asyncio.Future()
          for _ = 1, %d do create_task(fail()) create_task(wait(never)) end
          await(sleep(0))
          await(sleep(0))
          local start = os.clock()
          collectgarbage()
          print(os.clock() - start)
        end)())]]):format(n))
      return tonumber(result.stdout)
    end
    local few = seconds(2000)
    assert.is_true(seconds(20000) < 40 * few + 0.5)
  end)
end)

describe("misuse that was silent", function()
  it("a wrong option of gather is named", function()
    main(function()
      local coro = sleep(0.001)
      assert.matches("gather: unknown option 'return_exception'",
        caught(gather, {coro, return_exception = true}), 1, true)
      coro:close()
    end)
  end)

  it("dump takes only what it can write to", function()
    for _, value in ipairs{42, "x.txt", {}} do
      assert.matches("dump: a file, or an object with a method write, expected",
        caught(asyncio.dump, value), 1, true)
    end
  end)

  it("an error of a group's child is reported when the group is never closed", function()
    local result = program.run_script([[
      local asyncio = require "asyncio"
      run(async(function()
        local group = asyncio.TaskGroup()
        group:create_task(async(function() await(sleep(0)) error("important", 0) end)())
        asyncio.catch(await, sleep(10))
      end)())]])
    assert.equal(0, result.code)
    assert.matches("never retrieved.*important", result.stderr)
  end)

  it("a group tells of a body's error whose __tostring fails", function()
    main(function()
      local bad = setmetatable({}, {__tostring = function() error("no text") end})
      local err = caught(function()
        local _ <close> = asyncio.TaskGroup()
        error(bad)
      end)
      assert.equal(bad, err.exceptions[1].value)
    end)
  end)
end)

describe("the library's half of asyncio", function()
  it("is looked for again when it could not be loaded", function()
    local folder <close> = program.folder()
    local path = folder:write("script.lua", [[
      local asyncio = require "asyncio"
      local files = {}
      repeat
        local file = io.open("/dev/null")
        files[#files + 1] = file
      until not file
      print(pcall(function() return asyncio.Event end))
      files = nil
      collectgarbage()
      print(type(asyncio.Event))]])
    local result = program.run(("ulimit -n 64; exec %s %s"):format(
      program.quote(program.neap), program.quote(path)))
    assert.equal("", result.stderr)
    assert.matches("^false\t[^\n]*Too many open files[^\n]*\nfunction\n$", result.stdout)
  end)

  it("does not call itself when a script has removed what it needs", function()
    local result = program.run_script([[
      local asyncio = require "asyncio"
      asyncio.async = nil
      print(pcall(function() return asyncio.Event end))]])
    assert.matches("^false\t[^\n]*method", result.stdout)
  end)
end)

describe("a finalizer that cancels the task that is being cancelled", function()
  for _, what in ipairs {"sleep(1000)", "lock:acquire()"} do
    it("makes one more request: " .. what, function()
      local result = program.run_script(([[
        local asyncio = require "asyncio"
        run(async(function()
          collectgarbage("incremental", 100, 1000, 30) -- one step is a whole cycle
          local lock = asyncio.Lock()
          local _ <close> = await(lock:acquire())
          local task = create_task(async(function() await(%s) end)())
          await(sleep(0))
          await(sleep(0))
          local cancel, asked = task.cancel, 0
          collectgarbage()
          collectgarbage("stop")
          setmetatable({}, {__gc = function()
            asked = asked + 1
            cancel(task, "finalizer")
          end})
          collectgarbage("restart")
          cancel(task, "message") -- keeps it in a table, and so runs the finalizer
          print(asked, task:cancelling())
          print(asyncio.catch(await, task))
        end)())]]):format(what))
      assert.same({
        code = 0,
        stdout = "1\t2\nfalse\tCancelledError: message\n",
        stderr = "",
      }, result)
    end)
  end
end)

describe("a finalizer that cancels a task in a circle that is being cancelled", function()
  it("breaks the circle once", function()
    local result = program.run_script [[
      local asyncio = require "asyncio"
      for _ = 1, 40 do
        asyncio.catch(run, async(function()
          local garbage, a, b = {}
          a = create_task(async(function() await(b) end)())
          b = create_task(async(function() await(a) end)())
          await(sleep(0))
          local cancel = a.cancel
          collectgarbage() collectgarbage "stop"
          do local _ = setmetatable({}, {__gc = function() cancel(a) end}) end
          collectgarbage("incremental", 1, 1000, 30)
          collectgarbage "restart" for i = 1, 300 do garbage[i] = i end
          cancel(a)
          asyncio.catch(await, a)
        end)())
      end
      print "done"]]
    assert.same({code = 0, stdout = "done\n", stderr = ""}, result)
  end)
end)

describe("a finalizer that releases a lock while a task gets in line", function()
  -- The stack may have to grow for the wait, and that can collect: at which
  -- depth depends on the size of the stack, so all are tried.
  it("gives the lock to that task", function()
    local result = program.run_script [[
      local asyncio = require "asyncio"
      local bodies = {}
      for pad = 0, 12 do
        bodies[pad] = load("local coro = ... " .. ("local _ = 1 "):rep(pad)
          .. " local guard = await(coro) return guard")
      end
      local function deep(n, f, x)
        if n == 0 then return f(x) end
        local guard = deep(n - 1, f, x)
        return guard
      end
      local stuck = 0
      for pad = 0, 12 do for depth = 1, 70 do run(async(function()
        local lock = asyncio.Lock()
        await(lock:acquire())
        local task = create_task(async(function()
          local coro, garbage = lock:acquire(), {}
          collectgarbage() collectgarbage "stop"
          do local _ = setmetatable({}, {__gc = function()
            if lock:locked() then lock:release() end
          end}) end
          collectgarbage("incremental", 1, 1000, 30)
          collectgarbage "restart" for i = 1, 300 do garbage[i] = i end
          deep(depth, bodies[pad], coro)
        end)())
        for _ = 1, 3 do await(sleep(0)) end
        collectgarbage()
        for _ = 1, 3 do await(sleep(0)) end
        if not task:done() then stuck = stuck + 1 task:cancel() end
      end)()) end end
      print(stuck)]]
    assert.same({code = 0, stdout = "0\n", stderr = ""}, result)
  end)
end)
