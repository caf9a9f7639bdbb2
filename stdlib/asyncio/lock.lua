--
-- lock.lua - Lock: one holder at a time.
--
--   do
--     local guard <close> = await(lock:acquire())
--     counter = await(changed(counter))
--   end                          -- releases, however the block is left
--
-- Waiters get the lock in the order in which they came. Release gives it to
-- the first in line, who holds it as soon as it runs: until then the lock
-- counts as free, but nobody overtakes. If that one is cancelled before it
-- runs, the next in line gets the lock.
--
-- A guard stands for one hold. The lock knows its present guard, so that
-- one whose hold has ended is refused and ends nobody else's.
--
local asyncio, method, core = ...

local await = asyncio.await
local waiting, waitlist, wake = core.waiting, core.waitlist, core.wake

local error, setmetatable, type = error, setmetatable, type

local Lock = {}
Lock.__index = Lock
Lock.__name = "Lock"
Lock.__metatable = false

-- lock.guard: the guard of the present hold; or false: the lock is free; or
-- true: it was given to a waiter that has not run yet.
-- lock.line: the waitlist, once somebody had to wait; before that, false.

-- The lock goes to the first in line, or is free.
local function pass_on(lock)
  lock.guard = lock.line and wake(lock.line)
end

local function check(value, name)
  if type(value) ~= "table" or value.guard == nil then
    core.refuse(value, "Lock", name, "lock")
  end
end

local function is_held(lock) return lock.guard ~= false and lock.guard ~= true end

-- Waits in line until the lock is given to the caller.
local function wait(lock)
  local line = lock.line or waitlist(lock, pass_on)
  lock.line = line
  await(line)
end

-- lock:acquire() -> a guard, whose end releases the lock. Waits for those
-- who came before; a holder that acquires again waits for itself.
Lock.acquire = method(function(lock)
  if lock == nil or lock.guard ~= false then check(lock, "acquire") end
  local guard = setmetatable({}, lock.guard_meta) -- before the wait: it can fail
  if lock.guard then wait(lock) end
  lock.guard = guard
  return guard
end, "Lock.acquire")

-- lock:release(): ends the present hold, whosever it is.
function Lock:release()
  check(self, "release")
  if not is_held(self) then error("Lock.release: the lock is not held", 2) end
  pass_on(self)
end

-- lock:locked() -> whether somebody holds it
function Lock:locked()
  check(self, "locked")
  return is_held(self)
end

function Lock.__tostring(lock)
  local n = (lock.line and waiting(lock.line) or 0) + (lock.guard == true and 1 or 0)
  local state = is_held(lock) and "locked" or "unlocked"
  return n == 0 and ("<Lock %s>"):format(state) or ("<Lock %s waiters=%d>"):format(state, n)
end

local M = {}

-- Lock() -> a lock that nobody holds
function M.Lock()
  local lock = {guard = false, line = false}
  lock.guard_meta = {
    __name = "Lock guard",
    __metatable = false,
    __close = function(guard)
      if lock.guard ~= guard then
        error("Lock: the hold of this guard has ended before: "
          .. "by release(), or the guard was closed twice", 2)
      end
      pass_on(lock)
    end,
  }
  return setmetatable(lock, Lock)
end

return M
