-- timeout_spec.lua: asyncio.timeout and asyncio.timeout_at: blocks with a
-- deadline. What comes of cancellations in the block: timeout_cancel_spec.lua;
-- misuse, odd places, size: timeout_misuse_spec.lua; with a group in the block:
-- taskgroup_cancel_spec.lua.

local asyncio = require "asyncio"
local program = require "program"
local scopes = require "scopes"
local tasks = require "tasks"

local at_end, caught, co, is_a = tasks.at_end, tasks.caught, tasks.co, tasks.is_a
local main, refused, started, turns = tasks.main, tasks.refused, tasks.started, tasks.turns
local SOON, assert_no_timer_after = scopes.SOON, scopes.assert_no_timer_after
local cancelling, in_timeout, past = scopes.cancelling, scopes.in_timeout, scopes.past
local spin = scopes.spin

describe("timeout", function()
  it("TO-01 past the deadline: CancelledError inside, TimeoutError outside", function()
    main(function()
      local inside
      local err, scope = in_timeout(SOON, function()
        inside = caught(await, sleep(1000))
        error(inside, 0)
      end)
      is_a("CancelledError", inside)
      is_a("TimeoutError", err)
      assert.is_false(asyncio.isinstance(err, asyncio.CancelledError))
      assert.equal("TimeoutError", tostring(err))
      assert.is_true(scope:expired())
      assert.equal(0, cancelling())
    end)
  end)

  it("TO-01 timeout_at takes a time on the clock of asyncio.time", function()
    main(function()
      local deadline, scope = asyncio.time() + SOON, nil
      local ok, err = pcall(function()
        local s <close> = asyncio.timeout_at(deadline)
        scope = s
        await(sleep(1000))
      end)
      assert.is_false(ok)
      is_a("TimeoutError", err)
      assert.is_true(scope:expired())
      assert.equal(deadline, scope:when())
      assert.is_true(asyncio.time() >= deadline)
    end)
  end)

  it("TO-01 strikes what the block awaits: task, future, gather, inline call", function()
    main(function()
      local task = create_task(sleep(1000))
      local future = asyncio.Future()
      local child = create_task(sleep(1000))
      for _, awaitable in ipairs{task, future, gather(child), co(function()
        await(sleep(1000))
      end)} do
        is_a("TimeoutError", (in_timeout(SOON, function() await(awaitable) end)))
      end
      assert.is_true(task:cancelled())
      assert.is_true(future:cancelled())
      assert.is_true(child:cancelled())
    end)
  end)

  it("TO-02 a block that ends in time leaves nothing behind", function()
    local scope
    main(function()
      do
        local s <close> = asyncio.timeout(1000)
        scope = s
        await(sleep(0))
      end
      assert.is_false(scope:expired())
      assert.is_true(scope:when() > asyncio.time())
      turns(3)
      assert.equal(0, cancelling())
    end)
    assert_no_timer_after(function()
      local _ <close> = asyncio.timeout(1000)
      await(sleep(0))
    end)
  end)

  it("TO-02 the timer is gone however the block is left", function()
    local ways = {
      ["return"] = function()
        local _ <close> = asyncio.timeout(1000)
        return 1
      end,
      ["break"] = function()
        for i = 1, 2 do
          local _ <close> = asyncio.timeout(1000)
          if i == 1 then break end
        end
      end,
      ["goto"] = function()
        do
          local _ <close> = asyncio.timeout(1000)
          goto out
        end
        ::out::
      end,
      error = function()
        pcall(function()
          local _ <close> = asyncio.timeout(1000)
          error "boom"
        end)
      end,
      cancellation = function()
        asyncio.catch(function()
          local _ <close> = asyncio.timeout(1000)
          asyncio.current_task():cancel()
          await(sleep(0))
        end)
      end,
      ["a generator that is closed"] = function()
        local generator = coroutine.create(function()
          local _ <close> = asyncio.timeout(1000)
          coroutine.yield()
        end)
        assert(coroutine.resume(generator))
        assert(coroutine.close(generator))
      end,
      ["a generator that fails"] = function()
        local generator = coroutine.create(function()
          local _ <close> = asyncio.timeout(1000)
          coroutine.yield()
          error "boom"
        end)
        assert(coroutine.resume(generator))
        assert.is_false((coroutine.resume(generator)))
        coroutine.close(generator)
      end,
      ["reschedule to never"] = function()
        local s <close> = asyncio.timeout(1000)
        s:reschedule(asyncio.time() + 2000)
        s:reschedule(nil)
      end,
    }
    for _, leave in pairs(ways) do
      assert_no_timer_after(leave)
    end
  end)

  it("TO-02 what the block returns goes out, all of it", function()
    local function inside()
      local _ <close> = asyncio.timeout(1000)
      await(sleep(0))
      return 1, nil, "three", nil
    end
    main(function()
      assert.same({1, nil, "three", nil, n = 4}, table.pack(inside()))
    end)
  end)

  it("TO-02 in the main task: run ends at once, with its value", function()
    local result = program.run_script([[
      local asyncio = require "asyncio"
      local main = async(function()
        local kept = asyncio.timeout(1000)
        local _ <close> = asyncio.timeout(1000)
        await(asyncio.wait_for(sleep(0), 1000))
        return "value"
      end)
      print(run(main()))
    ]], {timeout = 30})
    assert.same({stdout = "value\n", stderr = "", code = 0}, result)
  end)

  it("TO-03 the inner one shorter: TimeoutError there; the outer still counts", function()
    main(function()
      local order = {}
      local err, outer = in_timeout(1000, function(outer)
        is_a("TimeoutError", (in_timeout(SOON, function() await(sleep(1000)) end)))
        order[#order + 1] = "inner"
        assert.is_false(outer:expired())
        assert.equal(0, cancelling())
        await(sleep(0))
        outer:reschedule(past())
        order[#order + 1] = "between"
        await(sleep(1000))
        order[#order + 1] = "never"
      end)
      is_a("TimeoutError", err)
      assert.is_true(outer:expired())
      assert.same({"inner", "between"}, order)
      assert.equal(0, cancelling())
    end)
  end)

  it("TO-04 the outer one shorter: the inner sees CancelledError pass", function()
    main(function()
      local inner, err
      local outer_err, outer = in_timeout(SOON, function()
        err, inner = in_timeout(1000, function() await(sleep(1000)) end)
        error(err, 0)
      end)
      is_a("CancelledError", err)
      is_a("TimeoutError", outer_err)
      assert.is_true(outer:expired())
      assert.is_false(inner:expired())
      assert.equal(0, cancelling())
    end)
  end)

  it("TO-05 both past in one turn: one TimeoutError, at the outer", function()
    main(function()
      for _, inner_delay in ipairs{0.001, 0.002, 0.003} do
        local err, inner
        local outer_err, outer = in_timeout(0.002, function()
          err, inner = in_timeout(inner_delay, function()
            spin(0.01)
            await(sleep(1000))
          end)
          error(err, 0)
        end)
        is_a("CancelledError", err)
        is_a("TimeoutError", outer_err)
        assert.is_true(outer:expired())
        assert.is_true(inner:expired())
        assert.equal(0, cancelling())
        turns(2)
      end
    end)
  end)

  it("TO-05 a hundred nested ones past in one turn: one TimeoutError", function()
    main(function()
      local cancelled = 0
      local function nested(n)
        if n == 0 then await(sleep(1000)) return end
        local _ <close> = at_end(function(_, err)
          if asyncio.isinstance(err, asyncio.CancelledError) then cancelled = cancelled + 1 end
        end)
        local _ <close> = asyncio.timeout(0)
        nested(n - 1)
      end
      is_a("TimeoutError", caught(nested, 100))
      assert.equal(99, cancelled)
      assert.equal(0, cancelling())
      turns(2)
    end)
  end)

  it("TO-06 of 0, the block never suspends: no TimeoutError", function()
    main(function()
      for _, seconds in ipairs{0, 0.0, -1, -math.huge, math.mininteger} do
        local scope
        do
          local s <close> = asyncio.timeout(seconds)
          scope = s
          assert.equal(1, await(co(function() return 1 end)))
        end
        assert.is_false(scope:expired())
        turns(2) -- no late strike
        assert.equal(0, cancelling())
      end
    end)
  end)

  it("TO-07 of 0, the block suspends: TimeoutError", function()
    main(function()
      local before = asyncio.time()
      local err, scope = in_timeout(0, function() await(sleep(1000)) end)
      is_a("TimeoutError", err)
      assert.is_true(scope:expired())
      assert.is_true(before <= scope:when() and scope:when() <= asyncio.time())
    end)
  end)

  it("TO-09 a block that fails before the deadline: that error, unchanged", function()
    main(function()
      local values = table.pack("text", "", 5, 0.5, true, false, {}, print, io.stdout,
        coroutine.create(print), asyncio.Exception("boom"), asyncio.TimeoutError("own"),
        asyncio.KeyboardInterrupt("ctrl"), nil)
      for i = 1, values.n do
        local value = values[i]
        local err, scope = in_timeout(1000, function()
          await(sleep(0))
          error(value, 0)
        end)
        assert.is_true(rawequal(value, err))
        assert.is_false(scope:expired())
      end
    end)
  end)

  it("TO-12 a timeout in the cleanup of an expired one works on its own", function()
    main(function()
      local order = {}
      local err = in_timeout(SOON, function()
        local _ <close> = at_end(function()
          order[#order + 1] = tostring((in_timeout(SOON, function() await(sleep(1000)) end)))
          assert.equal(1, cancelling())
        end)
        await(sleep(1000))
      end)
      order[#order + 1] = tostring(err)
      assert.same({"TimeoutError", "TimeoutError"}, order)
      assert.equal(0, cancelling())
    end)
  end)

  it("TO-13 of nil never strikes", function()
    assert_no_timer_after(function()
      for _, make in ipairs{asyncio.timeout, asyncio.timeout_at} do
        local scope
        do
          local s <close> = make(nil)
          scope = s
          assert.is_nil(s:when())
          await(sleep(SOON))
        end
        assert.is_false(scope:expired())
        assert.is_nil(scope:when())
      end
    end)
  end)

  it("TO-13 of infinity or very long never strikes, and may be nested in a short one", function()
    assert_no_timer_after(function()
      for _, seconds in ipairs{math.huge, 1e300, 1e18, math.maxinteger} do
        do
          local s <close> = asyncio.timeout(seconds)
          await(sleep(SOON))
          assert.is_false(s:expired())
          assert.is_true(s:when() > asyncio.time())
        end
        is_a("TimeoutError", (in_timeout(SOON, function()
          local _ <close> = asyncio.timeout(seconds)
          await(sleep(1000))
        end)))
      end
    end)
  end)

  it("TO-14 with the deadline past, sleep(0) in the block is struck", function()
    main(function()
      for _, seconds in ipairs{0, -0.0, -11, -math.huge, math.mininteger} do
        local err, scope = in_timeout(seconds, function() await(sleep(0)) end)
        is_a("TimeoutError", err)
        assert.is_true(scope:expired())
        assert.is_true(scope:when() <= asyncio.time())
      end
      local ok, err = pcall(function()
        local _ <close> = asyncio.timeout_at(-math.huge)
        await(sleep(0))
      end)
      assert.is_false(ok)
      is_a("TimeoutError", err)
    end)
  end)

  it("TO-15 reschedule moves the deadline, by another task, too", function()
    main(function()
      local first = asyncio.time() + 1000
      local scope
      local task = started(function()
        local s <close> = asyncio.timeout_at(first)
        scope = s
        await(sleep(1000))
      end)
      assert.equal(first, scope:when())
      scope:reschedule(first + 20)
      assert.equal(first + 20, scope:when())
      scope:reschedule(nil)
      assert.is_nil(scope:when())
      assert.is_false(scope:expired())
      turns(2)
      scope:reschedule(past())
      assert.is_false(scope:expired())
      is_a("TimeoutError", caught(await, task))
      assert.is_true(scope:expired())
      assert.is_false(task:cancelled())
    end)
  end)

  it("TO-15 reschedule: the former deadline does not strike", function()
    assert_no_timer_after(function()
      for _, later in ipairs{1000, math.huge} do
        local scope
        do
          local s <close> = asyncio.timeout(0)
          scope = s
          s:reschedule(asyncio.time() + later)
          turns(3)
          s:reschedule(asyncio.time() + SOON)
          s:reschedule(nil)
          await(sleep(5 * SOON))
        end
        assert.is_false(scope:expired())
      end
    end)
  end)

  it("TO-15 reschedule of what is about to strike: to never, or to a time that is past, too", function()
    assert_no_timer_after(function()
      local s <close> = asyncio.timeout(0)
      s:reschedule(nil)
      turns(3)
      assert.is_nil(s:when())
      is_a("TimeoutError", (in_timeout(0, function(inner)
        inner:reschedule(nil)
        inner:reschedule(past())
        turns(3)
      end)))
      assert.equal(0, cancelling())
      assert.is_false(s:expired())
    end)
  end)

  it("TO-15 reschedule ten thousand times keeps one timer", function()
    assert_no_timer_after(function()
      local scope
      local function storm()
        local s <close> = asyncio.timeout(1000)
        scope = s
        for i = 1, 10000 do s:reschedule(asyncio.time() + 1000 + i) end
      end
      tasks.assert_no_growth(10000, storm)
      assert.is_false(scope:expired())
    end)
  end)

  it("TO-15 reschedule after the end or the strike is a usage error", function()
    main(function()
      local scope
      do
        local s <close> = asyncio.timeout(1000)
        scope = s
      end
      local function move() scope:reschedule(5) end
      assert.matches("reschedule.*finished", refused(move))
      local _, expired = in_timeout(0, function(s)
        scope = s
        caught(await, sleep(1000))
        assert.matches("reschedule.*expiring", refused(move))
        error "end"
      end)
      scope = expired
      assert.matches("reschedule.*expired", refused(move))
      turns(2)
      assert.equal(0, cancelling())
    end)
  end)

  it("TO-18 the task that caught TimeoutError ends as finished", function()
    main(function()
      local task = create_task(co(function()
        is_a("TimeoutError", (in_timeout(SOON, function() await(sleep(1000)) end)))
      end))
      await(task)
      assert.is_false(task:cancelled())
      assert.is_true(task:done())
      assert.equal(0, task:cancelling())
    end)
  end)

  it("TO-18 the task that did not catch TimeoutError has failed with it", function()
    main(function()
      local task = create_task(co(function()
        local _ <close> = asyncio.timeout(0)
        await(sleep(1000))
      end))
      is_a("TimeoutError", caught(await, task))
      assert.is_false(task:cancelled())
      is_a("TimeoutError", task:exception())
    end)
  end)
end)
