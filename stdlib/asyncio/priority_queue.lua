--
-- priority_queue.lua - PriorityQueue: a Queue whose smallest item is taken
-- first. Items are compared with `<`, so a metatable's __lt works; those
-- of which none is smaller come in no particular order.
--
-- The items are a binary heap: none is smaller than its parent, which is
-- at half its place. An item's place is found before any item moves: when
-- a comparison raises, the queue stays as it was.
--
local asyncio, method, core = ...

local error = error

-- Comparing ran code of others. Has it used this queue?
local function check_unchanged(queue, items, version, name)
  if queue.items ~= items or queue.version ~= version then
    error(("PriorityQueue.%s: the queue was used while its items were compared"):format(name), 0)
  end
  queue.version = version + 1
end

local function push(queue, item)
  local items, version, last = queue.items, queue.version or 0, queue.count + 1
  queue.version = version
  local place = last
  while place > 1 and item < items[place // 2] do place = place // 2 end
  check_unchanged(queue, items, version, "put")
  while last > place do
    items[last] = items[last // 2]
    last = last // 2
  end
  items[place] = item
end

local function pop(queue)
  local items, version, count = queue.items, queue.version, queue.count
  local item, place, child = items[count], 1, 2
  while child < count do -- down to a leaf, by the smaller child
    local left = child + 1 == count or items[child] < items[child + 1]
    place = left and child or child + 1
    child = place * 2
  end
  while place > 1 and item < items[place] do place = place // 2 end -- and up
  check_unchanged(queue, items, version, "get")
  items[count] = nil
  if count == 1 then return item end
  repeat -- each on the way up takes its parent's place
    items[place], item = item, items[place]
    place = place // 2
  until place == 0
  return item
end

return core.load_part("queue")(asyncio, method, core, {
  name = "PriorityQueue", push = push, pop = pop,
})
