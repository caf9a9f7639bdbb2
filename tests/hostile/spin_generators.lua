-- class: spinning
-- The kill has to pass generators in generators, each protected.
-- outcome: EDEADLINE
-- after: ended
local caught = 0
_G.after = function() assert(caught == 0, "the kill was caught") end
local function nest(n)
  while true do
    if n > 0 then
      pcall(coroutine.wrap(nest), n - 1)
      caught = caught + 1
    end
  end
end
nest(60)
