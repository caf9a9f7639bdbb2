-- class: memory
-- Lua's stack.
-- outcome: EMEMORY
local function f(n) return f(n + 1) + 1 end
while true do pcall(f, 1) end
