--
-- lock.lua - Lock: one holder at a time.
--
--   do
--     local guard <close> = await(lock:acquire())
--     counter = await(changed(counter))
--   end                          -- releases, however the block is left
--
-- Waiters get the lock in the order in which they came. Release wakes the
-- first one, which stays first until it runs and takes the lock: until
-- then the lock is free, but nobody overtakes. A waiter that is cancelled
-- leaves, and if the lock is free then, the next one is woken: no wake-up is
-- lost.
--
-- A guard stands for one hold. The lock knows its present guard, so that
-- one whose hold has ended is refused and ends nobody else's.
--
local asyncio, method = ...

local await, Future = asyncio.await, asyncio.Future

local error, setmetatable, type = error, setmetatable, type

local Lock = {}
Lock.__index = Lock
Lock.__name = "Lock"
Lock.__metatable = false

-- The waiters are a list, from lock.first to lock.last. Those up to lock.seen
-- are known to be cancelled.
local BEFORE <const>, BEHIND <const>, FUTURE <const>, LOCK <const> = 1, 2, 3, 4

local function unlink(lock, waiter)
  local before, behind = waiter[BEFORE], waiter[BEHIND]
  if before then before[BEHIND] = behind else lock.first = behind end
  if behind then behind[BEFORE] = before else lock.last = before end
  if lock.seen == waiter then lock.seen = before end
end

local function wake_first(lock)
  local future = lock.first[FUTURE]
  if not future:done() then future:set_result(true) end
end

local Waiter = {}

-- The end of a wait, by a wake-up or by an error.
function Waiter.__close(waiter)
  local lock = waiter[LOCK]
  unlink(lock, waiter)
  if lock.first and not lock.guard then wake_first(lock) end
end

-- Waits for the lock and takes it for the guard.
local function wait(lock, guard)
  local last = lock.last
  local waiter <close> = setmetatable({last, false, Future(), lock}, Waiter)
  if last then last[BEHIND] = waiter else lock.first = waiter end
  lock.last = waiter
  await(waiter[FUTURE])
  lock.guard = guard
end

-- Whether a newcomer must let somebody go first. Those that are cancelled
-- and have not run yet do not count.
local function has_waiters(lock)
  local waiter = lock.first
  if lock.seen then waiter = lock.seen[BEHIND] end
  while waiter and waiter[FUTURE]:cancelled() do
    lock.seen = waiter
    waiter = waiter[BEHIND]
  end
  return waiter ~= false
end

local function check(value, name)
  if type(value) ~= "table" or value.guard == nil then
    error(("Lock.%s: a Lock expected, got a %s; write lock:%s()")
      :format(name, type(value), name), 3)
  end
end

-- lock:acquire() -> a guard, whose end releases the lock. Waits for those
-- who came before; a holder that acquires again waits for itself.
Lock.acquire = method(function(lock)
  if lock == nil or lock.guard == nil then check(lock, "acquire") end
  local guard = setmetatable({}, lock.guard_meta)
  if lock.guard or lock.first and has_waiters(lock) then
    wait(lock, guard)
  else
    lock.guard = guard
  end
  return guard
end, "Lock.acquire")

-- lock:release(): ends the present hold, whosever it is.
function Lock:release()
  check(self, "release")
  if not self.guard then error("Lock.release: the lock is not held", 2) end
  self.guard = false
  if self.first then wake_first(self) end
end

-- lock:locked() -> whether somebody holds it
function Lock:locked()
  check(self, "locked")
  return self.guard ~= false
end

function Lock.__tostring(lock)
  local n, waiter = 0, lock.first
  while waiter do n, waiter = n + 1, waiter[BEHIND] end
  local state = lock.guard and "locked" or "unlocked"
  return n == 0 and ("<Lock %s>"):format(state) or ("<Lock %s waiters=%d>"):format(state, n)
end

local M = {}

-- Lock() -> a lock that nobody holds
function M.Lock()
  local lock = {guard = false, first = false, last = false, seen = false}
  lock.guard_meta = {
    __name = "Lock guard",
    __metatable = false,
    __close = function(guard)
      if lock.guard ~= guard then
        error("Lock: the hold of this guard has ended before: "
          .. "by release(), or the guard was closed twice", 2)
      end
      lock.guard = false
      if lock.first then wake_first(lock) end
    end,
  }
  return setmetatable(lock, Lock)
end

return M
