-- hog.lua - takes all the memory that it gets, and catches the error.

local function grow()
  local list
  while true do
    list = {list}
  end
end

return function()
  while true do
    pcall(grow)
  end
end
