-- A TaskGroup of SIZE tasks that do not suspend, again and again; prints ns per task. usage:
-- taskgroup.lua N [SIZE]
local asyncio = require "asyncio"
local SIZE = math.tointeger(arg[2] or 1000)
local rounds = math.tointeger(arg[1]) // SIZE

local one = async(function() return 1 end)

local main = async(function()
  local total = 0
  local start = os.clock()
  for _ = 1, rounds do
    local tasks = {}
    do
      local group <close> = asyncio.TaskGroup()
      for i = 1, SIZE do tasks[i] = group:create_task(one()) end
    end
    for i = 1, SIZE do total = total + tasks[i]:result() end
  end
  local spent = os.clock() - start
  assert(total == rounds * SIZE)
  print(spent * 1e9 / total)
end)

run(main())
