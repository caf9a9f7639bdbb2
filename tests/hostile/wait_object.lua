-- class: waiting
-- Objects with __await: one that gives itself, one that spins, one that gives
-- what cannot be awaited.
-- outcome: ESTALL or EDEADLINE
local self = setmetatable({}, {__await = function(o) return o end})
local ok, message = pcall(await, self)
assert(not ok and message:find("endlessly", 1, true), message)
assert(not pcall(await, setmetatable({}, {__await = function() return 1 end})))
assert(not pcall(await, setmetatable({}, {__await = 1})))
await(setmetatable({}, {__await = function() while true do end end}))
