-- timeout_cancel_spec.lua: what comes of cancellations in a block with a
-- deadline: the timeout's own, swallowed or turned into an error, and real ones.

local asyncio = require "asyncio"
local scopes = require "scopes"
local tasks = require "tasks"

local at_end, caught, co = tasks.at_end, tasks.caught, tasks.co
local is_a, main, started = tasks.is_a, tasks.main, tasks.started
local SOON, cancelling = scopes.SOON, scopes.cancelling
local in_timeout, past = scopes.in_timeout, scopes.past

describe("timeout", function()
  it("TO-08 a block that swallows the CancelledError ends normally", function()
    main(function()
      local task = create_task(co(function()
        local scope
        do
          local s <close> = asyncio.timeout(SOON)
          scope = s
          is_a("CancelledError", caught(await, sleep(1000)))
          assert.is_true(s:expired())
          assert.equal(1, cancelling())
          await(sleep(0)) -- goes on undisturbed
          await(sleep(SOON))
        end
        assert.is_true(scope:expired())
        assert.equal(0, cancelling())
        await(sleep(0))
        return "clean"
      end))
      assert.equal("clean", await(task))
    end)
  end)

  it("TO-08 a task in the block that swallows it: its value arrives", function()
    main(function()
      local task = create_task(co(function()
        caught(await, sleep(1000))
        return "value", nil, 3
      end))
      local results, scope
      do
        local s <close> = asyncio.timeout(SOON)
        scope = s
        results = table.pack(await(task))
      end
      assert.same({"value", nil, 3, n = 3}, results)
      assert.is_true(scope:expired())
      assert.equal(0, cancelling())
    end)
  end)

  it("TO-10 a block that turns the CancelledError into another: that error", function()
    main(function()
      local values = table.pack("text", 5, true, false, {}, asyncio.Exception("boom"),
        asyncio.KeyboardInterrupt("ctrl"), nil)
      for i = 1, values.n do
        local value = values[i]
        local err, scope = in_timeout(0, function()
          caught(await, sleep(1000))
          error(value, 0)
        end)
        assert.is_true(rawequal(value, err))
        assert.is_true(scope:expired())
        assert.equal(0, cancelling())
      end
    end)
  end)

  it("TO-10 an error of a to-be-closed variable in the block stands", function()
    main(function()
      local boom = {}
      local err, scope = in_timeout(0, function()
        local _ <close> = at_end(function() error(boom) end)
        await(sleep(1000))
      end)
      assert.equal(boom, err)
      assert.is_true(scope:expired())
      assert.equal(0, cancelling())
    end)
  end)

  it("TO-10 another CancelledError, raised by the block's cleanup, becomes TimeoutError", function()
    main(function()
      is_a("TimeoutError", (in_timeout(0, function()
        local _ <close> = at_end(function() error(asyncio.CancelledError("a new one")) end)
        await(sleep(1000))
      end)))
    end)
  end)

  it("TO-11 a real cancellation inside: CancelledError, not expired", function()
    main(function()
      local scope
      local task = started(function()
        local s <close> = asyncio.timeout(1000)
        scope = s
        await(sleep(1000))
      end)
      task:cancel("real")
      local err = caught(await, task)
      is_a("CancelledError", err)
      assert.equal("real", err.message)
      assert.is_true(task:cancelled())
      assert.equal(1, task:cancelling())
      assert.is_false(scope:expired())
      -- by the task itself, too
      local own = create_task(co(function()
        local s <close> = asyncio.timeout(1000)
        scope = s
        asyncio.current_task():cancel()
        await(sleep(1000))
      end))
      is_a("CancelledError", caught(await, own))
      assert.is_false(scope:expired())
    end)
  end)

  it("TO-11 a real cancellation in the turn of the strike wins, before or after it", function()
    main(function()
      for _, order in ipairs{"before", "after"} do
        local scope, task
        local function cancel() task:cancel("real") end
        task = create_task(co(function()
          local s <close> = asyncio.timeout(nil)
          scope = s
          if order == "before" then asyncio.call_soon(cancel) end
          s:reschedule(past())
          if order == "after" then asyncio.call_soon(cancel) end
          await(sleep(1000))
        end))
        is_a("CancelledError", caught(await, task))
        assert.is_true(scope:expired())
        assert.equal(1, task:cancelling())
        assert.is_true(task:cancelled())
      end
    end)
  end)

  it("TO-11 the deadline passes while a real cancellation is being cleaned up", function()
    main(function()
      local task = started(function()
        local s <close> = asyncio.timeout(1000)
        local _ <close> = at_end(function()
          s:reschedule(past())
          await(sleep(1000)) -- cut by the deadline
        end)
        await(sleep(1000))
      end)
      task:cancel("real")
      is_a("CancelledError", caught(await, task))
      assert.is_true(task:cancelled())
      assert.equal(1, task:cancelling())
    end)
  end)

  it("TO-11 of an awaited task by somebody else is no timeout", function()
    main(function()
      local inner = create_task(sleep(1000))
      asyncio.call_soon(function() inner:cancel("by hand") end)
      local err, scope = in_timeout(1000, function() await(inner) end)
      is_a("CancelledError", err)
      assert.equal("by hand", err.message)
      assert.is_false(scope:expired())
      assert.equal(0, cancelling())
    end)
  end)

  it("TO-17 after a swallowed real cancellation it counts from there", function()
    main(function()
      local task = create_task(co(function()
        local this = asyncio.current_task()
        this:cancel()
        caught(await, sleep(1000))
        assert.equal(1, this:cancelling())
        is_a("TimeoutError", (in_timeout(0, function() await(sleep(1000)) end)))
        assert.equal(1, this:cancelling())
        -- and one more real cancellation stays one
        local err, scope = in_timeout(1000, function()
          this:cancel()
          await(sleep(1000))
        end)
        is_a("CancelledError", err)
        assert.is_false(scope:expired())
        assert.equal(2, this:cancelling())
        return "end"
      end))
      assert.equal("end", await(task))
    end)
  end)

  it("TO-17 a thousand cancellations before and in the block: nothing is miscounted", function()
    main(function()
      local task = started(function()
        local this = asyncio.current_task()
        caught(await, sleep(1000))
        assert.equal(1000, this:cancelling())
        is_a("TimeoutError", (in_timeout(0, function() await(sleep(1000)) end)))
        assert.equal(1000, this:cancelling())
        local err = in_timeout(0, function()
          caught(await, sleep(1000))
          for _ = 1, 1000 do this:cancel() end
          await(sleep(1000))
        end)
        is_a("CancelledError", err)
        assert.equal(2000, this:cancelling())
        return "end"
      end)
      for _ = 1, 1000 do task:cancel() end
      assert.equal("end", await(task))
    end)
  end)
end)
