-- class: error objects
-- The host names the type, and runs no Lua.
-- outcome: error (error object is a table value)
error(setmetatable({}, {__tostring = function() while true do end end}))
