-- Ping-pong of two tasks through a Queue(1) each way, or of PAIRS of tasks through the same two;
-- prints ns per round trip. usage: pingpong.lua N [PAIRS]
local asyncio = require "asyncio"
local PAIRS = math.tointeger(arg[2] or 1)
local rounds = math.tointeger(arg[1]) // PAIRS
local there, back = asyncio.Queue(1), asyncio.Queue(1)

local ping = async(function()
  for i = 1, rounds do
    await(there:put(i))
    await(back:get())
  end
end)

local pong = async(function()
  for _ = 1, rounds do await(back:put((await(there:get())))) end
end)

local main = async(function()
  local tasks = {}
  for i = 1, PAIRS do tasks[i] = create_task(ping()) end
  for i = 1, PAIRS do tasks[PAIRS + i] = create_task(pong()) end
  local start = os.clock()
  await(gather(tasks))
  print((os.clock() - start) * 1e9 / (rounds * PAIRS))
end)

run(main())
