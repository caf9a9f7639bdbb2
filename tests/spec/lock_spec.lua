-- lock_spec.lua: Lock. What its guards do: guard_spec.lua.

local asyncio = require "asyncio"
local tasks = require "tasks"

local at_end, caught, co, is_a = tasks.at_end, tasks.caught, tasks.co, tasks.is_a
local main, refused, started, turns = tasks.main, tasks.refused, tasks.started, tasks.turns

-- A task that gets the lock, notes its name, and releases after so many turns.
local function worker(lock, order, name, n)
  return create_task(co(function()
    local _ <close> = await(lock:acquire())
    order[#order + 1] = name
    turns(n or 0)
  end))
end

-- A task that has the lock when it is done.
local function taker(lock)
  return started(function() return await(lock:acquire()) end)
end

describe("a lock", function()
  it("LK-01 goes to the waiters in the order in which they came", function()
    main(function()
      local lock, order = asyncio.Lock(), {}
      await(lock:acquire())
      local list = {}
      for i = 1, 20 do list[i] = worker(lock, order, i, i % 3) end
      turns(3)
      assert.same({}, order)
      lock:release()
      await(gather(list))
      for i = 1, 20 do assert.equal(i, order[i]) end
      assert.is_false(lock:locked())
    end)
  end)

  it("LK-01 moves on by one waiter a release", function()
    main(function()
      local lock, result = asyncio.Lock(), {}
      await(lock:acquire())
      local list = {}
      for i = 1, 3 do
        list[i] = create_task(co(function()
          result[#result + 1] = i
          await(lock:acquire())
          result[#result + 1] = -i
        end))
      end
      turns(1)
      assert.same({1, 2, 3}, result)
      lock:release()
      turns(1)
      assert.same({1, 2, 3, -1}, result)
      turns(3)
      assert.same({1, 2, 3, -1}, result)
      lock:release()
      turns(1)
      assert.same({1, 2, 3, -1, -2}, result)
      lock:release()
      turns(1)
      assert.same({1, 2, 3, -1, -2, -3}, result)
      await(gather(list))
      assert.is_true(lock:locked())
    end)
  end)

  it("gives no turn up when it is free", function()
    main(function()
      local lock, ran = asyncio.Lock(), false
      asyncio.call_soon(function() ran = true end)
      do local _ <close> = await(lock:acquire()) end
      do local _ <close> = await(lock:acquire()) end
      assert.is_false(ran)
    end)
  end)

  it("LK-03 goes to the waiter when the releaser acquires again at once", function()
    main(function()
      local lock, order = asyncio.Lock(), {}
      local function twice(name)
        return create_task(co(function()
          for i = 1, 3 do
            await(lock:acquire())
            order[#order + 1] = name .. i
            turns(1)
            lock:release()
          end
        end))
      end
      await(gather(twice "a", twice "b", twice "c"))
      assert.same({"a1", "b1", "c1", "a2", "b2", "c2", "a3", "b3", "c3"}, order)
    end)
  end)

  it("LK-03 is free between release and the waiter's step, but not for others", function()
    main(function()
      local lock, order = asyncio.Lock(), {}
      await(lock:acquire())
      local first = worker(lock, order, "first")
      turns(1)
      lock:release()
      assert.is_false(lock:locked())
      local second = worker(lock, order, "second")
      await(lock:acquire())
      order[#order + 1] = "releaser"
      lock:release()
      await(gather(first, second))
      assert.same({"first", "releaser", "second"}, order)
    end)
  end)

  it("LK-04 a cancelled waiter leaves, the others keep their order", function()
    main(function()
      local lock, order, list = asyncio.Lock(), {}, {}
      await(lock:acquire())
      for i = 1, 7 do list[i] = worker(lock, order, i) end
      turns(1)
      for _, i in ipairs {1, 4, 5, 7} do list[i]:cancel() end
      turns(1)
      assert.equal("<Lock locked waiters=3>", tostring(lock))
      lock:release()
      for i = 1, 7 do asyncio.catch(await, list[i]) end
      assert.same({2, 3, 6}, order)
      assert.equal("<Lock unlocked>", tostring(lock))
    end)
  end)

  it("LK-04 raises the CancelledError in the waiter", function()
    main(function()
      local lock, err = asyncio.Lock(), nil
      await(lock:acquire())
      local task = started(function() err = caught(await, lock:acquire()) end)
      task:cancel("enough")
      await(task)
      is_a("CancelledError", err)
      assert.is_true(lock:locked())
      lock:release()
      assert.is_false(lock:locked())
    end)
  end)

  it("LK-04 a waiter with a deadline leaves no trace", function()
    main(function()
      local lock = asyncio.Lock()
      await(lock:acquire())
      is_a("TimeoutError", caught(function()
        local _ <close> = asyncio.timeout(0)
        await(lock:acquire())
      end))
      assert.equal("<Lock locked>", tostring(lock))
    end)
  end)

  it("LK-05 the woken waiter is cancelled: the next one gets the lock", function()
    main(function()
      local lock, order = asyncio.Lock(), {}
      await(lock:acquire())
      local a, b, c = worker(lock, order, "a"), worker(lock, order, "b"), worker(lock, order, "c")
      turns(1)
      lock:release()
      a:cancel()
      assert.is_false(lock:locked())
      is_a("CancelledError", caught(await, a))
      await(gather(b, c))
      assert.same({"b", "c"}, order)
      assert.is_false(lock:locked())
    end)
  end)

  it("LK-05 the waiter is cancelled, then the lock is released: the next one gets it", function()
    main(function()
      local lock, order = asyncio.Lock(), {}
      await(lock:acquire())
      local a, b = worker(lock, order, "a"), worker(lock, order, "b")
      turns(1)
      a:cancel()
      lock:release()
      is_a("CancelledError", caught(await, a))
      await(b)
      assert.same({"b"}, order)
      assert.is_false(lock:locked())
    end)
  end)

  it("LK-05 all waiters are cancelled with the release: the lock is free", function()
    main(function()
      local lock, list = asyncio.Lock(), {}
      await(lock:acquire())
      for i = 1, 5 do list[i] = taker(lock) end
      lock:release()
      for i = 1, 5 do list[i]:cancel() end
      turns(6)
      for i = 1, 5 do assert.is_true(list[i]:cancelled()) end
      assert.equal("<Lock unlocked>", tostring(lock))
      do local _ <close> = await(lock:acquire()) end
    end)
  end)

  it("LK-05 a newcomer takes a free lock whose waiters are all cancelled", function()
    main(function()
      local lock = asyncio.Lock()
      await(lock:acquire())
      local a, b = taker(lock), taker(lock)
      a:cancel()
      b:cancel()
      lock:release()
      local ran = false
      asyncio.call_soon(function() ran = true end)
      do
        local _ <close> = await(lock:acquire())
        assert.is_false(ran)
        turns(2)
        assert.is_true(a:cancelled() and b:cancelled())
        assert.equal("<Lock locked>", tostring(lock))
      end
    end)
  end)

  it("LK-05 a newcomer waits behind one that is not cancelled", function()
    main(function()
      local lock, order = asyncio.Lock(), {}
      await(lock:acquire())
      local a, b = worker(lock, order, "a"), worker(lock, order, "b")
      turns(1)
      a:cancel()
      lock:release()
      do
        local _ <close> = await(lock:acquire())
        order[#order + 1] = "main"
      end
      await(b)
      is_a("CancelledError", caught(await, a))
      assert.same({"b", "main"}, order)
    end)
  end)

  it("LK-05 the woken waiter is cancelled by the one behind it", function()
    main(function()
      local lock, order = asyncio.Lock(), {}
      await(lock:acquire())
      local a = worker(lock, order, "a")
      local b = create_task(co(function()
        local ok = asyncio.catch(await, lock:acquire())
        order[#order + 1] = ok and "b" or "b cancelled"
        if ok then lock:release() end
      end))
      turns(1)
      asyncio.call_soon(function() a:cancel() end)
      lock:release()
      asyncio.catch(await, a)
      await(b)
      assert.equal("b", order[#order])
      assert.is_false(lock:locked())
    end)
  end)

  it("LK-05 one cancelled before its first step was never in the list", function()
    main(function()
      local lock = asyncio.Lock()
      await(lock:acquire())
      local task = create_task(lock:acquire())
      task:cancel()
      turns(2)
      assert.is_true(task:cancelled())
      assert.equal("<Lock locked>", tostring(lock))
    end)
  end)

  it("LK-05 survives any mixture of cancel and release", function()
    main(function()
      local lock = asyncio.Lock()
      assert.equal(1, tasks.most_holders(lock, 7))
      assert.equal("<Lock unlocked>", tostring(lock))
    end)
  end)

  it("LK-06 release of a free lock is a usage error", function()
    main(function()
      local lock = asyncio.Lock()
      assert.equal("Lock.release: the lock is not held", refused(function() lock:release() end))
      await(lock:acquire())
      lock:release()
      assert.equal("Lock.release: the lock is not held", refused(function() lock:release() end))
    end)
  end)

  it("LK-06 so is a second release before the woken waiter runs", function()
    main(function()
      local lock = asyncio.Lock()
      await(lock:acquire())
      local task = taker(lock)
      lock:release()
      refused(function() lock:release() end)
      await(task)
      assert.is_true(lock:locked())
    end)
  end)

  it("LK-07 blocks its holder, too", function()
    main(function()
      local lock = asyncio.Lock()
      local task = started(function()
        await(lock:acquire())
        await(lock:acquire())
      end)
      turns(3)
      assert.is_false(task:done())
      task:cancel()
      turns(2)
      assert.is_true(task:cancelled())
      assert.equal("<Lock locked>", tostring(lock))
    end)
  end)

  it("LK-07 may be released by any task, and by a callback", function()
    main(function()
      local lock = asyncio.Lock()
      await(lock:acquire())
      await(create_task(co(function() lock:release() end)))
      assert.is_false(lock:locked())
      await(lock:acquire())
      local task = taker(lock)
      asyncio.call_soon(lock.release, lock)
      await(task)
      asyncio.call_soon(lock.release, lock)
      turns(2)
      assert.is_false(lock:locked())
    end)
  end)

  it("that a holder acquires again is a deadlock that run names", function()
    local lock = asyncio.Lock()
    local err = caught(main, function()
      await(lock:acquire())
      await(lock:acquire())
    end)
    assert.matches("deadlock", tostring(err))
    assert.equal("<Lock locked>", tostring(lock))
  end)

  it("is taken by a task made of acquire, and by gather", function()
    main(function()
      local lock = asyncio.Lock()
      local task = create_task(lock:acquire())
      assert.is_false(lock:locked())
      local guard = await(task)
      assert.is_true(lock:locked())
      local others = gather(lock:acquire(), lock:acquire())
      do local _ <close> = guard end
      turns(2)
      lock:release()
      local list = await(others)
      assert.equal(2, list.n)
      refused(function() local _ <close> = list[1] end)
      do local _ <close> = list[2] end
      assert.is_false(lock:locked())
    end)
  end)

  it("does nothing before acquire is awaited", function()
    main(function()
      local lock = asyncio.Lock()
      local coro = lock:acquire()
      turns(1)
      assert.is_false(lock:locked())
      coro:close()
    end)
  end)

  it("can be used in one run after the other", function()
    local lock = asyncio.Lock()
    for _ = 1, 2 do
      main(function()
        local _ <close> = await(lock:acquire())
        turns(1)
      end)
    end
    assert.is_false(lock:locked())
  end)

  it("is fit for use after a run that ended with waiters", function()
    local lock = asyncio.Lock()
    main(function()
      await(lock:acquire())
      for _ = 1, 3 do create_task(lock:acquire()) end
      turns(1)
    end)
    assert.equal("<Lock locked>", tostring(lock))
    lock:release()
    main(function() local _ <close> = await(lock:acquire()) end)
    assert.equal("<Lock unlocked>", tostring(lock))
  end)

  it("may be acquired while a to-be-closed variable ends after a cancellation", function()
    main(function()
      local lock, ran = asyncio.Lock(), false
      await(lock:acquire())
      local task = started(function()
        local _ <close> = at_end(function()
          local _ <close> = await(lock:acquire())
          ran = true
        end)
        await(asyncio.Future())
      end)
      task:cancel()
      turns(2)
      assert.is_false(ran)
      lock:release()
      turns(2)
      assert.is_true(ran and task:cancelled())
      assert.is_false(lock:locked())
    end)
  end)

  it("tells its state and its waiters", function()
    main(function()
      local lock = asyncio.Lock()
      assert.equal("<Lock unlocked>", tostring(lock))
      await(lock:acquire())
      assert.equal("<Lock locked>", tostring(lock))
      local a, b = taker(lock), taker(lock)
      assert.equal("<Lock locked waiters=2>", tostring(lock))
      lock:release()
      assert.equal("<Lock unlocked waiters=2>", tostring(lock))
      await(a)
      assert.equal("<Lock locked waiters=1>", tostring(lock))
      lock:release()
      await(b)
      assert.is_false(getmetatable(lock))
    end)
  end)
end)

describe("misuse of a lock", function()
  it("acquire with a dot says what to write", function()
    main(function()
      local lock = asyncio.Lock()
      local wanted = "Lock.acquire: a Lock expected, got nil; write lock:acquire()"
      assert.equal(wanted, refused(function() await(lock.acquire()) end))
      assert.matches("got a table", refused(function() await(lock.acquire({})) end))
      assert.matches("got a string", refused(function() await(lock.acquire("x")) end))
      assert.matches("got a Semaphore",
        refused(function() await(lock.acquire(asyncio.Semaphore())) end))
      assert.is_false(lock:locked())
    end)
  end)

  it("without await, acquire is not what a to-be-closed variable takes", function()
    main(function()
      local lock = asyncio.Lock()
      local coro = lock:acquire()
      refused(function() local _ <close> = coro end)
      assert.is_false(lock:locked())
      coro:close()
    end)
  end)

  it("what acquire gave cannot be awaited again, and the lock itself never", function()
    main(function()
      local lock = asyncio.Lock()
      local guard <close> = await(lock:acquire())
      assert.matches("cannot use coroutine 'Lock.acquire' again",
        refused(function() await(guard) end))
      assert.matches("an awaitable .* expected, got a Lock", refused(function() await(lock) end))
      assert.is_true(lock:locked())
    end)
  end)

  it("so do the others", function()
    local lock = asyncio.Lock()
    assert.equal("Lock.release: a Lock expected, got nil; write lock:release()",
      refused(function() lock.release() end))
    assert.equal("Lock.locked: a Lock expected, got a number; write lock:locked()",
      refused(function() lock.locked(1) end))
  end)
end)

describe("many waiters of a lock", function()
  it("cost each the same", function()
    tasks.assert_linear(function(n)
      main(function()
        local lock, sum, list = asyncio.Lock(), 0, {}
        await(lock:acquire())
        for i = 1, n do
          list[i] = create_task(co(function()
            local _ <close> = await(lock:acquire())
            sum = sum + 1
          end))
        end
        turns(1)
        for i = 1, n, 2 do list[i]:cancel() end
        lock:release()
        for i = 1, n do asyncio.catch(await, list[i]) end
        assert.equal(n // 2, sum)
        assert.is_false(lock:locked())
      end)
    end)
  end)

  it("that are cancelled at once do not slow down newcomers", function()
    main(function()
      local lock, list, n = asyncio.Lock(), {}, 30000
      await(lock:acquire())
      for i = 1, n do list[i] = create_task(lock:acquire()) end
      turns(1)
      for i = 1, n do list[i]:cancel() end
      lock:release()
      for _ = 1, n do local _ <close> = await(lock:acquire()) end
      turns(2)
      assert.equal("<Lock unlocked>", tostring(lock))
    end)
  end)

  it("leave no memory behind", function()
    main(function()
      local lock = asyncio.Lock()
      local function burst()
        local list = {}
        await(lock:acquire())
        for i = 1, 300 do
          list[i] = create_task(co(function() local _ <close> = await(lock:acquire()) end))
        end
        turns(1)
        for i = 1, 300, 3 do list[i]:cancel() end
        lock:release()
        for i = 1, 300 do asyncio.catch(await, list[i]) end
      end
      tasks.assert_no_growth(20000, burst, 5, 15)
    end)
  end)

  it("that come and go behind one that stays leave no memory behind", function()
    main(function()
      local lock = asyncio.Lock()
      await(lock:acquire())
      local stays = taker(lock)
      local function passers()
        for _ = 1, 1000 do
          local a, b = taker(lock), taker(lock)
          a:cancel()
          turns(1)
          b:cancel()
        end
        turns(2)
      end
      tasks.assert_no_growth(20000, passers, 3)
      assert.equal("<Lock locked waiters=1>", tostring(lock))
      lock:release()
      await(stays)
    end)
  end)
end)
