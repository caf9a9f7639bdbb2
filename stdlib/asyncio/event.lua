--
-- event.lua - Event: a flag to wait for.
--
--   local ready = asyncio.Event()
--   create_task(serve(ready))    -- which calls ready:set()
--   await(ready:wait())
--
local _, method, core = ...

local line_up, waiting = core.line_up, core.waiting
local waitlist, wake = core.waitlist, core.wake

local setmetatable, type = setmetatable, type

local Event = {}
Event.__index = Event
Event.__name = "Event"
Event.__metatable = false

local function wait(event)
  line_up(event.line)
  return true
end

local function check(value, name)
  if type(value) ~= "table" or value.is_on == nil then
    core.refuse(value, "Event", name, "event", "an Event")
  end
end

-- event:wait() -> true, once the event is set; at once if it is
Event.wait = method(function(event)
  if event == nil or event.is_on == nil then check(event, "wait") end
  return event.is_on or wait(event)
end, "Event.wait")

-- event:set(): wakes all that wait; until clear() nobody will wait.
function Event:set()
  check(self, "set")
  self.is_on = true
  while wake(self.line) do end
end

-- event:clear(): from now on wait() waits; those that were woken go on.
function Event:clear()
  check(self, "clear")
  self.is_on = false
end

-- event:is_set() -> whether it is
function Event:is_set()
  check(self, "is_set")
  return self.is_on
end

function Event.__tostring(event)
  local n = waiting(event.line)
  local state = event.is_on and "set" or "unset"
  return n == 0 and ("<Event %s>"):format(state) or ("<Event %s waiters=%d>"):format(state, n)
end

local M = {}

-- Event() -> an event that is not set
function M.Event()
  return setmetatable({is_on = false, line = waitlist "Event"}, Event)
end

return M
