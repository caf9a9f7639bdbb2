-- class: spinning
-- The same outside a task.
-- call: ESTALL or EDEADLINE
local text = ("x"):rep(1 << 14)
local wrap, find = coroutine.wrap, string.find
while true do pcall(wrap(find), text, "xxxxxxy", 1, true) end
