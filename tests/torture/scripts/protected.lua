-- pcall, xpcall and error in nests, with memory errors caught and the program going on.
local function nested(depth)
  if depth == 0 then error("bottom", 0) end
  local ok, err = pcall(nested, depth - 1)
  assert(not ok)
  error(err, 0)
end
local caught = 0
for depth = 1, 20 do
  local ok, err = pcall(nested, depth)
  assert(not ok)
  if err ~= "bottom" then caught = caught + 1 end
end

local handler = function(err) return { message = err, where = string.rep("x", 100) } end
for i = 1, 10 do
  local ok, result = xpcall(function()
    local t = {}
    for j = 1, i do t[j] = { tostring(j) } end
    if i % 2 == 0 then error(t) end
    return t
  end, handler)
  if type(result) ~= "table" then caught = caught + 1 else assert(ok == (i % 2 == 1)) end
end

-- a failure is one moment, or from there on
local ok, text = pcall(string.rep, "memory", 10)
assert(not ok or #text == 60)
return caught
