-- Coroutines of the script's own, in a task: values in and out, awaits inside, ends and errors.
local gen = coroutine.wrap(function()
  local sum = 0
  for i = 1, 5 do
    await(sleep(0))
    sum = sum + i
    coroutine.yield(sum)
  end
end)
local last
for value in gen do last = value end
assert(last == 15)

local echo = coroutine.create(function(x)
  while true do x = coroutine.yield(x) end
end)
for i = 1, 5 do
  local ok, value = coroutine.resume(echo, i)
  if not ok then error(value, 0) end
  assert(value == i and coroutine.status(echo) == "suspended")
end
assert(coroutine.close(echo) and coroutine.status(echo) == "dead")

local nested = coroutine.wrap(function()
  for x in coroutine.wrap(function() for i = 1, 3 do await(sleep(0)) coroutine.yield(i) end end) do
    coroutine.yield(x * x)
  end
end)
assert(nested() == 1 and nested() == 4 and nested() == 9)

local failing = coroutine.create(function() await(sleep(0)) error("inside", 0) end)
local ok, err = coroutine.resume(failing)
if err ~= "inside" then error(err, 0) end
assert(not ok and not coroutine.resume(failing))
