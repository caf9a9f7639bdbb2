-- wait_for around a coroutine that does not suspend, while TASKS others wait with a deadline;
-- prints ns per wait_for. usage: wait_for.lua N [TASKS]
local asyncio = require "asyncio"
local n, TASKS = math.tointeger(arg[1]), math.tointeger(arg[2] or 0)
local wait_for = asyncio.wait_for

local one = async(function() return 1 end)

local main = async(function()
  for i = 1, TASKS do create_task(wait_for(asyncio.Future(), 3600 + i % 1000)) end
  await(sleep(0))
  local sum = 0
  local start = os.clock()
  for _ = 1, n do sum = sum + await(wait_for(one(), 10)) end
  local spent = os.clock() - start
  assert(sum == n)
  print(spent * 1e9 / n)
end)

run(main())
