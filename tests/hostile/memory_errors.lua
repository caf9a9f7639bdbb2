-- class: memory
-- Error objects with causes, and the tracebacks of tasks.
-- outcome: EMEMORY
local asyncio = require "asyncio"
local list = {}
while true do
  local t = create_task(async(function() error(asyncio.Exception(("x"):rep(1000) .. #list)) end)())
  pcall(await, t)
  list[#list + 1] = t:exception()
end
