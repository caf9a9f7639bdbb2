-- class: spinning
-- Nearly all the time is spent in coroutines whose body is a C function: what
-- the signal puts on them is gone when they end.
-- outcome: EDEADLINE
local text = ("x"):rep(1 << 14)
local wrap, find = coroutine.wrap, string.find
wrap(function()
  while true do pcall(wrap(find), text, "xxxxxxy", 1, true) end
end)()
