-- Cancellation: before the start, at an await, in a gather, with cleanup that awaits, refused, uncancelled.
local asyncio = require "asyncio"

-- (How often, is not asserted: a task that had no memory is in its cleanup already when it is cancelled.)
local cleaned = 0
local cleanup = setmetatable({}, { __close = function() await(sleep(0)) cleaned = cleaned + 1 end })
local guarded = async(function()
  local _ <close> = cleanup
  await(sleep(100))
end)

local function outcome(aw)
  local ok, err = asyncio.catch(await, aw)
  if not ok and not asyncio.isinstance(err, asyncio.CancelledError) then error(err, 0) end
  return ok
end

local early = create_task(guarded())
early:cancel()
assert(not outcome(early) and cleaned == 0)

local late = create_task(guarded())
await(sleep(0))
late:cancel("enough")
assert(not outcome(late) and late:cancelled())

local all = gather(guarded(), guarded(), sleep(100))
await(sleep(0))
all:cancel()
assert(not outcome(all) and cleaned <= 3)

local stubborn = create_task(async(function()
  local ok = asyncio.catch(await, sleep(100))
  assert(not ok)
  asyncio.current_task():uncancel()
  await(sleep(0))
  return "went on"
end)())
await(sleep(0))
stubborn:cancel()
assert(not outcome(stubborn) or stubborn:result() == "went on")

-- a chain of tasks, each awaiting the next
local chain = create_task(sleep(100))
for _ = 1, 5 do
  local inner = chain
  chain = create_task(async(function() await(inner) end)())
end
await(sleep(0))
await(sleep(0))
chain:cancel()
assert(not outcome(chain))
