-- class: cancellation
-- asyncio.catch catches everything but a kill, which in a call is an error.
-- outcome: EDEADLINE
-- call: ESTALL or EDEADLINE
-- after: ended
local asyncio = require "asyncio"
local caught = false
_G.after = function() assert(not caught, "the kill was caught") end
while true do
  asyncio.catch(function() while true do end end)
  caught = true
end
