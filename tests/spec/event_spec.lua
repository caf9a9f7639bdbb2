-- event_spec.lua: Event.

local asyncio = require "asyncio"
local tasks = require "tasks"

local caught, co, is_a, main = tasks.caught, tasks.co, tasks.is_a, tasks.main
local refused, started, turns = tasks.refused, tasks.started, tasks.turns

-- A task that notes its name when the event is set.
local function waiter(event, order, name)
  return create_task(co(function()
    local result = await(event:wait())
    order[#order + 1] = name
    return result
  end))
end

describe("an event", function()
  it("EV-01 wakes all waiters, first come first", function()
    main(function()
      local event, order, list = asyncio.Event(), {}, {}
      for i = 1, 10 do list[i] = waiter(event, order, i) end
      turns(2)
      assert.same({}, order)
      event:set()
      assert.same({}, order)
      turns(1)
      assert.same({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, order)
      for i = 1, 10 do assert.is_true(list[i]:result()) end
    end)
  end)

  it("EV-01 may be set before its waiters' first step, twice, and by a callback", function()
    main(function()
      local event, order = asyncio.Event(), {}
      waiter(event, order, "a")
      event:set()
      event:set()
      turns(1)
      assert.same({"a"}, order)
      event:clear()
      waiter(event, order, "b")
      turns(1)
      asyncio.call_soon(event.set, event)
      turns(2)
      assert.same({"a", "b"}, order)
    end)
  end)

  it("EV-02 set and cleared at once wakes those who waited, and nobody else", function()
    main(function()
      local event, order = asyncio.Event(), {}
      local a = waiter(event, order, "a")
      local b = waiter(event, order, "b")
      turns(1)
      event:set()
      event:clear()
      local late = waiter(event, order, "late")
      assert.is_false(event:is_set())
      turns(3)
      assert.same({"a", "b"}, order)
      assert.is_true(a:result() and b:result())
      assert.is_false(late:done())
      event:set()
      turns(1)
      assert.same({"a", "b", "late"}, order)
    end)
  end)

  it("EV-02 each round wakes its own waiters", function()
    main(function()
      local event, order = asyncio.Event(), {}
      waiter(event, order, "a")
      turns(1)
      event:set()
      event:clear()
      waiter(event, order, "b")
      turns(1)
      assert.same({"a"}, order)
      event:set()
      event:clear()
      event:set()
      turns(1)
      assert.same({"a", "b"}, order)
      assert.is_true(event:is_set())
    end)
  end)

  it("EV-03 that is set gives true at once, without a turn", function()
    main(function()
      local event, ran = asyncio.Event(), false
      event:set()
      asyncio.call_soon(function() ran = true end)
      assert.is_true(await(event:wait()))
      assert.is_true(await(event:wait()))
      assert.is_false(ran)
    end)
  end)

  it("EV-04 a cancelled waiter leaves no trace", function()
    main(function()
      local event, order = asyncio.Event(), {}
      local a, b = waiter(event, order, "a"), waiter(event, order, "b")
      local c = waiter(event, order, "c")
      turns(1)
      b:cancel()
      is_a("CancelledError", caught(await, b))
      assert.equal("<Event unset waiters=2>", tostring(event))
      a:cancel()
      c:cancel()
      turns(1)
      assert.equal("<Event unset>", tostring(event))
      event:set()
      turns(1)
      assert.same({}, order)
    end)
  end)

  it("EV-04 a waiter is cancelled in the turn in which the event is set", function()
    main(function()
      local event, order = asyncio.Event(), {}
      local a, b = waiter(event, order, "a"), waiter(event, order, "b")
      local c = waiter(event, order, "c")
      turns(1)
      a:cancel()
      event:set()
      b:cancel()
      turns(1)
      assert.is_true(a:cancelled() and b:cancelled())
      assert.is_true(c:done() and not c:cancelled())
      assert.same({"c"}, order)
      assert.equal("<Event set>", tostring(event))
    end)
  end)

  it("EV-04 a waiter with a deadline leaves no trace", function()
    main(function()
      local event = asyncio.Event()
      is_a("TimeoutError", caught(function()
        local _ <close> = asyncio.timeout(0)
        await(event:wait())
      end))
      assert.equal("<Event unset>", tostring(event))
    end)
  end)

  it("can be waited for by tasks made of wait, and by gather", function()
    main(function()
      local event = asyncio.Event()
      local task = create_task(event:wait())
      local both = gather(event:wait(), event:wait())
      turns(1)
      event:set()
      assert.is_true(await(task))
      assert.same({true, true, n = 2}, await(both))
    end)
  end)

  it("that nobody sets is a deadlock that run names", function()
    local event = asyncio.Event()
    assert.matches("deadlock", tostring(caught(main, function() await(event:wait()) end)))
    assert.equal("<Event unset>", tostring(event))
  end)

  it("loses its waiters when run ends", function()
    local event = asyncio.Event()
    main(function()
      for i = 1, 3 do waiter(event, {}, i) end
      turns(1)
    end)
    assert.equal("<Event unset>", tostring(event))
    event:set()
    main(function() assert.is_true(await(event:wait())) end)
  end)

  it("tells its state", function()
    local event = asyncio.Event()
    assert.is_false(event:is_set())
    assert.equal("<Event unset>", tostring(event))
    event:set()
    assert.is_true(event:is_set())
    assert.equal("<Event set>", tostring(event))
    event:clear()
    event:clear()
    assert.is_false(event:is_set())
    assert.is_false(getmetatable(event))
  end)

  it("refuses a call with a dot, and says what to write", function()
    local event = asyncio.Event()
    for _, name in ipairs {"set", "clear", "is_set"} do
      assert.equal(("Event.%s: an Event expected, got a nil; write event:%s()"):format(name, name),
        refused(function() event[name]() end))
    end
    main(function()
      assert.equal("Event.wait: an Event expected, got a nil; write event:wait()",
        refused(function() await(event.wait()) end))
      assert.matches("got a table", refused(function() await(event.wait(asyncio.Queue())) end))
    end)
  end)

  it("costs each of many waiters the same", function()
    tasks.assert_linear(function(n)
      main(function()
        local event, list, woken = asyncio.Event(), {}, 0
        for i = 1, n do
          list[i] = create_task(co(function()
            await(event:wait())
            woken = woken + 1
          end))
        end
        turns(1)
        for i = 1, n, 2 do list[i]:cancel() end
        for _ = 1, n do
          event:set()
          event:clear()
        end
        turns(1)
        assert.equal(n // 2, woken)
        assert.equal("<Event unset>", tostring(event))
      end)
    end)
  end)

  it("keeps nothing of waiters that came and went", function()
    main(function()
      local event = asyncio.Event()
      local stays = started(function() await(event:wait()) end)
      local function passers()
        for _ = 1, 500 do
          local a, b = waiter(event, {}), waiter(event, {})
          turns(1)
          a:cancel()
          turns(1)
          b:cancel()
          turns(1)
        end
      end
      tasks.assert_no_growth(10000, passers, 3)
      event:set()
      await(stays)
    end)
  end)
end)
