-- class: output
-- The same, not minding the error.
-- outcome: EDEADLINE
while true do pcall(print, "x") end
