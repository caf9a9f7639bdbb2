-- class: budgets
-- The loop tells a group that a member has failed: by a function of the
-- library, but with what the script has put into the group.
-- deadline: 1
-- outcome: ended or error
local asyncio = require "asyncio"
local function again()
  create_task(async(function() while true do await(sleep(0)) end end)())
end
local hostile = setmetatable({}, {__newindex = again, __len = again, __index = again})
local group <close> = asyncio.TaskGroup()
for _, name in ipairs {"failed", "parent"} do rawset(group, name, hostile) end
group:create_task(async(function() error "x" end)())
asyncio.catch(await, sleep(0.01))
