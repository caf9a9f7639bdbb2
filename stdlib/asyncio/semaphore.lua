--
-- semaphore.lua - Semaphore, BoundedSemaphore: so many holders at a time.
--
--   local limit = asyncio.Semaphore(10)
--   do
--     local guard <close> = await(limit:acquire())
--     await(fetch(url))
--   end                          -- releases, however the block is left
--
-- Waiters get permits in the order in which they came. A permit goes
-- straight to the waiter that is woken for it; if that one is cancelled
-- before it runs, it hands the permit on.
--
-- A guard stands for one hold. A release by hand ends the latest hold of
-- the task that calls it, if it has one, so that the guard of that hold is
-- refused and takes nobody else's permit.
--
local asyncio, method, core = ...

local await, current_task = asyncio.await, asyncio.current_task
local waiting, waitlist, wake = core.waiting, core.waitlist, core.wake

local error, pcall, rawset = error, pcall, rawset
local setmetatable, type = setmetatable, type
local maxinteger, tointeger = math.maxinteger, math.tointeger

local Semaphore = {}
Semaphore.__index = Semaphore
Semaphore.__metatable = false

-- sem.line: those who wait and have no permit, a waitlist.

-- Gives a free permit to the first in line; whether there was one.
local function wake_next(sem)
  if not wake(sem.line) then return false end
  sem.woken = sem.woken + 1
  sem.value = sem.value - 1
  return true
end

-- One that was woken has run. Newcomers had to let it go first, even when
-- there were permits for them: now these are for them.
local function has_run(sem)
  sem.woken = sem.woken - 1
  while sem.value > 0 and wake_next(sem) do end
end

-- One that was woken is cancelled: its permit is free again.
local function give_back(sem)
  sem.value = sem.value + 1
  has_run(sem)
end

-- Whether a newcomer must wait: nobody overtakes.
local function is_locked(sem)
  return sem.value == 0 or sem.woken > 0
end

local function check(value, name)
  if type(value) ~= "table" or value.holds == nil then
    core.refuse(value, "Semaphore", name, "semaphore")
  end
end

-- Ends a hold. Raises an error at level 3 when there is none.
local function release(sem)
  if sem.value >= sem.bound then
    error("BoundedSemaphore.release: all permits are back already", 3)
  end
  sem.value = sem.value + 1
  wake_next(sem)
end

-- semaphore:acquire() -> a guard, whose end releases the permit. Waits for a
-- permit and for those who came before.
Semaphore.acquire = method(function(sem)
  if sem == nil or sem.holds == nil then check(sem, "acquire") end
  local task, holds = current_task(), sem.holds
  local guard = setmetatable({task}, sem.guard_meta)
  if is_locked(sem) then
    await(sem.line)
    has_run(sem)
    pcall(rawset, holds, task, guard) -- no memory must not cost the permit
  else
    holds[task] = guard
    sem.value = sem.value - 1
  end
  return guard
end, "Semaphore.acquire")

-- semaphore:release(): one permit more. A usage error when a BoundedSemaphore
-- has all of its permits.
function Semaphore:release()
  check(self, "release")
  release(self)
  local task = current_task()
  local guard = task and self.holds[task]
  if guard then
    guard[1] = false
    self.holds[task] = nil
  end
end

-- semaphore:locked() -> whether acquire() would wait
function Semaphore:locked()
  check(self, "locked")
  return is_locked(self)
end

function Semaphore.__tostring(sem)
  local n = sem.woken + waiting(sem.line)
  return ("<%s %s%s>"):format(sem.name,
    is_locked(sem) and "locked" or ("unlocked value=%d"):format(sem.value),
    n == 0 and "" or (" waiters=%d"):format(n))
end

local by_task = {__mode = "k"}

-- To be called by a tail call: its errors have its caller's position.
local function new(name, value, bounded)
  if value == nil then value = 1 end
  local n = type(value) == "number" and tointeger(value)
  if not n or n < 0 then
    error(name .. ": a whole number of permits expected, at least 0", 2)
  end
  local sem = {
    name = name,
    value = n,
    bound = bounded and n or maxinteger,
    woken = 0, -- waiters that have a permit and have not run yet
    holds = setmetatable({}, by_task), -- task -> the guard of its latest hold
  }
  sem.line = waitlist(sem, give_back)
  sem.guard_meta = {
    __name = name .. " guard",
    __metatable = false,
    __close = function(guard)
      local task = guard[1]
      if not task then
        error(name .. ": the hold of this guard has ended before: "
          .. "by release(), or the guard was closed twice", 2)
      end
      guard[1] = false
      if sem.holds[task] == guard then sem.holds[task] = nil end
      release(sem)
    end,
  }
  return setmetatable(sem, Semaphore)
end

local M = {}

-- Semaphore(value): so many permits, 1 when left out
function M.Semaphore(value) return new("Semaphore", value, false) end

-- BoundedSemaphore(value): one that never has more permits than at first
function M.BoundedSemaphore(value) return new("BoundedSemaphore", value, true) end

return M
