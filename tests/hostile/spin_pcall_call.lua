-- class: spinning
-- The same where nothing can be suspended, so that the kill is an error.
-- call: ESTALL or EDEADLINE
-- after: ended
local caught = 0
_G.after = function() assert(caught == 0, "the kill was caught") end
local function deep(n)
  if n == 0 then while true do end end
  pcall(deep, n - 1)
  caught = caught + 1
end
while true do deep(150) end
