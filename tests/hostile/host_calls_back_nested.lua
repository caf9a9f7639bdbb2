-- class: budget resets
-- Each callback leaves a task that has the host call back again, with less
-- time each: calls in calls in calls, though none of them goes on.
-- deadline: 4
-- outcome: EDEADLINE
local function again()
  _G.host.call(function() create_task(async(again)()) end, 60)
end
again()
await(sleep(60))
