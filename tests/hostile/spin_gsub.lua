-- class: spinning
-- In a callback of string.gsub, which cannot be suspended.
-- outcome: ESTALL or EDEADLINE
while true do
  pcall(string.gsub, "x", "x", function() while true do end end)
end
