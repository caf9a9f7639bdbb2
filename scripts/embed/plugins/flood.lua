-- flood.lua - prints without end. The limit on output raises an error.

return function()
  while true do
    print(("me "):rep(100))
  end
end
