--
-- barrier.lua - Barrier: so many tasks wait for each other.
--
--   local start = asyncio.Barrier(3)
--   local place = await(start:wait())    -- 0, 1 or 2, when all three are there
--
-- A barrier is filling until its last party comes, then draining until all
-- have left; who comes meanwhile waits for the next round. reset() sends
-- those away who wait, abort() breaks the barrier until it is reset.
--
local asyncio, method, core = ...

local await, BrokenBarrierError = asyncio.await, asyncio.BrokenBarrierError
local Condition = asyncio.Condition

local error, setmetatable, type = error, setmetatable, type
local tointeger = math.tointeger

local Barrier = {}
Barrier.__index = Barrier
Barrier.__name = "Barrier"
Barrier.__metatable = false

local FILLING <const>, DRAINING <const> = "filling", "draining"
local RESETTING <const>, BROKEN <const> = "resetting", "broken"

-- A party's stay, from its place on; it ends with the condition held.
local Stay = {}

function Stay.__close(stay)
  local barrier = stay.barrier
  barrier.count = barrier.count - 1
  if barrier.count == 0 then
    if barrier.state == RESETTING or barrier.state == DRAINING then barrier.state = FILLING end
    barrier.changed:notify_all()
  end
end

local function check(value, name)
  if type(value) ~= "table" or value.changed == nil then
    core.refuse(value, "Barrier", name, "barrier")
  end
end

-- Puts the barrier into a state, for all to see.
local function set_state(barrier, state)
  barrier.state = state
  barrier.changed:notify_all()
end

-- barrier:wait() -> 0 to n - 1, another for each party, when all are there.
-- Raises BrokenBarrierError when the barrier is broken or reset.
Barrier.wait = method(function(barrier)
  check(barrier, "wait")
  local _ <close> = await(barrier.changed:acquire())
  await(barrier.changed:wait_for(barrier.may_enter))
  if barrier.state == BROKEN then error(BrokenBarrierError("barrier aborted"), 0) end
  local place = barrier.count
  barrier.count = place + 1
  local _ <close> = setmetatable({barrier = barrier}, Stay)
  if place + 1 == barrier.size then
    set_state(barrier, DRAINING)
    return place
  end
  await(barrier.changed:wait_for(barrier.may_leave))
  if barrier.state ~= DRAINING then
    error(BrokenBarrierError("barrier aborted or reset"), 0)
  end
  return place
end, "Barrier.wait")

-- barrier:reset(): those who wait get BrokenBarrierError; all others may
-- use the barrier again, a broken one too.
Barrier.reset = method(function(barrier)
  check(barrier, "reset")
  local _ <close> = await(barrier.changed:acquire())
  set_state(barrier, barrier.count > 0 and RESETTING or FILLING)
end, "Barrier.reset")

-- barrier:abort(): those who wait, and who come before it is reset, get
-- BrokenBarrierError.
Barrier.abort = method(function(barrier)
  check(barrier, "abort")
  local _ <close> = await(barrier.changed:acquire())
  set_state(barrier, BROKEN)
end, "Barrier.abort")

-- barrier:parties() -> how many it takes
function Barrier:parties()
  check(self, "parties")
  return self.size
end

-- barrier:n_waiting() -> how many are there and wait for the others
function Barrier:n_waiting()
  check(self, "n_waiting")
  return self.state == FILLING and self.count or 0
end

-- barrier:broken() -> whether it is
function Barrier:broken()
  check(self, "broken")
  return self.state == BROKEN
end

function Barrier.__tostring(barrier)
  return ("<Barrier %s waiters=%d/%d>"):format(barrier.state, barrier:n_waiting(), barrier.size)
end

local M = {}

-- Barrier(parties): for so many, at least 1
function M.Barrier(parties)
  local size = type(parties) == "number" and tointeger(parties)
  if not size or size < 1 then
    error("Barrier: a whole number of parties expected, at least 1", 2)
  end
  local barrier = {
    size = size,
    count = 0, -- parties inside
    state = FILLING,
    changed = Condition(),
  }
  function barrier.may_enter()
    return barrier.state ~= DRAINING and barrier.state ~= RESETTING
  end
  function barrier.may_leave() return barrier.state ~= FILLING end
  return setmetatable(barrier, Barrier)
end

return M
