--
-- asyncio.lua - the library's half of asyncio: which name is in which file.
--
-- The core loads this file when a script asks its table `asyncio` for a
-- name that it has not; a part is loaded when one of its names is first
-- asked for. A part is a file that gets `asyncio`, `method` and `core` and
-- returns a table of what it adds to asyncio. `core` has what only the
-- library may call:
--   copy_outcome(from, to), failure(future): see vm/core/future.c
--   is_awaitable(value): vm/core/gather.c
--   waitlist(what, owner, on_waste), line_up(list), wake(list), waiting(list):
--     vm/core/waitlist.c
--   present(lock, number): vm/core/lock.c
--   timeout_of(seconds, awaitable): vm/core/timeout.c
--   group(owner, on_failure), create_member(coro, options, group),
--   members(group), cancel_members(group): vm/core/group.c, task.c
--   load_part(name): the file of that name, as a function
-- and what this file adds for the parts: refuse.
--
local asyncio, core = ...

-- method(fn, name): the async function that is a function or method of the
-- library; `name`, as in "Event.wait", is what people see.
local method = asyncio.async

local error, pairs, rawget = error, pairs, rawget
local setmetatable, type = setmetatable, type

-- refuse(value, class, name, self, expected): the usage error of the method
-- class.name, which got something else than an object of the class; `self`
-- is what to write before the colon. `expected` when it is not "a CLASS".
-- Its level suits a check that a method calls.
function core.refuse(value, class, name, self, expected)
  error(("%s.%s: %s expected, got a %s; write %s:%s()"):format(class, name,
    expected or "a " .. class, type(value), self, name), 4)
end

local part_of = {
  shield = "shield",
  wait_for = "wait_for",
  wait = "wait",
  as_completed = "as_completed",
  TaskGroup = "taskgroup",
  Event = "event",
  Condition = "condition",
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
