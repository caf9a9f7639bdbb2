-- Locks, semaphores, conditions, events, barriers: waited for in line, and by some that are cancelled there.
local asyncio = require "asyncio"

local lock, places = asyncio.Lock(), asyncio.BoundedSemaphore(2)
local inside, most = 0, 0
local hold = async(function()
  local _ <close> = await(lock:acquire())
  await(sleep(0))
end)
local enter = async(function()
  local _ <close> = await(places:acquire())
  inside = inside + 1
  most = math.max(most, inside)
  await(sleep(0))
  inside = inside - 1
end)

local tasks = {}
for i = 1, 5 do
  tasks[i] = create_task(hold())
  tasks[5 + i] = create_task(enter())
end
await(sleep(0))
tasks[3]:cancel()
tasks[10]:cancel()
local results = await(gather { return_exceptions = true, table.unpack(tasks) })
for i, result in ipairs(results) do
  if not asyncio.isinstance(result, asyncio.CancelledError) then error(result, 0) end
  assert(i == 3 or i == 10)
end
assert(not lock:locked() and most == 2 and inside == 0)

local condition, ready = asyncio.Condition(), false
local waiter = create_task(async(function()
  local _ <close> = await(condition:acquire())
  await(condition:wait_for(function() return ready end))
  return "notified"
end)())
await(sleep(0))
do
  local _ <close> = await(condition:acquire())
  ready = true
  condition:notify_all()
end
local ok, result = pcall(await, waiter)
if not ok then error("not enough memory to come back: " .. tostring(result), 0) end
assert(result == "notified")

local event = asyncio.Event()
local waiters = gather(event:wait(), event:wait())
await(sleep(0))
event:set()
await(waiters)

local barrier = asyncio.Barrier(3)
ok, result = pcall(await, gather(barrier:wait(), barrier:wait(), barrier:wait()))
if not ok then error("not enough memory to come back: " .. tostring(result), 0) end
assert(#result == 3)
