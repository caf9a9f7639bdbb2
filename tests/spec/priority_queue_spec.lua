-- priority_queue_spec.lua: asyncio.PriorityQueue and asyncio.LifoQueue, as
-- far as they differ from Queue. What they share: queue_end_spec.lua.

local asyncio = require "asyncio"
local tasks = require "tasks"

local LifoQueue, PriorityQueue = asyncio.LifoQueue, asyncio.PriorityQueue
local caught, co, is_a, main = tasks.caught, tasks.co, tasks.is_a, tasks.main
local turns, MANY = tasks.turns, tasks.MANY

-- Takes all that is in a queue.
local function drained(queue)
  local items = {}
  while not queue:empty() do items[#items + 1] = queue:get_nowait() end
  return items
end

-- Items with a priority, compared as `less` tells.
local function comparable(less)
  local meta = {__lt = less}
  return function(priority) return setmetatable({priority = priority}, meta) end
end

local function by_priority(a, b) return a.priority < b.priority end

describe("a PriorityQueue", function()
  it("QU-04 gives the smallest item first", function()
    main(function()
      local queue, items = PriorityQueue(), {}
      for _, item in ipairs{1, 3, 2} do await(queue:put(item)) end
      for i = 1, 3 do items[i] = await(queue:get()) end
      assert.same({1, 2, 3}, items)
    end)
  end)

  it("QU-04 takes whatever `<` compares", function()
    local queue = PriorityQueue()
    for _, item in ipairs{"pear", "apple", "fig"} do queue:put_nowait(item) end
    assert.same({"apple", "fig", "pear"}, drained(queue))
    for _, item in ipairs{2, 0.5, -1, math.huge, math.mininteger} do queue:put_nowait(item) end
    assert.same({math.mininteger, -1, 0.5, 2, math.huge}, drained(queue))
    local new = comparable(by_priority)
    for _, priority in ipairs{5, 1, 4, 1, 3} do queue:put_nowait(new(priority)) end
    local last = 0
    for _, item in ipairs(drained(queue)) do
      assert.is_true(item.priority >= last)
      last = item.priority
    end
  end)

  it("QU-04 has all orders of few items sorted", function()
    local function permute(items, n)
      if n == 0 then
        local queue = PriorityQueue()
        for _, item in ipairs(items) do queue:put_nowait(item) end
        local sorted = {table.unpack(items)}
        table.sort(sorted)
        assert.same(sorted, drained(queue))
        return
      end
      for i = 1, n do
        items[i], items[n] = items[n], items[i]
        permute(items, n - 1)
        items[i], items[n] = items[n], items[i]
      end
    end
    for n = 0, 5 do permute({1, 2, 3, 4, 5}, n) end
    permute({1, 1, 2, 2, 3}, 5)
  end)

  it("gives equal items in the order in which Python's heapq does", function()
    local queue, order = PriorityQueue(), {}
    local new = comparable(by_priority)
    for i = 1, 12 do
      local item = new(i % 3)
      item.name = i
      queue:put_nowait(item)
    end
    for i, item in ipairs(drained(queue)) do order[i] = item.name end
    -- heapq 3.11: priorities i % 3, compared by them alone
    assert.equal("3 6 12 9 7 1 10 4 11 2 5 8", table.concat(order, " "))
  end)

  it("lets get wait for an item and put for room, as a Queue does", function()
    main(function()
      local queue = PriorityQueue(1)
      local get = create_task(queue:get())
      turns()
      queue:put_nowait(5)
      assert.equal(5, await(get))
      queue:put_nowait(9)
      local puts = {create_task(queue:put(7)), create_task(queue:put(8))}
      turns()
      is_a("QueueFull", caught(queue.put_nowait, queue, 1))
      assert.equal(9, await(queue:get()))
      assert.equal(7, await(queue:get()))
      assert.equal(8, await(queue:get()))
      await(gather(puts))
    end)
  end)

  it("lets the first getter have what is smallest when it runs", function()
    main(function()
      local queue = PriorityQueue()
      local get = create_task(queue:get())
      turns()
      queue:put_nowait(2)
      queue:put_nowait(1)
      assert.equal(1, await(get))
      assert.equal(2, queue:get_nowait())
    end)
  end)

  it("is as it was when comparing raises in put", function()
    main(function()
      local queue = PriorityQueue()
      for i = 5, 1, -1 do queue:put_nowait(i) end
      for _, bad in ipairs{"text", {}, true} do
        assert.matches("attempt to compare", caught(queue.put_nowait, queue, bad))
        assert.matches("attempt to compare", caught(await, queue:put(bad)))
      end
      assert.matches("attempt to compare", caught(queue.put_nowait, queue, nil))
      assert.equal(5, queue:qsize())
      assert.same({1, 2, 3, 4, 5}, drained(queue))
      for _ = 1, 5 do queue:task_done() end
      await(queue:join())
    end)
  end)

  it("is as it was when comparing raises in get, at any comparison", function()
    local count, limit = 0, math.huge
    local new = comparable(function(a, b)
      count = count + 1
      if count > limit then error("no", 0) end
      return a.priority < b.priority
    end)
    for size = 1, 12 do
      limit = math.huge
      local queue = PriorityQueue()
      for i = 1, size do queue:put_nowait(new(i * 7 % 13)) end
      local failures = 0
      repeat
        count, limit = 0, failures
        local ok, item = pcall(queue.get_nowait, queue)
        if not ok then
          assert.equal("no", item)
          assert.equal(size, queue:qsize())
          failures = failures + 1
        end
      until ok
      limit = math.huge
      local last = -1
      for _, item in ipairs(drained(queue)) do
        assert.is_true(item.priority > last)
        last = item.priority
      end
      assert.is_true(failures > 0 or size < 3)
    end
  end)

  it("wakes the next putter when put raises in the one that was woken", function()
    main(function()
      local queue = PriorityQueue(2)
      queue:put_nowait(1)
      queue:put_nowait(2)
      local bad, good = create_task(queue:put("text")), create_task(queue:put(3))
      turns()
      assert.equal(1, queue:get_nowait())
      assert.matches("attempt to compare", caught(await, bad))
      await(good)
      assert.same({2, 3}, drained(queue))
    end)
  end)

  it("wakes the next getter when get raises in the one that was woken", function()
    main(function()
      local queue, failures = PriorityQueue(), 0
      local new = comparable(function(a, b)
        if failures > 0 then
          failures = failures - 1
          error("no", 0)
        end
        return a.priority < b.priority
      end)
      local one, two, three = create_task(queue:get()), create_task(queue:get()),
        create_task(queue:get())
      turns()
      for i = 1, 3 do queue:put_nowait(new(i)) end
      three:cancel() -- woken for nothing
      failures = 1
      assert.equal("no", caught(await, one))
      assert.equal(1, await(two).priority)
      assert.equal(2, queue:qsize())
    end)
  end)

  it("refuses to be used by what compares its items", function()
    main(function()
      local queue = PriorityQueue()
      local meddle
      local new = comparable(function(a, b)
        if meddle then meddle() end
        return a.priority < b.priority
      end)
      for i = 1, 6 do queue:put_nowait(new(i)) end
      for _, how in ipairs{
        function() queue:get_nowait() end,
        function() queue:put_nowait(new(0)) end,
        function() queue:get_nowait(); queue:put_nowait(new(3)) end,
      } do
        for _, name in ipairs{"put_nowait", "get_nowait"} do
          meddle = function()
            meddle = nil
            how()
          end
          assert.matches("^PriorityQueue%.%a+: the queue was used while its items were compared$",
            caught(queue[name], queue, new(2)))
        end
      end
      meddle = function()
        meddle = nil
        queue:shutdown(true)
      end
      assert.matches("while its items were compared", caught(queue.get_nowait, queue))
      assert.equal(0, queue:qsize())
    end)
  end)

  it("may have an __lt that awaits", function()
    main(function()
      local queue = PriorityQueue()
      local new = comparable(function(a, b)
        await(sleep(0))
        return a.priority < b.priority
      end)
      for _, priority in ipairs{3, 1, 2} do await(queue:put(new(priority))) end
      for i = 1, 3 do assert.equal(i, await(queue:get()).priority) end
    end)
  end)

  it("of many random items gives them in order, and its memory back", function()
    local seed = tonumber(os.getenv "NEAP_SEED") or 20240301
    math.randomseed(seed)
    local queue = PriorityQueue()
    local before = tasks.memory()
    for _ = 1, MANY do queue:put_nowait(math.random(MANY)) end
    local last, count = 0, 0
    while not queue:empty() do
      local item = queue:get_nowait()
      assert(item >= last, "NEAP_SEED=" .. seed)
      last, count = item, count + 1
    end
    assert.equal(MANY, count)
    assert.is_true(tasks.memory() < before + 2000)
  end)

  it("agrees with a sorted list under random use", function()
    local seed = tonumber(os.getenv "NEAP_SEED") or 20240302
    math.randomseed(seed)
    local queue, model = PriorityQueue(50), {}
    for _ = 1, tasks.sanitized and 2000 or 20000 do
      if math.random(2) == 1 then
        local item = math.random(30)
        local ok = pcall(queue.put_nowait, queue, item)
        assert(ok == (#model < 50), "NEAP_SEED=" .. seed)
        if ok then
          model[#model + 1] = item
          table.sort(model)
        end
      else
        local ok, item = pcall(queue.get_nowait, queue)
        assert(ok == (#model > 0), "NEAP_SEED=" .. seed)
        if ok then assert(item == table.remove(model, 1), "NEAP_SEED=" .. seed) end
      end
      assert(queue:qsize() == #model)
    end
  end)

  it("is served to many getters, the smallest first", function()
    main(function()
      local queue, all, got = PriorityQueue(), {}, {}
      for i = 1, 100 do
        all[i] = create_task(co(function()
          local item = await(queue:get())
          got[#got + 1] = item
        end))
      end
      turns()
      for i = 100, 1, -1 do queue:put_nowait(i) end
      await(gather(all))
      for i = 1, 100 do assert.equal(i, got[i]) end
    end)
  end)

  it("holds one nil, which nothing need be compared with", function()
    local queue = PriorityQueue()
    queue:put_nowait(nil)
    assert.equal(1, queue:qsize())
    assert.matches("attempt to compare", caught(queue.put_nowait, queue, 1))
    assert.is_nil(queue:get_nowait())
    assert.is_true(queue:empty())
  end)
end)

describe("a LifoQueue", function()
  it("QU-04 gives the last item first", function()
    main(function()
      local queue, items = LifoQueue(), {}
      for _, item in ipairs{1, 3, 2} do await(queue:put(item)) end
      for i = 1, 3 do items[i] = await(queue:get()) end
      assert.same({2, 3, 1}, items)
    end)
  end)

  it("lets get wait for an item and put for room, as a Queue does", function()
    main(function()
      local queue = LifoQueue(1)
      local get = create_task(queue:get())
      turns()
      queue:put_nowait("a")
      assert.equal("a", await(get))
      queue:put_nowait("b")
      local put = create_task(queue:put("c"))
      turns()
      assert.is_true(queue:full())
      assert.equal("b", queue:get_nowait())
      await(put)
      assert.equal("c", queue:get_nowait())
    end)
  end)

  it("takes nil as an item", function()
    local queue = LifoQueue()
    for _, item in ipairs{1, 2, 3} do
      queue:put_nowait(item)
      queue:put_nowait(nil)
    end
    for item = 3, 1, -1 do
      assert.is_nil(queue:get_nowait())
      assert.equal(item, queue:get_nowait())
    end
    is_a("QueueEmpty", caught(queue.get_nowait, queue))
  end)

  it("of many items gives them in order, and its memory back", function()
    local queue = LifoQueue()
    local before = tasks.memory()
    for i = 1, MANY do queue:put_nowait(i) end
    for i = MANY, 1, -1 do assert(queue:get_nowait() == i) end
    assert.is_true(tasks.memory() < before + 2000)
  end)
end)
