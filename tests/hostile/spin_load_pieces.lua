-- class: spinning
-- Source without end, piece by piece: it is bounded, so this goes on for ever.
-- capabilities: load
-- outcome: EDEADLINE or ESTALL
while true do load(function() return " " end) end
