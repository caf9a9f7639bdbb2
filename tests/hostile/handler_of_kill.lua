-- class: hook evasion
-- No handler is called for a kill, however deep it finds the code.
-- outcome: EDEADLINE
-- after: ended
local called = false
_G.after = function() assert(not called, "a handler was called") end
local function handler() called = true while true do end end
local function deep(n)
  if n == 0 then while true do end end
  return (deep(n - 1))
end
xpcall(function() return (xpcall(deep, handler, 20000)) end, handler)
