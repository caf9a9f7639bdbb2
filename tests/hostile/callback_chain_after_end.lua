-- class: budgets
-- Nor when the task that began it has long ended: what it left dies as well.
-- deadline: 1
-- outcome: ended
local asyncio = require "asyncio"
local function again() asyncio.call_soon(again) end
again()
create_task(async(function() while true do await(sleep(0)) end end)())
create_task(sleep(3600))
