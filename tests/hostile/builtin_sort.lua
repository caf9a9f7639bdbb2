-- class: long builtins
-- Long strings that are equal up to their ends, compared over and over.
-- outcome: EDEADLINE or ESTALL
local s, longer = ("x"):rep(1 << 18), ("x"):rep(1 << 18) .. "x"
local list = {}
for i = 1, 50000 do list[i] = i % 2 == 0 and s or longer end
while true do pcall(table.sort, list) end
