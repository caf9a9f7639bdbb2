-- An await in line: await(one()) of an async function that does not suspend; prints ns per await.
local n = math.tointeger(arg[1])

local one = async(function() return 1 end)

local main = async(function()
  local sum = 0
  local start = os.clock()
  for _ = 1, n do sum = sum + await(one()) end
  local spent = os.clock() - start
  assert(sum == n)
  print(spent * 1e9 / n)
end)

run(main())
