-- Deadlines: blocks that pass theirs or not, nested, moved; wait_for.
local asyncio = require "asyncio"

local function times_out(f, ...)
  local ok, err = pcall(f, ...)
  if not ok and not asyncio.isinstance(err, asyncio.TimeoutError) then error(err, 0) end
  return not ok
end

local function within(seconds, aw)
  local _ <close> = asyncio.timeout(seconds)
  return await(aw)
end

assert(times_out(within, 0.0005, sleep(100)))
assert(not times_out(within, 100, sleep(0)))
assert(times_out(within, 0, asyncio.Future()))
assert(times_out(within, 0.0005, async(function() within(100, sleep(100)) end)()))
assert(not times_out(within, 100, async(function() assert(times_out(within, 0, sleep(100))) end)()))

do
  local scope <close> = asyncio.timeout(100)
  scope:reschedule(asyncio.time() + 200)
  await(sleep(0))
  scope:reschedule(nil)
  assert(not scope:expired() and scope:when() == nil)
end

assert(times_out(await, asyncio.wait_for(sleep(100), 0.0005)))
assert(await(asyncio.wait_for(async(function() await(sleep(0)) return "value" end)(), 100)) == "value")
