-- class: spinning
-- The simplest of all.
-- outcome: EDEADLINE
while true do end
