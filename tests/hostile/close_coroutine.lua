-- class: closing
-- coroutine.close runs a __close, and gives its error back as a value.
-- call: ESTALL or EDEADLINE
-- after: ended
local meta = {__close = function() while true do end end}
local closed = 0
_G.after = function() assert(closed == 0, "coroutine.close caught the kill") end
while true do
  local co = coroutine.create(function()
    local _ <close> = setmetatable({}, meta)
    error "x"
  end)
  coroutine.resume(co)
  coroutine.close(co)
  closed = closed + 1
end
