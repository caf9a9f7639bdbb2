-- class: waiting
-- The lines of a lock and of a queue that are never empty.
-- outcome: EDEADLINE
local asyncio = require "asyncio"
local lock, queue = asyncio.Lock(), asyncio.Queue(1)
for _ = 1, 300 do
  create_task(async(function()
    while true do
      local _ <close> = await(lock:acquire())
      await(sleep(0))
    end
  end)())
  create_task(async(function() while true do await(queue:put(1)) end end)())
  create_task(async(function() while true do await(queue:get()) end end)())
end
await(sleep(60))
