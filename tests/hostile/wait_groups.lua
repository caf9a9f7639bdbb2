-- class: waiting
-- Groups in groups, whose children end in errors; none waits for the end.
-- outcome: EDEADLINE
local asyncio = require "asyncio"
function async.nest(n)
  local group <close> = asyncio.TaskGroup()
  if n == 0 then await(asyncio.Future()) end
  group:create_task(nest(n - 1))
  group:create_task(async(function()
    asyncio.catch(await, asyncio.Future())
    error "x"
  end)())
end
await(nest(100))
