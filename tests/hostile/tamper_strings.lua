-- class: tampering
-- The metatable of strings is shared by all code in the VM, the host's too.
-- outcome: error attempt to index
getmetatable("").__index = function() while true do end end
