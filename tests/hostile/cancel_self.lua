-- class: cancellation
-- Cancels itself, in every catch of it.
-- outcome: EDEADLINE
local asyncio = require "asyncio"
local me = asyncio.current_task()
local function again()
  while true do
    me:cancel()
    asyncio.catch(await, sleep(0))
    me:uncancel()
  end
end
while true do asyncio.catch(again) end
