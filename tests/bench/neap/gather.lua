-- gather of SIZE coroutines that do not suspend, again and again; prints ns per coroutine.
-- usage: gather.lua N [SIZE]
local SIZE = math.tointeger(arg[2] or 100000)
local rounds = math.tointeger(arg[1]) // SIZE

local one = async(function() return 1 end)

local main = async(function()
  local total = 0
  local start = os.clock()
  for _ = 1, rounds do
    local list = {}
    for i = 1, SIZE do list[i] = one() end
    local results = await(gather(list))
    total = total + #results
  end
  local spent = os.clock() - start
  assert(total == rounds * SIZE)
  print(spent * 1e9 / total)
end)

run(main())
