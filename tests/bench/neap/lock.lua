-- A lock taken and given back: by one task, whom nobody disturbs, or by TASKS at once, each of
-- which queues behind all others; prints ns per round trip. usage: lock.lua N [TASKS]
local asyncio = require "asyncio"
local TASKS = math.tointeger(arg[2] or 1)
local rounds = math.tointeger(arg[1]) // TASKS
local lock = asyncio.Lock()

local worker = async(function()
  for _ = 1, rounds do
    local _ <close> = await(lock:acquire())
  end
end)

local main = async(function()
  await(lock:acquire())
  local tasks = {}
  for i = 1, TASKS do tasks[i] = create_task(worker()) end
  await(sleep(0))
  local start = os.clock()
  lock:release()
  await(gather(tasks))
  print((os.clock() - start) * 1e9 / (rounds * TASKS))
end)

run(main())
