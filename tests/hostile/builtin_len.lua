-- class: long builtins
-- A length that is a lie.
-- outcome: ended
local function lie() return setmetatable({}, {__len = function() return 1 << 60 end}) end
assert(not pcall(table.insert, lie(), 1, 1))
pcall(table.remove, lie(), 1)
pcall(table.sort, lie())
pcall(table.concat, lie())
pcall(table.unpack, lie())
pcall(table.move, {}, 1, 1 << 60, 2)
pcall(table.move, lie(), 1, 1 << 62, -1 << 62, {})
