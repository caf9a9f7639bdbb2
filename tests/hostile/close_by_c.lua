-- class: closing
-- C functions close: they would run no instruction that a hook sees.
-- call: ESTALL or EDEADLINE
-- after: ended
local list = {}
_G.after = function() assert(#list == 0, "a __close ran after the kill") end
local generator = coroutine.wrap(function() list[1] = true end)
local callable = setmetatable({}, {__call = table.insert})
local _ <close> = setmetatable(list, {__close = table.insert})
local _ <close> = setmetatable({}, {__close = generator})
local _ <close> = setmetatable({}, {__close = callable})
local _ <close> = setmetatable({}, {__close = pcall, __call = generator})
while true do end
