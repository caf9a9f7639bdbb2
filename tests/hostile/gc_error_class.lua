-- class: finalizers
-- Error classes are metatables to which scripts can write.
-- outcome: ended
local asyncio = require "asyncio"
local ran = false
local function finalizer() ran = true while true do end end
for _, class in pairs(asyncio) do
  if type(class) == "table" then pcall(rawset, class, "__gc", finalizer) end
end
for _, class in pairs(asyncio) do
  if type(class) == "table" then
    rawset(class, "__gc", finalizer)
    pcall(class, "x")
  end
end
do -- errors that C makes
  local t = create_task(sleep(60))
  t:cancel()
  asyncio.catch(await, t)
  pcall(function() asyncio.Future():result() end)
end
collectgarbage()
collectgarbage()
assert(not ran)
