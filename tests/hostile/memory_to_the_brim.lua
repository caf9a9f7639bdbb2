-- class: memory
-- Stays just below the limit, where each collection is in vain.
-- outcome: EDEADLINE or EMEMORY
local list = {}
_G.kept = list
while collectgarbage "count" < 7.5 * 1024 do list[#list + 1] = {} end
while true do
  local s = {}
  _G.last = s
  for i = 1, 1000 do s[i] = {} end
end
