-- A future with more callbacks than there is room for: settled once more when memory was too short to keep them.
local asyncio = require "asyncio"

local called = 0
local function count() called = called + 1 end
local future = asyncio.Future()
for _ = 1, 1100 do future:add_done_callback(count) end
local ok, err = pcall(future.set_result, future, 1)
assert(ok == future:done())
if not ok then future:set_result(2) end
assert(future:result() == (ok and 1 or 2))
await(sleep(0))
assert(called <= 1100)
if not ok then error(err, 0) end
if called < 1100 then error("a callback was reported: not enough memory", 0) end
