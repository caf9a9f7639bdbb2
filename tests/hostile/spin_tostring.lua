-- class: spinning
-- In a __tostring that print calls.
-- outcome: ESTALL or EDEADLINE
print(setmetatable({}, {__tostring = function() while true do end end}))
