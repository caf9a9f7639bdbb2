-- class: waiting
-- Many tasks and far more callbacks wait for one future: a kill has to take
-- them out of it in linear time.
-- outcome: EDEADLINE
local asyncio = require "asyncio"
local f = asyncio.Future()
for _ = 1, 990 do create_task(async(await)(f)) end
for _ = 1, 10000 do f:add_done_callback(print) end
await(f)
