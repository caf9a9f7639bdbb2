-- class: waiting
-- A net of gathers has far more ways through it than nodes: asyncio.dump is to
-- show each node once. And the texts of tasks that hold each other.
-- deadline: 1
-- outcome: ended
local asyncio = require "asyncio"
local a, b = asyncio.Future(), asyncio.Future()
for _ = 1, 100 do
  local x, y = gather(a, b), gather(a, b)
  a, b = create_task(async(await)(x)), create_task(async(await)(y))
end
await(sleep(0))
local size = 0
asyncio.dump {write = function(_, text) size = size + #text end}
assert(size < 1000000, size)
assert(#tostring(a) < 1000)
