-- Protected calls, of which every tenth fails; prints milliseconds of processor time.
local n = math.tointeger(arg[1])

local function check(i)
  if i % 10 == 0 then error("ten", 0) end
  return i
end

local start = os.clock()
local failures = 0
for i = 1, n do
  local ok, value = pcall(check, i)
  if not ok then
    assert(value == "ten")
    failures = failures + 1
  end
end
local spent = os.clock() - start
assert(failures == n // 10)
print(spent * 1e3)
