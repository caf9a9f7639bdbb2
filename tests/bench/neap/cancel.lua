-- Cancel SIZE tasks that sleep, and join them; prints ns per task: creating them is not measured.
-- usage: cancel.lua N [SIZE]
local asyncio = require "asyncio"
local SIZE = math.tointeger(arg[2] or 100000)
local rounds = math.tointeger(arg[1]) // SIZE

local main = async(function()
  local cancelled, spent = 0, 0
  for _ = 1, rounds do
    local tasks = {}
    for i = 1, SIZE do tasks[i] = create_task(sleep(3600 + i % 1000)) end
    await(sleep(0))
    local start = os.clock()
    for i = 1, SIZE do tasks[i]:cancel() end
    for i = 1, SIZE do
      if not asyncio.catch(await, tasks[i]) then cancelled = cancelled + 1 end
    end
    spent = spent + os.clock() - start
  end
  assert(cancelled == rounds * SIZE)
  print(spent * 1e9 / cancelled)
end)

run(main())
