-- shield_spec.lua: asyncio.shield: to wait without passing a cancellation
-- on.

local asyncio = require "asyncio"
local program = require "program"
local tasks = require "tasks"

local at_end, caught, co, is_a = tasks.at_end, tasks.caught, tasks.co, tasks.is_a
local main, refused, started, turns = tasks.main, tasks.refused, tasks.started, tasks.turns
local shield = asyncio.shield

-- A future that is done with that outcome.
local function done_with(...)
  local future = asyncio.Future()
  future:set_result(...)
  return future
end

describe("shield", function()
  it("SH-01 the waiter is cancelled: CancelledError at once", function()
    main(function()
      local inner = create_task(sleep(1000))
      local waiter = started(function() await(shield(inner)) end)
      assert.is_true(waiter:cancel("real"))
      turns(2)
      assert.is_true(waiter:cancelled())
      assert.equal("real", caught(await, waiter).message)
      assert.is_false(inner:done())
      inner:cancel()
    end)
  end)

  it("SH-01 the waiter may go on and wait for it again", function()
    main(function()
      local inner = asyncio.Future()
      local waiter = started(function()
        is_a("CancelledError", caught(await, shield(inner)))
        asyncio.call_soon(inner.set_result, inner, "value")
        return await(shield(inner))
      end)
      waiter:cancel()
      assert.equal("value", await(waiter))
    end)
  end)

  it("SH-02 the inner task is not told and runs to its end", function()
    main(function()
      local order = {}
      local waiter = started(function()
        await(shield(co(function()
          order[#order + 1] = "began"
          turns(5)
          assert.equal(0, asyncio.current_task():cancelling())
          order[#order + 1] = "ended"
        end)))
        order[#order + 1] = "never"
      end)
      turns(1)
      for _ = 1, 100 do waiter:cancel() end
      is_a("CancelledError", caught(await, waiter))
      order[#order + 1] = "waiter gone"
      turns(6)
      assert.same({"began", "waiter gone", "ended"}, order)
    end)
  end)

  it("SH-02 the shield is cancelled alone, by hand too", function()
    main(function()
      local inner = asyncio.Future()
      local outer = shield(inner)
      assert.is_true(outer:cancel("by hand"))
      assert.is_true(outer:cancelled())
      assert.is_false(inner:done())
      assert.is_false(outer:cancel())
      inner:set_result("value")
      turns(2)
      assert.is_true(outer:cancelled())
      assert.equal("by hand", caught(await, outer).message)
      assert.equal("value", inner:result())
    end)
  end)

  it("SH-03 all results of the inner one pass through", function()
    main(function()
      local values = table.pack(1, nil, "three", {}, nil)
      local inner = asyncio.Future()
      local outer = shield(inner)
      assert.is_false(outer:done())
      inner:set_result(table.unpack(values, 1, values.n))
      assert.same(values, table.pack(await(outer)))
      assert.same(values, table.pack(outer:result()))
      assert.same(values, table.pack(await(shield(co(function()
        await(sleep(0))
        return table.unpack(values, 1, values.n)
      end)))))
      assert.equal(0, select("#", await(shield(co(function() end)))))
    end)
  end)

  it("SH-03 the error of the inner one passes through, of every type", function()
    main(function()
      local values = table.pack("text", "", 5, true, false, {}, print, io.stdout,
        asyncio.Exception("boom"), asyncio.TimeoutError(), nil)
      for i = 1, values.n do
        local value = values[i]
        assert.is_true(rawequal(value, caught(await, shield(co(function()
          await(sleep(0))
          error(value, 0)
        end)))))
      end
      for _, boom in ipairs{asyncio.Exception("boom"), asyncio.KeyboardInterrupt("ctrl")} do
        local inner = asyncio.Future()
        local outer = shield(inner)
        inner:set_exception(boom)
        assert.equal(boom, caught(await, outer))
        assert.equal(boom, outer:exception())
      end
    end)
  end)

  it("SH-03 the exception of both has the same value and traceback", function()
    main(function()
      local inner = create_task(co(function() error("text", 0) end))
      local outer = shield(inner)
      assert.equal("text", caught(await, outer))
      assert.equal("text", outer:exception().value)
      assert.equal(outer:exception(), outer:exception())
      assert.is_string(outer:exception().traceback)
      assert.equal(inner:exception().traceback, outer:exception().traceback)
    end)
  end)

  it("SH-03 an error that passed is nobody's any more: no report", function()
    local result = program.run_script([[
      local asyncio = require "asyncio"
      run(async(function()
        print(pcall(await, asyncio.shield(async(function()
          await(sleep(0))
          error("boom", 0)
        end)())))
      end)())
      collectgarbage()
    ]])
    assert.same({stdout = "false\tboom\n", stderr = "", code = 0}, result)
  end)

  it("SH-04 one that is done is returned itself", function()
    main(function()
      local done = done_with("value")
      assert.equal(done, shield(done))
      local failed = create_task(co(function() error("boom", 0) end))
      caught(await, failed)
      assert.equal(failed, shield(failed))
      assert.equal("boom", caught(await, shield(failed)))
      local cancelled = asyncio.Future()
      cancelled:cancel()
      assert.equal(cancelled, shield(cancelled))
      local ran = false
      asyncio.call_soon(function() ran = true end)
      assert.equal("value", await(shield(done)))
      assert.is_false(ran)
    end)
  end)

  it("SH-05 the inner task is cancelled by someone else: CancelledError", function()
    main(function()
      local inner = create_task(sleep(1000))
      local waiter = started(function()
        local err = caught(await, shield(inner))
        is_a("CancelledError", err)
        assert.equal(0, asyncio.current_task():cancelling())
        return err.message
      end)
      inner:cancel("by hand")
      assert.equal("by hand", await(waiter))
      local future = asyncio.Future()
      local outer = shield(future)
      future:cancel("again")
      turns(1)
      assert.is_true(outer:cancelled())
      assert.equal("again", caught(await, outer).message)
    end)
  end)

  it("SH-06 under wait_for: TimeoutError, the inner one lives", function()
    main(function()
      local gate = asyncio.Future()
      local inner = create_task(co(function() return await(gate) end))
      for _, limit in ipairs{0.001, 0, -1} do
        is_a("TimeoutError", caught(await, asyncio.wait_for(shield(inner), limit)))
        assert.is_false(inner:done())
      end
      gate:set_result("value")
      assert.equal("value", await(asyncio.wait_for(shield(inner), 1000)))
    end)
  end)

  it("SH-06 under a timeout: the same", function()
    main(function()
      local gate = asyncio.Future()
      local inner = create_task(co(function() return await(gate) end))
      is_a("TimeoutError", caught(function()
        local _ <close> = asyncio.timeout(0.001)
        await(shield(inner))
      end))
      assert.is_false(inner:done())
      gate:set_result("value")
      assert.equal("value", await(inner))
    end)
  end)

  it("SH-07 at the end of run the inner task is cancelled like every leftover", function()
    local order = {}
    main(function()
      local waiter = started(function()
        await(shield(co(function()
          local _ <close> = at_end(function(_, err)
            is_a("CancelledError", err)
            await(sleep(0))
            order[#order + 1] = "cleaned up"
          end)
          await(sleep(1000))
        end)))
      end)
      turns(1)
      waiter:cancel()
      caught(await, waiter)
      order[#order + 1] = "main ends"
    end)
    assert.same({"main ends", "cleaned up"}, order)
  end)

  it("SH-08 the inner task fails after the waiter went away: reported once", function()
    local result = program.run_script([[
      local asyncio = require "asyncio"
      run(async(function()
        local inner = create_task(async(function()
          await(sleep(0))
          await(sleep(0))
          error("boom", 0)
        end)(), {name = "inner"})
        local waiter = create_task(async(function() await(asyncio.shield(inner)) end)())
        await(sleep(0))
        waiter:cancel()
        print(asyncio.catch(await, waiter))
        inner = nil
        for _ = 1, 3 do await(sleep(0)) end
        collectgarbage()
        collectgarbage()
        print "went on"
      end)())
    ]])
    assert.equal("false\tCancelledError\nwent on\n", result.stdout)
    assert.equal(0, result.code)
    assert.equal(1, select(2, result.stderr:gsub("never retrieved", "")))
    assert.matches("boom", result.stderr)
    assert.matches("'inner'", result.stderr, 1, true)
  end)

  it("SH-08 and somebody else looks at the error: no report", function()
    local result = program.run_script([[
      local asyncio = require "asyncio"
      run(async(function()
        local inner = create_task(async(function()
          await(sleep(0))
          await(sleep(0))
          error("boom", 0)
        end)())
        local outer = asyncio.shield(inner)
        outer:cancel()
        print(pcall(await, inner))
      end)())
      collectgarbage()
    ]])
    assert.same({stdout = "false\tboom\n", stderr = "", code = 0}, result)
  end)

  it("SH-08 a waiter that went away is not retained by the inner one", function()
    main(function()
      local inner = asyncio.Future()
      local weak = setmetatable({}, {__mode = "k"})
      local function waits()
        local waiter = started(function()
          weak[asyncio.current_task()] = true
          await(shield(inner))
        end)
        waiter:cancel()
        caught(await, waiter)
      end
      for _ = 1, 10 do waits() end
      turns(2)
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
      tasks.assert_no_growth(20000, function()
        for _ = 1, 500 do waits() end
        turns(2)
      end, 1, 0)
    end)
  end)

  it("many shields of one task wake in the order in which they were made", function()
    main(function()
      local order, list = {}, {}
      local inner = asyncio.Future()
      for i = 1, 5 do
        list[i] = started(function()
          await(shield(inner))
          order[#order + 1] = i
        end)
      end
      list[2]:cancel()
      list[4]:cancel()
      turns(2)
      inner:set_result()
      turns(3)
      assert.same({1, 3, 5}, order)
      assert.is_true(list[2]:cancelled() and list[4]:cancelled())
    end)
  end)

  it("cancelled in the turn in which the inner one ends: the value is kept there", function()
    main(function()
      for _, order in ipairs{"ends first", "cancelled first"} do
        local inner = asyncio.Future()
        local waiter = started(function() return await(shield(inner)) end)
        if order == "ends first" then inner:set_result("kept") end
        waiter:cancel("real")
        if order == "cancelled first" then inner:set_result("kept") end
        assert.equal("real", caught(await, waiter).message)
        assert.equal("kept", inner:result())
      end
    end)
  end)

  it("settled by hand does not disturb the inner one", function()
    main(function()
      local inner = asyncio.Future()
      local outer = shield(inner)
      outer:set_result("early")
      inner:set_result("value")
      turns(2)
      assert.equal("early", await(outer))
      assert.equal("value", inner:result())
    end)
  end)

  it("around a gather: cancelled alone; a gather around shields as well", function()
    main(function()
      local one, two = asyncio.Future(), asyncio.Future()
      local outer = shield(gather(one, two))
      turns(1)
      outer:cancel()
      turns(1)
      assert.is_true(outer:cancelled())
      one:set_result(1)
      two:set_result(2)
      assert.is_false(one:cancelled() or two:cancelled())
      local three, four = asyncio.Future(), asyncio.Future()
      local all = gather(shield(three), shield(four))
      turns(1)
      all:cancel()
      is_a("CancelledError", caught(await, all))
      assert.is_false(three:done() or four:done())
    end)
  end)

  it("around a shield: each is cancelled alone", function()
    main(function()
      local inner = asyncio.Future()
      local middle = shield(inner)
      local outer = shield(middle)
      outer:cancel()
      turns(2)
      assert.is_false(middle:done())
      inner:set_result(1, 2)
      assert.same({1, 2}, {await(middle)})
      -- a long chain passes its outcome on
      inner = asyncio.Future()
      local chain = inner
      for _ = 1, 1000 do chain = shield(chain) end
      inner:set_result("end")
      assert.equal("end", await(chain))
    end)
  end)

  it("starts a coroutine object at once, as a task, without being awaited", function()
    main(function()
      local ran = false
      local outer = shield(co(function() ran = true end))
      assert.is_true(asyncio.isfuture(outer))
      assert.is_false(ran)
      assert.equal(2, #asyncio.all_tasks())
      turns(1)
      assert.is_true(ran)
      await(outer)
    end)
  end)

  it("takes an object with __await", function()
    main(function()
      local object = setmetatable({}, {__await = function() return sleep(0, "value") end})
      assert.equal("value", await(shield(object)))
    end)
  end)

  it("of oneself: cancelled alone, not a deadlock", function()
    main(function()
      local task
      task = started(function()
        await(sleep(0))
        is_a("CancelledError", caught(await, shield(task)))
        return "end"
      end)
      turns(2)
      task:cancel()
      assert.equal("end", await(task))
    end)
  end)

  it("outside a task takes a future; a coroutine object needs run", function()
    local future = asyncio.Future()
    local outer = shield(future)
    future:set_result("value")
    main(function() assert.equal("value", await(outer)) end)
  end)

  it("of what cannot be awaited is a usage error at the caller", function()
    main(function()
      for _, wrong in ipairs{5, "text", true, false, {}, print, async(print)} do
        local message = refused(function()
          local future = shield(wrong)
          return future
        end)
        assert.matches("^shield: an awaitable", message)
      end
      assert.matches("^shield: ", refused(function()
        local future = shield()
        return future
      end))
      local used = co(function() end)
      await(used)
      assert.matches("again", refused(function()
        local future = shield(used)
        return future
      end))
    end)
  end)
end)
