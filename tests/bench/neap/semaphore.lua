-- A semaphore with 10 places: TASKS tasks wait, hold a place for a turn, and queue again; prints
-- ns per acquire. usage: semaphore.lua N [TASKS]
local asyncio = require "asyncio"
local TASKS = math.tointeger(arg[2] or 1000)
local rounds = math.tointeger(arg[1]) // TASKS
local semaphore = asyncio.Semaphore(10)

local worker = async(function()
  for _ = 1, rounds do
    local _ <close> = await(semaphore:acquire())
    await(sleep(0))
  end
end)

local main = async(function()
  local tasks = {}
  for i = 1, TASKS do tasks[i] = create_task(worker()) end
  local start = os.clock()
  await(gather(tasks))
  print((os.clock() - start) * 1e9 / (rounds * TASKS))
end)

run(main())
