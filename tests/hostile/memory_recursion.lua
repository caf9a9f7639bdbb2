-- class: memory
-- Lua's stack.
-- deadline: 20
-- outcome: EMEMORY
local function f(n) return f(n + 1) + 1 end
while true do pcall(f, 1) end
