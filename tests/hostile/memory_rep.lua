-- class: memory
-- More at once than there is: refused before it is taken, so that this goes on
-- until its time has passed.
-- outcome: EDEADLINE
while true do
  assert(not pcall(string.rep, "x", 1 << 30))
  assert(not pcall(string.rep, "x", 1 << 60))
  assert(not pcall(string.rep, ("x"):rep(1000), 1 << 20, ("y"):rep(1000)))
end
