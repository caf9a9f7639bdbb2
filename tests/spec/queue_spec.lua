-- queue_spec.lua: asyncio.Queue. Its end: queue_end_spec.lua; its size and
-- random use: queue_many_spec.lua.

local asyncio = require "asyncio"
local queues = require "queues"
local tasks = require "tasks"

local Queue = asyncio.Queue
local caught, co, is_a, main = tasks.caught, tasks.co, tasks.is_a, tasks.main
local started, turns = tasks.started, tasks.turns
local filled, getter = queues.filled, queues.getter
local putter, waiting = queues.putter, queues.waiting

describe("a queue", function()
  it("QU-01 gives items in the order in which they were put", function()
    main(function()
      local queue = Queue()
      for _, item in ipairs{1, 3, 2} do await(queue:put(item)) end
      assert.equal(3, queue:qsize())
      local items = {}
      for i = 1, 3 do items[i] = await(queue:get()) end
      assert.same({1, 3, 2}, items)
      assert.is_true(queue:empty())
    end)
  end)

  it("QU-01 lets get wait until something is put", function()
    main(function()
      local queue = Queue()
      local task = getter(queue)
      turns(3)
      assert.is_false(task:done())
      asyncio.call_later(0.001, function() queue:put_nowait("item") end)
      assert.equal("item", await(task))
    end)
  end)

  it("QU-02 lets put wait until there is room", function()
    main(function()
      local queue = filled(1, 1, 1)
      local task = putter(queue, 2)
      turns(3)
      assert.is_false(task:done())
      assert.equal(1, queue:qsize())
      asyncio.call_later(0.001, function() assert.equal(1, queue:get_nowait()) end)
      await(task)
      assert.equal(2, queue:get_nowait())
    end)
  end)

  it("QU-02 lets a task put as many as there is room for", function()
    main(function()
      local queue, put = Queue(2), {}
      assert.equal(2, queue:maxsize())
      local task = started(function()
        for i = 0, 2 do
          await(queue:put(i))
          put[#put + 1] = i
        end
        return true
      end)
      assert.same({0, 1}, put)
      assert.equal(0, await(queue:get()))
      turns()
      assert.same({0, 1, 2}, put)
      assert.equal(1, await(queue:get()))
      assert.equal(2, await(queue:get()))
      assert.is_true(task:result())
    end)
  end)

  it("QU-03 raises QueueEmpty and QueueFull where it must not wait", function()
    local queue = Queue(1)
    is_a("QueueEmpty", caught(queue.get_nowait, queue))
    queue:put_nowait(1)
    is_a("QueueFull", caught(queue.put_nowait, queue, 2))
    assert.equal(1, queue:get_nowait())
    is_a("QueueEmpty", caught(queue.get_nowait, queue))
  end)

  it("QU-07 serves getters in the order in which they came", function()
    main(function()
      local queue, order = Queue(), {}
      local all = {}
      for i = 1, 5 do
        all[i] = create_task(co(function()
          local item = await(queue:get())
          order[#order + 1] = ("%d:%s"):format(i, item)
        end))
      end
      turns()
      for _, item in ipairs{"a", "b", "c", "d", "e"} do queue:put_nowait(item) end
      await(gather(all))
      assert.equal("1:a 2:b 3:c 4:d 5:e", table.concat(order, " "))
    end)
  end)

  it("QU-07 serves putters in the order in which they came", function()
    main(function()
      local queue, got = filled(0, 0, 1), {}
      for i = 1, 5 do create_task(queue:put(i)) end
      turns()
      for i = 0, 5 do got[i + 1] = await(queue:get()) end
      assert.same({0, 1, 2, 3, 4, 5}, got)
    end)
  end)

  it("QU-07 wakes no more than there are items, or room, for", function()
    main(function()
      local queue, got = Queue(), {}
      for i = 1, 4 do
        create_task(co(function()
          local item = await(queue:get())
          got[i] = item
        end))
      end
      turns()
      for _, item in ipairs{"a", "b", "c", "d"} do
        queue:put_nowait(item)
        if item == "b" then turns(2) end -- a third, woken in vain, would queue anew
      end
      turns(2)
      assert.same({"a", "b", "c", "d"}, got)

      queue = filled(1, 2, 2)
      for i = 3, 6 do create_task(queue:put(i)) end
      turns()
      for i = 1, 6 do
        assert.equal(i, queue:get_nowait())
        if i % 2 == 0 then turns(2) end
      end
    end)
  end)

  it("QU-08 leaves the item there when the woken getter is cancelled", function()
    main(function()
      local queue = Queue()
      local reader = getter(queue)
      queue:put_nowait(1)
      queue:put_nowait(2)
      reader:cancel()
      is_a("CancelledError", caught(await, reader))
      assert.equal(1, await(queue:get()))
      assert.equal(2, await(queue:get()))
    end)
  end)

  it("QU-08 wakes the next getter when the woken one is cancelled", function()
    main(function()
      local queue = Queue()
      local first, second, third = getter(queue), getter(queue), getter(queue)
      queue:put_nowait(1)
      queue:put_nowait(2)
      first:cancel()
      is_a("CancelledError", caught(await, first))
      local got = {await(second), await(third)}
      table.sort(got)
      assert.same({1, 2}, got)
    end)
  end)

  it("QU-08 passes a wake-up on over getters that are all cancelled", function()
    main(function()
      local queue, all = Queue(), {}
      for i = 1, 10 do all[i] = getter(queue) end
      queue:put_nowait("item")
      for i = 1, 9 do all[i]:cancel() end
      assert.equal("item", await(all[10]))
      for i = 1, 9 do assert.is_true(all[i]:cancelled()) end
      assert.equal(0, waiting(queue, "getters"))
    end)
  end)

  it("QU-08 skips a getter whose cancellation is on its way", function()
    main(function()
      local queue = Queue()
      local first, second = getter(queue), getter(queue)
      first:cancel()
      queue:put_nowait("a")
      assert.equal("a", await(second))
      assert.is_true(first:cancelled())
    end)
  end)

  it("QU-09 puts nothing when the woken putter is cancelled", function()
    main(function()
      local queue = filled(1, 1, 1)
      local writer = putter(queue, 2)
      assert.equal(1, queue:get_nowait())
      writer:cancel()
      is_a("CancelledError", caught(await, writer))
      assert.is_true(queue:empty())
      await(queue:put(3))
      assert.equal(3, queue:get_nowait())
      assert.is_true(queue:empty())
    end)
  end)

  it("QU-09 wakes the next putter when the woken one is cancelled", function()
    main(function()
      local queue = filled(1, 1, 1)
      local first, second = putter(queue, "first"), putter(queue, "second")
      assert.equal(1, queue:get_nowait())
      first:cancel()
      await(second)
      assert.is_true(first:cancelled())
      assert.equal("second", queue:get_nowait())
      assert.is_true(queue:empty())
    end)
  end)

  it("QU-09 lets a putter that is cancelled leave, the others in their order", function()
    main(function()
      local queue = Queue(1)
      local a, b, c = create_task(queue:put("a")), create_task(queue:put("b")),
        create_task(queue:put("X"))
      turns()
      assert.is_true(a:done())
      assert.is_false(b:done())
      c:cancel()
      turns()
      assert.is_true(c:done())
      assert.equal("a", queue:get_nowait())
      turns()
      assert.equal("b", queue:get_nowait())
      await(b)
    end)
  end)

  it("QU-10 gives up no turn when there is room, or an item", function()
    main(function()
      local queue, ran = Queue(), false
      create_task(co(function() ran = true end))
      for i = 1, 100 do
        await(queue:put(i))
        assert.equal(i, await(queue:get()))
      end
      assert.is_false(ran)
    end)
  end)

  it("QU-11 of one alternates between producer and consumer", function()
    main(function()
      local queue, order = Queue(1), {}
      local producer = create_task(co(function()
        for i = 1, 5 do
          await(queue:put(i))
          order[#order + 1] = "+" .. i
        end
      end))
      for i = 1, 5 do
        assert.equal(i, await(queue:get()))
        order[#order + 1] = "-" .. i
      end
      await(producer)
      -- as asyncio does
      assert.equal("+1 -1 +2 -2 +3 -3 +4 -4 +5 -5", table.concat(order, " "))
    end)
  end)

  it("QU-11 does not leave putters waiting when it was emptied at once", function()
    main(function()
      local queue = Queue(2)
      local all = {create_task(co(function()
        turns()
        for _ = 1, queue:qsize() do queue:get_nowait() end
      end))}
      for i = 0, 3 do all[#all + 1] = create_task(queue:put(i)) end
      await(gather(all))
      assert.equal(2, queue:qsize())
    end)
  end)

  it("QU-15 holds no getter that was cancelled or timed out", function()
    main(function()
      local queue = Queue(5)
      is_a("TimeoutError", caught(await, asyncio.wait_for(queue:get(), 0.001)))
      assert.equal(0, waiting(queue, "getters"))
      local all = {}
      for i = 1, 3 do all[i] = getter(queue) end
      assert.equal(3, waiting(queue, "getters"))
      all[2]:cancel()
      turns()
      assert.equal(2, waiting(queue, "getters"))
      queue:put_nowait("a")
      queue:put_nowait("b")
      assert.equal("a", await(all[1]))
      assert.equal("b", await(all[3]))
      assert.equal(0, waiting(queue, "getters"))
    end)
  end)

  it("QU-15 holds no putter that was cancelled or timed out", function()
    main(function()
      local queue = filled(1, 1, 1)
      is_a("TimeoutError", caught(await, asyncio.wait_for(queue:put(2), 0.001)))
      assert.equal(0, waiting(queue, "putters"))
      local task = putter(queue, 2)
      assert.equal(1, waiting(queue, "putters"))
      task:cancel()
      is_a("CancelledError", caught(await, task))
      assert.equal(0, waiting(queue, "putters"))
      assert.equal(1, queue:get_nowait())
      assert.is_true(queue:empty())
    end)
  end)

  it("QU-15 does not keep alive what a getter that was cancelled held", function()
    main(function()
      local queue, weak = Queue(), setmetatable({}, {__mode = "k"})
      do
        local held = {}
        weak[held] = true
        local task = started(function()
          await(queue:get())
          return held
        end)
        task:cancel()
        caught(await, task)
      end
      getter(queue):cancel() -- another task has run since
      turns(2)
      tasks.memory()
      assert.is_nil(next(weak))
    end)
  end)

  it("QU-16 without a maxsize above 0 is never full", function()
    for _, maxsize in ipairs{0, -1, -math.huge, math.mininteger} do
      local queue = filled(1, 1000, maxsize)
      assert.is_false(queue:full())
      assert.equal(maxsize, queue:maxsize())
    end
    assert.equal(0, Queue():maxsize())
    assert.is_false(filled(1, 1000, math.huge):full())
  end)

  it("QU-16 with a maxsize is full when it has so many items", function()
    local queue = filled(1, 1, 2)
    assert.is_false(queue:full())
    queue:put_nowait(2)
    assert.is_true(queue:full())
    queue = filled(1, 2, 1.3) -- as in asyncio
    assert.is_true(queue:full())
    is_a("QueueFull", caught(queue.put_nowait, queue, 3))
  end)

  it("QU-17 gives the first of two items to the getter that waits", function()
    main(function()
      local queue = Queue()
      local task = getter(queue)
      queue:put_nowait("first")
      queue:put_nowait("second")
      assert.equal("first", await(task))
      assert.equal("second", queue:get_nowait())
    end)
  end)

  it("takes nil and false as items, in any number", function()
    main(function()
      local queue = Queue()
      local items = {nil, false, nil, 1, nil, n = 40}
      for i = 1, items.n do queue:put_nowait(items[i]) end
      assert.equal(items.n, queue:qsize())
      for i = 1, items.n do assert.equal(items[i], (await(queue:get()))) end
      assert.is_true(queue:empty())
      local task = getter(queue)
      queue:put_nowait(nil)
      assert.same({nil, n = 1}, table.pack(await(task)))
    end)
  end)

  it("lets a getter wait again when another task was faster", function()
    main(function()
      local queue = Queue()
      local first, second = getter(queue), getter(queue)
      queue:put_nowait("stolen")
      assert.equal("stolen", queue:get_nowait())
      turns(2)
      assert.is_false(first:done())
      assert.equal(2, waiting(queue, "getters"))
      queue:put_nowait("a")
      queue:put_nowait("b")
      await(gather(first, second))
      assert.equal("b", first:result()) -- as in asyncio: it came again
      assert.equal("a", second:result())
    end)
  end)

  it("lets a putter wait again when another task was faster", function()
    main(function()
      local queue = filled(1, 1, 1)
      local task = putter(queue, "late")
      assert.equal(1, queue:get_nowait())
      queue:put_nowait("quick")
      turns(2)
      assert.is_false(task:done())
      assert.equal("quick", queue:get_nowait())
      await(task)
      assert.equal("late", queue:get_nowait())
    end)
  end)

  it("passes a wake-up on that comes to a waiter after it waited again", function()
    main(function()
      local queue = Queue()
      local first, second = getter(queue), getter(queue)
      queue:put_nowait(1)
      queue:get_nowait()
      turns() -- the first one is behind the second now
      queue:put_nowait(2)
      second:cancel()
      assert.equal(2, await(first))
    end)
  end)

  it("does nothing before the coroutine object of get or put is awaited", function()
    main(function()
      local queue = filled(1, 1)
      local get, put = queue:get(), queue:put(2)
      assert.equal(1, queue:qsize())
      assert.equal(1, await(get))
      assert.is_true(queue:empty())
      await(put)
      assert.equal(1, queue:qsize())
    end)
  end)

  it("works over several runs, outside of them too", function()
    local queue = Queue()
    queue:put_nowait(1)
    main(function() assert.equal(1, await(queue:get())) end)
    main(function() -- ends with a getter that waits
      getter(queue)
    end)
    queue:put_nowait(2)
    main(function() assert.equal(2, await(queue:get())) end)
    assert.equal(0, waiting(queue, "getters"))
  end)

  it("lets a getter in a generator of a task wait", function()
    main(function()
      local queue = Queue()
      local task = started(function()
        local sum = 0
        for item in coroutine.wrap(function()
          for _ = 1, 3 do coroutine.yield(await(queue:get())) end
        end) do sum = sum + item end
        return sum
      end)
      for i = 1, 3 do
        queue:put_nowait(i)
        turns(2)
      end
      assert.equal(6, await(task))
    end)
  end)

  it("makes a deadlock of a getter that nobody can serve", function()
    local err = caught(main, function() await(Queue():get()) end)
    assert.matches("deadlock", err)
  end)
end)
