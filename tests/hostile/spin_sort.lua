-- class: spinning
-- In a coroutine, in a comparator of table.sort, under pcall.
-- outcome: EDEADLINE
-- after: ended
local caught = false
_G.after = function() assert(not caught, "the kill was caught") end
local spin = coroutine.wrap(function() while true do end end)
while true do
  pcall(table.sort, {1, 2, 3}, function() return spin() end)
  caught = true
end
