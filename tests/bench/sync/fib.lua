-- Calls and integers: a Fibonacci number by recursion, n times; prints milliseconds of processor time.
local n = math.tointeger(arg[1])

local function fib(k)
  if k < 2 then return k end
  return fib(k - 1) + fib(k - 2)
end

local start = os.clock()
for _ = 1, n do assert(fib(20) == 6765) end
print((os.clock() - start) * 1e3)
