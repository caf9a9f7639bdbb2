-- What a sandbox has in place of Lua's own: bounded functions of string and table, print, load, setmetatable.
local function fails(f, ...)
  local ok, err = pcall(f, ...)
  assert(not ok)
  if err == "not enough memory" then error(err, 0) end
end

assert(string.rep("", 1 << 40) == "")
fails(table.insert, setmetatable({}, { __len = function() return 1 << 60 end }), 1, 1)
fails(function() return ("x"):rep(1 << 40) end)
assert(("hello world"):find("o w", 1, true) == 5)
assert(("hello world"):find("o%s") == 5 and ("key = value"):match("(%w+)%s*=%s*(%w+)") == "key")
for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do assert(k and v) end
assert(("abc"):gsub("%w", "%0%0") == "aabbcc" and ("abc"):gsub("", "-") == "-a-b-c-")
assert(table.concat({ 1, 2, 3 }, ", ") == "1, 2, 3")
local t = { 5, 2, 8, 1 }
table.sort(t)
assert(t[1] == 1 and table.unpack(t) == 1)
print("some", "output", 1, nil, {})

assert(io == nil and package == nil and dofile == nil)
if load then
  local f, message = load("return 1 + 1")
  if not f then error(message, 0) end
  assert(f() == 2)
  assert(not load("syntax error"))
  assert(not load("\27Lua"))
end
collectgarbage()
fails(collectgarbage, "stop")
local object = setmetatable({}, { __index = function(_, k) return k end, __len = function() return 3 end })
assert(object.field == "field" and #object == 3)
