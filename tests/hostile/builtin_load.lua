-- class: long builtins
-- As much source as there may be.
-- capabilities: load
-- outcome: EDEADLINE or ESTALL or EMEMORY
local source = ("x = 1 "):rep(170000)
local deep = "return " .. ("("):rep(100000)
local constants = {}
for i = 1, 60000 do constants[i] = "x=" .. i .. ".5" end
constants = table.concat(constants, "\n")
while true do
  load(source)
  load(deep)
  load(constants)
  load("return " .. ("-"):rep(500000) .. "1")
  load(("goto x "):rep(60000) .. "::x::")
end
