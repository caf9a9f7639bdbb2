-- class: cancellation
-- The same where the kill is an error.
-- run: call
-- outcome: ESTALL or EDEADLINE
-- after: ended
local asyncio = require "asyncio"
local caught = false
_G.after = function() assert(not caught, "the kill was caught") end
while true do
  asyncio.catch(function() while true do end end)
  caught = true
end
