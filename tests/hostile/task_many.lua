-- class: budgets
-- The same with tasks.
-- outcome: EDEADLINE
local function work()
  local until_ = os.clock() + 0.002
  while os.clock() < until_ do end
end
for _ = 1, 900 do create_task(async(work)()) end
await(sleep(60))
