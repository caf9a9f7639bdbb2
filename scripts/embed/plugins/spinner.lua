-- spinner.lua - spins, and catches whatever is raised to stop it. It loses
-- its turn again and again, and the others go on, until its time is over.

local function spin()
  while true do
  end
end

return function()
  while true do
    pcall(spin)
  end
end
