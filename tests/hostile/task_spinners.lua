-- class: budgets
-- All that there may be, and all of them spin.
-- outcome: EDEADLINE
for _ = 1, 999 do create_task(async(function() while true do end end)()) end
while true do end
