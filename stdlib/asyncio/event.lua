--
-- event.lua - Event: a flag to wait for.
--
--   local ready = asyncio.Event()
--   create_task(serve(ready))    -- which calls ready:set()
--   await(ready:wait())
--
local asyncio, method = ...

local await, Future = asyncio.await, asyncio.Future

local error, setmetatable, type = error, setmetatable, type

local Event = {}
Event.__index = Event
Event.__name = "Event"
Event.__metatable = false

-- The waiters are a list, from event.first to event.last.
local BEFORE <const>, BEHIND <const>, FUTURE <const>, EVENT <const> = 1, 2, 3, 4

-- Takes a waiter out of the list, if it is in it.
local function unlink(event, waiter)
  local before, behind = waiter[BEFORE], waiter[BEHIND]
  if before then
    before[BEHIND] = behind
  elseif event.first == waiter then
    event.first = behind
  else
    return
  end
  if behind then behind[BEFORE] = before else event.last = before end
end

local Waiter = {}

-- The end of a wait, by a wake-up or by an error.
function Waiter.__close(waiter) unlink(waiter[EVENT], waiter) end

local function wait(event)
  local last = event.last
  local waiter <close> = setmetatable({last, false, Future(), event}, Waiter)
  if last then last[BEHIND] = waiter else event.first = waiter end
  event.last = waiter
  await(waiter[FUTURE])
  return true
end

local function check(value, name)
  if type(value) ~= "table" or value.is_on == nil then
    error(("Event.%s: an Event expected, got a %s; write event:%s()")
      :format(name, type(value), name), 3)
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
  while self.first do
    local future = self.first[FUTURE]
    unlink(self, self.first)
    if not future:done() then future:set_result(true) end
  end
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
  local n, waiter = 0, event.first
  while waiter do n, waiter = n + 1, waiter[BEHIND] end
  local state = event.is_on and "set" or "unset"
  return n == 0 and ("<Event %s>"):format(state) or ("<Event %s waiters=%d>"):format(state, n)
end

local M = {}

-- Event() -> an event that is not set
function M.Event()
  return setmetatable({is_on = false, first = false, last = false}, Event)
end

return M
