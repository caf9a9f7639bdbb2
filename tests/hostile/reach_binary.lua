-- class: tampering
-- Binary chunks, also in pieces, also when asked for.
-- capabilities: load
-- outcome: ended
local binary = string.dump and string.dump(function() return 1 end) or "\27LuaS"
assert(not load(binary))
assert(not load(binary, "x", "b"))
assert(not load(binary, "x", "bt"))
local sent = 0
assert(not load(function() sent = sent + 1 return binary:sub(sent, sent) end, "x", "bt"))
for _ = 1, 100 do
  local at = math.random(#binary)
  local mutated = binary:sub(1, at - 1) .. string.char(math.random(0, 255)) .. binary:sub(at + 1)
  local f = load(mutated, "x", "b")
  assert(f == nil)
end
