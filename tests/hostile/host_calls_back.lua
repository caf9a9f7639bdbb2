-- class: budget resets
-- A function of the host calls back: that is a call of the host, but on behalf
-- of who called it. Its callback spins, is killed for its own time, and again.
-- outcome: EDEADLINE or ESTALL
-- after: ended
local returned = 0
_G.after = function() assert(returned <= 20, "each call had a budget of its own") end
while true do
  pcall(_G.host.call, function() while true do end end)
  returned = returned + 1
end
