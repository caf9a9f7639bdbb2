-- class: budgets
-- Tasks that make tasks and end: the children inherit the deadline.
-- outcome: EDEADLINE
local again
again = async(function() create_task(again()) end)
again()
create_task(again())
await(sleep(60))
