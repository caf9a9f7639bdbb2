-- class: spinning
-- In a __pairs, an iterator, and what closes the loop.
-- outcome: EDEADLINE
local function spin() while true do end end
local closing = setmetatable({}, {__close = spin})
create_task(async(function() for _ in pairs(setmetatable({}, {__pairs = spin})) do print() end end)())
create_task(async(function() for _ in spin do print() end end)())
create_task(async(function() for _ in next, {1}, nil, closing do print() end end)())
await(sleep(60))
