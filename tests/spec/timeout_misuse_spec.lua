-- timeout_misuse_spec.lua: asyncio.timeout used wrongly, in odd places, and
-- very often.

local asyncio = require "asyncio"
local program = require "program"
local scopes = require "scopes"
local tasks = require "tasks"

local at_end, caught, co, is_a = tasks.at_end, tasks.caught, tasks.co, tasks.is_a
local main, refused, started, turns = tasks.main, tasks.refused, tasks.started, tasks.turns
local SOON, assert_no_timer_after = scopes.SOON, scopes.assert_no_timer_after
local cancelling, in_timeout, past = scopes.cancelling, scopes.in_timeout, scopes.past

describe("timeout", function()
  it("TO-16 entered twice: usage error where it is left the second time", function()
    assert_no_timer_after(function()
      local scope, again
      local message = refused(function()
        local s <close> = asyncio.timeout(1000)
        scope = s
        do
          local inner <close> = s
          again = inner
        end
      end)
      assert.matches("timeout", message)
      assert.equal(scope, again)
      assert.is_false(scope:expired())
      -- after its end
      assert.matches("timeout", refused(function()
        local _ <close> = scope
      end))
      assert.equal(0, cancelling())
    end)
  end)

  it("TO-16 left a second time by an error: that error goes on", function()
    main(function()
      local boom = {}
      assert.equal(boom, caught(function()
        local s <close> = asyncio.timeout(1000)
        local _ <close> = s
        error(boom)
      end))
      -- and a CancelledError of its own is turned once
      local err = in_timeout(0, function(s)
        local _ <close> = s
        await(sleep(1000))
      end)
      is_a("TimeoutError", err)
      assert.equal(0, cancelling())
    end)
  end)

  it("outside a task is a usage error at the caller", function()
    local line
    local function use(make)
      line = debug.getinfo(1, "l").currentline + 1
      local scope <close> = make(5)
      return scope
    end
    for name, make in pairs{timeout = asyncio.timeout, timeout_at = asyncio.timeout_at} do
      local err = caught(use, make)
      assert.matches(name .. ": ", err, 1, true)
      assert.matches("task", err)
      assert.matches(":" .. line .. ": ", err, 1, true)
    end
    main(function()
      local result = asyncio.Future()
      asyncio.call_soon(function() result:set_result(caught(use, asyncio.timeout)) end)
      assert.matches("task", await(result))
    end)
  end)

  it("of what is no number is a usage error at the caller", function()
    main(function()
      for name, make in pairs{timeout = asyncio.timeout, timeout_at = asyncio.timeout_at} do
        for _, wrong in ipairs{"5", true, false, {}, print, 0 / 0} do
          local line = debug.getinfo(1, "l").currentline + 1
          local function use() local _ <close> = make(wrong) end
          assert.matches(name .. ": ", refused(use), 1, true)
          assert.matches(":" .. line .. ": ", caught(use), 1, true)
        end
      end
      local s <close> = asyncio.timeout(1000)
      for _, wrong in ipairs{"5", true, {}, 0 / 0} do
        assert.matches("reschedule: ", refused(function() s:reschedule(wrong) end), 1, true)
      end
      assert.is_true(s:when() > asyncio.time())
    end)
  end)

  it("a method called with a dot is a usage error at the caller", function()
    main(function()
      local s <close> = asyncio.timeout(1000)
      for _, name in ipairs{"when", "expired", "reschedule"} do
        local method = s[name]
        assert.matches("scope:" .. name, refused(function() method(5) end), 1, true)
        assert.matches("scope:" .. name, refused(function() method() end), 1, true)
      end
    end)
  end)

  it("tells its state by tostring", function()
    main(function()
      local scope
      do
        local s <close> = asyncio.timeout_at(12345678.9876)
        scope = s
        assert.equal("<Timeout [active] when=12345678.988>", tostring(s))
      end
      assert.equal("<Timeout [finished]>", tostring(scope))
      do
        local s <close> = asyncio.timeout(nil)
        assert.equal("<Timeout [active] when=nil>", tostring(s))
      end
      local _, expired = in_timeout(0, function(s)
        local _ <close> = at_end(function()
          assert.equal("<Timeout [expiring]>", tostring(s))
        end)
        await(sleep(1000))
      end)
      assert.equal("<Timeout [expired]>", tostring(expired))
    end)
  end)

  it("Ctrl-C in the block is no timeout: run raises KeyboardInterrupt", function()
    for _, body in ipairs{
      "local _ <close> = asyncio.timeout(1000) %s await(sleep(1000))",
      "%s await(asyncio.wait_for(sleep(1000), 1000))",
      "%s await(asyncio.wait_for(asyncio.Future(), 1000))",
    } do
      local result = program.run_script(([[
        local asyncio = require "asyncio"
        print(asyncio.catch(run, async(function() %s end)()))
      ]]):format(body:format(program.INTERRUPT)), {timeout = 30})
      assert.same({stdout = "false\tKeyboardInterrupt\n", stderr = "", code = 0}, result)
    end
  end)

  it("left by another task: the one that made it is not struck", function()
    main(function()
      local scope
      local maker = started(function()
        scope = asyncio.timeout(nil)
        turns(10)
        return "undisturbed"
      end)
      await(create_task(co(function()
        local _ <close> = scope
        scope:reschedule(past()) -- would strike in the next turn
      end)))
      assert.equal("undisturbed", await(maker))
      assert.is_false(scope:expired())
    end)
  end)

  it("left open by a task that ended: its deadline disturbs nobody", function()
    local result = program.run_script([[
      local asyncio = require "asyncio"
      run(async(function()
        await(create_task(async(function() local s = asyncio.timeout(0.001) end)()))
        await(sleep(0.01))
        collectgarbage()
        print(asyncio.current_task():cancelling())
      end)())
    ]])
    assert.same({stdout = "0\n", stderr = "", code = 0}, result)
  end)

  it("in a generator strikes the task, between and inside its steps", function()
    main(function()
      local order = {}
      local err = caught(function()
        for i in coroutine.wrap(function()
          local _ <close> = at_end(function(_, e) order[#order + 1] = tostring(e) end)
          local _ <close> = asyncio.timeout(0)
          coroutine.yield(1)
          await(sleep(1000))
          coroutine.yield(2)
        end) do
          order[#order + 1] = i
        end
      end)
      is_a("TimeoutError", err)
      assert.same({1, "TimeoutError"}, order)
      assert.equal(0, cancelling())
    end)
  end)

  it("a cleanup that awaits is awaited before TimeoutError comes out", function()
    main(function()
      local order = {}
      local err = in_timeout(0, function()
        local _ <close> = at_end(function()
          turns(3)
          await(sleep(SOON))
          order[#order + 1] = "cleaned up"
        end)
        await(sleep(1000))
      end)
      order[#order + 1] = tostring(err)
      assert.same({"cleaned up", "TimeoutError"}, order)
    end)
  end)

  it("a deadline in the turn in which the awaited future is done: TimeoutError", function()
    main(function()
      local future = asyncio.Future()
      local err = in_timeout(nil, function(s)
        asyncio.call_soon(future.set_result, future, "value")
        s:reschedule(past())
        await(future)
      end)
      is_a("TimeoutError", err)
      assert.equal("value", future:result())
    end)
  end)

  it("ten thousand tasks with a deadline each: each is struck once", function()
    assert_no_timer_after(function()
      local struck, list = 0, {}
      for i = 1, 10000 do
        list[i] = co(function()
          local err = in_timeout(SOON, function() await(sleep(1000)) end)
          is_a("TimeoutError", err)
          struck = struck + 1
        end)
      end
      await(gather(list))
      assert.equal(10000, struck)
    end)
  end)

  it("is not retained after its block", function()
    main(function()
      local function storm()
        for _ = 1, 2000 do
          local _ <close> = asyncio.timeout(1000)
        end
      end
      tasks.assert_no_growth(20000, storm)
    end)
  end)

  it("works in a script that has removed Lua's globals", function()
    local result = program.run_script([[
      local asyncio, print, catch = require "asyncio", print, require "asyncio".catch
      local run, async, await, sleep, io = run, async, await, sleep, io
      local timeout, wait_for = asyncio.timeout, asyncio.wait_for -- loads their files
      local group, shield = asyncio.TaskGroup, asyncio.shield
      local keys = {}
      for key in pairs(_G) do keys[#keys + 1] = key end
      local globals = _G
      for i = 1, #keys do globals[keys[i] ] = nil end
      run(async(function()
        io.write((catch(function()
          local _ <close> = timeout(0)
          await(sleep(1000))
        end)) and "ended" or "struck", "\n")
        io.write((catch(await, wait_for(sleep(1000), 0.001))) and "ended" or "struck", "\n")
        io.write(await(shield(sleep(0, "shielded"))), "\n")
        io.write((catch(function()
          local g <close> = group()
          g:create_task(async(function() local x = nil; return x.y end)())
        end)) and "ended" or "failed", "\n")
      end)())
    ]])
    assert.same({stdout = "struck\nstruck\nshielded\nfailed\n", stderr = "", code = 0}, result)
  end)
end)
