-- class: memory
-- Catches "not enough memory", should it come.
-- outcome: EMEMORY
while true do
  pcall(function() local t = {} while #t >= 0 do t[#t + 1] = {t} end end)
end
