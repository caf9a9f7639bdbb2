-- class: long builtins
-- Patterns that try all ways.
-- outcome: EDEADLINE or ESTALL
local s, p = ("a"):rep(30), ("a?"):rep(30) .. ("a"):rep(30)
while true do
  pcall(string.find, s, p)
  pcall(string.match, ("a"):rep(1000), (".-"):rep(20) .. "b")
  pcall(string.gsub, ("a"):rep(1000), (".*"):rep(20) .. "b", "")
  pcall(function() for _ in s:gmatch(p) do print() end end)
  pcall(string.find, ("("):rep(100000), "%b()")
end
