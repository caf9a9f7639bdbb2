-- class: closing
-- The same by resuming it.
-- call: ESTALL or EDEADLINE
-- after: ESTALL or EDEADLINE or error
local again = coroutine.wrap(function()
  local _ <close> = setmetatable({}, {__close = function() while true do end end})
  while true do end
end)
_G.after = again
again()
