-- class: budgets
-- A done callback runs on behalf of the task that added it.
-- outcome: ESTALL or EDEADLINE
local t = create_task(sleep(0))
t:add_done_callback(function() while true do end end)
await(sleep(60))
