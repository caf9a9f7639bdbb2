-- Tasks that nothing will ever wake: left to the end of the VM, with cleanup that is not to run then.
local asyncio = require "asyncio"

local a, b
a = create_task(async(function() await(b) end)())
b = create_task(async(function()
  local _ <close> = setmetatable({}, { __close = function() await(asyncio.Future()) end })
  await(asyncio.Future())
end)())
create_task(asyncio.Lock():acquire())
create_task(asyncio.Queue():get())
create_task(asyncio.Event():wait())
gather(a, asyncio.Future())
coroutine.wrap(function() await(sleep(0)) coroutine.yield() end)()
await(sleep(0))
local never = async(function() end)()
assert(never and a and b)
