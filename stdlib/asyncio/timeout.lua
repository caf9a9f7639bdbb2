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
local asyncio, _, core = ...

local call_later, call_soon, current_task = asyncio.call_later, asyncio.call_soon, asyncio.current_task
local isinstance, time = asyncio.isinstance, asyncio.time
local CancelledError, TimeoutError = asyncio.CancelledError, asyncio.TimeoutError
local check_seconds = core.check_seconds

local error, floor = error, math.floor
local getmetatable, setmetatable = getmetatable, setmetatable

local Timeout = {}
Timeout.__index = Timeout
Timeout.__name = "Timeout"

-- The states: "active"; "expiring" once the deadline has struck; in the end
-- "finished" or "expired".

-- The callback at the deadline. A future that is awaited in the block and
-- is done already goes first (scope.future: wait_for.lua).
local function strike(scope)
  scope.handle = false
  if scope.future and scope.future:done() then return end
  scope.state = "expiring"
  scope.task:cancel()
end

-- The deadline is so many seconds from now, or never.
local function schedule(scope, delay)
  if scope.handle then scope.handle:cancel() end
  scope.handle = delay and (delay > 0 and call_later(delay, strike, scope) or call_soon(strike, scope))
end

-- Makes the scope; called by a tail call.
local function enter(when, delay, name)
  local task = current_task()
  if task == nil then
    error(name .. ": outside a task: write it in an async function that run() started", 2)
  end
  local scope = setmetatable({
    task = task,
    cancelling = task:cancelling(),
    state = "active",
    deadline = when,
    handle = false, -- of the timer, while it runs
    future = false, -- see strike
  }, Timeout)
  if when then schedule(scope, delay) end
  return scope
end

function Timeout.__close(scope, err)
  if scope.state == "finished" or scope.state == "expired" then
    if err == nil then error("timeout: this scope's block was left before", 2) end
    return
  end
  if scope.handle then
    scope.handle:cancel()
    scope.handle = false
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
  local when = ""
  if scope.state == "active" then
    local deadline = scope.deadline
    when = deadline and (" when=%.14g"):format(floor(deadline * 1000 + 0.5) / 1000) or " when=nil"
  end
  return ("<Timeout [%s]%s>"):format(scope.state, when)
end

local function check_scope(scope, name)
  if getmetatable(scope) ~= Timeout then
    core.refuse(scope, "Timeout", name, "scope", "a timeout's scope")
  end
end

-- scope:when() -> the deadline on the clock of asyncio.time(), or nil
function Timeout.when(scope)
  check_scope(scope, "when")
  return scope.deadline
end

-- scope:expired() -> whether the deadline has struck in the block
function Timeout.expired(scope)
  check_scope(scope, "expired")
  return scope.state == "expiring" or scope.state == "expired"
end

-- scope:reschedule(when): moves the deadline; nil takes it away. Usage error
-- when the deadline has struck or the block was left.
function Timeout.reschedule(scope, when)
  check_scope(scope, "reschedule")
  check_seconds(when, "Timeout.reschedule")
  if scope.state ~= "active" then
    error(("Timeout.reschedule: a timeout that is %s has no deadline to move")
      :format(scope.state), 2)
  end
  scope.deadline = when
  schedule(scope, when and when - time())
end

local M = {}

-- timeout(seconds): the deadline is so much later than now; nil: none
function M.timeout(seconds)
  check_seconds(seconds, "timeout")
  return enter(seconds and time() + seconds, seconds, "timeout")
end

-- timeout_at(when): the same with a time on the clock of asyncio.time()
function M.timeout_at(when)
  check_seconds(when, "timeout_at")
  return enter(when, when and when - time(), "timeout_at")
end

return M
