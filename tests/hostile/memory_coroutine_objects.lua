-- class: memory
-- Coroutine objects that nobody awaits, with an argument that they keep.
-- outcome: EMEMORY
local list = {}
local f = async(function() end)
while true do list[#list + 1] = f({}) end
