-- class: tampering
-- Takes all globals away, or replaces them, and goes on with the library.
-- outcome: ended
local asyncio = require "asyncio"
local json = require "json"
local asyncio_functions, json_functions = {}, {}
for _, k in ipairs {"Queue", "TaskGroup", "wait_for", "wait", "as_completed"} do
  asyncio_functions[k] = asyncio[k] -- loads the part
end
for k, v in pairs(asyncio) do asyncio_functions[k] = v end
for k, v in pairs(json) do json_functions[k] = v end
local assert, await, create_task, gather, sleep, async, error =
  assert, await, create_task, gather, sleep, async, error
local globals, names = _G, {}
for name in pairs(_G) do names[#names + 1] = name end
for _, name in ipairs(names) do
  local value = globals[name]
  if type(value) == "table" and value ~= globals then
    for k in pairs(value) do value[k] = false end
  end
end
for _, name in ipairs(names) do globals[name] = function() error "the script's" end end
local a = asyncio_functions
local queue = a.Queue()
create_task(async(function() await(queue:put(1)) end)())
assert(await(queue:get()) == 1)
assert(await(gather(sleep(0, 1), sleep(0.001, 2)))[2] == 2)
assert(await(a.wait_for(sleep(0, 3), 1)) == 3)
assert(not a.catch(await, a.wait_for(sleep(60), 0.001)))
do
  local group <close> = a.TaskGroup()
  group:create_task(sleep(0))
end
for f in a.as_completed({create_task(sleep(0, 4))}) do assert(await(f) == 4) end
await(a.wait({create_task(sleep(0))}))
assert(json_functions.decode("[1]")[1] == 1)
