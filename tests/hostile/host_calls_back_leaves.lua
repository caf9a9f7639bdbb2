-- class: budget resets
-- What a callback leaves behind ends with it or its caller.
-- outcome: EDEADLINE
local asyncio = require "asyncio"
local function again() asyncio.call_soon(again) end
_G.host.call(function()
  again()
  create_task(async(function() while true do await(sleep(0)) end end)())
end)
await(sleep(60))
