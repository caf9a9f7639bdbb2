-- class: finalizers
-- And the metatables of what the library gives, as far as they can be had.
-- outcome: ended
local asyncio = require "asyncio"
local ran = false
local function finalizer() ran = true while true do end end
local makers = {asyncio.Event, asyncio.Lock, asyncio.Semaphore, asyncio.Condition,
                asyncio.Queue, asyncio.PriorityQueue, asyncio.TaskGroup,
                asyncio.Future, function() return asyncio.Barrier(1) end,
                function() return asyncio.timeout(1) end}
local function make()
  for _, new in pairs(makers) do
    local made, object = pcall(new)
    local meta = made and getmetatable(object)
    if type(meta) == "table" then
      pcall(rawset, meta, "__gc", finalizer)
      pcall(rawset, meta.__index or {}, "__gc", finalizer)
    end
  end
end
for _ = 1, 3 do make() end
for _, value in pairs {await, sleep(0), create_task(sleep(0)), coroutine.create(print), print, "x", 1} do
  local meta = getmetatable(value)
  assert(type(meta) ~= "table", "a metatable for all: " .. tostring(value))
end
collectgarbage()
collectgarbage()
assert(not ran)
