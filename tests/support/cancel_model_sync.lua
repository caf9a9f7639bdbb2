-- cancel_model_sync.lua: asyncio's primitives for cancel_model.lua: Lock,
-- Event, Semaphore, Condition, Queue, wait, wait_for, timeout, TaskGroup,
-- as in CPython 3.13.
--
-- What suspends is a function that gives a frame (cancel_model.lua says
-- what that is). The waiters of a primitive are a list of futures; a waiter
-- leaves it when its own task runs again.

local model = require "cancel_model"

local M = {}

local err, is_cancelled = model.err, model.is_cancelled

local function remove(list, value)
  for i, each in ipairs(list) do
    if each == value then return table.remove(list, i) end
  end
end

-- Wakes up the first of these that is not awake yet; says whether there
-- was one.
local function wake_next(waiters)
  for _, future in ipairs(waiters) do
    if not future:done() then
      future:settle("finished", true)
      return true
    end
  end
  return false
end

local function all_cancelled(waiters)
  for _, future in ipairs(waiters) do
    if future.state ~= "cancelled" then return false end
  end
  return true
end

-- A frame that appends a future to `waiters`, awaits it, and removes it;
-- then `ended` says how it goes on, or nothing: with the outcome.
local function wait_in(loop, waiters, ended)
  local future = loop:future()
  return {step = function(_, how, value)
    if how == "begin" then
      table.insert(waiters, future)
      return "await", future
    end
    remove(waiters, future)
    ended(how, value, future)
    return how == "error" and "raise" or "return", value
  end}
end

-- A frame that has nothing to wait for.
local function at_once(value)
  return {step = function() return "return", value end}
end

-- {====================================================
-- Lock, Event, Semaphore
-- =====================================================

function M.lock() return {locked = false, waiters = {}} end

-- Only the first waiter is woken, and not a second time. One that is
-- cancelled has left the line, also when it has not run yet; in asyncio it
-- is still first then, and when it runs it wakes the next one.
local function wake_first(lock)
  for _, waiter in ipairs(lock.waiters) do
    if waiter.state ~= "cancelled" then
      if not waiter:done() then waiter:settle("finished", true) end
      return
    end
  end
end

function M.acquire(loop, lock)
  if not lock.locked and all_cancelled(lock.waiters) then
    lock.locked = true
    return at_once(true)
  end
  return wait_in(loop, lock.waiters, function(how)
    if how == "value" then
      lock.locked = true
    elseif not lock.locked then
      wake_first(lock)
    end
  end)
end

function M.release(lock)
  assert(lock.locked)
  lock.locked = false
  wake_first(lock)
end

function M.event() return {is_set = false, waiters = {}} end

function M.set(event)
  if event.is_set then return end
  event.is_set = true
  while wake_next(event.waiters) do end
end

function M.wait_event(loop, event)
  if event.is_set then return at_once(true) end
  return wait_in(loop, event.waiters, function() end)
end

function M.semaphore(n) return {permits = n, waiters = {}} end

local function hand_on(semaphore)
  if wake_next(semaphore.waiters) then
    semaphore.permits = semaphore.permits - 1
    return true
  end
  return false
end

function M.acquire_semaphore(loop, semaphore)
  if semaphore.permits > 0 and all_cancelled(semaphore.waiters) then
    semaphore.permits = semaphore.permits - 1
    return at_once(true)
  end
  return wait_in(loop, semaphore.waiters, function(how, _, future)
    if how == "error" and future.state == "finished" then
      semaphore.permits = semaphore.permits + 1 -- got one, cannot use it
    end
    while semaphore.permits > 0 and hand_on(semaphore) do end
  end)
end

function M.release_semaphore(semaphore)
  semaphore.permits = semaphore.permits + 1
  hand_on(semaphore)
end

-- ====================================================}

-- {====================================================
-- Condition
-- =====================================================

function M.condition() return {lock = M.lock(), waiters = {}} end

function M.notify(condition, n)
  while n > 0 and wake_next(condition.waiters) do n = n - 1 end
end

-- Releases the lock, waits, and takes the lock again, come what may.
function M.wait_condition(loop, condition)
  local phase, failure = "waits", nil
  return {step = function(_, how, value)
    if how == "begin" then
      M.release(condition.lock)
      return "call", wait_in(loop, condition.waiters, function() end)
    end
    if how == "error" then failure = value end
    if phase == "waits" or how == "error" then
      phase = "relocks"
      return "call", M.acquire(loop, condition.lock)
    end
    if failure then -- it may have been notified: another one is, instead
      M.notify(condition, 1)
      return "raise", failure
    end
    return "return", true
  end}
end

-- ====================================================}

-- {====================================================
-- Queue
-- =====================================================

function M.queue(maxsize)
  local finished = M.event()
  finished.is_set = true
  return {maxsize = maxsize, items = {}, getters = {}, putters = {},
    unfinished = 0, finished = finished, is_shut = false}
end

local function full(queue)
  return queue.maxsize > 0 and #queue.items >= queue.maxsize
end

-- Those who are woken leave the list at once.
local function wake_up(waiters)
  while #waiters > 0 do
    local future = table.remove(waiters, 1)
    if not future:done() then return future:settle("finished", true) end
  end
end

-- Gives the item, or nil and an error.
function M.get_nowait(queue)
  if #queue.items == 0 then
    return nil, err(queue.is_shut and "QueueShutDown" or "QueueEmpty")
  end
  local item = table.remove(queue.items, 1)
  wake_up(queue.putters)
  return item
end

function M.put_nowait(queue, item)
  if queue.is_shut then return nil, err("QueueShutDown") end
  if full(queue) then return nil, err("QueueFull") end
  table.insert(queue.items, item)
  queue.unfinished = queue.unfinished + 1
  queue.finished.is_set = false
  wake_up(queue.getters)
  return true
end

-- A frame that waits in the list until it is possible to do something.
local function when_possible(loop, queue, waiters, is_possible, act)
  local future
  return {step = function(_, how, value)
    if how == "error" then
      future:cancel()
      remove(waiters, future)
      if is_possible() and future.state ~= "cancelled" then wake_up(waiters) end
      return "raise", value
    end
    if is_possible() or queue.is_shut then
      local result, failure = act()
      if failure then return "raise", failure end
      return "return", result
    end
    future = loop:future()
    table.insert(waiters, future)
    return "await", future
  end}
end

function M.get(loop, queue)
  return when_possible(loop, queue, queue.getters,
    function() return #queue.items > 0 end,
    function() return M.get_nowait(queue) end)
end

function M.put(loop, queue, item)
  return when_possible(loop, queue, queue.putters,
    function() return not full(queue) end,
    function() return M.put_nowait(queue, item) end)
end

function M.task_done(queue)
  if queue.unfinished == 0 then return nil, err("usage") end
  queue.unfinished = queue.unfinished - 1
  if queue.unfinished == 0 then M.set(queue.finished) end
  return true
end

function M.join(loop, queue) return M.wait_event(loop, queue.finished) end

function M.shutdown(queue, immediate)
  queue.is_shut = true
  if immediate then
    queue.unfinished = math.max(queue.unfinished - #queue.items, 0)
    queue.items = {}
    if queue.unfinished == 0 then M.set(queue.finished) end
  end
  for _, waiters in ipairs{queue.getters, queue.putters} do
    while #waiters > 0 do wake_up(waiters) end
  end
end

-- ====================================================}

-- {====================================================
-- wait, wait_for
-- =====================================================

-- Waits for one, or for all, of a list of futures; gives how many are done.
function M.wait(loop, futures, return_when)
  local waiter, seen, left = loop:future(), {}, 0
  local function one_done(future)
    left = left - 1
    if (left == 0 or return_when == "FIRST_COMPLETED"
      or return_when == "FIRST_EXCEPTION" and future.state == "failed")
      and not waiter:done() then
      waiter:settle("finished", true)
    end
  end
  return {step = function(_, how, value)
    if how == "begin" then
      for _, future in ipairs(futures) do
        if not seen[future] then
          seen[future] = true
          left = left + 1
          future:add(one_done)
        end
      end
      return "await", waiter
    end
    local done = 0
    for future in pairs(seen) do
      future:remove(one_done)
      if future:done() then done = done + 1 end
    end
    if how == "error" then return "raise", value end
    return "return", done
  end}
end

-- wait_for(future, 0): no time at all.
function M.wait_for_now(loop, future)
  local waiter = loop:future()
  local function wake()
    if not waiter:done() then waiter:settle("finished", true) end
  end
  return {step = function(_, how, value)
    if how == "begin" and future:done() then return "await", future end
    if how == "begin" then
      future:add(wake)
      future:cancel()
      return "await", waiter
    end
    future:remove(wake)
    if how == "error" then return "raise", value end
    if future.state == "finished" then return "return", future.value end
    return "raise", is_cancelled(future.value) and err("TimeoutError") or future.value
  end}
end

-- ====================================================}

-- {====================================================
-- timeout, TaskGroup
-- =====================================================

-- A scope of the running task; its deadline is now, or never.
function M.timeout(loop, now)
  local scope = {task = loop.current, requests = loop.current.requests,
    state = "active"}
  M.reschedule(loop, scope, now)
  return scope
end

function M.reschedule(loop, scope, now)
  if scope.state ~= "active" then return nil, err("usage") end
  if scope.job then scope.job.cancelled = true end
  scope.job = now and loop:soon(function()
    scope.state = "expiring"
    scope.task:cancel()
  end)
  return true
end

-- Leaves it; gives the error to raise, or nil.
function M.leave_timeout(scope, failure)
  if scope.job then scope.job.cancelled = true end
  if scope.state ~= "expiring" then
    scope.state = "finished"
    return failure
  end
  scope.state = "expired"
  if scope.task:uncancel() <= scope.requests and is_cancelled(failure) then
    return err("TimeoutError")
  end
  return failure
end

function M.group(loop)
  return {loop = loop, parent = loop.current, children = {}, errors = {}}
end

local function abort(group)
  group.aborting = true
  for _, child in ipairs(group.children) do child:cancel() end
end

-- Gives the task, or nil and an error.
function M.group_task(group, frame)
  if group.finished or group.aborting then return nil, err("usage") end
  local task = group.loop:task(frame)
  table.insert(group.children, task)
  task:add(function()
    remove(group.children, task)
    if #group.children == 0 and group.waiter and not group.waiter:done() then
      group.waiter:settle("finished", true)
    end
    if task.state ~= "failed" then return end
    table.insert(group.errors, task.value)
    if not group.aborting and not group.parent:done() then
      abort(group)
      group.parent_asked = true
      group.parent:cancel()
    end
  end)
  return task
end

-- A frame that leaves the group, whose body failed or not.
function M.leave_group(group, failure)
  local cancellation = is_cancelled(failure) and failure or nil
  return {step = function(_, how, value)
    if how == "begin" then
      if failure and not group.aborting then abort(group) end
    elseif how == "error" and not group.aborting then
      cancellation = value
      abort(group)
    end
    if #group.children > 0 then
      group.waiter = group.loop:future()
      return "await", group.waiter
    end
    group.finished = true
    if group.parent_asked and group.parent:uncancel() == 0 then
      cancellation = nil
    end
    if cancellation and #group.errors == 0 then return "raise", cancellation end
    if failure and not is_cancelled(failure) then
      table.insert(group.errors, failure)
    end
    if #group.errors == 0 then return failure and "raise" or "return", failure end
    if group.parent.requests > 0 then -- the one from outside strikes later
      group.parent:uncancel()
      group.parent:cancel()
    end
    return "raise", {class = "ExceptionGroup", exceptions = group.errors}
  end}
end

-- ====================================================}

return M
