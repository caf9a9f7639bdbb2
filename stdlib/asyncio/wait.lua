--
-- wait.lua - wait until some or all of many tasks are done.
--
--   local done, pending = await(asyncio.wait(tasks, {timeout = 1.5}))
--
local asyncio, method, core = ...

local await, call_later = asyncio.await, asyncio.call_later
local Future, isfuture = asyncio.Future, asyncio.isfuture
local ALL_COMPLETED, FIRST_COMPLETED = asyncio.ALL_COMPLETED, asyncio.FIRST_COMPLETED
local FIRST_EXCEPTION = asyncio.FIRST_EXCEPTION

local check = core.load_part("several")(asyncio, core).check

local error, ipairs, setmetatable, tostring = error, ipairs, setmetatable, tostring

local KNOWN = {timeout = true, return_when = true}
local ITEM = "a Task or Future (create_task makes one of a coroutine object)"
local IS_WHEN = {[ALL_COMPLETED] = true, [FIRST_COMPLETED] = true, [FIRST_EXCEPTION] = true}

-- The values of a list, each once.
local function unique(list)
  local values, seen = {}, {}
  for _, value in ipairs(list) do
    if not seen[value] then
      seen[value] = true
      values[#values + 1] = value
    end
  end
  return values
end

local function failed(future)
  return not future:cancelled() and future:exception() ~= nil
end

-- Waits until enough of the futures are done, or the time is over.
local function wait_for_enough(futures, timeout, return_when)
  local waiter, left = Future(), #futures
  local function wake()
    if not waiter:done() then waiter:set_result() end
  end
  local function on_done(future)
    left = left - 1
    if left == 0 or return_when == FIRST_COMPLETED
        or return_when == FIRST_EXCEPTION and failed(future) then
      wake()
    end
  end
  local handle = timeout and call_later(timeout, wake)
  local _ <close> = setmetatable({}, {__close = function()
    if handle then handle:cancel() end
    for _, future in ipairs(futures) do future:remove_done_callback(on_done) end
  end})
  for _, future in ipairs(futures) do future:add_done_callback(on_done) end
  await(waiter)
end

-- wait(list, {timeout=, return_when=}) -> two lists: the tasks and futures
-- that are done, and the others, in the order of `list`, each once. Waits
-- until all are done; or the first one; or the first one that failed
-- (asyncio.FIRST_COMPLETED, FIRST_EXCEPTION); at most `timeout` seconds.
-- Cancels none of them, raises none of their errors. Suspends.
local wait = method(function(list, options)
  options = check("wait", list, options, KNOWN, isfuture, ITEM)
  if #list == 0 then error("wait: the list is empty: there is nothing to wait for", 2) end
  local return_when = options.return_when
  if return_when == nil then return_when = ALL_COMPLETED end
  if not IS_WHEN[return_when] then
    error(("wait: the option return_when: asyncio.ALL_COMPLETED, FIRST_COMPLETED or "
      .. "FIRST_EXCEPTION expected, got %s"):format(tostring(return_when)), 2)
  end
  local futures = unique(list)
  wait_for_enough(futures, options.timeout, return_when)
  local done, pending = {}, {}
  for _, future in ipairs(futures) do
    local part = future:done() and done or pending
    part[#part + 1] = future
  end
  return done, pending
end, "wait")

return {wait = wait}
