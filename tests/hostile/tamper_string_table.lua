-- class: tampering
-- But the table string is the script's: it harms itself alone.
-- outcome: ended
for name in pairs(string) do rawset(string, name, function() while true do end end) end
setmetatable(string, {__index = error})
local asyncio = require "asyncio"
local t = create_task(async(function() error "x" end)())
assert(not asyncio.catch(await, t))
asyncio.dump {write = function() end}
