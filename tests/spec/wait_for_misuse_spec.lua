-- wait_for_misuse_spec.lua: asyncio.wait_for used wrongly, in odd places, and
-- very often.

local asyncio = require "asyncio"
local scopes = require "scopes"
local tasks = require "tasks"

local caught, co, is_a = tasks.caught, tasks.co, tasks.is_a
local main, refused, turns = tasks.main, tasks.refused, tasks.turns
local SOON, cancelling = scopes.SOON, scopes.cancelling
local wait_for = asyncio.wait_for

describe("wait_for", function()
  it("of what is no number of seconds is a usage error at the caller", function()
    main(function()
      for _, wrong in ipairs{"5", true, false, {}, print, 0 / 0} do
        local message = refused(function()
          await(wait_for(asyncio.Future(), wrong))
          await(sleep(0))
        end)
        assert.matches("^wait_for: ", message)
      end
    end)
  end)

  it("of what cannot be awaited is a usage error at the caller, with every limit", function()
    main(function()
      for _, wrong in ipairs{5, "text", true, {}, print} do
        for _, limit in ipairs{1000, 0, -1, false} do
          local message = refused(function()
            await(wait_for(wrong, limit or nil))
            await(sleep(0))
          end)
          assert.matches("awaitable", message)
        end
      end
      assert.matches("await", refused(function()
        await(wait_for())
        await(sleep(0))
      end))
      assert.equal(0, cancelling())
    end)
  end)

  it("of oneself is a usage error, not a deadlock", function()
    main(function()
      local task
      task = create_task(co(function()
        assert.matches("itself", caught(await, wait_for(task, 1000)))
        assert.equal(0, cancelling())
        return "end"
      end))
      assert.equal("end", await(task))
    end)
  end)

  it("outside a task is a usage error that names run", function()
    local waiting = wait_for(asyncio.Future(), 1)
    assert.matches("run", refused(function()
      await(waiting)
      error "not reached"
    end))
    waiting:close()
  end)

  it("in a generator suspends the task, and times out there", function()
    main(function()
      local order = {}
      for item in coroutine.wrap(function()
        coroutine.yield(await(wait_for(sleep(0, "value"), 1000)))
        coroutine.yield(tostring(caught(await, wait_for(sleep(1000), SOON))))
      end) do
        order[#order + 1] = item
      end
      assert.same({"value", "TimeoutError"}, order)
    end)
  end)

  it("a hundred nested ones: value and timeout pass", function()
    main(function()
      local function nested(n, innermost, limit)
        if n == 0 then return innermost end
        return wait_for(nested(n - 1, innermost, limit), limit)
      end
      assert.same({1, 2}, {await(nested(100, co(function()
        await(sleep(0))
        return 1, 2
      end), 1000))})
      is_a("TimeoutError", caught(await, wait_for(nested(100, sleep(1000), 1000), SOON)))
      is_a("TimeoutError", caught(await, nested(100, sleep(1000), SOON)))
      assert.equal(0, cancelling())
      turns(2)
    end)
  end)

  it("two thousand that shield one task: all time out, the task lives", function()
    main(function()
      local task = create_task(sleep(1000))
      local list = {}
      for i = 1, 2000 do list[i] = wait_for(asyncio.shield(task), SOON) end
      local results = await(gather{return_exceptions = true, table.unpack(list)})
      for i = 1, 2000 do is_a("TimeoutError", results[i]) end
      assert.is_false(task:done())
      task:cancel()
    end)
  end)

  it("retains nothing: thousands around one future that is never done", function()
    main(function()
      local future = asyncio.Future()
      local function storm()
        for _ = 1, 2000 do
          caught(await, wait_for(asyncio.shield(future), 0))
        end
      end
      tasks.assert_no_growth(20000, storm)
    end)
  end)

  it("a Ctrl-C as error of the inner one comes out bare", function()
    main(function()
      local err = caught(await, wait_for(co(function()
        await(sleep(0))
        error(asyncio.KeyboardInterrupt("ctrl"))
      end), 1000))
      is_a("KeyboardInterrupt", err)
    end)
  end)
end)
