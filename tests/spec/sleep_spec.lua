-- sleep_spec.lua: sleep: order of waking, turns, results, misuse.

local asyncio = require "asyncio"
local program = require "program"
local tasks = require "tasks"

local at_end, co, main, refused = tasks.at_end, tasks.co, tasks.main, tasks.refused

-- The order in which tasks wake that sleep so long each.
local function wake_order(delays)
  local order = {}
  local sleeper = async(function(i)
    await(sleep(delays[i]))
    order[#order + 1] = i
  end)
  local list = {}
  for i = 1, #delays do list[i] = sleeper(i) end
  main(function() await(gather(list)) end)
  return order
end

describe("sleep", function()
  it("SL-01 wakes in the order of the deadlines", function()
    assert.same({3, 5, 2, 4, 1}, wake_order{0.010, 0.004, 0, 0.006, 0.002})
    assert.same({2, 1}, wake_order{0.003, 0.0005})
  end)

  it("SL-01 wakes by the deadline, not by the delay", function()
    main(function()
      local order = {}
      local function sleeper(name, delay)
        return create_task(co(function()
          await(sleep(delay))
          order[#order + 1] = name
        end))
      end
      local first = sleeper("first", 0.006)
      await(sleep(0.004))
      local second = sleeper("second", 0.004)
      await(gather(first, second))
      assert.same({"first", "second"}, order)
    end)
  end)

  it("SL-02 with 0 gives up exactly one turn", function()
    main(function()
      local turn = 0
      local function count()
        turn = turn + 1
        asyncio.call_soon(count)
      end
      asyncio.call_soon(count)
      for expected = 1, 5 do
        await(sleep(0))
        assert.equal(expected, turn)
      end
    end)
  end)

  it("SL-02 with 0 lets each other task run once", function()
    main(function()
      local order = {}
      local spin = async(function(name, n)
        for i = 1, n do
          order[#order + 1] = name .. i
          await(sleep(0))
        end
      end)
      await(gather(spin("a", 3), spin("b", 2), spin("c", 3)))
      assert.equal("a1 b1 c1 a2 b2 c2 a3 c3", table.concat(order, " "))
    end)
  end)

  it("SL-02 with 0 and a result gives up one turn, too", function()
    main(function()
      local ran = false
      asyncio.call_soon(function() ran = true end)
      assert.equal("result", await(sleep(0, "result")))
      assert.is_true(ran)
    end)
  end)

  it("SL-03 with a negative delay is like sleep(0)", function()
    main(function()
      for _, delay in ipairs{-1, -1e-9, -1e300, -math.huge, math.mininteger, -0.0} do
        local turn = 0
        local function count()
          turn = turn + 1
          asyncio.call_soon(count)
        end
        local handle = asyncio.call_soon(count)
        await(sleep(delay))
        assert.equal(1, turn)
        assert.equal("x", await(sleep(delay, "x")))
        assert.equal(2, turn)
        handle:cancel()
      end
    end)
  end)

  it("SL-04 with equal delays wakes first in first out", function()
    local delays, expected = {}, {}
    for i = 1, 500 do
      delays[i], expected[i] = 0.002, i
    end
    assert.equal(table.concat(expected, " "),
      table.concat(wake_order(delays), " "))
  end)

  it("SL-04 wakes in order among 2000 different delays", function()
    main(function()
      local n = 2000
      local order, begun, delays = {}, {}, {}
      local sleeper = async(function(i)
        -- each deadline lies between begun[i] and begun[i + 1], plus delay
        begun[i] = asyncio.time()
        await(sleep(delays[i]))
        order[#order + 1] = i
      end)
      local list = {}
      for i = 1, n do
        -- 1009 and 2000 have no common factor: every place once
        delays[i] = 0.002 + (i * 1009 % n) / 1e5
        list[i] = sleeper(i)
      end
      list[n + 1] = async(function() begun[n + 1] = asyncio.time() end)()
      await(gather(list))
      assert.equal(n, #order)
      local latest = 0
      for _, i in ipairs(order) do
        assert.is_true(begun[i + 1] + delays[i] >= latest - 1e-6,
          ("task %d wakes too late"):format(i))
        latest = math.max(latest, begun[i] + delays[i])
      end
    end)
  end)

  it("SL-05 timers get their turn beside a task that spins", function()
    main(function()
      local stop, turns = false, 0
      local spinner = create_task(co(function()
        while not stop do
          turns = turns + 1
          await(sleep(0))
        end
      end))
      await(sleep(0.003))
      local called = asyncio.Future()
      asyncio.call_later(0.001, called.set_result, called, "called")
      assert.equal("called", await(called))
      stop = true
      await(spinner)
      assert.is_true(turns > 1)
    end)
  end)

  it("SL-05 timers get their turn beside callbacks that go on for ever", function()
    main(function()
      local count = 0
      local function again()
        count = count + 1
        asyncio.call_soon(again)
      end
      again()
      await(sleep(0.003))
      assert.is_true(count > 1)
    end)
  end)

  it("SL-05 the poll for I/O gets its turn beside a task that spins", function()
    -- a signal comes to the loop as I/O does
    local result = program.run_script(([[
      local asyncio = require "asyncio"
      print(asyncio.catch(run, async(function()
        %s
        while true do pcall(await, sleep(0)) end
      end)()))]]):format(program.INTERRUPT))
    assert.same({code = 0, stdout = "false\tKeyboardInterrupt\n", stderr = ""},
      result)
  end)

  it("SL-06 that is cancelled stops its timer at once", function()
    main(function()
      local list = {}
      for i = 1, 1000 do list[i] = create_task(sleep(3600)) end
      await(sleep(0))
      for _, task in ipairs(list) do task:cancel() end
      await(sleep(0))
      for _, task in ipairs(list) do assert.is_true(task:cancelled()) end
      assert.equal(1, #asyncio.all_tasks())
    end)
  end)

  it("SL-06 that is cancelled does not keep the loop alive", function()
    -- with the timer still there, this would wait instead of reporting
    local ok, err = pcall(main, function()
      local task = create_task(sleep(3600))
      await(sleep(0))
      task:cancel()
      await(sleep(0))
      await(asyncio.Future())
    end)
    assert.is_false(ok)
    assert.matches("deadlock", err)
  end)

  it("SL-06 that is cancelled again and again does not pile up", function()
    main(function()
      local again = async(function(n)
        for _ = 1, n do
          local task = create_task(sleep(3600))
          await(sleep(0))
          task:cancel()
          await(sleep(0))
        end
      end)
      await(again(100))
      tasks.assert_no_growth(16 * 1024, function() await(again(2000)) end, 1, 0)
    end)
  end)

  it("SL-06 that is cancelled ends early, others not", function()
    main(function()
      local order = {}
      local sleeper = async(function(name, delay)
        local _ <close> = at_end(function() order[#order + 1] = name end)
        await(sleep(delay))
      end)
      local long = create_task(sleeper("long", 3600))
      local short = create_task(sleeper("short", 0.002))
      await(sleep(0))
      long:cancel()
      await(short)
      assert.same({"long", "short"}, order)
    end)
  end)

  it("SL-07 refuses NaN, with the caller's position", function()
    assert.matches("NaN", refused(function() sleep(0 / 0) end))
    assert.matches("NaN", refused(function() sleep(-(0 / 0), "result") end))
    main(function()
      assert.matches("NaN", refused(function() await(sleep(0 / 0)) end))
    end)
  end)

  it("SL-08 gives its result, of any type", function()
    main(function()
      local object = {}
      for _, value in ipairs{1, "text", true, object, print} do
        assert.equal(value, await(sleep(0, value)))
        assert.equal(value, await(sleep(0.0001, value)))
        assert.equal(value, await(create_task(sleep(0, value))))
      end
      assert.is_false(await(sleep(0, false)))
      assert.is_nil(await(sleep(0)))
      assert.is_nil(await(sleep(0.0001)))
      assert.is_nil(await(sleep(0.0001, nil)))
    end)
  end)

  it("SL-09 never ends early", function()
    main(function()
      for _, delay in ipairs{0.0001, 0.0005, 0.001, 0.0015, 0.0029, 0.01, 0.0123} do
        -- some time passes in the step before the sleep begins
        local busy = asyncio.time() + 0.0007
        while asyncio.time() < busy do end
        local start = asyncio.time()
        await(sleep(delay))
        local slept = asyncio.time() - start
        assert.is_true(slept >= delay, ("%g s instead of %g s"):format(slept, delay))
      end
    end)
  end)

  it("SL-09 counts from the await, not from the call", function()
    main(function()
      local coro = sleep(0.003)
      await(sleep(0.003))
      local start = asyncio.time()
      await(coro)
      assert.is_true(asyncio.time() - start >= 0.003)
    end)
  end)

  it("SL-10 shorter than a millisecond waits on a timer", function()
    main(function()
      for _, delay in ipairs{1e-3, 1e-4, 1e-5, 1e-6, 1e-9, 5e-324} do
        local ran = false
        asyncio.call_soon(function() ran = true end)
        local start = asyncio.time()
        await(sleep(delay))
        assert.is_true(asyncio.time() - start >= delay)
        assert.is_true(ran)
      end
    end)
  end)

  it("SL-10 does not spin until its time has come", function()
    main(function()
      local before = os.clock()
      for _ = 1, 100 do await(sleep(0.0005)) end
      -- at least 0.05 s have passed; spinning would have used them all
      assert.is_true(os.clock() - before < 0.05)
    end)
  end)
end)

describe("sleep as a coroutine object", function()
  it("does nothing until it is awaited", function()
    main(function()
      local coro = sleep(3600)
      assert.matches("^<coroutine object sleep at 0x%x+>$", tostring(coro))
      coro:close()
      coro = sleep(0)
      assert.matches("^<coroutine object sleep at 0x%x+>$", tostring(coro))
      await(coro)
    end)
  end)

  it("can be a task, an argument of gather, and main", function()
    assert.equal("x", run(sleep(0.0001, "x")))
    main(function()
      assert.equal("x", await(create_task(sleep(0.0001, "x"))))
      assert.same({"a", "b", nil, n = 3},
        await(gather(sleep(0.0002, "a"), sleep(0, "b"), sleep(0))))
    end)
  end)

  it("cannot be awaited twice", function()
    main(function()
      local coro = sleep(0.0001)
      await(coro)
      assert.matches("again", refused(function() await(coro) end))
      coro = sleep(0, "x")
      await(coro)
      assert.matches("again", refused(function() await(coro) end))
    end)
  end)

  it("takes numbers, and strings that read as numbers", function()
    main(function()
      await(sleep("0"))
      await(sleep("0.0001"))
      await(sleep(0))
      await(sleep(0.0))
      for _, value in ipairs{"soon", {}, true, print} do
        assert.matches("number expected", refused(function() sleep(value) end))
      end
      assert.matches("number expected", refused(function() sleep() end))
      assert.matches("number expected", refused(function() sleep(nil) end))
    end)
  end)

  it("of enormous length can begin and be cancelled", function()
    main(function()
      for _, delay in ipairs{1e9, 1e18, 1e300, math.huge, math.maxinteger} do
        local task = create_task(sleep(delay))
        await(sleep(0))
        await(sleep(0))
        assert.is_false(task:done())
        task:cancel()
        await(sleep(0))
        assert.is_true(task:cancelled())
      end
    end)
  end)
end)
