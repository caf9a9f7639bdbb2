-- stuck.lua - spins where it cannot be suspended, in a function that
-- string.gsub calls: the others wait for it, but not for long.

local function replace()
  while true do
  end
end

return function(line)
  return line:gsub(".", replace)
end
