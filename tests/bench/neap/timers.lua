-- Timers: set n of them at 1000 distinct times and let them fire; prints ns of processor time per timer.
local asyncio = require "asyncio"
local n = math.tointeger(arg[1])

local main = async(function()
  local finished = asyncio.Future()
  local left = n
  local function fire()
    left = left - 1
    if left == 0 then finished:set_result(true) end
  end
  local start = os.clock()
  for i = 1, n do asyncio.call_later((1 + i % 1000) / 1000, fire) end
  await(finished)
  print((os.clock() - start) * 1e9 / n)
end)

run(main())
