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
local asyncio, method, core = ...

local await, catch = asyncio.await, asyncio.catch
local CancelledError, isinstance, Lock = asyncio.CancelledError, asyncio.isinstance, asyncio.Lock
local line_up, present, waiting = core.line_up, core.present, core.waiting
local waitlist, wake = core.waitlist, core.wake

local error, huge, setmetatable, type = error, math.huge, setmetatable, type

local Condition = {}
Condition.__index = Condition
Condition.__name = "Condition"
Condition.__metatable = false

local function notify(cond, n)
  while n > 0 and wake(cond.line) do n = n - 1 end
end

local function wait(cond)
  local lock = cond.lock
  local hold = present(lock) -- its guard is closed in the end
  lock:release()
  local ok, err = catch(line_up, cond.line)
  local back, failure
  repeat
    back, failure = catch(await, lock:acquire())
    if back then
      present(lock, hold)
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
    core.refuse(value, "Condition", name, "condition")
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
  local n = waiting(cond.line)
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
  elseif present(lock) == nil then
    error("Condition: a Lock expected, got a " .. type(lock), 2)
  end
  return setmetatable({lock = lock, line = waitlist "Condition"}, Condition)
end

return M
