--
-- lifo_queue.lua - LifoQueue: a Queue whose last item is taken first.
--
local asyncio, method, core = ...

local function push(queue, item)
  queue.items[queue.count + 1] = item
end

local function pop(queue)
  local items, count = queue.items, queue.count
  local item = items[count]
  items[count] = nil
  return item
end

return core.load_part("queue")(asyncio, method, core, {
  name = "LifoQueue", push = push, pop = pop,
})
