-- class: budgets
-- Each is shorter than a slice, but all of them are not.
-- outcome: EDEADLINE
local asyncio = require "asyncio"
local function work()
  local until_ = os.clock() + 0.002
  while os.clock() < until_ do end
end
for _ = 1, 10000 do asyncio.call_soon(work) end
await(sleep(60))
