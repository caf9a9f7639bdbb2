-- queue_end_spec.lua: join and shutdown of the three kinds of queue, and what
-- is refused.

local asyncio = require "asyncio"
local queues = require "queues"
local tasks = require "tasks"

local Queue = asyncio.Queue
local caught, co, is_a, main = tasks.caught, tasks.co, tasks.is_a, tasks.main
local refused, turns = tasks.refused, tasks.turns
local filled, getter, putter = queues.filled, queues.getter, queues.putter

local KINDS = {"Queue", "PriorityQueue", "LifoQueue"}

describe("a queue's join", function()
  for _, kind in ipairs(KINDS) do
    it("QU-05 returns when every item is done: " .. kind, function()
      main(function()
        local queue, sum = asyncio[kind](), 0
        for i = 0, 99 do queue:put_nowait(i) end
        local function worker()
          while true do
            sum = sum + await(queue:get())
            queue:task_done()
          end
        end
        create_task(co(worker))
        create_task(co(worker))
        await(queue:join())
        assert.equal(4950, sum)
      end)
    end)

    it("QU-05 returns at once when nothing was put: " .. kind, function()
      main(function()
        local queue, ran = asyncio[kind](), false
        create_task(co(function() ran = true end))
        await(queue:join())
        await(queue:join())
        assert.is_false(ran)
      end)
    end)

    it("QU-06 is refused a task_done too much: " .. kind, function()
      local queue = asyncio[kind]()
      assert.equal(kind .. ".task_done: called more often than items were put",
        refused(function() queue:task_done() end))
      queue:put_nowait(1)
      queue:task_done() -- also before it was taken, as in asyncio
      refused(function() queue:task_done() end)
    end)
  end

  it("QU-05 counts items that were put, not those still in the queue", function()
    main(function()
      local queue = filled(1, 2)
      local task = create_task(queue:join())
      queue:get_nowait()
      queue:get_nowait()
      turns(2)
      queue:task_done()
      turns(2)
      assert.is_false(task:done())
      queue:task_done()
      await(task)
    end)
  end)

  it("QU-05 wakes all that join, also when more is put at once", function()
    main(function()
      local queue = filled(1, 1)
      local one, two = create_task(queue:join()), create_task(queue:join())
      turns()
      queue:task_done()
      queue:put_nowait(2)
      turns()
      assert.is_true(one:done())
      assert.is_true(two:done())
    end)
  end)

  it("is left by a task that is cancelled, before and after the wake-up", function()
    main(function()
      local queue = filled(1, 1)
      local one, two, three = create_task(queue:join()), create_task(queue:join()),
        create_task(queue:join())
      turns()
      one:cancel()
      turns()
      queue:task_done()
      two:cancel()
      await(three)
      assert.is_true(one:cancelled())
      assert.is_true(two:cancelled())
    end)
  end)
end)

describe("a queue's shutdown", function()
  for _, kind in ipairs(KINDS) do
    it("QU-12 ends getters that wait, and those to come: " .. kind, function()
      main(function()
        local queue = asyncio[kind]()
        local one, two = getter(queue), getter(queue)
        queue:shutdown()
        is_a("QueueShutDown", caught(await, one))
        is_a("QueueShutDown", caught(await, two))
        is_a("QueueShutDown", caught(await, queue:get()))
        is_a("QueueShutDown", caught(queue.get_nowait, queue))
      end)
    end)

    it("QU-12 ends putters that wait; what is there can be taken: " .. kind, function()
      main(function()
        local queue = asyncio[kind](1)
        queue:put_nowait(1)
        local one, two = putter(queue, 2), putter(queue, 3)
        queue:shutdown()
        is_a("QueueShutDown", caught(await, one))
        is_a("QueueShutDown", caught(await, two))
        assert.equal(1, await(queue:get()))
        is_a("QueueShutDown", caught(await, queue:get()))
        is_a("QueueShutDown", caught(queue.get_nowait, queue))
      end)
    end)

    it("QU-13 refuses what is put after it: " .. kind, function()
      main(function()
        for _, maxsize in ipairs{0, 1} do
          local queue = asyncio[kind](maxsize)
          queue:put_nowait(1)
          queue:shutdown()
          for _ = 1, 2 do
            is_a("QueueShutDown", caught(await, queue:put(2)))
            is_a("QueueShutDown", caught(queue.put_nowait, queue, 2))
            if not queue:empty() then queue:get_nowait() end
          end
        end
      end)
    end)

    it("QU-14 immediate: drops the items, and releases join: " .. kind, function()
      main(function()
        local queue = asyncio[kind](3)
        for i = 1, 3 do queue:put_nowait(i) end
        local join, put = create_task(queue:join()), putter(queue, 4)
        queue:shutdown(true)
        assert.equal(0, queue:qsize())
        await(join)
        is_a("QueueShutDown", caught(await, put))
        is_a("QueueShutDown", caught(queue.get_nowait, queue))
        is_a("QueueShutDown", caught(await, queue:get()))
        refused(function() queue:task_done() end)
        await(queue:join())
      end)
    end)
  end

  it("QU-14 immediate: join waits for what was taken before", function()
    main(function()
      local queue = filled(1, 3)
      assert.equal(1, queue:get_nowait())
      local join = create_task(queue:join())
      turns()
      queue:shutdown(true)
      turns(2)
      assert.is_false(join:done())
      queue:task_done()
      await(join)
    end)
  end)

  it("QU-12 not immediate: join waits for all items", function()
    main(function()
      local queue = filled(1, 2)
      local join = create_task(queue:join())
      turns()
      queue:shutdown()
      for i = 1, 2 do
        turns(2)
        assert.is_false(join:done())
        assert.equal(i, await(queue:get()))
        queue:task_done()
      end
      await(join)
    end)
  end)

  it("QU-12 lets a getter that was woken before it take its item", function()
    main(function()
      local queue = Queue()
      local one, two = getter(queue), getter(queue)
      queue:put_nowait("item")
      queue:shutdown()
      assert.equal("item", await(one))
      is_a("QueueShutDown", caught(await, two))
    end)
  end)

  it("QU-12 refuses the item of a putter that was woken before it", function()
    main(function()
      local queue = filled(1, 1, 1)
      local task = putter(queue, 2)
      assert.equal(1, queue:get_nowait())
      queue:shutdown()
      is_a("QueueShutDown", caught(await, task))
      assert.is_true(queue:empty())
    end)
  end)

  it("QU-12 passes on the wake-up of a getter that is cancelled", function()
    main(function()
      local queue = Queue()
      local one, two = getter(queue), getter(queue)
      queue:put_nowait("item")
      one:cancel()
      queue:shutdown()
      assert.equal("item", await(two))
      assert.is_true(one:cancelled())
    end)
  end)

  it("may come twice, immediate or not", function()
    main(function()
      local queue = filled(1, 2)
      queue:shutdown()
      queue:shutdown(false)
      assert.equal(1, await(queue:get()))
      queue:shutdown(true)
      is_a("QueueShutDown", caught(await, queue:get()))
      queue:shutdown()
      assert.matches("shutdown", tostring(queue))
    end)
  end)

  it("takes a boolean, if anything", function()
    local queue = filled(1, 1)
    assert.matches("^Queue.shutdown: true, false or nothing expected, got a table",
      refused(function() queue:shutdown({immediate = true}) end))
    assert.equal(1, queue:get_nowait())
  end)
end)

describe("misuse of a queue", function()
  for _, kind in ipairs(KINDS) do
    it("is refused: a maxsize that is no number: " .. kind, function()
      for _, value in ipairs{"1", {}, true, print} do
        assert.matches("^" .. kind .. ": a number or nil expected as maxsize, got a ",
          refused(function() asyncio[kind](value) end))
      end
      assert.equal(kind .. ": the maxsize is not a number (NaN)",
        refused(function() asyncio[kind](0 / 0) end))
    end)

    it("is refused: a method called with a dot: " .. kind, function()
      main(function()
        local queue = asyncio[kind]()
        for _, name in ipairs{"put_nowait", "get_nowait", "qsize", "maxsize", "empty", "full",
            "task_done", "shutdown"} do
          for _, value in ipairs{{}, 1, "x", print, asyncio.Lock()} do
            assert.matches(("^%s.%s: a %s expected, got a %s; write queue:%s%%(%%)"):format(
              kind, name, kind, type(value), name), refused(function() queue[name](value) end))
          end
          refused(function() queue[name]() end)
        end
        for _, name in ipairs{"put", "get", "join"} do
          assert.matches(("^%s.%s: a %s expected, got a number"):format(kind, name, kind),
            refused(function() await(queue[name](1)) end))
        end
      end)
    end)
  end

  it("does not reach its metatable", function()
    local queue = Queue()
    assert.is_false(getmetatable(queue))
    assert.is_false((pcall(setmetatable, queue, {})))
    queue:put_nowait(1)
    assert.equal(1, queue:get_nowait())
  end)
end)

describe("a queue's tostring", function()
  it("tells what is in it and who waits", function()
    main(function()
      local queue = Queue(2)
      assert.equal("<Queue maxsize=2 qsize=0>", tostring(queue))
      getter(queue)
      assert.equal("<Queue maxsize=2 qsize=0 getters=1>", tostring(queue))
      for i = 1, 2 do queue:put_nowait(i) end
      for i = 3, 5 do create_task(queue:put(i)) end
      turns()
      assert.equal("<Queue maxsize=2 qsize=2 putters=2 unfinished=3>", tostring(queue))
      for _ = 1, 3 do await(queue:get()) end
      queue:shutdown()
      assert.equal("<Queue maxsize=2 qsize=1 unfinished=5 shutdown>", tostring(queue))
    end)
  end)
end)
