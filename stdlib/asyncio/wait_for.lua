--
-- wait_for.lua - await something with a limit of time.
--
local asyncio, method, core = ...

local await = asyncio.await
local ensure_future, Future, isinstance = asyncio.ensure_future, asyncio.Future, asyncio.isinstance
local failure, timeout_of = core.failure, core.timeout_of
local CancelledError, TimeoutError = asyncio.CancelledError, asyncio.TimeoutError

local error, setmetatable, type = error, setmetatable, type

-- A usage error where wait_for was awaited, unless seconds is a number.
local function check_seconds(seconds)
  if type(seconds) ~= "number" then
    error("wait_for: a number of seconds or nil expected, got a " .. type(seconds), 3)
  elseif seconds ~= seconds then
    error("wait_for: the time is not a number (NaN)", 3)
  end
end

-- Cancels a future and waits until it is done. When the waiting task is
-- cancelled meanwhile it does not wait any longer.
local function cancel_and_wait(future)
  local waiter = Future()
  local function wake()
    if not waiter:done() then waiter:set_result() end
  end
  future:add_done_callback(wake)
  future:cancel()
  local _ <close> = setmetatable({}, {
    __close = function() future:remove_done_callback(wake) end,
  })
  await(waiter)
end

-- No time at all: what has not ended yet is cancelled; a coroutine object
-- does not even start.
local function without_time(awaitable)
  local future = ensure_future(awaitable, "wait_for", 2)
  if not future:done() then
    cancel_and_wait(future)
    -- the future of a gather fails with the CancelledError
    if future:cancelled() or isinstance(failure(future), CancelledError) then
      error(TimeoutError(), 0)
    end
  end
  return future:result()
end

-- wait_for(awaitable, seconds) -> the results of the awaitable; without
-- limit when seconds is nil. After that time the awaitable is cancelled,
-- and when it has ended by that, TimeoutError is raised. Suspends. A
-- coroutine object runs in the task of the caller.
local wait_for = method(function(awaitable, seconds)
  if seconds == nil then return await(awaitable) end
  check_seconds(seconds)
  if seconds <= 0 then return without_time(awaitable) end
  local _ <close> = timeout_of(seconds, awaitable)
  return await(awaitable)
end, "wait_for")

return {wait_for = wait_for}
