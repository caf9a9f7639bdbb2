-- class: tampering
-- The tables of the library's objects, and their methods.
-- outcome: ended
local asyncio = require "asyncio"
local function spin() while true do end end
for _, new in pairs {asyncio.Queue, asyncio.Event, asyncio.Condition, asyncio.TaskGroup} do
  local object = new()
  local meta = getmetatable(object)
  if type(object) == "table" then
    for k in pairs(object) do
      for _, value in ipairs {1, "x", {}, asyncio.Future(), print} do
        rawset(object, k, value)
        for name, method in pairs(type(meta) == "table" and type(meta.__index) == "table" and meta.__index or {}) do
          if type(method) == "function" and name ~= "get" and name ~= "put" then
            local t = create_task(async(function() return asyncio.catch(method, object) end)())
            await(sleep(0))
            t:cancel()
          end
        end
      end
    end
  end
end
local f = asyncio.Future()
assert(not pcall(function() f.set_result = spin end))
assert(not pcall(rawset, f, "x", 1))
await(sleep(0.001))
