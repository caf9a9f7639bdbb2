-- class: long builtins
-- Long, but no longer than it may be; again and again.
-- outcome: EDEADLINE or ESTALL
local t = setmetatable({}, {__len = function() return 1000000 end})
while true do
  pcall(table.insert, t, 1, 1)
  pcall(table.remove, t, 1)
  pcall(table.move, t, 1, 1000000, 2)
end
