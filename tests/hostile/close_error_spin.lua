-- class: closing
-- The same when an error ends it.
-- outcome: EDEADLINE
pcall(function()
  local _ <close> = setmetatable({}, {__close = function() while true do end end})
  error "x"
end)
