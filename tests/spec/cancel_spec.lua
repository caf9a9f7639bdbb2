-- cancel_spec.lua: cancellation of tasks: when it strikes, what may be
-- done about it, what it carries. Gathers: gather_cancel_spec.lua.

local asyncio = require "asyncio"

local function co(fn, ...)
  return async(fn)(...)
end

local function main(fn, ...)
  return run(co(fn, ...))
end

local function is_a(class, value)
  assert.is_true(asyncio.isinstance(value, asyncio[class]),
    ("%s expected, got %s"):format(class, tostring(value)))
end

local function caught(...)
  local result = table.pack(asyncio.catch(...))
  assert.is_false(result[1])
  return result[2]
end

local function turns(n)
  for _ = 1, n do await(sleep(0)) end
end

-- Makes a variable whose end calls fn: local _ <close> = at_end(fn)
local function at_end(fn)
  return setmetatable({}, {__close = fn})
end

-- A task of fn that has taken its first step.
local function started(fn, ...)
  local task = create_task(co(fn, ...))
  await(sleep(0))
  return task
end

describe("cancel", function()
  it("CA-01 before the first step: the body never runs", function()
    main(function()
      local ran = false
      local task = create_task(co(function()
        local _ <close> = at_end(function() ran = true end)
        ran = true
      end))
      assert.is_true(task:cancel("early"))
      assert.is_false(task:cancelled())
      local err = caught(await, task)
      is_a("CancelledError", err)
      assert.equal("early", err.message)
      assert.is_true(task:cancelled())
      assert.is_false(ran)
    end)
  end)

  it("CA-02 while waiting: CancelledError at the await, in a later turn", function()
    main(function()
      for _, what in ipairs{"sleep", "future", "task"} do
        local order = {}
        local awaited = what == "sleep" and sleep(1000)
          or what == "future" and asyncio.Future() or create_task(sleep(1000))
        local task = started(function()
          local err = caught(await, awaited)
          is_a("CancelledError", err)
          order[#order + 1] = "struck"
          error(err, 0)
        end)
        turns(1)
        assert.is_true(task:cancel())
        order[#order + 1] = "asked"
        assert.is_false(task:cancelled())
        assert.is_false(task:done())
        is_a("CancelledError", caught(await, task))
        assert.is_true(task:cancelled())
        assert.same({"asked", "struck"}, order)
      end
    end)
  end)

  it("CA-03 of a finished task returns false and changes nothing", function()
    main(function()
      local task = create_task(co(function() return 1 end))
      await(task)
      assert.is_false(task:cancel())
      assert.is_false(task:cancelled())
      assert.equal(1, task:result())
      assert.equal(0, task:cancelling())
      local failed = create_task(co(function() error("boom", 0) end))
      caught(await, failed)
      assert.is_false(failed:cancel())
      assert.equal("boom", caught(failed.result, failed))
      local cancelled = create_task(sleep(1000))
      cancelled:cancel("first")
      caught(await, cancelled)
      assert.is_false(cancelled:cancel("second"))
      assert.equal("first", caught(await, cancelled).message)
    end)
  end)

  it("CA-04 a task that catches it and returns is finished, not cancelled", function()
    main(function()
      local task = started(function()
        caught(await, sleep(1000))
        return "value", 2
      end)
      assert.is_true(task:cancel())
      assert.same({"value", 2}, {await(task)})
      assert.is_false(task:cancelled())
      assert.equal(1, task:cancelling())
    end)
  end)

  it("CA-05 a task that catches it goes on; a new cancel strikes again", function()
    main(function()
      local struck, awaited = 0, 0
      local task = started(function()
        for _ = 1, 2 do
          is_a("CancelledError", caught(await, sleep(1000)))
          struck = struck + 1
          for _ = 1, 3 do
            await(sleep(0))
            awaited = awaited + 1
          end
        end
        await(sleep(1000))
      end)
      task:cancel()
      turns(6)
      assert.same({1, 3}, {struck, awaited})
      assert.is_false(task:done())
      task:cancel()
      turns(6)
      assert.same({2, 6}, {struck, awaited})
      assert.equal(2, task:cancelling())
      task:cancel()
      is_a("CancelledError", caught(await, task))
    end)
  end)

  it("CA-06 twice before the task runs: both true, one CancelledError", function()
    main(function()
      local task = started(function()
        local first = caught(await, sleep(1000))
        await(sleep(0.0001))
        return first.message
      end)
      assert.is_true(task:cancel("first"))
      assert.is_true(task:cancel("second"))
      assert.equal(2, task:cancelling())
      assert.is_string(await(task))
      assert.is_false(task:cancelled())
    end)
  end)

  it("CA-07 during an await in the cleanup interrupts that await alone", function()
    main(function()
      local order = {}
      local task = started(function()
        local _ <close> = at_end(function()
          order[#order + 1] = "outer"
          await(sleep(0))
          order[#order + 1] = "outer is done"
        end)
        local _ <close> = at_end(function()
          order[#order + 1] = "inner"
          await(sleep(1000))
          order[#order + 1] = "never"
        end)
        await(sleep(1000))
      end)
      task:cancel()
      turns(2)
      assert.same({"inner"}, order)
      task:cancel()
      is_a("CancelledError", caught(await, task))
      assert.same({"inner", "outer", "outer is done"}, order)
      assert.is_true(task:cancelled())
    end)
  end)

  it("CA-08 a cleanup that fails makes the task fail", function()
    main(function()
      local boom = {}
      local task = started(function()
        local _ <close> = at_end(function() error(boom) end)
        await(sleep(1000))
      end)
      task:cancel()
      assert.equal(boom, caught(await, task))
      assert.is_false(task:cancelled())
      local other = started(function()
        caught(await, sleep(1000))
        error(boom)
      end)
      other:cancel()
      assert.equal(boom, caught(await, other))
      assert.is_false(other:cancelled())
    end)
  end)

  it("CA-08 a cleanup that fails with CancelledError leaves it cancelled", function()
    main(function()
      local task = started(function()
        caught(await, sleep(1000))
        error(asyncio.CancelledError("a new one"))
      end)
      task:cancel("the old one")
      assert.equal("a new one", caught(await, task).message)
      assert.is_true(task:cancelled())
    end)
  end)

  it("CA-09 of oneself strikes at the next await that suspends", function()
    main(function()
      local order = {}
      local done = asyncio.Future()
      done:set_result("done")
      local task = create_task(co(function()
        assert.is_true(asyncio.current_task():cancel())
        order[#order + 1] = await(done)
        order[#order + 1] = await(co(function() return "inline" end))
        is_a("CancelledError", caught(await, sleep(1000)))
        order[#order + 1] = "struck"
        await(sleep(0))
        return "end"
      end))
      assert.equal("end", await(task))
      assert.same({"done", "inline", "struck"}, order)
    end)
  end)

  it("CA-09 of oneself strikes at sleep(0), at a future, at a task", function()
    main(function()
      local future = asyncio.Future()
      local other = create_task(sleep(1000))
      for _, what in ipairs{"sleep", "future", "task"} do
        local task = create_task(co(function()
          asyncio.current_task():cancel("me")
          await(what == "sleep" and sleep(0) or what == "future" and future or other)
        end))
        local err = caught(await, task)
        is_a("CancelledError", err)
        assert.equal("me", err.message)
        assert.is_true(task:cancelled())
      end
      -- as a task's cancel does, it went on to what was awaited
      assert.is_true(future:cancelled())
      assert.is_true(other:cancelled())
    end)
  end)

  it("CA-10 of oneself, then return without suspending: the value is lost", function()
    main(function()
      local task = create_task(co(function()
        asyncio.current_task():cancel("late")
        return "value"
      end))
      assert.equal("late", caught(await, task).message)
      assert.is_true(task:cancelled())
    end)
  end)

  it("CA-10 of oneself, then an error: the error stands", function()
    main(function()
      local task = create_task(co(function()
        asyncio.current_task():cancel()
        error("boom", 0)
      end))
      assert.equal("boom", caught(await, task))
      assert.is_false(task:cancelled())
    end)
  end)

  it("CA-11 of a task that awaits a task: innermost first", function()
    main(function()
      local order = {}
      local function level(name, awaited)
        return started(function()
          local _ <close> = at_end(function() order[#order + 1] = name end)
          await(awaited)
        end)
      end
      local inner = level("inner", sleep(1000))
      local middle = level("middle", inner)
      local outer = level("outer", middle)
      assert.is_true(outer:cancel("message"))
      local err = caught(await, outer)
      assert.same({"inner", "middle", "outer"}, order)
      assert.equal("message", err.message)
      assert.is_true(inner:cancelled() and middle:cancelled() and outer:cancelled())
    end)
  end)

  it("CA-12 the awaited task refuses: the outer one never notices", function()
    main(function()
      local inner = started(function()
        caught(await, sleep(1000))
        return "refused"
      end)
      local outer = started(function()
        local value = await(inner)
        await(sleep(0))
        return value
      end)
      assert.is_true(outer:cancel())
      assert.equal("refused", await(outer))
      assert.is_false(outer:cancelled())
    end)
  end)

  it("CA-13 of the awaited task by someone else: the waiter may go on", function()
    main(function()
      local inner = started(function() await(sleep(1000)) end)
      local waiter = started(function()
        local err = caught(await, inner)
        is_a("CancelledError", err)
        assert.equal("by main", err.message)
        assert.equal(0, asyncio.current_task():cancelling())
        await(sleep(0))
        return "went on"
      end)
      inner:cancel("by main")
      assert.equal("went on", await(waiter))
      -- and who lets it through ends as cancelled, too
      local second = create_task(co(function() await(inner) end))
      caught(await, second)
      assert.is_true(second:cancelled())
    end)
  end)

  it("CA-14 of a task already woken wins over the wake-up", function()
    main(function()
      local future = asyncio.Future()
      local task = started(function()
        local err = caught(await, future)
        is_a("CancelledError", err)
        return "struck"
      end)
      future:set_result("value")
      assert.is_true(task:cancel())
      assert.equal("struck", await(task))
      assert.equal("value", future:result())
    end)
  end)

  it("CA-14 of a task already woken by an error wins, too", function()
    main(function()
      local future = asyncio.Future()
      local task = started(function() return await(future) end)
      future:set_exception("boom")
      assert.is_true(task:cancel("real"))
      assert.equal("real", caught(await, task).message)
      assert.is_true(task:cancelled())
      assert.equal("boom", caught(future.result, future))
    end)
  end)

  it("CA-14 of a sleeper whose time has come wins, too", function()
    main(function()
      local cancelled
      local task = create_task(co(function()
        local err = caught(await, sleep(0.05))
        is_a("CancelledError", err)
        return "struck"
      end))
      -- due in the same poll, and before it in the ready queue
      asyncio.call_later(0.001, function()
        local late = asyncio.time() + 0.06
        while asyncio.time() < late do end
        asyncio.call_later(-1, function() cancelled = task:cancel() end)
      end)
      assert.equal("struck", await(task))
      assert.is_true(cancelled)
    end)
  end)

  it("CA-15 awaited task done and waiter cancelled in the same turn", function()
    main(function()
      local inner = started(function()
        await(sleep(0))
        await(sleep(0))
        return "kept"
      end)
      local waiter = started(function() return await(inner) end)
      while not inner:done() do await(sleep(0)) end
      if not waiter:done() then
        assert.is_true(waiter:cancel())
        is_a("CancelledError", caught(await, waiter))
        assert.is_true(waiter:cancelled())
      else
        error("main came after the waiter: the test tests nothing")
      end
      assert.equal("kept", inner:result())
    end)
  end)

  it("CA-16 passes through pcall and xpcall", function()
    main(function()
      local handled = false
      local task = started(function()
        pcall(function()
          xpcall(function() await(sleep(1000)) end, function() handled = true end)
          error("not reached")
        end)
        error("nor this")
      end)
      task:cancel()
      is_a("CancelledError", caught(await, task))
      assert.is_true(task:cancelled())
      assert.is_false(handled)
    end)
  end)

  it("CA-17 a retry loop with pcall ends when cancelled", function()
    main(function()
      local tries = 0
      local task = started(function()
        while not pcall(function()
          tries = tries + 1
          await(sleep(0))
          error("try again")
        end) do end
      end)
      turns(5)
      assert.is_true(tries >= 4)
      task:cancel()
      is_a("CancelledError", caught(await, task))
      local before = tries
      turns(3)
      assert.equal(before, tries)
    end)
  end)

  it("CA-18 nested cleanups with awaits run from the inside out", function()
    main(function()
      local order = {}
      local function cleanup(name, n)
        return at_end(function()
          turns(n)
          order[#order + 1] = name
        end)
      end
      local task = started(function()
        local _ <close> = cleanup("a", 1)
        await(co(function()
          local _ <close> = cleanup("b", 3)
          local _ <close> = cleanup("c", 2)
          pcall(function()
            local _ <close> = cleanup("d", 4)
            await(sleep(1000))
          end)
        end))
      end)
      task:cancel()
      is_a("CancelledError", caught(await, task))
      assert.same({"d", "c", "b", "a"}, order)
    end)
  end)

  it("CA-19 its message arrives, any value, over several tasks", function()
    main(function()
      for _, message in ipairs{"text", 5, {}, true, false, print} do
        local inner = started(function() await(sleep(1000)) end)
        local outer = started(function() await(inner) end)
        outer:cancel(message)
        assert.equal(message, caught(await, outer).message)
        assert.equal(message, caught(await, inner).message)
      end
      local plain = started(function() await(sleep(1000)) end)
      plain:cancel()
      assert.is_nil(caught(await, plain).message)
    end)
  end)
end)
