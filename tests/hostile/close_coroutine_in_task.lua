-- class: closing
-- The same in a task, one generator deep; and with what yields.
-- outcome: ESTALL or EDEADLINE
-- after: ended
local meta = {__close = function() while true do end end}
local closed = 0
_G.after = function() assert(closed == 0, "coroutine.close caught the kill") end
coroutine.wrap(function()
  while true do
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, meta)
      coroutine.yield()
    end)
    coroutine.resume(co)
    coroutine.close(co)
    closed = closed + 1
  end
end)()
