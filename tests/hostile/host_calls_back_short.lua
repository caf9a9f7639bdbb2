-- class: budget resets
-- Callbacks that end in time, without end.
-- outcome: EDEADLINE
local function nothing() end
while true do _G.host.call(nothing) end
