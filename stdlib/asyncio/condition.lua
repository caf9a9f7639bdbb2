--
-- condition.lua - Condition: wait, with a lock held, until somebody says that
-- something has changed.
--
--   do
--     local guard <close> = await(changed:acquire())
--     await(changed:wait_for(function() return #list > 0 end))
--     use(table.remove(list))
--   end
--
-- wait() gives the lock away while it waits, and comes back with it on
-- every way out. A task that was notified and is cancelled before it is back
-- notifies another one: no notification is lost.
--
local asyncio, method = ...

local await, catch, Future = asyncio.await, asyncio.catch, asyncio.Future
local CancelledError, isinstance, Lock = asyncio.CancelledError, asyncio.isinstance, asyncio.Lock

local error, huge, setmetatable, type = error, math.huge, setmetatable, type

local Condition = {}
Condition.__index = Condition
Condition.__name = "Condition"
Condition.__metatable = false

-- The waiters that nobody has notified are a list, from cond.first to
-- cond.last.
local BEFORE <const>, BEHIND <const>, FUTURE <const> = 1, 2, 3

-- Takes a waiter out of the list, if it is in it.
local function unlink(cond, waiter)
  local before, behind = waiter[BEFORE], waiter[BEHIND]
  if before then
    before[BEHIND] = behind
  elseif cond.first == waiter then
    cond.first = behind
  else
    return
  end
  if behind then behind[BEFORE] = before else cond.last = before end
end

local function notify(cond, n)
  while n > 0 and cond.first do
    local future = cond.first[FUTURE]
    unlink(cond, cond.first)
    if not future:done() then
      future:set_result(true)
      n = n - 1
    end
  end
end

-- Waits until notified; gives what catch(await, future) gives.
local function sleep_on(cond)
  local last, future = cond.last, Future()
  local waiter = {last, false, future}
  cond.lock:release()
  if last then last[BEHIND] = waiter else cond.first = waiter end
  cond.last = waiter
  local ok, err = catch(await, future)
  unlink(cond, waiter)
  return ok, err
end

local function wait(cond)
  local lock = cond.lock
  local guard = lock.guard -- whoever holds it closes this one in the end
  local ok, err = sleep_on(cond)
  local back, failure
  repeat
    back, failure = catch(await, lock:acquire())
    if back then
      lock.guard = guard
    else
      ok, err = false, failure
    end
  until back or not isinstance(failure, CancelledError)
  if ok then return true end
  notify(cond, 1)
  error(err, 0)
end

local function check(value, name)
  if type(value) ~= "table" or value.lock == nil then
    error(("Condition.%s: a Condition expected, got a %s; write condition:%s()")
      :format(name, type(value), name), 3)
  end
end

local function check_locked(cond, name)
  if not cond.lock:locked() then
    error(("Condition.%s: acquire the condition first"):format(name), 3)
  end
end

-- condition:acquire() -> a guard, as the lock gives
function Condition:acquire()
  check(self, "acquire")
  return self.lock:acquire()
end

-- condition:release(): ends the hold of the lock.
function Condition:release()
  check(self, "release")
  check_locked(self, "release")
  self.lock:release()
end

-- condition:locked() -> whether somebody holds the lock
function Condition:locked()
  check(self, "locked")
  return self.lock:locked()
end

-- condition:wait() -> true, once notified, with the lock held again
Condition.wait = method(function(cond)
  check(cond, "wait")
  check_locked(cond, "wait")
  return wait(cond)
end, "Condition.wait")

-- condition:wait_for(predicate) -> what predicate() gives, once it is true;
-- asked at first and after every notification, with the lock held
Condition.wait_for = method(function(cond, predicate)
  check(cond, "wait_for")
  local kind = type(predicate)
  if kind ~= "function" and kind ~= "table" and kind ~= "userdata" then
    error("Condition.wait_for: a function expected, got a " .. kind, 2)
  end
  check_locked(cond, "wait_for")
  local result = predicate()
  while not result do
    wait(cond)
    result = predicate()
  end
  return result
end, "Condition.wait_for")

-- condition:notify(n): wakes the n longest waiters, 1 when left out.
function Condition:notify(n)
  check(self, "notify")
  if n == nil then n = 1 end
  if type(n) ~= "number" then
    error("Condition.notify: a number expected, got a " .. type(n), 2)
  end
  check_locked(self, "notify")
  notify(self, n)
end

-- condition:notify_all(): wakes all that wait.
function Condition:notify_all()
  check(self, "notify_all")
  check_locked(self, "notify_all")
  notify(self, huge)
end

function Condition.__tostring(cond)
  local n, waiter = 0, cond.first
  while waiter do n, waiter = n + 1, waiter[BEHIND] end
  local state = cond.lock:locked() and "locked" or "unlocked"
  return n == 0 and ("<Condition %s>"):format(state)
    or ("<Condition %s waiters=%d>"):format(state, n)
end

local M = {}

-- Condition(lock): one with this Lock, a new one when left out; several
-- conditions may share a lock.
function M.Condition(lock)
  if lock == nil then
    lock = Lock()
  elseif type(lock) ~= "table" or lock.guard == nil then
    error("Condition: a Lock expected, got a " .. type(lock), 2)
  end
  return setmetatable({lock = lock, first = false, last = false}, Condition)
end

return M
