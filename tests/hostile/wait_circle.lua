-- class: waiting
-- Tasks that await each other, and are cancelled all at once.
-- outcome: EDEADLINE
local asyncio = require "asyncio"
local tasks = {}
for i = 1, 500 do
  tasks[i] = create_task(async(function()
    while true do asyncio.catch(await, tasks[i % 500 + 1]) await(sleep(0)) end
  end)())
end
while true do
  await(sleep(0))
  for _, t in ipairs(tasks) do t:cancel() end
end
