-- wait_for_spec.lua: asyncio.wait_for: something with a limit of time. The waiter
-- or the inner one is cancelled: wait_for_cancel_spec.lua; misuse, odd places,
-- size: wait_for_misuse_spec.lua.

local asyncio = require "asyncio"
local program = require "program"
local scopes = require "scopes"
local tasks = require "tasks"

local at_end, caught, co, is_a = tasks.at_end, tasks.caught, tasks.co, tasks.is_a
local main, started, turns = tasks.main, tasks.started, tasks.turns
local SOON, assert_no_timer_after = scopes.SOON, scopes.assert_no_timer_after
local cancelling, spin = scopes.cancelling, scopes.spin
local wait_for = asyncio.wait_for

-- An awaitable object of a class of the user's own.
local function object_of(awaitable)
  return setmetatable({}, {__await = function() return awaitable end})
end

describe("wait_for", function()
  it("WF-01 in time: all results of the inner one, at once", function()
    main(function()
      for _, seconds in ipairs{1000, 500.5, math.huge, math.maxinteger, false} do
        local limit = seconds or nil
        assert.same({1, nil, "x", nil, n = 4}, table.pack(await(wait_for(co(function()
          return 1, nil, "x", nil
        end), limit))))
        local done = asyncio.Future()
        done:set_result("a", nil, "c")
        assert.same({"a", nil, "c", n = 3}, table.pack(await(wait_for(done, limit))))
        local task = create_task(sleep(0, "slept"))
        assert.equal("slept", await(wait_for(task, limit)))
        assert.same({1, 2, n = 2}, await(wait_for(gather(sleep(0, 1), sleep(0, 2)), limit)))
        assert.equal("object", await(wait_for(object_of(sleep(0, "object")), limit)))
        assert.equal(0, select("#", await(wait_for(co(function() end), limit))))
      end
    end)
  end)

  it("WF-01 in time: no turn is given up when the inner one does not suspend", function()
    main(function()
      local ran = false
      asyncio.call_soon(function() ran = true end)
      for _ = 1, 100 do await(wait_for(co(function() end), 1000)) end
      assert.is_false(ran)
    end)
  end)

  it("WF-01 in time: an error of the inner one, of every type, unchanged", function()
    main(function()
      local values = table.pack("text", "", 5, true, false, {}, print, io.stdout,
        asyncio.Exception("boom"), asyncio.TimeoutError("own"), asyncio.KeyboardInterrupt(),
        asyncio.CancelledError("own"), nil)
      for i = 1, values.n do
        local value = values[i]
        for _, limit in ipairs{1000, false} do
          local function fail()
            await(sleep(0))
            error(value, 0)
          end
          assert.is_true(rawequal(value, caught(await, wait_for(co(fail), limit or nil))))
        end
      end
    end)
  end)

  it("WF-01 in time: the error of a task arrives, too", function()
    main(function()
      for _, value in ipairs{"text", {}, false, 5} do
        local task = create_task(co(function() error(value, 0) end))
        assert.equal(value, caught(await, wait_for(task, 1000)))
      end
    end)
  end)

  it("WF-01 nil means no limit", function()
    main(function()
      assert.equal("done", await(wait_for(co(function()
        await(sleep(SOON))
        return "done"
      end), nil)))
      assert.equal("done", await(wait_for(sleep(SOON, "done"))))
    end)
  end)

  it("WF-01 the timer is gone afterwards", function()
    assert_no_timer_after(function()
      await(wait_for(sleep(0), 1000))
      caught(await, wait_for(co(function() error "boom" end), 1000))
      local future = asyncio.Future()
      asyncio.call_soon(future.set_result, future)
      await(wait_for(future, 1000))
    end)
  end)

  it("WF-02 too late: the inner one is cancelled, TimeoutError", function()
    main(function()
      local state
      local task = create_task(co(function()
        state = "running"
        local _ <close> = at_end(function(_, err)
          is_a("CancelledError", err)
          state = "ended"
        end)
        await(sleep(1000))
        return "done"
      end))
      local err = caught(await, wait_for(task, SOON))
      is_a("TimeoutError", err)
      assert.equal("TimeoutError", tostring(err))
      assert.equal("ended", state)
      assert.is_true(task:cancelled())
      assert.equal(0, cancelling())
    end)
  end)

  it("WF-02 too late: a coroutine object, a future, a gather, an object", function()
    main(function()
      local ended = 0
      local function stubborn()
        local _ <close> = at_end(function() ended = ended + 1 end)
        await(sleep(1000))
      end
      local future, child = asyncio.Future(), create_task(co(stubborn))
      for _, awaitable in ipairs{co(stubborn), future, gather(child), object_of(co(stubborn))} do
        local ok, err = pcall(await, wait_for(awaitable, SOON))
        assert.is_false(ok)
        is_a("TimeoutError", err)
      end
      assert.equal(3, ended)
      assert.is_true(future:cancelled())
      assert.is_true(child:cancelled())
    end)
  end)

  it("WF-03 it waits for the cleanup of the inner one", function()
    main(function()
      for _, case in ipairs{{"task", SOON}, {"task", 0}, {"coroutine", SOON}} do
        local as, limit = table.unpack(case)
        local order = {}
        local inner = co(function()
          local _ <close> = at_end(function()
            await(sleep(SOON))
            turns(3)
            order[#order + 1] = "cleaned up"
          end)
          await(sleep(1000))
        end)
        if as == "task" then
          inner = create_task(inner)
          turns(1)
        end
        local err = caught(await, wait_for(inner, limit))
        order[#order + 1] = tostring(err)
        assert.same({"cleaned up", "TimeoutError"}, order)
      end
    end)
  end)

  it("WF-04 no time, coroutine object: never started, no warning, TimeoutError", function()
    local result = program.run_script([[
      local asyncio = require "asyncio"
      run(async(function()
        for _, seconds in ipairs{0, 0.0, -1, -math.huge, math.mininteger} do
          local coro = async(function() print "started" end)()
          local ok, err = pcall(await, asyncio.wait_for(coro, seconds))
          print(ok, err)
        end
        collectgarbage()
        await(sleep(0))
        print(asyncio.current_task():cancelling())
      end)())
    ]])
    assert.same({stdout = ("false\tTimeoutError\n"):rep(5) .. "0\n", stderr = "", code = 0},
      result)
  end)

  it("WF-04 no time, a coroutine object that was awaited: usage error", function()
    main(function()
      local used = co(function() return 1 end)
      await(used)
      for _, limit in ipairs{0, -1, 1000, false} do
        assert.matches("again", caught(await, wait_for(used, limit or nil)))
      end
    end)
  end)

  it("WF-05 no time, finished: its value or error", function()
    main(function()
      for _, limit in ipairs{0, -1} do
        local future = asyncio.Future()
        future:set_result("done", nil, 3)
        assert.same({"done", nil, 3, n = 3}, table.pack(await(wait_for(future, limit))))
        local task = create_task(co(function() return 1, 2 end))
        await(task)
        assert.same({1, 2}, {await(wait_for(task, limit))})
        for _, value in ipairs{"boom", {}, false, 5} do
          local failed = create_task(co(function() error(value, 0) end))
          turns(2)
          assert.equal(value, caught(await, wait_for(failed, limit)))
        end
        local cancelled = create_task(sleep(1000))
        cancelled:cancel("by hand")
        caught(await, cancelled)
        local err = caught(await, wait_for(cancelled, limit))
        is_a("CancelledError", err)
        assert.equal("by hand", err.message)
      end
    end)
  end)

  it("WF-05 no time, pending: cancelled, waited for, TimeoutError", function()
    main(function()
      for _, limit in ipairs{0, -1, -math.huge} do
        local order = {}
        local task = started(function()
          local _ <close> = at_end(function()
            turns(3)
            order[#order + 1] = "ended"
          end)
          await(sleep(1000))
        end)
        local err = caught(await, wait_for(task, limit))
        order[#order + 1] = tostring(err)
        assert.same({"ended", "TimeoutError"}, order)
        assert.is_true(task:cancelled())
        local future = asyncio.Future()
        is_a("TimeoutError", caught(await, wait_for(future, limit)))
        assert.is_true(future:cancelled())
        local ran = false
        local unstarted = create_task(co(function() ran = true end))
        is_a("TimeoutError", caught(await, wait_for(unstarted, limit)))
        assert.is_false(ran)
        assert.equal(0, cancelling())
      end
    end)
  end)

  it("WF-05 no time, a gather: the same", function()
    main(function()
      local child = create_task(sleep(1000))
      is_a("TimeoutError", caught(await, wait_for(gather(child), 0)))
      assert.is_true(child:cancelled())
      local failing = gather(co(function()
        await(sleep(0))
        error("boom", 0)
      end))
      turns(3)
      assert.equal("boom", caught(await, wait_for(failing, 0)))
      local done = gather(sleep(0, 1), sleep(0, 2))
      turns(3)
      assert.same({1, 2, n = 2}, await(wait_for(done, 0)))
    end)
  end)

  it("WF-05 no time, pending: it refuses, its value or error comes", function()
    main(function()
      local function refuse(outcome)
        return started(function()
          caught(await, sleep(1000))
          await(sleep(0))
          return outcome()
        end)
      end
      assert.same({1, 2}, {await(wait_for(refuse(function() return 1, 2 end), 0))})
      local boom = {}
      assert.equal(boom, caught(await, wait_for(refuse(function() error(boom) end), 0)))
    end)
  end)

  it("WF-06 the inner cleanup fails after the timeout: that error", function()
    main(function()
      local values = table.pack("text", 5, true, false, {}, asyncio.Exception("boom"), nil)
      for i = 1, values.n do
        local value = values[i]
        local function fails()
          caught(await, sleep(1000))
          await(sleep(0))
          error(value, 0)
        end
        for _, limit in ipairs{SOON, 0} do
          assert.is_true(rawequal(value, caught(await, wait_for(started(fails), limit))))
        end
        assert.is_true(rawequal(value, caught(await, wait_for(co(fails), SOON))))
        assert.equal(0, cancelling())
      end
    end)
  end)

  it("WF-06 a to-be-closed variable of the inner one fails: that error", function()
    main(function()
      local boom = {}
      assert.equal(boom, caught(await, wait_for(co(function()
        local _ <close> = at_end(function() error(boom) end)
        await(sleep(1000))
      end), SOON)))
    end)
  end)

  it("WF-07 the inner one swallows the cancellation: its value", function()
    main(function()
      local function swallows()
        caught(await, sleep(1000))
        await(sleep(0))
        return 42, nil, 43
      end
      assert.same({42, nil, 43}, {await(wait_for(co(swallows), SOON))})
      assert.same({42, nil, 43}, {await(wait_for(create_task(co(swallows)), SOON))})
      assert.equal(0, cancelling())
      await(sleep(0))
    end)
  end)

  it("WF-10 of a shielded task: TimeoutError, the task lives", function()
    main(function()
      local gate = asyncio.Future()
      local task = create_task(co(function() return await(gate) end))
      local shielded = asyncio.shield(task)
      is_a("TimeoutError", caught(await, wait_for(shielded, SOON)))
      assert.is_true(shielded:cancelled())
      assert.is_false(task:done())
      gate:set_result("done")
      assert.equal("done", await(task))
      assert.equal("done", await(wait_for(asyncio.shield(create_task(sleep(0, "done"))), nil)))
    end)
  end)

  it("WF-12 a coroutine object runs in the caller's task", function()
    main(function()
      local this = asyncio.current_task()
      for _, limit in ipairs{1000, 0.001, math.huge, false} do
        assert.equal(this, await(wait_for(co(function()
          return asyncio.current_task()
        end), limit or nil)))
        assert.equal(1, #asyncio.all_tasks())
      end
    end)
  end)

  it("WF-13 nested: only the one that expired gives TimeoutError", function()
    main(function()
      local inner_err
      local outer_err = caught(await, wait_for(co(function()
        inner_err = caught(await, wait_for(sleep(1000), 1000))
        error(inner_err, 0)
      end), SOON))
      is_a("CancelledError", inner_err)
      is_a("TimeoutError", outer_err)
      -- the inner one expires
      assert.equal("TimeoutError", await(wait_for(co(function()
        return tostring(caught(await, wait_for(sleep(1000), SOON)))
      end), 1000)))
      assert.equal(0, cancelling())
    end)
  end)

  it("WF-13 nested, a task between them: both see their own", function()
    main(function()
      local task = create_task(wait_for(sleep(1000), SOON))
      is_a("TimeoutError", caught(await, wait_for(task, 1000)))
      task = create_task(wait_for(sleep(1000), 1000))
      is_a("TimeoutError", caught(await, wait_for(task, SOON)))
      assert.is_true(task:cancelled())
    end)
  end)

  it("WF-14 done and deadline in the same turn: the value, if it was first", function()
    main(function()
      for _, limit in ipairs{0.01, 0.05} do
        local future = asyncio.Future()
        asyncio.call_later(0.03, function()
          if not future:done() then future:set_result("value") end
        end)
        local waiter = create_task(co(function()
          local coro = wait_for(future, limit)
          asyncio.call_soon(spin, 0.06) -- then both timers are due at once
          return tostring(select(2, asyncio.catch(await, coro)))
        end))
        assert.equal(limit > 0.03 and "value" or "TimeoutError", await(waiter))
        assert.equal(limit < 0.03, future:cancelled())
        assert.equal(0, waiter:cancelling())
      end
    end)
  end)

  it("WF-14 a task that ended, the deadline handled before the waiter ran: the value", function()
    main(function()
      local inner, order = nil, {}
      local waiter = create_task(co(function()
        inner = create_task(co(function()
          await(sleep(0))
          spin(0.06) -- past the deadline; the timer is due in the next turn
          order[#order + 1] = "ended"
          return "value", 2
        end))
        return await(wait_for(inner, 0.05))
      end))
      assert.same({"value", 2}, {await(waiter)})
      assert.same({"ended"}, order)
      assert.equal(0, waiter:cancelling())
    end)
  end)

  it("WF-14 a task that failed, likewise: its error", function()
    main(function()
      local boom = {}
      local inner = create_task(co(function()
        await(sleep(0))
        spin(0.06)
        error(boom)
      end))
      assert.equal(boom, caught(await, wait_for(inner, 0.05)))
    end)
  end)

  it("WF-15 a lock: no orphan waiter", function()
    main(function()
      local lock = asyncio.Lock()
      await(lock:acquire())
      for _, limit in ipairs{SOON, 0} do
        is_a("TimeoutError", caught(await, wait_for(lock:acquire(), limit)))
      end
      lock:release()
      assert.is_false(lock:locked())
      do
        local _ <close> = await(wait_for(lock:acquire(), 1000))
        assert.is_true(lock:locked())
      end
      assert.is_false(lock:locked())
    end)
  end)

  it("WF-15 a queue: what is put later goes to the next getter", function()
    main(function()
      local queue = asyncio.Queue(1)
      for _, limit in ipairs{SOON, 0} do
        is_a("TimeoutError", caught(await, wait_for(queue:get(), limit)))
      end
      queue:put_nowait("item")
      for _, limit in ipairs{SOON, 0} do
        is_a("TimeoutError", caught(await, wait_for(queue:put("lost"), limit)))
      end
      assert.equal("item", await(wait_for(queue:get(), 1000)))
      assert.is_true(queue:empty())
    end)
  end)

  it("WF-15 a condition: its lock is held again", function()
    main(function()
      local condition = asyncio.Condition()
      local guard <close> = await(condition:acquire())
      is_a("TimeoutError", caught(await, wait_for(condition:wait(), SOON)))
      assert.is_true(condition:locked())
      condition:notify() -- holds the lock; and nobody waits
      assert.is_truthy(guard)
    end)
  end)

  it("WF-15 a semaphore and an event: usable afterwards", function()
    main(function()
      local semaphore, event = asyncio.Semaphore(0), asyncio.Event()
      is_a("TimeoutError", caught(await, wait_for(semaphore:acquire(), SOON)))
      semaphore:release()
      assert.is_false(semaphore:locked())
      is_a("TimeoutError", caught(await, wait_for(event:wait(), SOON)))
      event:set()
      assert.is_true(await(wait_for(event:wait(), 1000)))
    end)
  end)

  it("WF-16 no time, shielded: TimeoutError; the task is not cancelled", function()
    main(function()
      for _, limit in ipairs{0, -1} do
        local gate = asyncio.Future()
        local task = create_task(co(function() return await(gate) end))
        local shielded = asyncio.shield(task)
        is_a("TimeoutError", caught(await, wait_for(shielded, limit)))
        assert.is_true(shielded:cancelled())
        assert.is_false(task:done())
        gate:set_result("done")
        assert.equal("done", await(task))
      end
    end)
  end)

  it("is lazy: nothing happens before it is awaited, and it may be a task", function()
    main(function()
      local ran = false
      local waiting = wait_for(co(function() ran = true return "value" end), 1000)
      assert.is_true(asyncio.iscoroutine(waiting))
      turns(3)
      assert.is_false(ran)
      assert.equal("value", await(create_task(waiting)))
      assert.is_true(ran)
      assert.matches("^<coroutine object wait_for at ", tostring(waiting))
    end)
  end)

  it("the limit counts from the await, not from the call", function()
    main(function()
      local waiting = wait_for(sleep(0, "value"), 0.1)
      spin(0.12)
      assert.equal("value", await(waiting))
    end)
  end)
end)
