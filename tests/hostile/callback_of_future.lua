-- class: budgets
-- A callback of a future that a callback settles when the task has ended.
-- outcome: ended
local asyncio = require "asyncio"
local f = asyncio.Future()
f:add_done_callback(function()
  create_task(async(function() while true do await(sleep(0)) end end)())
end)
asyncio.call_later(0.02, function() f:set_result(1) end)
