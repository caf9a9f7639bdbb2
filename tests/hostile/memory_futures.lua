-- class: memory
-- asyncio's objects.
-- outcome: EMEMORY
local asyncio = require "asyncio"
local list = {}
while true do
  list[#list + 1] = asyncio.Future()
  list[#list + 1] = asyncio.Lock()
  list[#list + 1] = asyncio.Queue()
end
