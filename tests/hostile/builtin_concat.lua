-- class: long builtins
-- Elements from a C function, without end.
-- outcome: EDEADLINE or ESTALL or EMEMORY
local t = setmetatable({}, {__index = rawlen})
while true do
  pcall(table.concat, t, "", 1, 1 << 62)
  pcall(table.unpack, t, 1, 900000)
  for i in ipairs(t) do if i > 1000 then break end end
end
