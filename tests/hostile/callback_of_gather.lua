-- class: budgets
-- A gather is settled by the loop: on whose behalf do its callbacks run?
-- deadline: 1
-- outcome: ended
local g = gather(sleep(0), sleep(0))
g:add_done_callback(function()
  create_task(async(function() while true do await(sleep(0)) end end)())
end)
await(sleep(0.05))
