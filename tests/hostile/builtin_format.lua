-- class: long builtins
-- Many of the longest numbers.
-- outcome: EDEADLINE or EMEMORY
local format, values = ("%99.99f"):rep(2000), {}
for i = 1, 2000 do values[i] = 1e308 end
while true do
  pcall(string.format, format, table.unpack(values))
  pcall(string.pack, ("s"):rep(2000), table.unpack(values))
  pcall(string.unpack, ("i1"):rep(2000), ("x"):rep(2000))
end
