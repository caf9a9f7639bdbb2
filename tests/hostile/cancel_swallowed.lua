-- class: cancellation
-- Tasks that swallow every CancelledError, and others that send them.
-- outcome: EDEADLINE
local asyncio = require "asyncio"
for _ = 1, 300 do
  local t = create_task(async(function()
    while true do asyncio.catch(await, sleep(60)) end
  end)())
  create_task(async(function()
    while true do t:cancel("again") await(sleep(0)) end
  end)())
end
await(sleep(60))
