-- class: error objects
-- Errors that nobody sees are reported: of tasks, callbacks, futures, groups.
-- outcome: ended
local asyncio = require "asyncio"
local function spin() while true do end end
local function hostile() return setmetatable({}, {__tostring = spin, __name = 7, __index = spin}) end
local function fail() error(hostile()) end
for _ = 1, 10 do
  create_task(async(fail)())
  asyncio.call_soon(fail)
  asyncio.Future():set_exception(hostile())
  create_task(async(function()
    local group <close> = asyncio.TaskGroup()
    for _ = 1, 3 do group:create_task(async(fail)()) end
  end)())
end
await(sleep(0.01))
collectgarbage()
