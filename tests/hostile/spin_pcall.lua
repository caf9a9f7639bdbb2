-- class: spinning
-- A kill that raised an error would be caught here, again and again.
-- outcome: EDEADLINE
-- after: ended
local caught = false
_G.after = function() assert(not caught, "a pcall caught the kill") end
while true do
  pcall(function() while true do end end)
  caught = true
end
