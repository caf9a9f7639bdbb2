-- class: spinning
-- Code that does nothing but call C functions with callbacks can be suspended
-- between them: it loses its turn, and is not killed before its time.
-- outcome: EDEADLINE
local function same(c) return c end
while true do ("xxxxxxxxxx"):gsub(".", same) end
