-- class: forged handles
-- The library's parts are loaded when they are first used, and take what they
-- need from the table asyncio: here it is the script's.
-- outcome: ended
local asyncio = require "asyncio"
local callback
local future = {done = function() return false end, remove_done_callback = print,
                add_done_callback = function(_, f) callback = f end}
local kept, forged = asyncio.ensure_future, nil
asyncio.ensure_future = function() return forged end
local task, settled = create_task(sleep(0.001)), create_task(sleep(0))
await(settled)
for _, value in ipairs {setmetatable({}, {__index = future}), future} do
  forged = value
  asyncio.shield(1)
  pcall(callback)
end
asyncio.ensure_future = kept
local names = {"Event", "Queue", "Condition", "TaskGroup", "wait_for", "timeout", "wait", "as_completed"}
for name in pairs(asyncio) do
  if name ~= "catch" then asyncio[name] = function() return task end end
end
for _, name in ipairs(names) do
  local ok, made = pcall(function() return asyncio[name](0, 0) end)
  for _, method in ipairs {"wait", "get", "put", "acquire", "notify", "create_task", "set", "cancel"} do
    create_task(async(function() pcall(function() await(made[method](made, sleep(0))) end) end)())
  end
  assert(ok or made)
end
await(sleep(0.001))
