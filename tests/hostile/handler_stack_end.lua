-- class: hook evasion
-- A kill whose handler finds no more C stack becomes an ordinary error: which
-- a coroutine hands out, to code that has not yet heard of the kill.
-- call: ESTALL or EDEADLINE
local function deep(n)
  if n == 0 then while true do end end
  return (string.gsub("x", "x", function() return deep(n - 1) end))
end
coroutine.wrap(function()
  while true do
    for n = 85, 99 do
      coroutine.resume(coroutine.create(function() xpcall(deep, print, n) end))
    end
  end
end)()
