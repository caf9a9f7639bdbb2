-- Task groups: children that return, fail, are cancelled, make further children.
local asyncio = require "asyncio"

local results = {}
local ok, err = pcall(function()
  local group <close> = asyncio.TaskGroup()
  for i = 1, 4 do
    group:create_task(async(function()
      await(sleep(0))
      results[i] = i
      if i == 2 then group:create_task(sleep(0)) end
    end)())
  end
end)
if not ok then error(asyncio.isinstance(err, asyncio.ExceptionGroup) and err.exceptions[1].value or err, 0) end
assert(#results == 4)

ok, err = pcall(function()
  local group <close> = asyncio.TaskGroup()
  group:create_task(sleep(100))
  group:create_task(async(function() await(sleep(0)) error("child", 0) end)())
  await(sleep(100))
end)
assert(not ok)
if not asyncio.isinstance(err, asyncio.ExceptionGroup) then error(err, 0) end
for _, e in ipairs(err.exceptions) do
  if e.value ~= "child" then error(tostring(e), 0) end
end
assert(#err.exceptions == 1)
