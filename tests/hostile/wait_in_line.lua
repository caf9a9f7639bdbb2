-- class: waiting
-- Killed in line, for locks, queues, events, conditions.
-- outcome: EDEADLINE
local asyncio = require "asyncio"
local lock, semaphore, event = asyncio.Lock(), asyncio.Semaphore(0), asyncio.Event()
local queue, condition = asyncio.Queue(1), asyncio.Condition()
for _ = 1, 100 do
  create_task(async(function() local _ <close> = await(lock:acquire()) await(sleep(60)) end)())
  create_task(async(function() await(semaphore:acquire()) end)())
  create_task(async(function() await(event:wait()) end)())
  create_task(async(function() await(queue:put(1)) end)())
  create_task(async(function()
    local _ <close> = await(condition:acquire())
    await(condition:wait())
  end)())
end
await(sleep(60))
