-- guard_spec.lua: the guards that Lock.acquire and Semaphore.acquire give: what
-- ends a hold, and when a guard is refused.

local asyncio = require "asyncio"
local tasks = require "tasks"

local begun, caught, co, main = tasks.begun, tasks.caught, tasks.co, tasks.main
local refused, started, turns = tasks.refused, tasks.started, tasks.turns

describe("a lock", function()
  it("LK-02 is released when the block ends", function()
    main(function()
      local lock = asyncio.Lock()
      do
        local guard <close> = await(lock:acquire())
        assert.truthy(guard)
        assert.is_true(lock:locked())
      end
      assert.is_false(lock:locked())
    end)
  end)

  it("LK-02 is released by an error in the block, which stays the same", function()
    main(function()
      local lock, err = asyncio.Lock(), {}
      assert.equal(err, caught(function()
        local _ <close> = await(lock:acquire())
        error(err)
      end))
      assert.is_false(lock:locked())
    end)
  end)

  it("LK-02 is released by return, break and goto", function()
    main(function()
      local lock = asyncio.Lock()
      assert.equal(1, (function()
        local _ <close> = await(lock:acquire())
        return 1
      end)())
      assert.is_false(lock:locked())
      for i = 1, 2 do
        local _ <close> = await(lock:acquire())
        if i == 1 then break end
      end
      assert.is_false(lock:locked())
      do
        local _ <close> = await(lock:acquire())
        goto out
      end
      ::out::
      assert.is_false(lock:locked())
    end)
  end)

  it("LK-02 is released by the cancellation of its holder", function()
    main(function()
      local lock = asyncio.Lock()
      local holder = started(function()
        local _ <close> = await(lock:acquire())
        await(asyncio.Future())
      end)
      local waiter = begun(lock:acquire())
      holder:cancel()
      turns(2)
      assert.is_true(holder:cancelled())
      assert.is_true(waiter:done())
      assert.is_true(lock:locked())
    end)
  end)
end)

describe("the guard of a lock", function()
  it("that is dropped releases nothing", function()
    main(function()
      local lock = asyncio.Lock()
      await(lock:acquire())
      collectgarbage()
      collectgarbage()
      assert.is_true(lock:locked())
      lock:release()
    end)
  end)

  it("is refused when it is closed twice", function()
    main(function()
      local lock = asyncio.Lock()
      local guard = await(lock:acquire())
      do local _ <close> = guard end
      assert.matches("^Lock: the hold of this guard has ended before", refused(function()
        local _ <close> = guard
      end))
      assert.is_false(lock:locked())
    end)
  end)

  it("is refused after a release by hand, and ends nobody else's hold", function()
    main(function()
      local lock, other = asyncio.Lock(), nil
      refused(function()
        local _ <close> = await(lock:acquire())
        lock:release()
        other = await(lock:acquire())
      end)
      assert.is_true(lock:locked())
      do local _ <close> = other end
      assert.is_false(lock:locked())
    end)
  end)

  it("is refused while a waiter is being woken, and wakes nobody", function()
    main(function()
      local lock = asyncio.Lock()
      local guard = await(lock:acquire())
      local a, b = begun(lock:acquire()), begun(lock:acquire())
      lock:release()
      refused(function() local _ <close> = guard end)
      await(a)
      refused(function() local _ <close> = guard end)
      turns(2)
      assert.is_true(lock:locked())
      assert.is_false(b:done())
      lock:release()
      await(b)
    end)
  end)

  it("may be closed by another task", function()
    main(function()
      local lock = asyncio.Lock()
      local guard = await(lock:acquire())
      local waiter = begun(lock:acquire())
      await(create_task(co(function() local _ <close> = guard end)))
      await(waiter)
      assert.is_true(lock:locked())
    end)
  end)

  it("belongs to its lock", function()
    main(function()
      local one, two = asyncio.Lock(), asyncio.Lock()
      local _ <close> = await(one:acquire())
      do local _ <close> = await(two:acquire()) end
      assert.is_true(one:locked())
      assert.is_false(two:locked())
    end)
  end)
end)

describe("the guard of a semaphore", function()
  it("releases when the block ends, by an error and a cancellation too", function()
    main(function()
      local sem, err = asyncio.BoundedSemaphore(2), {}
      do
        local guard <close> = await(sem:acquire())
        assert.truthy(guard)
        assert.equal("<BoundedSemaphore unlocked value=1>", tostring(sem))
      end
      assert.equal(err, caught(function()
        local _ <close> = await(sem:acquire())
        error(err)
      end))
      local task = started(function()
        local _ <close> = await(sem:acquire())
        await(asyncio.Future())
      end)
      task:cancel()
      turns(1)
      assert.equal("<BoundedSemaphore unlocked value=2>", tostring(sem))
    end)
  end)

  it("that is dropped releases nothing", function()
    main(function()
      local sem = asyncio.Semaphore(1)
      await(sem:acquire())
      collectgarbage()
      collectgarbage()
      assert.is_true(sem:locked())
    end)
  end)

  it("is refused when it is closed twice", function()
    for _, name in ipairs {"Semaphore", "BoundedSemaphore"} do
      main(function()
        local sem = asyncio[name](2)
        await(sem:acquire()) -- somebody else's
        local guard = await(sem:acquire())
        do local _ <close> = guard end
        assert.matches("^" .. name .. ": the hold of this guard has ended before",
          refused(function() local _ <close> = guard end))
        assert.equal(("<%s unlocked value=1>"):format(name), tostring(sem))
      end)
    end
  end)

  it("is refused after a release by hand, and takes nobody else's permit", function()
    main(function()
      local sem = asyncio.Semaphore(2)
      local other = started(function()
        local _ <close> = await(sem:acquire())
        turns(3)
      end)
      refused(function()
        local _ <close> = await(sem:acquire())
        sem:release()
      end)
      assert.equal("<Semaphore unlocked value=1>", tostring(sem))
      await(other)
      assert.equal("<Semaphore unlocked value=2>", tostring(sem))
    end)
  end)

  it("is not the one that another task's release by hand ends", function()
    main(function()
      local sem = asyncio.Semaphore(2)
      local other = create_task(co(function()
        local _ <close> = await(sem:acquire())
        turns(5)
      end))
      local byhand = create_task(co(function()
        await(sem:acquire())
        turns(2)
        sem:release()
      end))
      await(gather(other, byhand))
      assert.equal("<Semaphore unlocked value=2>", tostring(sem))
    end)
  end)

  it("is still good after an earlier hold that was released by hand", function()
    main(function()
      local sem = asyncio.Semaphore(1)
      for _ = 1, 2 do
        await(sem:acquire())
        sem:release()
        local _ <close> = await(sem:acquire())
      end
      assert.equal("<Semaphore unlocked value=1>", tostring(sem))
    end)
  end)

  it("may be one of several of a task", function()
    main(function()
      local sem = asyncio.BoundedSemaphore(3)
      do
        local _ <close> = await(sem:acquire())
        local _ <close> = await(sem:acquire())
        await(sem:acquire())
        sem:release()
        assert.equal("<BoundedSemaphore unlocked value=1>", tostring(sem))
      end
      assert.equal("<BoundedSemaphore unlocked value=3>", tostring(sem))
    end)
  end)

  it("may be closed by another task", function()
    main(function()
      local sem = asyncio.Semaphore(1)
      local guard = await(sem:acquire())
      await(create_task(co(function() local _ <close> = guard end)))
      assert.equal("<Semaphore unlocked value=1>", tostring(sem))
      refused(function() local _ <close> = guard end)
    end)
  end)
end)
