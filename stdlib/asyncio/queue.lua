--
-- queue.lua - Queue: items go from some tasks to others, first in first out.
--
--   local queue = asyncio.Queue(10)     -- at most 10 items; no number: any
--   await(queue:put(item))              -- waits while the queue is full
--   local item = await(queue:get())     -- waits while it is empty
--
-- An item may be any value, nil too. An item, or room, wakes the one that
-- has waited longest. Should another task be faster between the wake-up and
-- that waiter's next step, the waiter waits again, behind the others. One
-- that makes no use of its wake-up (it was cancelled, or comparing the items
-- failed) passes it on.
--
-- This file also makes the other kinds of queue, each by being run again
-- with a table of what is different there: name; push(queue, item) and
-- pop(queue), which change `items` (and nothing when they raise).
--
local asyncio, method, core, kind = ...

local catch = asyncio.catch
local line_up, waiting = core.line_up, core.waiting
local waitlist, wake = core.waitlist, core.wake
local QueueEmpty, QueueFull = asyncio.QueueEmpty, asyncio.QueueFull
local QueueShutDown = asyncio.QueueShutDown

local error, ipairs, pcall = error, ipairs, pcall
local setmetatable, type = setmetatable, type
local huge, max, min, move = math.huge, math.max, math.min, table.move

local ROOM <const> = 16 -- what `items` has at least; all are powers of two

-- Queue: the items lie in a ring, `items`, from slot `head` + 1 on.
local fifo = {name = "Queue"}

function fifo.push(queue, item)
  queue.items[(queue.head + queue.count & queue.room - 1) + 1] = item
end

function fifo.pop(queue)
  local items, head = queue.items, queue.head
  local item = items[head + 1]
  items[head + 1] = nil
  queue.head = head + 1 & queue.room - 1
  return item
end

kind = kind or fifo
local push, pop = kind.push, kind.pop

local Queue = {__name = kind.name, __metatable = false}
Queue.__index = Queue

-- Makes `items` anew, for a burst or after one.
local function resize(queue, room)
  local items, head, count = queue.items, queue.head, queue.count
  local behind_head = min(count, queue.room - head)
  local new = move(items, head + 1, head + behind_head, 1, {})
  move(items, 1, count - behind_head, behind_head + 1, new)
  queue.items, queue.head, queue.room = new, 0, room
end

-- Of a method that got something else than a queue.
local function refuse(value, name)
  core.refuse(value, kind.name, name, "queue")
end

-- There is room: puts the item in.
local function put_now(queue, item)
  local count = queue.count
  if count == queue.room then resize(queue, count * 2) end
  push(queue, item)
  queue.count = count + 1
  queue.unfinished = queue.unfinished + 1
  wake(queue.getters)
end

-- There are items: takes one out.
local function get_now(queue)
  local item = pop(queue)
  local count, room = queue.count - 1, queue.room
  queue.count = count
  wake(queue.putters)
  -- what needs memory must not cost the item
  if room > ROOM and count * 4 < room then pcall(resize, queue, room // 2) end
  return item
end

local function wake_all(line)
  while wake(line) do end
end

-- A wake-up that its waiter does not use: the next one in line gets it.

local function pass_room_on(queue)
  if queue.count < queue.limit then wake(queue.putters) end
end

local function pass_item_on(queue)
  if queue.count > 0 then wake(queue.getters) end
end

-- Calls put_now or get_now for a waiter that was woken.
local function use(change, queue, pass_on, item)
  local ok, result = catch(change, queue, item)
  if ok then return result end
  pass_on(queue)
  error(result, 0)
end

local function wait_for_room(queue, item)
  repeat
    line_up(queue.putters)
    if queue.closed then error(QueueShutDown(), 0) end
  until queue.count < queue.limit
  use(put_now, queue, pass_room_on, item)
end

-- await(queue:put(item)): waits while the queue is full. QueueShutDown
-- after shutdown. Suspends only when it must wait.
Queue.put = method(function(queue, item)
  if type(queue) ~= "table" or queue.kind ~= kind then refuse(queue, "put") end
  if queue.closed then error(QueueShutDown(), 0) end
  if queue.count >= queue.limit then return wait_for_room(queue, item) end
  put_now(queue, item)
end, kind.name .. ".put")

-- queue:put_nowait(item). QueueFull when it is full, QueueShutDown after
-- shutdown. Does not suspend.
function Queue.put_nowait(queue, item)
  if type(queue) ~= "table" or queue.kind ~= kind then refuse(queue, "put_nowait") end
  if queue.closed then error(QueueShutDown(), 0) end
  if queue.count >= queue.limit then error(QueueFull(), 0) end
  put_now(queue, item)
end

local function wait_for_item(queue)
  repeat
    if queue.closed then error(QueueShutDown(), 0) end
    line_up(queue.getters)
  until queue.count > 0
  return use(get_now, queue, pass_item_on)
end

-- await(queue:get()) -> the next item: waits while the queue is empty.
-- QueueShutDown when it is empty after shutdown. Suspends only when it
-- must wait.
Queue.get = method(function(queue)
  if type(queue) ~= "table" or queue.kind ~= kind then refuse(queue, "get") end
  if queue.count > 0 then return get_now(queue) end
  return wait_for_item(queue)
end, kind.name .. ".get")

-- queue:get_nowait() -> the next item. QueueEmpty when it is empty, and
-- QueueShutDown when it is so after shutdown. Does not suspend.
function Queue.get_nowait(queue)
  if type(queue) ~= "table" or queue.kind ~= kind then refuse(queue, "get_nowait") end
  if queue.count > 0 then return get_now(queue) end
  error(queue.closed and QueueShutDown() or QueueEmpty(), 0)
end

-- queue:qsize() -> how many items are in it
function Queue.qsize(queue)
  if type(queue) ~= "table" or queue.kind ~= kind then refuse(queue, "qsize") end
  return queue.count
end

-- queue:maxsize() -> the number given to the constructor, or 0
function Queue.maxsize(queue)
  if type(queue) ~= "table" or queue.kind ~= kind then refuse(queue, "maxsize") end
  return queue.bound
end

-- queue:empty() -> whether no item is in it
function Queue.empty(queue)
  if type(queue) ~= "table" or queue.kind ~= kind then refuse(queue, "empty") end
  return queue.count == 0
end

-- queue:full() -> whether there is no room; never without a maxsize
function Queue.full(queue)
  if type(queue) ~= "table" or queue.kind ~= kind then refuse(queue, "full") end
  return queue.count >= queue.limit
end

-- queue:task_done(): an item that was put has been dealt with. Usage error
-- when there is none. Does not suspend.
function Queue.task_done(queue)
  if type(queue) ~= "table" or queue.kind ~= kind then refuse(queue, "task_done") end
  local unfinished = queue.unfinished - 1
  if unfinished < 0 then
    error(kind.name .. ".task_done: called more often than items were put", 2)
  end
  queue.unfinished = unfinished
  if unfinished == 0 then wake_all(queue.joiners) end
end

-- await(queue:join()): waits until task_done was called for every item.
Queue.join = method(function(queue)
  if type(queue) ~= "table" or queue.kind ~= kind then refuse(queue, "join") end
  if queue.unfinished == 0 then return end
  line_up(queue.joiners)
end, kind.name .. ".join")

-- queue:shutdown(immediate): no more items. Who waits to put one gets
-- QueueShutDown; who waits for one too, when none is left. `immediate`
-- drops those that are left, as if they were done. Does not suspend.
function Queue.shutdown(queue, immediate)
  if type(queue) ~= "table" or queue.kind ~= kind then refuse(queue, "shutdown") end
  if immediate ~= nil and type(immediate) ~= "boolean" then
    error(("%s.shutdown: true, false or nothing expected, got a %s"):format(
      kind.name, type(immediate)), 2)
  end
  queue.closed = true
  if immediate then
    queue.unfinished = max(queue.unfinished - queue.count, 0)
    queue.items, queue.head, queue.count, queue.room = {}, 0, 0, ROOM
    if queue.unfinished == 0 then wake_all(queue.joiners) end
  end
  wake_all(queue.getters)
  wake_all(queue.putters)
end

function Queue.__tostring(queue)
  local text = ("<%s maxsize=%s qsize=%d"):format(kind.name, queue.bound, queue.count)
  for _, what in ipairs{"getters", "putters"} do
    local n = waiting(queue[what])
    if n > 0 then text = ("%s %s=%d"):format(text, what, n) end
  end
  if queue.unfinished > 0 then text = text .. " unfinished=" .. queue.unfinished end
  return text .. (queue.closed and " shutdown>" or ">")
end

-- Queue([maxsize]) -> a queue for at most so many items; for any number of
-- them when maxsize is 0, negative or left out.
local function new(maxsize)
  if maxsize == nil then
    maxsize = 0
  elseif type(maxsize) ~= "number" then
    error(("%s: a number or nil expected as maxsize, got a %s"):format(
      kind.name, type(maxsize)), 2)
  elseif maxsize ~= maxsize then
    error(kind.name .. ": the maxsize is not a number (NaN)", 2)
  end
  local queue = setmetatable({
    kind = kind,
    bound = maxsize,
    limit = maxsize > 0 and maxsize or huge,
    items = {},
    head = 0,
    count = 0,      -- of items
    room = ROOM,    -- for items, before `items` is made anew
    unfinished = 0, -- items put less calls of task_done
    closed = false, -- has been shut down
    joiners = waitlist(kind.name),
  }, Queue)
  queue.getters = waitlist(kind.name, queue, pass_item_on)
  queue.putters = waitlist(kind.name, queue, pass_room_on)
  return queue
end

return {[kind.name] = new}
