-- class: hook evasion
-- No handler is called for a kill, however deep it finds the code. In a call
-- it is an error, and 20,000 levels are more than anybody searches for them.
-- outcome: EDEADLINE
-- call: ESTALL or EDEADLINE
-- after: ended
local called = false
_G.after = function() assert(not called, "a handler was called") end
local function handler() called = true while true do end end
local function deep(n)
  if n == 0 then while true do end end
  return (deep(n - 1))
end
xpcall(function() return (xpcall(deep, handler, 20000)) end, handler)
