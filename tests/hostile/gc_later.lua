-- class: finalizers
-- One that comes into the metatable later counts for objects made after it.
-- outcome: ended
local ran = false
local meta = {}
setmetatable({}, meta)
meta.__gc = function() ran = true while true do end end
assert(not pcall(setmetatable, {}, meta))
meta.__gc = nil
setmetatable({}, setmetatable(meta, {__index = {__gc = function() ran = true while true do end end}}))
collectgarbage()
collectgarbage()
assert(not ran)
