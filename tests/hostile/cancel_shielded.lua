-- class: cancellation
-- Work behind shields, with timeouts that have passed, in groups that are
-- cancelled: all of it ends with the budget.
-- deadline: 1
-- outcome: ended
local asyncio = require "asyncio"
function async.stubborn()
  while true do asyncio.catch(await, asyncio.shield(create_task(sleep(60)))) end
end
for _ = 1, 20 do
  create_task(asyncio.wait_for(stubborn(), 0.001))
  create_task(async(function()
    local group <close> = asyncio.TaskGroup()
    group:create_task(stubborn())
    error "x"
  end)())
end
await(sleep(0.05))
