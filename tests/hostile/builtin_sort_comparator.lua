-- class: long builtins
-- Comparators that contradict themselves, and one that is a C function.
-- outcome: EDEADLINE or ESTALL
local list = {}
for i = 1, 100000 do list[i] = i end
while true do
  pcall(table.sort, list, function() return true end)
  pcall(table.sort, list, rawequal)
  pcall(table.sort, list, math.random)
end
