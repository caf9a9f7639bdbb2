-- class: output
-- Warnings go to the host, too.
-- outcome: EDEADLINE
warn("@on")
while true do
  warn(("x"):rep(10000), ("y"):rep(10000))
end
