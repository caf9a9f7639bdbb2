-- condition_spec.lua: Condition.

local asyncio = require "asyncio"
local tasks = require "tasks"

local caught, co, is_a, main = tasks.caught, tasks.co, tasks.is_a, tasks.main
local refused, started, turns = tasks.refused, tasks.started, tasks.turns

-- A task that waits, notes its name, and lets go.
local function waiter(cond, order, name)
  return create_task(co(function()
    local _ <close> = await(cond:acquire())
    await(cond:wait())
    assert.is_true(cond:locked())
    order[#order + 1] = name
  end))
end

-- The same; it keeps the lock.
local function keeper(cond, order, name)
  return create_task(co(function()
    await(cond:acquire())
    await(cond:wait())
    order[#order + 1] = name
  end))
end

local function notify(cond, n)
  local _ <close> = await(cond:acquire())
  cond:notify(n)
end

describe("a condition", function()
  it("CV-01 notify wakes the n longest waiters, not more", function()
    main(function()
      local cond, order = asyncio.Condition(), {}
      for i = 1, 6 do waiter(cond, order, i) end
      turns(1)
      notify(cond)
      turns(2)
      assert.same({1}, order)
      notify(cond, 2)
      turns(2)
      assert.same({1, 2, 3}, order)
      notify(cond, 0)
      notify(cond, -1)
      turns(2)
      assert.same({1, 2, 3}, order)
      notify(cond, 1000)
      turns(2)
      assert.same({1, 2, 3, 4, 5, 6}, order)
      notify(cond)
    end)
  end)

  it("CV-01 two notifies in one turn wake two", function()
    main(function()
      local cond, order = asyncio.Condition(), {}
      for i = 1, 3 do waiter(cond, order, i) end
      turns(1)
      await(cond:acquire())
      cond:notify()
      cond:notify()
      cond:release()
      turns(2)
      assert.same({1, 2}, order)
      notify(cond)
    end)
  end)

  it("CV-01 who comes after the notification is not woken by it", function()
    main(function()
      local cond, order = asyncio.Condition(), {}
      notify(cond, 5)
      waiter(cond, order, 1)
      turns(3)
      assert.same({}, order)
      notify(cond)
      turns(2)
      assert.same({1}, order)
    end)
  end)

  it("CV-02 notify_all wakes all, who get the lock one after the other", function()
    main(function()
      local cond, order = asyncio.Condition(), {}
      for i = 1, 3 do keeper(cond, order, i) end
      turns(1)
      do
        local _ <close> = await(cond:acquire())
        cond:notify_all()
      end
      turns(3)
      assert.same({1}, order)
      assert.is_true(cond:locked())
      cond:release()
      turns(2)
      assert.same({1, 2}, order)
      cond:release()
      turns(2)
      assert.same({1, 2, 3}, order)
    end)
  end)

  it("gives the lock away while it waits", function()
    main(function()
      local cond, order = asyncio.Condition(), {}
      waiter(cond, order, "a")
      turns(1)
      assert.is_false(cond:locked())
      local _ <close> = await(cond:acquire())
      cond:notify()
      turns(3)
      assert.same({}, order)
    end)
  end)

  it("wait gives true, and the guard from before is good after it", function()
    main(function()
      local cond = asyncio.Condition()
      local task = started(function()
        local _ <close> = await(cond:acquire())
        assert.is_true(await(cond:wait()))
        assert.is_true(await(cond:wait()))
      end)
      notify(cond)
      turns(2)
      notify(cond)
      await(task)
      assert.is_false(cond:locked())
    end)
  end)

  it("CV-03 wait, wait_for, notify, notify_all and release want the lock", function()
    main(function()
      local cond = asyncio.Condition()
      local function never() error("called") end
      assert.equal("Condition.wait: acquire the condition first",
        refused(function() await(cond:wait()) end))
      assert.equal("Condition.wait_for: acquire the condition first",
        refused(function() await(cond:wait_for(never)) end))
      assert.equal("Condition.notify: acquire the condition first",
        refused(function() cond:notify() end))
      assert.equal("Condition.notify_all: acquire the condition first",
        refused(function() cond:notify_all() end))
      assert.equal("Condition.release: acquire the condition first",
        refused(function() cond:release() end))
      assert.equal("<Condition unlocked>", tostring(cond))
    end)
  end)

  it("CV-04 wait_for asks at first and after every wake-up, and gives the value", function()
    main(function()
      local cond, asked, value = asyncio.Condition(), 0, nil
      local task = create_task(co(function()
        local _ <close> = await(cond:acquire())
        return await(cond:wait_for(function()
          asked = asked + 1
          assert.is_true(cond:locked())
          return value
        end))
      end))
      turns(1)
      assert.equal(1, asked)
      notify(cond)
      turns(2)
      assert.equal(2, asked)
      value = "there"
      turns(2)
      assert.equal(2, asked)
      notify(cond)
      assert.equal("there", await(task))
      assert.equal(3, asked)
      assert.is_false(cond:locked())
    end)
  end)

  it("CV-04 wait_for does not wait for what is true", function()
    main(function()
      local cond, ran = asyncio.Condition(), false
      asyncio.call_soon(function() ran = true end)
      local _ <close> = await(cond:acquire())
      assert.equal(7, await(cond:wait_for(function() return 7 end)))
      assert.is_false(ran)
    end)
  end)

  it("CV-04 an error of the predicate goes on, with the lock held", function()
    main(function()
      local cond, err, fails = asyncio.Condition(), {}, false
      local task = started(function()
        local _ <close> = await(cond:acquire())
        local got = caught(await, cond:wait_for(function()
          if fails then error(err) end
        end))
        assert.is_true(cond:locked())
        return got
      end)
      fails = true
      notify(cond)
      assert.equal(err, await(task))
      assert.is_false(cond:locked())
    end)
  end)

  it("CV-05 a cancelled waiter has the lock again when CancelledError arrives", function()
    main(function()
      local cond, held = asyncio.Condition(), nil
      local task = started(function()
        local _ <close> = await(cond:acquire())
        local err = caught(await, cond:wait())
        held = cond:locked()
        error(err, 0)
      end)
      assert.equal("<Condition unlocked waiters=1>", tostring(cond))
      task:cancel()
      turns(1)
      assert.is_true(task:cancelled())
      assert.is_true(held)
      assert.equal("<Condition unlocked>", tostring(cond))
    end)
  end)

  it("CV-05 also when it must queue for the lock", function()
    main(function()
      local cond, order = asyncio.Condition(), {}
      local task = started(function()
        local _ <close> = await(cond:acquire())
        local err = caught(await, cond:wait())
        order[#order + 1] = "back"
        error(err, 0)
      end)
      await(cond:acquire())
      task:cancel()
      turns(3)
      assert.is_false(task:done())
      assert.same({}, order)
      cond:release()
      turns(2)
      assert.same({"back"}, order)
      assert.is_true(task:cancelled())
      assert.is_false(cond:locked())
    end)
  end)

  it("CV-05 keeps the message of the cancellation", function()
    main(function()
      local cond, err = asyncio.Condition(), nil
      local task = started(function()
        local _ <close> = await(cond:acquire())
        err = caught(await, cond:wait())
      end)
      task:cancel("why")
      await(task)
      is_a("CancelledError", err)
      assert.matches("why", tostring(err))
    end)
  end)

  it("CV-06 a notified waiter cancelled before it runs notifies another one", function()
    main(function()
      local cond, order = asyncio.Condition(), {}
      local a = waiter(cond, order, "a")
      local b = waiter(cond, order, "b")
      local c = waiter(cond, order, "c")
      turns(1)
      notify(cond)
      a:cancel()
      turns(3)
      assert.is_true(a:cancelled())
      assert.same({"b"}, order)
      assert.is_false(c:done())
      notify(cond)
      await(gather(b, c))
    end)
  end)

  it("CV-07 a notified waiter cancelled while it queues for the lock, the same", function()
    main(function()
      local cond, order = asyncio.Condition(), {}
      local a, b = waiter(cond, order, "a"), waiter(cond, order, "b")
      turns(1)
      await(cond:acquire())
      cond:notify()
      turns(2)
      assert.equal("<Condition locked waiters=1>", tostring(cond))
      a:cancel()
      turns(2)
      assert.is_false(a:done())
      cond:release()
      turns(4)
      assert.is_true(a:cancelled())
      assert.same({"b"}, order)
      assert.is_true(b:done())
      assert.equal("<Condition unlocked>", tostring(cond))
    end)
  end)

  it("CV-08 cancelled twice while it takes the lock: gets it, one CancelledError", function()
    main(function()
      local cond, errors, held = asyncio.Condition(), {}, nil
      local task = started(function()
        local _ <close> = await(cond:acquire())
        errors[#errors + 1] = caught(await, cond:wait())
        held = cond:locked()
        turns(2) -- no second one comes
        errors[#errors + 1] = "end"
      end)
      await(cond:acquire())
      task:cancel "first"
      turns(2)
      task:cancel "second"
      turns(2)
      task:cancel "third"
      turns(2)
      assert.same({}, errors)
      cond:release()
      await(task)
      assert.is_true(held)
      assert.equal(2, #errors)
      is_a("CancelledError", errors[1])
      assert.matches("third", tostring(errors[1]))
      assert.is_false(cond:locked())
    end)
  end)

  it("CV-08 notified, then cancelled when the lock has just come to it", function()
    main(function()
      local cond, order = asyncio.Condition(), {}
      local a, b = waiter(cond, order, "a"), waiter(cond, order, "b")
      turns(1)
      await(cond:acquire())
      cond:notify()
      turns(2)
      cond:release() -- the lock goes to a
      a:cancel()
      turns(5)
      assert.is_true(a:cancelled())
      assert.same({"b"}, order)
      assert.is_true(b:done())
      assert.is_false(cond:locked())
    end)
  end)

  it("CV-08 survives any mixture of cancel and notify", function()
    main(function()
      local random = tasks.random(3)
      local cond, items, taken, list = asyncio.Condition(), 0, 0, {}
      local function consume()
        local _ <close> = await(cond:acquire())
        await(cond:wait_for(function() return items > 0 end))
        items = items - 1
        taken = taken + 1
      end
      for i = 1, 200 do
        list[i] = create_task(co(consume))
        if random(3) == 1 then list[random(i)]:cancel() end
        if random(3) == 1 then turns(random(2)) end
        if random(2) == 1 then
          local _ <close> = await(cond:acquire())
          items = items + 1
          cond:notify()
          if random(2) == 1 then list[random(i)]:cancel() end
        end
      end
      turns(10)
      -- no item lies there while somebody waits for one
      local waiting = 0
      for i = 1, 200 do
        if not list[i]:done() then waiting = waiting + 1 end
      end
      assert.is_true(items == 0 or waiting == 0)
      do
        local _ <close> = await(cond:acquire())
        items = items + waiting
        cond:notify(waiting)
      end
      for i = 1, 200 do asyncio.catch(await, list[i]) end
      assert.equal("<Condition unlocked>", tostring(cond))
      assert.is_true(taken > 20)
    end)
  end)

  it("may have a lock of yours, and share it with another condition", function()
    main(function()
      local lock, order = asyncio.Lock(), {}
      local one, two = asyncio.Condition(lock), asyncio.Condition(lock)
      waiter(one, order, "one")
      waiter(two, order, "two")
      turns(1)
      do
        local _ <close> = await(lock:acquire())
        assert.is_true(one:locked() and two:locked())
        two:notify_all()
      end
      turns(2)
      assert.same({"two"}, order)
      notify(one)
      turns(2)
      assert.same({"two", "one"}, order)
    end)
  end)

  it("takes a Lock, and nothing else", function()
    for _, value in ipairs {1, "lock", {}, asyncio.Event(), asyncio.Semaphore(), true} do
      assert.matches("^Condition: a Lock expected, got a ",
        refused(function() asyncio.Condition(value) end))
    end
  end)

  it("has the guard of a lock, with its usage errors", function()
    main(function()
      local cond, err = asyncio.Condition(), {}
      assert.equal(err, caught(function()
        local _ <close> = await(cond:acquire())
        error(err)
      end))
      assert.is_false(cond:locked())
      refused(function()
        local _ <close> = await(cond:acquire())
        cond:release()
      end)
      await(cond:acquire())
      assert.is_true(cond:locked())
      cond:release()
    end)
  end)

  it("a guard closed by somebody while its holder waits is refused", function()
    main(function()
      local cond, guard = asyncio.Condition(), nil
      local task = started(function()
        guard = await(cond:acquire())
        await(cond:wait())
        assert.is_true(cond:locked())
        local _ <close> = guard
      end)
      refused(function() local _ <close> = guard end)
      notify(cond)
      await(task)
      assert.is_false(cond:locked())
    end)
  end)

  it("can be waited for by tasks made of its methods", function()
    main(function()
      local cond, on = asyncio.Condition(), false
      await(create_task(cond:acquire()))
      local task = create_task(cond:wait_for(function() return on end))
      turns(1)
      on = true
      notify(cond)
      assert.is_true(await(task))
      assert.is_true(cond:locked())
      cond:release()
    end)
  end)

  it("that nobody notifies is a deadlock that run names, and lives on", function()
    local cond = asyncio.Condition()
    assert.matches("deadlock", tostring(caught(main, function()
      local _ <close> = await(cond:acquire())
      await(cond:wait())
    end)))
    assert.equal("<Condition unlocked>", tostring(cond))
    main(function()
      for i = 1, 3 do waiter(cond, {}, i) end
      turns(1)
    end)
    assert.equal("<Condition unlocked>", tostring(cond))
  end)

  it("tells its state and its waiters", function()
    main(function()
      local cond = asyncio.Condition()
      assert.equal("<Condition unlocked>", tostring(cond))
      waiter(cond, {}, 1)
      turns(1)
      assert.equal("<Condition unlocked waiters=1>", tostring(cond))
      local _ <close> = await(cond:acquire())
      assert.equal("<Condition locked waiters=1>", tostring(cond))
      cond:notify()
      assert.equal("<Condition locked>", tostring(cond))
      assert.is_false(getmetatable(cond))
    end)
  end)

  it("refuses a call with a dot, and arguments of another kind", function()
    main(function()
      local cond = asyncio.Condition()
      for _, name in ipairs {"acquire", "release", "locked", "notify", "notify_all"} do
        assert.equal(("Condition.%s: a Condition expected, got a nil; write condition:%s()")
          :format(name, name), refused(function() cond[name]() end))
      end
      assert.matches("Condition.wait: a Condition", refused(function() await(cond.wait()) end))
      assert.matches("Condition.wait_for: a Condition", refused(function()
        await(cond.wait_for(function() end))
      end))
      local _ <close> = await(cond:acquire())
      for _, value in ipairs {5, "x", true} do
        assert.matches("a function expected", refused(function() await(cond:wait_for(value)) end))
      end
      assert.matches("a function expected", refused(function() await(cond:wait_for()) end))
      assert.equal(1, await(cond:wait_for(setmetatable({}, {__call = function() return 1 end}))))
      assert.matches("a number expected", refused(function() cond:notify("all") end))
    end)
  end)

  it("costs each of many waiters the same", function()
    tasks.assert_linear(function(n)
      main(function()
        local cond, order, list = asyncio.Condition(), {}, {}
        for i = 1, n do list[i] = waiter(cond, order, i) end
        turns(1)
        for i = 1, n, 2 do list[i]:cancel() end
        turns(2)
        for _ = 1, n // 4 do notify(cond) end
        do
          local _ <close> = await(cond:acquire())
          cond:notify_all()
        end
        for i = 1, n do asyncio.catch(await, list[i]) end
        assert.equal(n // 2, #order)
        assert.equal("<Condition unlocked>", tostring(cond))
      end)
    end)
  end)

  it("keeps nothing of waiters that came and went", function()
    main(function()
      local cond = asyncio.Condition()
      local stays = create_task(co(function()
        local _ <close> = await(cond:acquire())
        await(cond:wait_for(function() return false end))
      end))
      local function passers()
        for _ = 1, 300 do
          local a, b = waiter(cond, {}, 2), waiter(cond, {}, 3)
          turns(1)
          a:cancel()
          turns(2)
          b:cancel()
          turns(2)
        end
      end
      turns(1)
      tasks.assert_no_growth(10000, passers, 3)
      stays:cancel()
      asyncio.catch(await, stays)
    end)
  end)
end)
