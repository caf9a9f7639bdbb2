-- class: spinning
-- In the function that gives load its pieces.
-- capabilities: load
-- outcome: ESTALL or EDEADLINE
while true do pcall(load, function() while true do end end) end
