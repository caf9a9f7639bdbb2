-- queue_many_spec.lua: queues of many items and waiters, and random programs.

local asyncio = require "asyncio"
local queues = require "queues"
local tasks = require "tasks"

local Queue = asyncio.Queue
local co, is_a, main, turns = tasks.co, tasks.is_a, tasks.main, tasks.turns
local waiting, MANY = queues.waiting, tasks.MANY

describe("a queue of many", function()
  it("items gives them in order, and its memory back", function()
    local queue = Queue()
    local before = tasks.memory()
    for i = 1, MANY do queue:put_nowait(i) end
    assert.is_true(tasks.memory() > before + 8 * MANY)
    for i = 1, MANY do assert(queue:get_nowait() == i) end
    assert.is_true(tasks.memory() < before + 2000)
  end)

  it("items keeps order when it is filled and emptied in waves", function()
    local queue, put, got = Queue(), 0, 0
    for wave = 1, 200 do
      for _ = 1, wave * 37 % 101 do
        put = put + 1
        queue:put_nowait(put)
      end
      for _ = 1, math.min(queue:qsize(), wave * 53 % 97) do
        got = got + 1
        assert(queue:get_nowait() == got)
      end
      assert(queue:qsize() == put - got)
    end
    for i = got + 1, put do assert(queue:get_nowait() == i) end
    assert.is_true(queue:empty())
  end)

  it("getters serves each, in order, and keeps none", function()
    local queue = Queue()
    tasks.assert_no_growth(10000, function()
      main(function() -- run keeps no idle threads, which are of one size or another
        local last = 0
        for _ = 1, MANY do
          create_task(co(function()
            local item = await(queue:get())
            assert(item == last + 1)
            last = item
          end))
        end
        turns()
        assert.equal(MANY, waiting(queue, "getters"))
        for i = 1, MANY do queue:put_nowait(i) end
        turns(2)
        assert.equal(MANY, last)
      end)
    end, 1, 2)
  end)

  it("putters serves each, in order", function()
    main(function()
      local queue = Queue(1)
      for i = 1, MANY do create_task(queue:put(i)) end
      for i = 1, MANY do assert(await(queue:get()) == i) end
      assert.is_true(queue:empty())
    end)
  end)

  it("getters lets all of them be cancelled, in any order", function()
    main(function()
      local queue, all = Queue(), {}
      for i = 1, MANY do all[i] = create_task(queue:get()) end
      turns()
      for i = 1, MANY, 2 do all[i]:cancel() end
      turns()
      for i = MANY, 1, -2 do all[i]:cancel() end
      turns()
      assert.equal(0, waiting(queue, "getters"))
      queue:put_nowait(1)
      assert.equal(1, queue:get_nowait())
    end)
  end)
end)

-- Producers and consumers in all mixtures, with cancellations, against what
-- must hold: no item lost, none twice, and each producer's in order.
describe("random use of a queue", function()
  local seed = tonumber(os.getenv "NEAP_SEED") or 20240229

  local function play(random)
    local queue = Queue(random(0, 4))
    local put, taken, lost = {}, {}, {}
    local workers, last_put = {}, {}

    local function pause()
      for _ = 1, random(0, 2) do await(sleep(0)) end
    end

    local function producer(id, n)
      for i = 1, n do
        pause()
        local item = {producer = id, i = i}
        if random(4) == 1 then
          local ok, err = pcall(queue.put_nowait, queue, item)
          if ok then put[item] = true else is_a("QueueFull", err) end
        else
          lost[item] = true -- unless put returns
          await(queue:put(item))
          lost[item], put[item] = nil, true
        end
      end
    end

    local function take(item)
      assert(not taken[item], "an item was given twice")
      taken[item] = true
    end

    local function consumer(n)
      for _ = 1, n do
        pause()
        local how = random(4)
        if how == 1 then
          local ok, item = pcall(queue.get_nowait, queue)
          if ok then take(item) else is_a("QueueEmpty", item) end
        elseif how == 2 then
          local ok, item = pcall(await, asyncio.wait_for(queue:get(), random(0, 1) * 0.0001))
          if ok then take(item) else is_a("TimeoutError", item) end
        else
          take(await(queue:get()))
        end
      end
    end

    main(function()
      for id = 1, random(1, 6) do
        workers[#workers + 1] = create_task(co(producer, id, random(0, 12)))
      end
      for _ = 1, random(1, 6) do
        workers[#workers + 1] = create_task(co(consumer, random(0, 12)))
      end
      for _ = 1, random(0, 10) do
        pause()
        if random(2) == 1 then workers[random(#workers)]:cancel() end
      end
      turns(60)
      for _, task in ipairs(workers) do task:cancel() end
      for _, task in ipairs(workers) do
        local ok, err = asyncio.catch(await, task)
        if not ok then is_a("CancelledError", err) end
      end
      assert.equal(0, waiting(queue, "getters") + waiting(queue, "putters"))
      while not queue:empty() do
        local item = queue:get_nowait()
        take(item)
        local last = last_put[item.producer] or 0
        assert(last < item.i, "items of one producer changed places")
        last_put[item.producer] = item.i
      end
    end)
    for item in pairs(put) do assert(taken[item], "an item was lost") end
    for item in pairs(lost) do assert(not taken[item], "an item came from nowhere") end
  end

  it("loses no item and gives none twice (NEAP_SEED=n replays)", function()
    for i = 1, tasks.sanitized and 50 or 300 do
      math.randomseed(seed + i)
      local ok, err = pcall(play, math.random)
      assert(ok, ("NEAP_SEED=%d: %s"):format(seed + i - 1, tostring(err)))
    end
  end)
end)
