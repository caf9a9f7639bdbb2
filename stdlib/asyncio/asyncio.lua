--
-- asyncio.lua - the library's half of asyncio: which name is in which file.
--
-- The core loads this file when a script asks its table `asyncio` for a
-- name that it has not; a part is loaded when one of its names is first
-- asked for. A part is a file that gets `asyncio`, `method` and `core` and
-- returns a table of what it adds to asyncio. `core` has what only the
-- library may call:
--   copy_outcome(from, to), failure(future): see vm/core/future.c
--   waitlist(owner, on_waste), wake(list), waiting(list): vm/core/waitlist.c
--   load_part(name): the file of that name, as a function
--
local asyncio, core = ...

-- method(fn, name): the async function that is a function or method of the
-- library; `name`, as in "Lock.acquire", is what people see.
local method = asyncio.async

local pairs, rawget, setmetatable = pairs, rawget, setmetatable

local part_of = {
  shield = "shield",
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

local function complete(_, name)
  local part = part_of[name]
  if part == nil then return nil end
  for key, value in pairs(core.load_part(part)(asyncio, method, core)) do
    asyncio[key] = value
  end
  return rawget(asyncio, name)
end

setmetatable(asyncio, {__index = complete})
