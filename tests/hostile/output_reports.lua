-- class: output
-- Errors that nobody looks at are told to the host, each of them as long as
-- can be.
-- outcome: EDEADLINE
local asyncio = require "asyncio"
local long = ("x\n"):rep(100000)
local function fail() error(long) end
while true do
  asyncio.call_soon(fail)
  create_task(async(fail)())
  await(sleep(0))
end
