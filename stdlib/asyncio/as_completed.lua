--
-- as_completed.lua - many tasks, one after the other as they end.
--
--   for task in asyncio.as_completed(tasks, {timeout = 1.5}) do
--     local result = await(task)
--   end
--
local asyncio, _, core = ...

local await, call_later, catch = asyncio.await, asyncio.call_later, asyncio.catch
local current_task, ensure_future = asyncio.current_task, asyncio.ensure_future
local Future, Queue, TimeoutError = asyncio.Future, asyncio.Queue, asyncio.TimeoutError

local several = core.load_part("several")(asyncio, core)
local check, isawaitable = several.check, several.isawaitable

local error, ipairs, pairs, setmetatable = error, ipairs, pairs, setmetatable

local KNOWN = {timeout = true}
local ITEM = "an awaitable (coroutine object, Task or Future)"

-- The list's awaitables as futures, each once.
local function as_futures(list)
  local futures, seen = {}, {}
  for _, awaitable in ipairs(list) do
    if not seen[awaitable] then
      seen[awaitable] = true
      futures[#futures + 1] = ensure_future(awaitable, "as_completed", 3)
    end
  end
  return futures
end

-- What stands for one that was not done in time. Nobody need look at it.
local function too_late()
  local future = Future()
  future:set_exception(TimeoutError())
  future:exception()
  return future
end

-- as_completed(list, {timeout=}) -> an iterator: gives the tasks and
-- futures of the list, each once, as they end; after `timeout` seconds,
-- for each that has not ended, a Future that raises TimeoutError. What is
-- no task yet starts at once, as one. Does not suspend; the iterator does.
-- A loop that is left can be gone on with when the iterator is in a
-- variable: `for task in iterator do`.
local function as_completed(list, options)
  options = check("as_completed", list, options, KNOWN, isawaitable, ITEM)
  local futures = as_futures(list)
  local ended = Queue() -- those to be given; false for one that is too late
  local left = #futures -- for the iterator to give
  local pending, count = {}, #futures -- set of those that have not ended
  local handle

  local function on_done(future) -- one that came too late is beyond the end
    pending[future] = nil
    count = count - 1
    if count == 0 and handle then handle:cancel() end
    ended:put_nowait(future)
  end

  -- No more of them: lets go of them.
  local function stop()
    if handle then handle:cancel() end
    for future in pairs(pending) do future:remove_done_callback(on_done) end
    pending = {}
  end

  local function strike()
    stop()
    for _ = 1, count do ended:put_nowait(false) end
  end

  local function iterator()
    if left == 0 then return nil end
    if current_task() == nil then
      error("as_completed: its loop is outside a task: write it in an async function", 2)
    end
    left = left - 1
    local ok, future = catch(await, ended:get())
    if ok then return future or too_late() end
    left = left + 1 -- it is still to be given
    error(future, 0)
  end

  if count > 0 and options.timeout then handle = call_later(options.timeout, strike) end
  for _, future in ipairs(futures) do
    pending[future] = true
    future:add_done_callback(on_done)
  end
  return iterator, nil, nil, setmetatable({}, {__close = stop})
end

return {as_completed = as_completed}
