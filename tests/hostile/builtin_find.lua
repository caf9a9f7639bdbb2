-- class: long builtins
-- A plain search in quadratic time.
-- outcome: EDEADLINE or ESTALL
local s = ("a"):rep(1 << 20)
local p = ("a"):rep(1 << 19) .. "b"
while true do
  pcall(string.find, s, p, 1, true)
  pcall(string.find, s, p)
end
