-- crowd.lua - makes tasks without end. The limit on tasks raises an error,
-- which a plugin could catch: there is no harm in it.

return function()
  while true do
    create_task(sleep(60))
  end
end
