-- class: waiting
-- Gathers of gathers: cancelling and settling them is no recursion.
-- outcome: EDEADLINE
local asyncio = require "asyncio"
local f = asyncio.Future()
local g = f
for _ = 1, 5000 do g = gather(g, g) end
create_task(async(await)(g))
await(sleep(0))
g:cancel()
await(asyncio.Future())
