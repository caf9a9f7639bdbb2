-- class: finalizers
-- A finalizer runs with hooks off: nothing could stop it.
-- outcome: error __gc is not available in a sandbox
setmetatable({}, {__gc = function() while true do end end})
collectgarbage()
