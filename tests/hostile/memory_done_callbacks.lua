-- class: memory
-- And those of a future.
-- outcome: EMEMORY
local f = require "asyncio".Future()
while true do f:add_done_callback(function() end) end
