-- class: hook evasion
-- A message handler cannot be suspended; in hook errors it would run with
-- hooks off.
-- outcome: ESTALL or EDEADLINE
while true do
  xpcall(error, function() while true do end end, "x")
end
