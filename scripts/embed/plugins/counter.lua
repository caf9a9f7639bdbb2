-- counter.lua - a plugin as they should be: it counts the events, and lets
-- others have their turn meanwhile.

local count = 0

return async(function(line)
  count = count + 1
  await(sleep(0.01))
  print(("event %d is %q"):format(count, line))
end)
