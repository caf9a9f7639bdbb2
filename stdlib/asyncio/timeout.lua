--
-- timeout.lua - a block with a deadline.
--
--   do
--     local scope <close> = asyncio.timeout(1.5)
--     await(something())
--   end                          -- raises TimeoutError when it took longer
--
-- At the deadline the scope cancels the task that entered it. On its way
-- out it takes that request back; and if the CancelledError that leaves
-- the block can only be its own, it raises TimeoutError instead.
--
local asyncio = ...

local call_later, call_soon, current_task = asyncio.call_later, asyncio.call_soon, asyncio.current_task
local isinstance, time = asyncio.isinstance, asyncio.time
local CancelledError, TimeoutError = asyncio.CancelledError, asyncio.TimeoutError

local error, setmetatable, type = error, setmetatable, type

local Timeout = {}
Timeout.__index = Timeout
Timeout.__name = "Timeout"
Timeout.__metatable = false

-- The states: "active", then "expiring" once the deadline has struck; in
-- the end "expired" or "finished".

-- The callback at the deadline.
local function strike(scope)
  scope.handle = nil
  scope.state = "expiring"
  scope.task:cancel()
end

local function schedule(scope, when)
  scope.deadline = when
  if scope.handle then scope.handle:cancel() end
  if when == nil then
    scope.handle = nil
  else
    local delay = when - time()
    if delay > 0 then
      scope.handle = call_later(delay, strike, scope)
    else
      scope.handle = call_soon(strike, scope)
    end
  end
end

local function enter(when, name)
  local task = current_task()
  if task == nil then
    error(name .. ": outside a task: write it in an async function that run() started", 3)
  end
  local scope = setmetatable({
    task = task,
    cancelling = task:cancelling(),
    state = "active",
  }, Timeout)
  if when ~= nil then schedule(scope, when) end
  return scope
end

local function check_seconds(seconds, name)
  if seconds == nil then return end
  if type(seconds) ~= "number" then
    error(("%s: a number of seconds or nil expected, got a %s"):format(name, type(seconds)), 3)
  elseif seconds ~= seconds then
    error(name .. ": the time is not a number (NaN)", 3)
  end
end

function Timeout.__close(scope, err)
  if scope.handle then
    scope.handle:cancel()
    scope.handle = nil
  end
  if scope.state ~= "expiring" then
    scope.state = "finished"
    return
  end
  scope.state = "expired"
  if scope.task:uncancel() <= scope.cancelling and isinstance(err, CancelledError) then
    error(TimeoutError(), 0)
  end
end

function Timeout.__tostring(scope)
  local when = scope.deadline and (" when=%.3f"):format(scope.deadline) or ""
  return ("<Timeout %s%s>"):format(scope.state, when)
end

-- scope:when() -> the deadline on the clock of asyncio.time(), or nil
function Timeout:when() return self.deadline end

-- scope:expired() -> whether the deadline has struck in the block
function Timeout:expired() return self.state == "expiring" or self.state == "expired" end

-- scope:reschedule(when): moves the deadline; nil takes it away
function Timeout:reschedule(when)
  check_seconds(when, "reschedule")
  if self.state ~= "active" then
    error(("reschedule: the deadline of a timeout that is %s cannot move"):format(self.state), 2)
  end
  schedule(self, when)
end

local M = {}

-- timeout(seconds): the deadline is so much later than now; nil: none
function M.timeout(seconds)
  check_seconds(seconds, "timeout")
  return enter(seconds and time() + seconds, "timeout")
end

-- timeout_at(when): the same with a time on the clock of asyncio.time()
function M.timeout_at(when)
  check_seconds(when, "timeout_at")
  return enter(when, "timeout_at")
end

return M
