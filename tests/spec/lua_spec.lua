-- lua_spec.lua: what only Lua has: protected calls and cancellation,
-- to-be-closed variables, several results, the C stack (LX of the
-- behaviours). lua_boundary_spec.lua and generator_spec.lua have the rest.

local asyncio = require "asyncio"
local program = require "program"
local tasks = require "tasks"

local at_end, caught, is_a, main = tasks.at_end, tasks.caught, tasks.is_a, tasks.main

-- Starts fn as a task, cancels it once it waits; gives how it ended: ok,
-- and its result or error. Then the task itself.
local function cancelled(fn)
  return main(function()
    local task = create_task(async(fn)())
    await(sleep(0))
    assert.is_true(task:cancel())
    local ok, value = asyncio.catch(await, task)
    return ok, value, task
  end)
end

-- Waits for ever.
local function hang()
  await(asyncio.Future())
end

describe("nested pcall", function()
  -- Awaits the next level in a pcall, n times.
  local function nest(n)
    local level
    level = async(function(i)
      if i == 0 then
        await(sleep(0))
        return "end"
      end
      local ok, value = pcall(await, level(i - 1))
      if not ok then
        error(value, 0)
      end
      return value
    end)
    return level(n)
  end

  it("LX-02 with an await in each has no limit", function()
    main(function()
      assert.are.equal("end", (await(nest(180))))
      assert.are.equal("end", (await(nest(2000))))
    end)
  end)

  it("LX-02 without has the limit of Lua's own, and is an error there", function()
    local function down(i)
      if i == 0 then
        return await(nest(100))
      end
      local ok, value = pcall(down, i - 1)
      if not ok then
        error(value, 0)
      end
      return value
    end
    main(function()
      assert.are.equal("end", down(150))
      assert.are.equal("C stack overflow",
        caught(down, 250):match("C stack overflow"))
      assert.are.equal("alive", (await(sleep(0, "alive"))))
      assert.are.equal("end", (await(nest(100))))
    end)
  end)
end)

describe("a cancellation", function()
  it("LX-03 passes pcall", function()
    local seen = {}
    local ok, err, task = cancelled(function()
      seen[#seen + 1] = {pcall(hang)}
      seen[#seen + 1] = {pcall(pcall, hang)}
    end)
    assert.is_false(ok)
    is_a("CancelledError", err)
    assert.is_true(task:cancelled())
    assert.are.same({}, seen)
  end)

  it("LX-03 passes xpcall, coroutine.resume and coroutine.wrap", function()
    for _, protect in ipairs {
      function() return xpcall(hang, print) end,
      function() return coroutine.resume(coroutine.create(hang)) end,
      function() return coroutine.wrap(hang)() end,
      function() return pcall(pcall, xpcall, pcall, print, hang) end,
    } do
      local ok, err, task = cancelled(function()
        protect()
        return "swallowed"
      end)
      assert.is_false(ok)
      is_a("CancelledError", err)
      assert.is_true(task:cancelled())
    end
  end)

  it("LX-03 ends a loop that retries with pcall (CA-17)", function()
    local tries = 0
    local ok, err = cancelled(function()
      while true do
        tries = tries + 1
        if pcall(hang) then
          break
        end
      end
    end)
    assert.is_false(ok)
    is_a("CancelledError", err)
    assert.are.equal(1, tries)
  end)

  it("LX-03 raised by hand passes, too, outside tasks as well", function()
    for _, class in ipairs {asyncio.CancelledError, asyncio.KeyboardInterrupt,
        asyncio.BaseException, asyncio.CancelledError:subclass("Mine")} do
      local object = class("by hand")
      for _, protect in ipairs {
        function() pcall(error, object) end,
        function() xpcall(error, print, object) end,
        function() coroutine.resume(coroutine.create(error), object) end,
        function() coroutine.wrap(error)(object) end,
        function() pcall(assert, false, object) end,
      } do
        local ok, err = asyncio.catch(protect)
        assert.is_false(ok)
        assert.are.equal(object, err)
      end
    end
  end)

  it("LX-03 raised by load's reader passes load", function()
    local object = asyncio.CancelledError("in the reader")
    local ok, err = asyncio.catch(load, function() error(object) end)
    assert.is_false(ok)
    assert.are.equal(object, err)
  end)

  it("LX-03 is no Exception: an Exception object does not pass", function()
    for _, class in ipairs {asyncio.Exception, asyncio.TimeoutError,
        asyncio.OSError} do
      local object = class("text")
      assert.are.same({false, object}, {pcall(error, object)})
      assert.are.same({false, object},
        {coroutine.resume(coroutine.create(error), object)})
    end
  end)

  it("is caught by asyncio.catch, inside and outside tasks", function()
    local ok, value = cancelled(function()
      local inside, err = asyncio.catch(hang)
      assert.is_false(inside)
      is_a("CancelledError", err)
      assert.are.same({true, 1, nil, 3, n = 4},
        table.pack(asyncio.catch(function(...)
          await(sleep(0))
          return ...
        end, 1, nil, 3)))
      return "went on"
    end)
    assert.is_true(ok)
    assert.are.equal("went on", value)
    assert.are.same({false, "x"}, {asyncio.catch(error, "x")})
    assert.are.same({true, n = 1}, table.pack(asyncio.catch(function() end)))
    assert.matches("bad argument #1", caught(asyncio.catch))
  end)

  it("LX-04 does not call xpcall's handler", function()
    for _, handler in ipairs {debug.traceback, function()
      error("called")
    end, tostring, print} do
      local ok, err, task = cancelled(function()
        xpcall(hang, handler)
      end)
      assert.is_false(ok)
      is_a("CancelledError", err)
      assert.is_true(task:cancelled())
    end
  end)

  it("LX-04 does not call it in a program that has no tasks yet", function()
    local result = program.run_script [[
      local asyncio = require "asyncio"
      local function handler() print("called") return "text" end
      print(select(2, asyncio.catch(xpcall, error, handler,
        asyncio.CancelledError("one"))))
      print(select(2, asyncio.catch(xpcall, function()
        run(async(function() error(asyncio.CancelledError("two")) end)())
      end, handler)))
    ]]
    assert.are.equal("CancelledError: one\nCancelledError: two\n",
      result.stdout)
  end)
end)

describe("xpcall in a task", function()
  it("calls its handler with the error, where it happened", function()
    main(function()
      local object = {}
      local function fails()
        await(sleep(0))
        error(object)
      end
      local trace
      local ok, value, more = xpcall(fails, function(err, ...)
        assert.are.equal(object, err)
        assert.are.equal(0, select("#", ...))
        trace = debug.traceback("at", 2)
        return "handled", "dropped"
      end)
      assert.are.same({false, "handled", nil}, {ok, value, more})
      assert.matches("^at\nstack traceback:\n\t%[C%]: in function 'error'\n"
        .. "\t[^\n]*lua_spec%.lua:%d+: in ", trace)
    end)
  end)

  it("takes debug.traceback as its handler", function()
    main(function()
      local function fails()
        await(sleep(0))
        error("text", 0)
      end
      local trace = select(2, xpcall(fails, debug.traceback))
      assert.matches("^text\nstack traceback:\n\t%[C%]: in function 'error'\n"
        .. "\t[^\n]*lua_spec%.lua:%d+: in ", trace)
      for _, value in ipairs {{}, true, print} do
        assert.are.equal(value,
          select(2, xpcall(error, debug.traceback, value)))
      end
      assert.is_nil(select(2, xpcall(error, function(err) return err end)))
    end)
  end)

  it("gives all results and takes arguments", function()
    main(function()
      assert.are.same({true, 1, nil, 3, n = 4},
        table.pack(xpcall(function(...)
          await(sleep(0))
          return ...
        end, print, 1, nil, 3)))
    end)
  end)

  it("survives a handler that fails", function()
    local function fails()
      error("again", 0)
    end
    main(function()
      local ok = xpcall(fails, fails)
      assert.is_false(ok)
      await(sleep(0))
    end)
  end)

  it("needs a function as its handler", function()
    main(function()
      assert.matches("bad argument #2 to 'xpcall' %(function expected",
        caught(function() xpcall(print) end))
    end)
  end)
end)

describe("to-be-closed variables", function()
  it("LX-05 await when an error ends the task, in their order", function()
    local order = {}
    main(function()
      local object = {}
      local task = create_task(async(function()
        local a <close> = at_end(function(_, err) -- luacheck: ignore
          await(sleep(0))
          order[#order + 1] = err == object and "a"
        end)
        local b <close> = at_end(function(_, err) -- luacheck: ignore
          await(sleep(0))
          await(sleep(0))
          order[#order + 1] = err == object and "b"
        end)
        error(object)
      end)())
      assert.are.equal(object, caught(await, task))
      assert.are.same({"b", "a"}, order)
    end)
  end)

  it("LX-05 await when the task is cancelled (CA-18)", function()
    local order = {}
    local ok, err = cancelled(function()
      local a <close> = at_end(function(_, e) -- luacheck: ignore
        is_a("CancelledError", e)
        await(sleep(0))
        order[#order + 1] = "a"
      end)
      pcall(function()
        local b <close> = at_end(function(_, e) -- luacheck: ignore
          is_a("CancelledError", e)
          await(sleep(0))
          order[#order + 1] = "b"
        end)
        hang()
      end)
    end)
    assert.is_false(ok)
    is_a("CancelledError", err)
    assert.are.same({"b", "a"}, order)
  end)

  it("LX-12 that fail during a cancellation end the task as failed",
  function()
    local object = {}
    local ok, err, task = cancelled(function()
      local a <close> = at_end(function() error(object) end) -- luacheck: ignore
      hang()
    end)
    assert.is_false(ok)
    assert.are.equal(object, err)
    assert.is_false(task:cancelled())
  end)

  it("LX-12 that fail during a cancellation do so aloud", function()
    local result = program.run_script [[
      run(async(function()
        local task = create_task(async(function()
          local x <close> = setmetatable({}, {__close = function()
            error("cleanup failed", 0)
          end})
          await(sleep(1000))
        end)())
        await(sleep(0))
        task:cancel()
        task = nil
        await(sleep(0)) await(sleep(0))
        collectgarbage() collectgarbage()
      end)())
    ]]
    assert.matches("cleanup failed\n", result.stderr, 1, true)
    assert.are.equal(0, result.code)
  end)
end)

describe("a finalizer that fails", function()
  it("LX-12 during a cancellation warns, and changes nothing", function()
    local result = program.run_script [[
      warn("@on")
      local asyncio = require "asyncio"
      run(async(function()
        local task = create_task(async(function()
          local x <close> = setmetatable({}, {__close = function()
            setmetatable({}, {__gc = function() error("in gc", 0) end})
            collectgarbage()
            await(sleep(0))
          end})
          await(sleep(1000))
        end)())
        await(sleep(0))
        task:cancel()
        asyncio.catch(await, task)
        print(task:cancelled())
      end)())
    ]]
    assert.are.equal("true\n", result.stdout)
    assert.are.equal("Lua warning: error in __gc (in gc)\n", result.stderr)
  end)
end)

describe("a finalizer", function()
  it("may use run, while the program ends, too", function()
    local result = program.run_script [[
      global = setmetatable({}, {__gc = function()
        print(run(async(function() return await(sleep(0.001, "ran")) end)()))
      end})
      print("end")
    ]]
    assert.are.same({code = 0, stdout = "end\nran\n", stderr = ""}, result)
  end)
end)

describe("tasks and the collector", function()
  it("LX-06 a pending task that nobody refers to is kept and runs", function()
    local done = false
    main(function()
      create_task(async(function()
        for _ = 1, 3 do
          await(sleep(0.001))
        end
        done = true
      end)())
      for _ = 1, 1000 do
        collectgarbage()
        if done then
          break
        end
        await(sleep(0.001))
      end
      assert.is_true(done)
    end)
  end)

  it("LX-06 one left over at the end is cancelled, not dropped", function()
    local closed = false
    main(function()
      create_task(async(function()
        local x <close> = at_end(function(_, err) -- luacheck: ignore
          is_a("CancelledError", err)
          await(sleep(0))
          closed = true
        end)
        hang()
      end)())
      await(sleep(0))
    end)
    assert.is_true(closed)
  end)
end)

describe("several results", function()
  it("LX-10 are kept by await, tasks, futures, run and result()", function()
    local f = async(function(...)
      await(sleep(0))
      return ...
    end)
    assert.are.same({1, nil, 3, nil, n = 4}, table.pack(run(f(1, nil, 3, nil))))
    assert.are.equal(0, select("#", run(f())))
    main(function()
      local task, future = create_task(f(nil, 2, nil)), asyncio.Future()
      assert.are.same({nil, 2, nil, n = 3}, table.pack(await(task)))
      assert.are.same({nil, 2, nil, n = 3}, table.pack(task:result()))
      future:set_result(nil, 2, nil)
      assert.are.same({nil, 2, nil, n = 3}, table.pack(await(future)))
      assert.are.same({nil, 2, nil, n = 3}, table.pack(future:result()))
    end)
  end)

  it("LX-10 are cut to the first one by gather's list", function()
    main(function()
      local f = async(function(...) return ... end)
      assert.are.same({1, nil, 3, n = 3}, await(gather(f(1, 2), f(), f(3, 4))))
    end)
  end)
end)

describe("a callback that awaits", function()
  it("LX-11 is reported; the loop and the future go on", function()
    local result = program.run_script [[
      local asyncio = require "asyncio"
      run(async(function()
        local task = create_task(async(function() return "value" end)())
        task:add_done_callback(function(t)
          print(t == task, asyncio.current_task() == nil)
          await(t)
        end)
        task:add_done_callback(function() print("second") end)
        print(await(task))
        await(sleep(0))
      end)())
    ]]
    assert.are.equal("true\ttrue\nsecond\nvalue\n", result.stdout)
    assert.matches("^Exception in callback\n[^\n]*\nscript.lua:6: await "
      .. "outside a task: ", result.stderr)
    assert.are.equal(0, result.code)
  end)
end)

describe("the Lua thread of a task", function()
  it("LX-13 cannot be resumed or closed by scripts", function()
    main(function()
      local thread
      local task = create_task(async(function()
        thread = coroutine.running()
        await(sleep(0))
        return "value"
      end)())
      await(sleep(0))
      assert.are.equal("normal", coroutine.status(thread))
      assert.are.same({false, "cannot resume non-suspended coroutine"},
        {coroutine.resume(thread)})
      assert.matches("lua_spec%.lua:%d+: cannot close a normal coroutine$",
        caught(function() coroutine.close(thread) end))
      assert.are.equal("value", (await(task)))
      assert.is_false((coroutine.resume(thread)))
      assert.is_true(coroutine.close(thread))
      assert.are.equal("alive", (await(async(function()
        return await(sleep(0, "alive"))
      end)())))
    end)
  end)
end)
