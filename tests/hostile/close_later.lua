-- class: closing
-- The coroutine in which the kill came is closed by a later call: its __close
-- would run with hooks off.
-- call: ESTALL or EDEADLINE
-- after: ended or ESTALL or EDEADLINE or error
local co = coroutine.create(function()
  local _ <close> = setmetatable({}, {__close = function() while true do end end})
  while true do end
end)
_G.after = function() return coroutine.close(co) end
coroutine.resume(co)
