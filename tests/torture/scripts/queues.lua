-- Queues of the three kinds: producers and consumers, full and empty, joined, shut down.
local asyncio = require "asyncio"

local queue = asyncio.Queue(2)
local sum = 0
local consumers = {}
for i = 1, 2 do
  consumers[i] = create_task(async(function()
    while true do
      local item = await(queue:get())
      sum = sum + item
      queue:task_done()
    end
  end)())
end
for i = 1, 8 do await(queue:put(i)) end
await(queue:join())
assert(sum == 36)
for _, consumer in ipairs(consumers) do consumer:cancel() end
await(gather { return_exceptions = true, table.unpack(consumers) })

local sorted, stack = asyncio.PriorityQueue(), asyncio.LifoQueue(3)
for _, x in ipairs { 3, 1, 2 } do
  sorted:put_nowait(x)
  stack:put_nowait(x)
end
assert(sorted:get_nowait() == 1 and stack:get_nowait() == 2 and stack:qsize() == 2)
local ok, err = pcall(function() for _ = 1, 3 do sorted:get_nowait() end end)
if not asyncio.isinstance(err, asyncio.QueueEmpty) then error(err, 0) end
assert(not ok)

local getter = create_task(queue:get())
await(sleep(0))
queue:shutdown()
ok, err = pcall(await, getter)
if not asyncio.isinstance(err, asyncio.QueueShutDown) then error(err, 0) end
assert(not ok)
