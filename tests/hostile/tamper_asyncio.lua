-- class: tampering
-- Fields that the core reads, and classes that it makes errors of.
-- outcome: ended
local asyncio = require "asyncio"
local function spin() while true do end end
local hostile = setmetatable({}, {__index = spin, __tostring = spin, __lt = spin, __le = spin, __call = spin})
local catch, wait_for, CancelledError = asyncio.catch, asyncio.wait_for, asyncio.CancelledError
asyncio.slow_callback_duration = hostile
for _, class in pairs {CancelledError, asyncio.TimeoutError, asyncio.InvalidStateError} do
  rawset(class, "__name", hostile)
  rawset(class, "__tostring", spin)
  rawset(class, "new", spin)
end
for name in pairs(asyncio) do asyncio[name] = hostile end
setmetatable(asyncio, {__index = spin, __newindex = spin})
local t = create_task(sleep(60))
t:cancel(hostile)
assert(not catch(await, t))
assert(not catch(await, wait_for(sleep(60), 0.001)))
create_task(async(function() error(hostile) end)())
await(sleep(0))
