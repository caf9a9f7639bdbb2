-- uncancel_spec.lua: the count of cancellation requests; cancellation in
-- places that are easily forgotten.

local asyncio = require "asyncio"
local tasks = require "tasks"

local at_end, caught, co, is_a = tasks.at_end, tasks.caught, tasks.co, tasks.is_a
local main, turns = tasks.main, tasks.turns

describe("cancelling and uncancel", function()
  it("CA-20 count the requests, and take them back", function()
    main(function()
      local task = create_task(co(function()
        local this = asyncio.current_task()
        is_a("CancelledError", caught(await, sleep(1000)))
        assert.equal(2, this:cancelling())
        assert.equal(1, this:uncancel())
        assert.equal(0, this:uncancel())
        assert.equal(0, this:uncancel())
        assert.equal(0, this:cancelling())
        await(sleep(0))
        return "clean"
      end))
      turns(1)
      assert.equal(0, task:cancelling())
      task:cancel()
      assert.equal(1, task:cancelling())
      task:cancel()
      assert.equal(2, task:cancelling())
      assert.equal("clean", await(task))
      assert.equal(0, task:cancelling())
    end)
  end)

  it("CA-20 count a request to a finished task not at all", function()
    main(function()
      local task = create_task(co(function() end))
      await(task)
      task:cancel()
      assert.equal(0, task:cancelling())
    end)
  end)

  it("CA-21 before the request was delivered nothing is delivered", function()
    main(function()
      local task = create_task(co(function()
        local this = asyncio.current_task()
        this:cancel()
        assert.equal(0, this:uncancel())
        await(sleep(0))
        await(sleep(0.0001))
        return "undisturbed"
      end))
      assert.equal("undisturbed", await(task))
      -- before the first step, too
      task = create_task(co(function() return "started" end))
      task:cancel()
      task:uncancel()
      assert.equal("started", await(task))
    end)
  end)

  it("CA-21 one of two requests taken back: it is delivered", function()
    main(function()
      local task = create_task(co(function()
        local this = asyncio.current_task()
        this:cancel()
        this:cancel()
        assert.equal(1, this:uncancel())
        await(sleep(0))
      end))
      is_a("CancelledError", caught(await, task))
    end)
  end)

  it("CA-21 uncancel of a sleeper that was struck comes too late", function()
    main(function()
      local task = create_task(co(function() await(sleep(1000)) end))
      turns(1)
      task:cancel()
      assert.equal(0, task:uncancel())
      is_a("CancelledError", caught(await, task))
      assert.is_true(task:cancelled())
    end)
  end)

  it("CA-21 of a task that was woken: it gets what woke it", function()
    main(function()
      local future, child = asyncio.Future(), asyncio.Future()
      local task = create_task(co(function() return await(future) end))
      local gatherer = create_task(co(function() return await(gather(child))[1] end))
      turns(1)
      future:set_result("value")
      child:set_result("child")
      assert.is_true(task:cancel())
      assert.equal(0, task:uncancel())
      assert.is_true(gatherer:cancel())
      assert.equal(0, gatherer:uncancel())
      assert.equal("value", await(task))
      assert.equal("child", await(gatherer))
    end)
  end)

  it("CA-20 count at each task that a request passes on its way", function()
    main(function()
      local inner = create_task(co(function()
        caught(await, sleep(1000))
        turns(2)
        return "refused"
      end))
      turns(1)
      local outer = create_task(co(function()
        return await(inner), asyncio.current_task():cancelling()
      end))
      turns(1)
      outer:cancel()
      outer:cancel()
      assert.equal(2, outer:cancelling())
      assert.equal(2, inner:cancelling())
      assert.same({"refused", 2}, {await(outer)})
    end)
  end)

  it("CA-20 count nothing when a task raises CancelledError by itself", function()
    main(function()
      local task = create_task(co(function() error(asyncio.CancelledError("own")) end))
      assert.equal("own", caught(await, task).message)
      assert.is_true(task:cancelled())
      assert.equal(0, task:cancelling())
    end)
  end)

  it("CA-22 during sleep(0) is delivered there", function()
    main(function()
      local rounds = 0
      local task = create_task(co(function()
        while true do
          await(sleep(0))
          rounds = rounds + 1
        end
      end))
      turns(3)
      local before = rounds
      task:cancel()
      is_a("CancelledError", caught(await, task))
      assert.equal(before, rounds)
    end)
  end)

  it("CA-23 a timeout that fired leaves no request behind", function()
    main(function()
      local ok, err = pcall(function()
        local _ <close> = asyncio.timeout(0.001)
        await(sleep(1000))
      end)
      assert.is_false(ok)
      is_a("TimeoutError", err)
      assert.equal(0, asyncio.current_task():cancelling())
      await(sleep(0))
    end)
  end)

  it("CA-23 code after a structured block runs undisturbed, in time or not", function()
    -- one that sleeps below a timeout of its own, and then goes on
    local function request(seconds, limit, note)
      local ok, err = pcall(function()
        local _ <close> = asyncio.timeout(limit)
        await(sleep(seconds))
        note "in time"
      end)
      if not ok then note(tostring(err)) end
      await(sleep(0))
      note "after"
      return asyncio.current_task():cancelling()
    end
    main(function()
      for _, case in ipairs{{0, 1000, "in time"}, {1000, 0.001, "TimeoutError"}} do
        local order = {}
        local task = create_task(co(request, case[1], case[2], function(text)
          order[#order + 1] = text
        end))
        assert.equal(0, await(task))
        assert.same({case[3], "after"}, order)
      end
      -- a cancellation from outside passes the block and what comes after
      local order = {}
      local task = create_task(co(request, 1000, 1000, function(text)
        order[#order + 1] = text
      end))
      turns(2)
      task:cancel()
      is_a("CancelledError", caught(await, task))
      assert.same({}, order)
      assert.equal(1, task:cancelling())
    end)
  end)

  it("CA-24 a task in wait: wait ends, the waited tasks live", function()
    main(function()
      local gate = asyncio.Future()
      local waited = create_task(co(function() return await(gate) end))
      local task = create_task(co(function() await(asyncio.wait{waited}) end))
      turns(2)
      task:cancel("real")
      turns(2)
      assert.is_true(task:cancelled())
      assert.equal("real", caught(await, task).message)
      assert.is_false(waited:done())
      assert.equal(0, waited:cancelling())
      gate:set_result("value")
      assert.equal("value", await(waited))
    end)
  end)
end)

describe("cancellation", function()
  it("reaches a task inside a generator, whose variables are closed", function()
    main(function()
      local order = {}
      local task = create_task(co(function()
        for _ in coroutine.wrap(function()
          local _ <close> = at_end(function() order[#order + 1] = "generator" end)
          coroutine.yield(1)
          await(sleep(1000))
          coroutine.yield(2)
        end) do
          order[#order + 1] = "item"
        end
      end))
      turns(2)
      task:cancel()
      is_a("CancelledError", caught(await, task))
      assert.same({"item", "generator"}, order)
    end)
  end)

  it("of one of many waiters leaves the others' order", function()
    main(function()
      local order, list = {}, {}
      local inner = create_task(sleep(0.002, "value"))
      -- each waits through a future of its own: cancel stops there
      for i = 1, 5 do
        local gate = asyncio.Future()
        inner:add_done_callback(function()
          if not gate:done() then gate:set_result() end
        end)
        list[i] = create_task(co(function()
          await(gate)
          order[#order + 1] = i
        end))
      end
      turns(1)
      list[2]:cancel()
      list[4]:cancel()
      await(inner)
      for i = 1, 5 do asyncio.catch(await, list[i]) end
      assert.same({1, 3, 5}, order)
      assert.is_true(list[2]:cancelled() and list[4]:cancelled())
    end)
  end)

  it("by a done callback, by a callback, by a timer", function()
    main(function()
      for _, by in ipairs{"done", "soon", "later"} do
        local task = create_task(sleep(1000))
        turns(1)
        local function cancel() task:cancel(by) end
        if by == "done" then
          local future = asyncio.Future()
          future:add_done_callback(cancel)
          future:set_result()
        elseif by == "soon" then
          asyncio.call_soon(cancel)
        else
          asyncio.call_later(0.001, cancel)
        end
        assert.equal(by, caught(await, task).message)
      end
    end)
  end)

  it("of a task by one that is ready before it in the same turn", function()
    main(function()
      local ran = false
      local victim
      local killer = create_task(co(function() victim:cancel() end))
      victim = create_task(co(function() ran = true end))
      await(killer)
      is_a("CancelledError", caught(await, victim))
      assert.is_false(ran)
    end)
  end)

  it("of a task by one that is ready after it comes too late", function()
    main(function()
      local victim = create_task(co(function() return "value" end))
      local result
      await(create_task(co(function() result = victim:cancel() end)))
      assert.is_false(result)
      assert.equal("value", await(victim))
    end)
  end)

  it("of tasks that await each other ends both", function()
    main(function()
      local a, b
      a = create_task(co(function() await(b) end))
      b = create_task(co(function() await(a) end))
      turns(2)
      a:cancel()
      is_a("CancelledError", caught(await, a))
      is_a("CancelledError", caught(await, b))
    end)
  end)

  it("of a gather that contains its own awaiter ends it", function()
    main(function()
      local task
      task = create_task(co(function()
        await(gather(task, sleep(1000)))
      end))
      turns(2)
      task:cancel()
      is_a("CancelledError", caught(await, task))
    end)
  end)
end)
