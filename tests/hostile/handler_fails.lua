-- class: hook evasion
-- A handler that fails is called for its own error, until the C stack ends.
-- outcome: EDEADLINE or ESTALL
while true do
  xpcall(error, function() error "again" end, "x")
end
