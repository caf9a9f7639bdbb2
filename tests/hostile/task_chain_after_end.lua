-- class: budgets
-- The same with nobody left who waits.
-- deadline: 1
-- outcome: ended
local again
again = async(function() create_task(again()) end)
create_task(again())
