-- Coroutines as generators, short-lived ones and one that yields n times; prints milliseconds of processor time.
local n = math.tointeger(arg[1])

local function range(first, last)
  return coroutine.wrap(function()
    for i = first, last do coroutine.yield(i) end
  end)
end

local start = os.clock()
local sum = 0
for _ = 1, n // 10 do
  for i in range(1, 5) do sum = sum + i end
end
local walker = coroutine.create(function()
  while true do coroutine.yield(1) end
end)
for _ = 1, n do
  local _, one = coroutine.resume(walker)
  sum = sum + one
end
local spent = os.clock() - start
assert(sum == n // 10 * 15 + n)
print(spent * 1e3)
