-- wait_for_cancel_spec.lua: asyncio.wait_for and cancellations that are not its
-- own: of the waiter, of the inner one, with the limit or before it.

local asyncio = require "asyncio"
local scopes = require "scopes"
local tasks = require "tasks"

local at_end, caught, co, is_a = tasks.at_end, tasks.caught, tasks.co, tasks.is_a
local main, started, turns = tasks.main, tasks.started, tasks.turns
local SOON, cancelling = scopes.SOON, scopes.cancelling
local wait_for = asyncio.wait_for

describe("wait_for", function()
  it("WF-05 no time, pending: the waiter is cancelled while it waits for the end", function()
    main(function()
      local task = started(function()
        caught(await, sleep(1000))
        await(sleep(SOON))
        return "end"
      end)
      local waiter = started(function() await(wait_for(task, 0)) end)
      waiter:cancel("outside")
      local err = caught(await, waiter)
      is_a("CancelledError", err)
      assert.equal("outside", err.message)
      assert.is_true(waiter:cancelled())
      assert.equal("end", await(task))
    end)
  end)

  it("WF-08 the waiter is cancelled: the inner one ends first, then CancelledError", function()
    main(function()
      for _, limit in ipairs{1000, math.huge, false} do
        for _, as in ipairs{"task", "coroutine"} do
          local order = {}
          local inner = co(function()
            local _ <close> = at_end(function(_, err)
              order[#order + 1] = tostring(err)
              turns(3)
              order[#order + 1] = "ended"
            end)
            await(sleep(1000))
          end)
          if as == "task" then inner = create_task(inner) end
          local waiter = create_task(wait_for(inner, limit or nil))
          turns(2)
          waiter:cancel("real")
          local err = caught(await, waiter)
          order[#order + 1] = tostring(err)
          assert.same({"CancelledError: real", "ended", "CancelledError: real"}, order)
          assert.is_true(waiter:cancelled())
          if as == "task" then assert.is_true(inner:cancelled()) end
        end
      end
    end)
  end)

  it("WF-08 the waiter is cancelled and the inner one refuses: the waiter goes on", function()
    main(function()
      local inner = create_task(co(function()
        for _ = 1, 3 do caught(await, sleep(1000)) end
        return "exited"
      end))
      local waiter = create_task(wait_for(inner, 1000))
      turns(2)
      for _ = 1, 3 do
        waiter:cancel()
        turns(2)
      end
      assert.equal("exited", await(waiter))
    end)
  end)

  it("WF-09 the inner task is cancelled by someone else: CancelledError", function()
    main(function()
      for _, limit in ipairs{1000, false} do
        local inner = create_task(sleep(1000))
        asyncio.call_soon(function() inner:cancel("by hand") end)
        local err = caught(await, wait_for(inner, limit or nil))
        is_a("CancelledError", err)
        assert.equal("by hand", err.message)
        assert.equal(0, cancelling())
      end
    end)
  end)

  it("WF-11 the waiter is cancelled in the turn in which the inner one ends", function()
    main(function()
      local reached = false
      local inner = create_task(co(function() return "done" end))
      local waiter = create_task(co(function()
        await(wait_for(inner, 1000))
        await(sleep(1000))
        reached = true
      end))
      turns(1)
      assert.is_true(inner:done())
      assert.is_true(waiter:cancel())
      is_a("CancelledError", caught(await, waiter))
      assert.equal("done", inner:result())
      -- the same with one that it has begun to wait for
      local future = asyncio.Future()
      waiter = started(function()
        await(wait_for(future, 1000))
        reached = true
      end)
      future:set_result("kept")
      assert.is_true(waiter:cancel("real"))
      assert.equal("real", caught(await, waiter).message)
      assert.equal("kept", future:result())
      assert.is_false(reached)
    end)
  end)

  it("retains nothing: hundreds that were cancelled while a task refused to end", function()
    main(function()
      local ended = false
      local task = started(function()
        while not ended do asyncio.catch(await, sleep(1000)) end
      end)
      local function storm()
        local list = {}
        for i = 1, 300 do list[i] = create_task(wait_for(task, 0)) end
        turns(2)
        for i = 1, 300 do list[i]:cancel() end
        for i = 1, 300 do asyncio.catch(await, list[i]) end
      end
      storm()
      local before = tasks.memory()
      storm()
      local after = tasks.memory()
      ended = true
      task:cancel()
      await(task)
      assert.is_true(after < before + 20000)
    end)
  end)

  it("cancelled in a storm of cancels gives each request its count", function()
    main(function()
      local waiter = started(function() await(wait_for(sleep(1000), 1000)) end)
      for i = 1, 1000 do assert.is_true(waiter:cancel(i)) end
      is_a("CancelledError", caught(await, waiter))
      assert.equal(1000, waiter:cancelling())
    end)
  end)
end)
