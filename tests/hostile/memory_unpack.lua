-- class: memory
-- As many values as there may be, on the stack and in tables.
-- outcome: EMEMORY or EDEADLINE
local t = {}
for i = 1, 100000 do t[i] = i end
local list = {}
while true do
  pcall(function()
    list[#list + 1] = {table.unpack(t, 1, 200000), table.unpack(t, 1, 700000)}
  end)
  pcall(table.unpack, t, 1, 1 << 30)
end
