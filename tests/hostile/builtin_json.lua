-- class: long builtins
-- A table that holds itself, and one whose text is far longer than it; texts
-- nested without end.
-- outcome: EDEADLINE or ESTALL or EMEMORY
local json = require "json"
local circle = {}
circle[1] = circle
assert(not pcall(json.encode, circle))
local tree = {}
for _ = 1, 60 do tree = {tree, tree} end
while true do
  pcall(json.encode, tree)
  pcall(json.decode, ("["):rep(1000000))
  pcall(json.decode, "[" .. ("[],"):rep(200000) .. "[]]")
  pcall(json.decode, ("1"):rep(1000000))
end
