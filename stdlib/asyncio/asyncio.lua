--
-- asyncio.lua - the library's half of asyncio: which name is in which file.
--
-- The core loads this file when a script asks its table `asyncio` for a
-- name that it has not; a part is loaded when one of its names is first
-- asked for. A part is a file that gets `asyncio` and `method` and returns a
-- table of what it adds to asyncio.
--
local asyncio, load_part = ...

-- method(fn, name): makes the async function that is a method of a class
-- of this library; `name`, as in "Lock.acquire", is what people see.
local method = asyncio.async

local part_of = {
  timeout = "timeout",
  timeout_at = "timeout",
  wait_for = "wait_for",
  wait = "wait",
  as_completed = "as_completed",
  TaskGroup = "taskgroup",
  Lock = "lock",
  Event = "event",
  Condition = "condition",
  Semaphore = "semaphore",
  BoundedSemaphore = "semaphore",
  Barrier = "barrier",
  Queue = "queue",
  PriorityQueue = "priority_queue",
  LifoQueue = "lifo_queue",
}

asyncio.FIRST_COMPLETED = "FIRST_COMPLETED"
asyncio.FIRST_EXCEPTION = "FIRST_EXCEPTION"
asyncio.ALL_COMPLETED = "ALL_COMPLETED"

local rawget, pairs = rawget, pairs

local function complete(_, name)
  local part = part_of[name]
  if part == nil then return nil end
  for key, value in pairs(load_part(part)(asyncio, method)) do asyncio[key] = value end
  return rawget(asyncio, name)
end

setmetatable(asyncio, {__index = complete})
