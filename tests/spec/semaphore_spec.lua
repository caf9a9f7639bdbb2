-- semaphore_spec.lua: Semaphore and BoundedSemaphore. What their guards do:
-- guard_spec.lua.

local asyncio = require "asyncio"
local tasks = require "tasks"

local caught, co, is_a, main = tasks.caught, tasks.co, tasks.is_a, tasks.main
local refused, turns = tasks.refused, tasks.turns

-- A task that acquires, notes its name, and keeps the permit.
local function taker(sem, order, name)
  return create_task(co(function()
    await(sem:acquire())
    order[#order + 1] = name
  end))
end

-- How many permits can be had at once; they are given back.
local function free(sem)
  local n, list = 0, {}
  while not sem:locked() do
    n = n + 1
    list[n] = await(sem:acquire())
  end
  for i = 1, n do local _ <close> = list[i] end
  return n
end

describe("a semaphore", function()
  it("SE-01 has never more than n holders", function()
    main(function()
      local sem, inside, most, list = asyncio.Semaphore(3), 0, 0, {}
      for i = 1, 50 do
        list[i] = create_task(co(function()
          local _ <close> = await(sem:acquire())
          inside = inside + 1
          most = math.max(most, inside)
          turns(i % 4)
          inside = inside - 1
        end))
      end
      await(gather(list))
      assert.equal(3, most)
      assert.equal(0, inside)
      assert.equal("<Semaphore unlocked value=3>", tostring(sem))
    end)
  end)

  it("SE-01 is locked when all permits are out", function()
    main(function()
      local sem = asyncio.Semaphore(2)
      await(sem:acquire())
      assert.is_false(sem:locked())
      await(sem:acquire())
      assert.is_true(sem:locked())
      sem:release()
      assert.is_false(sem:locked())
      assert.equal(1, free(sem))
    end)
  end)

  it("has one permit when nothing is said", function()
    main(function()
      assert.equal(1, free(asyncio.Semaphore()))
      assert.equal(1, free(asyncio.BoundedSemaphore()))
    end)
  end)

  it("gives no turn up when it has a permit", function()
    main(function()
      local sem, ran = asyncio.Semaphore(1), false
      asyncio.call_soon(function() ran = true end)
      for _ = 1, 3 do local _ <close> = await(sem:acquire()) end
      assert.is_false(ran)
    end)
  end)

  it("SE-02 serves in the order in which the waiters came", function()
    main(function()
      local sem, order = asyncio.Semaphore(0), {}
      for i = 1, 10 do taker(sem, order, i) end
      turns(1)
      for i = 1, 10 do
        sem:release()
        turns(1)
        assert.equal(i, order[#order])
        assert.equal(i, #order)
      end
    end)
  end)

  it("SE-02 two tasks in a loop take turns (acquire_fifo_order)", function()
    main(function()
      local sem, order = asyncio.Semaphore(1), {}
      local function loop(tag)
        return create_task(co(function()
          await(sem:acquire())
          order[#order + 1] = tag .. 1
          turns(1)
          sem:release()
          await(sem:acquire())
          order[#order + 1] = tag .. 2
          turns(1)
          sem:release()
        end))
      end
      await(gather(loop "c1_", loop "c2_", loop "c3_"))
      assert.same({"c1_1", "c2_1", "c3_1", "c1_2", "c2_2", "c3_2"}, order)
    end)
  end)

  it("SE-03 the permit of a woken waiter that is cancelled goes to the next one", function()
    main(function()
      local sem, order = asyncio.Semaphore(1), {}
      await(sem:acquire())
      local a, b = taker(sem, order, "a"), taker(sem, order, "b")
      turns(1)
      sem:release()
      a:cancel()
      is_a("CancelledError", caught(await, a))
      await(b)
      assert.same({"b"}, order)
      assert.is_true(sem:locked())
    end)
  end)

  it("SE-03 the waiter is cancelled before the release (acquire_cancel_before_awoken)", function()
    main(function()
      local sem, order = asyncio.Semaphore(0), {}
      local list = {}
      for i = 1, 4 do list[i] = taker(sem, order, i) end
      turns(1)
      list[1]:cancel()
      list[2]:cancel()
      sem:release()
      turns(1)
      assert.same({3}, order)
      sem:release()
      turns(1)
      assert.same({3, 4}, order)
      assert.equal("<Semaphore locked>", tostring(sem))
    end)
  end)

  it("SE-03 woken and cancelled with others behind it (acquire_hang)", function()
    main(function()
      local sem, order = asyncio.Semaphore(0), {}
      local a, b = taker(sem, order, "a"), taker(sem, order, "b")
      turns(1)
      a:cancel()
      sem:release()
      turns(1)
      assert.same({"b"}, order)
      assert.is_true(b:done())
      assert.is_true(sem:locked())
    end)
  end)

  it("SE-03 all woken waiters are cancelled: all permits come back", function()
    main(function()
      local sem, list = asyncio.Semaphore(0), {}
      for i = 1, 5 do list[i] = taker(sem, {}, i) end
      turns(1)
      for _ = 1, 5 do sem:release() end
      for i = 1, 5 do list[i]:cancel() end
      turns(1)
      for i = 1, 5 do assert.is_true(list[i]:cancelled()) end
      assert.equal("<Semaphore unlocked value=5>", tostring(sem))
      assert.equal(5, free(sem))
    end)
  end)

  it("SE-03 a newcomer passes waiters that are all cancelled", function()
    main(function()
      local sem, ran = asyncio.Semaphore(0), false
      local a, b = taker(sem, {}, "a"), taker(sem, {}, "b")
      turns(1)
      a:cancel()
      b:cancel()
      sem:release()
      asyncio.call_soon(function() ran = true end)
      assert.is_false(sem:locked())
      await(sem:acquire())
      assert.is_false(ran)
      turns(1)
      assert.equal("<Semaphore locked>", tostring(sem))
    end)
  end)

  it("SE-03 cancelled before its first step, a waiter was never there", function()
    main(function()
      local sem = asyncio.Semaphore(0)
      local task = create_task(sem:acquire())
      task:cancel()
      turns(1)
      sem:release()
      assert.equal("<Semaphore unlocked value=1>", tostring(sem))
    end)
  end)

  it("SE-03 survives any mixture of cancel and release", function()
    main(function()
      local sem = asyncio.BoundedSemaphore(3)
      assert.equal(3, tasks.most_holders(sem, 11))
      assert.equal("<BoundedSemaphore unlocked value=3>", tostring(sem))
    end)
  end)

  it("SE-04 a plain one has more permits after more releases", function()
    main(function()
      local sem = asyncio.Semaphore(1)
      sem:release()
      sem:release()
      assert.equal("<Semaphore unlocked value=3>", tostring(sem))
      assert.equal(3, free(sem))
    end)
  end)

  it("SE-04 a bounded one refuses a release too many", function()
    main(function()
      local sem = asyncio.BoundedSemaphore(2)
      local wanted = "BoundedSemaphore.release: all permits are back already"
      assert.equal(wanted, refused(function() sem:release() end))
      await(sem:acquire())
      sem:release()
      assert.equal(wanted, refused(function() sem:release() end))
      assert.equal("<BoundedSemaphore unlocked value=2>", tostring(sem))
      assert.equal(2, free(sem))
    end)
  end)

  it("SE-05 may begin with 0, not with less, and not with a part", function()
    main(function()
      local sem, order = asyncio.Semaphore(0), {}
      assert.is_true(sem:locked())
      taker(sem, order, "a")
      turns(2)
      assert.same({}, order)
      sem:release()
      turns(1)
      assert.same({"a"}, order)
      assert.is_true(asyncio.BoundedSemaphore(0):locked())
    end)
    for _, name in ipairs {"Semaphore", "BoundedSemaphore"} do
      for _, value in ipairs {-1, 1.5, 0 / 0, math.huge, "2", {}, true} do
        assert.equal(name .. ": a whole number of permits expected, at least 0",
          refused(function() asyncio[name](value) end))
      end
    end
    assert.equal("<Semaphore unlocked value=2>", tostring(asyncio.Semaphore(2.0)))
  end)

  it("SE-06 nobody starves in loops of acquire and release", function()
    main(function()
      local sem, order, list = asyncio.Semaphore(1), {}, {}
      for i = 1, 4 do
        list[i] = create_task(co(function()
          for round = 1, 5 do
            local _ <close> = await(sem:acquire())
            turns(1)
            order[#order + 1] = round .. "." .. i
          end
        end))
      end
      await(gather(list))
      local wanted = {}
      for round = 1, 5 do
        for i = 1, 4 do wanted[#wanted + 1] = round .. "." .. i end
      end
      assert.same(wanted, order)
    end)
  end)

  it("SE-06 is locked while others are queued (acquire_fifo_order_2)", function()
    main(function()
      local sem, order = asyncio.Semaphore(1), {}
      local c1 = create_task(co(function()
        await(sem:acquire())
        order[#order + 1] = 1
        turns(1)
        await(sem:acquire())
        order[#order + 1] = 4
      end))
      local c2 = create_task(co(function()
        await(sem:acquire())
        order[#order + 1] = 2
      end))
      local c3 = create_task(co(function()
        await(sem:acquire())
        order[#order + 1] = 3
      end))
      turns(1)
      sem:release()
      assert.is_true(sem:locked())
      sem:release()
      assert.is_true(sem:locked())
      turns(1)
      assert.same({1, 2, 3}, order)
      sem:release()
      await(gather(c1, c2, c3))
      assert.same({1, 2, 3, 4}, order)
    end)
  end)

  it("SE-06 release then acquire without a turn goes behind (acquire_fifo_order_3)", function()
    main(function()
      local sem, order = asyncio.Semaphore(0), {}
      local function asker(name, again)
        return create_task(co(function()
          await(sem:acquire())
          order[#order + 1] = name
          if again then
            sem:release()
            await(sem:acquire())
            order[#order + 1] = name .. again
          end
        end))
      end
      local a, b = asker("a", "+"), asker("b", "+")
      local c = asker "c"
      turns(1)
      sem:release()
      turns(6)
      assert.same({"a", "b", "c"}, order)
      for _ = 1, 2 do
        sem:release()
        turns(1)
      end
      await(gather(a, b, c))
      assert.same({"a", "b", "c", "a+", "b+"}, order)
    end)
  end)

  it("SE-07 several releases in one turn wake as many, in order, in the next one", function()
    main(function()
      local sem, order = asyncio.Semaphore(0), {}
      for i = 1, 5 do taker(sem, order, i) end
      turns(1)
      sem:release()
      sem:release()
      sem:release()
      assert.same({}, order)
      turns(1)
      assert.same({1, 2, 3}, order)
      turns(2)
      assert.same({1, 2, 3}, order)
      sem:release()
      sem:release()
      turns(1)
      assert.same({1, 2, 3, 4, 5}, order)
    end)
  end)

  it("SE-07 more releases than waiters leave permits (acquire_fifo_order_4)", function()
    main(function()
      local sem, order = asyncio.Semaphore(0), {}
      taker(sem, order, 1)
      taker(sem, order, 2)
      turns(1)
      for _ = 1, 4 do sem:release() end
      assert.is_true(sem:locked())
      local late = taker(sem, order, 3)
      await(late)
      assert.same({1, 2, 3}, order)
      assert.equal("<Semaphore unlocked value=1>", tostring(sem))
    end)
  end)

  it("SE-08 a waiter cancelled by the task that just released (acquire_no_hang)", function()
    main(function()
      local sem, order = asyncio.Semaphore(1), {}
      local second
      local first = create_task(co(function()
        do
          local _ <close> = await(sem:acquire())
          turns(1)
        end
        second:cancel()
      end))
      second = create_task(co(function()
        local _ <close> = await(sem:acquire())
        order[#order + 1] = "second"
      end))
      await(first)
      is_a("CancelledError", caught(await, second))
      local _ <close> = await(sem:acquire())
      assert.same({}, order)
    end)
  end)

  it("SE-08 the same with a third in the queue", function()
    main(function()
      local sem, order, second = asyncio.Semaphore(1), {}, nil
      local first = create_task(co(function()
        await(sem:acquire())
        turns(1)
        sem:release()
        second:cancel()
        await(sem:acquire())
        order[#order + 1] = "first again"
      end))
      second = taker(sem, order, "second")
      local third = create_task(co(function()
        local _ <close> = await(sem:acquire())
        order[#order + 1] = "third"
      end))
      await(gather(first, third))
      assert.is_true(second:cancelled())
      assert.same({"third", "first again"}, order)
    end)
  end)

  it("a signal: one task acquires, others and callbacks release", function()
    main(function()
      local sem, n = asyncio.Semaphore(0), 0
      local consumer = create_task(co(function()
        for _ = 1, 100 do
          await(sem:acquire())
          n = n + 1
        end
      end))
      for _ = 1, 50 do create_task(co(function() sem:release() end)) end
      for _ = 1, 50 do asyncio.call_soon(sem.release, sem) end
      await(consumer)
      assert.equal(100, n)
      assert.equal("<Semaphore locked>", tostring(sem))
    end)
  end)

  it("is taken by a task made of acquire, and by gather", function()
    main(function()
      local sem = asyncio.BoundedSemaphore(2)
      local guard = await(create_task(sem:acquire()))
      local list = gather(sem:acquire(), sem:acquire())
      turns(2)
      assert.is_false(list:done())
      do local _ <close> = guard end
      for _, other in ipairs(await(list)) do local _ <close> = other end
      assert.equal("<BoundedSemaphore unlocked value=2>", tostring(sem))
    end)
  end)

  it("without a permit is a deadlock that run names, and lives on", function()
    local sem = asyncio.Semaphore(0)
    assert.matches("deadlock", tostring(caught(main, function() await(sem:acquire()) end)))
    assert.equal("<Semaphore locked>", tostring(sem))
    sem:release()
    main(function() await(sem:acquire()) end)
  end)

  it("loses its waiters when run ends", function()
    local sem = asyncio.Semaphore(1)
    main(function()
      await(sem:acquire())
      for i = 1, 3 do taker(sem, {}, i) end
      turns(1)
    end)
    assert.equal("<Semaphore locked>", tostring(sem))
    sem:release()
    assert.equal("<Semaphore unlocked value=1>", tostring(sem))
  end)

  it("tells its state and its waiters", function()
    main(function()
      local sem = asyncio.Semaphore(1)
      assert.equal("<Semaphore unlocked value=1>", tostring(sem))
      await(sem:acquire())
      assert.equal("<Semaphore locked>", tostring(sem))
      taker(sem, {}, 1)
      taker(sem, {}, 2)
      turns(1)
      assert.equal("<Semaphore locked waiters=2>", tostring(sem))
      sem:release()
      assert.equal("<Semaphore locked waiters=2>", tostring(sem))
      turns(1)
      assert.equal("<Semaphore locked waiters=1>", tostring(sem))
      sem:release()
      assert.is_false(getmetatable(sem))
    end)
  end)

  it("refuses a call with a dot, and says what to write", function()
    local sem = asyncio.Semaphore()
    assert.equal("Semaphore.release: a Semaphore expected, got nil; write semaphore:release()",
      refused(function() sem.release() end))
    assert.matches("got a number", refused(function() sem.locked(1) end))
    main(function()
      assert.equal("Semaphore.acquire: a Semaphore expected, got nil; write semaphore:acquire()",
        refused(function() await(sem.acquire()) end))
      assert.matches("got a Lock", refused(function() await(sem.acquire(asyncio.Lock())) end))
    end)
  end)
end)

describe("many waiters of a semaphore", function()
  it("cost each the same, woken one by one or all in one turn", function()
    tasks.assert_linear(function(n)
      main(function()
        local sem, list, got = asyncio.Semaphore(0), {}, 0
        for i = 1, n do
          list[i] = create_task(co(function()
            await(sem:acquire())
            got = got + 1
          end))
        end
        turns(1)
        for i = 1, n, 2 do list[i]:cancel() end
        for _ = 1, n // 4 do sem:release() end
        turns(1)
        assert.equal(n // 4, got)
        for i = 2, n, 2 do
          if not list[i]:done() then
            sem:release()
            await(list[i])
          end
        end
        assert.equal(n // 2, got)
        assert.equal("<Semaphore locked>", tostring(sem))
      end)
    end)
  end)

  it("leave no memory behind, nor do holders that others release", function()
    main(function()
      local sem = asyncio.Semaphore(0)
      local function burst()
        local list = {}
        for i = 1, 300 do list[i] = taker(sem, {}, i) end
        turns(1)
        for i = 1, 300, 3 do list[i]:cancel() end
        for _ = 1, 200 do sem:release() end
        for i = 1, 300 do asyncio.catch(await, list[i]) end
      end
      tasks.assert_no_growth(20000, burst, 5, 15)
    end)
  end)
end)
