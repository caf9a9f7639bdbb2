-- class: closing
-- A kill closes nothing: 150 scopes wait for it, in a task, and in a call,
-- where it is an error that passes them all.
-- outcome: EDEADLINE
-- call: ESTALL or EDEADLINE
-- after: ended
local closed = 0
_G.after = function() assert(closed == 0, "a __close ran after the kill") end
local meta = {__close = function() closed = closed + 1 while true do end end}
local function deep(n)
  local _ <close> = setmetatable({}, meta)
  if n == 0 then while true do end end
  pcall(deep, n - 1)
end
deep(150)
