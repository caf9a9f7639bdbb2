-- class: memory
-- Functions, each with the one before as an upvalue.
-- outcome: EMEMORY
local f
while true do
  local g = f
  f = function() return g end
end
