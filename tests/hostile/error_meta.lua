-- class: error objects
-- Everything about it spins.
-- outcome: error object
local function spin() while true do end end
error(setmetatable({}, {__tostring = spin, __index = spin, __eq = spin, __len = spin,
                        __concat = spin, __call = spin, __pairs = spin,
                        __name = setmetatable({}, {__tostring = spin})}))
