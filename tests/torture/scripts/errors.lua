-- Errors of all kinds, through pcall, xpcall, to-be-closed variables and awaits; tracebacks.
local asyncio = require "asyncio"

local function memory(err)  -- ends the script; a stack that cannot grow is a "stack overflow"
  if err == "not enough memory" or err == "stack overflow" then error(err, 0) end
  return err
end

local NotFound = asyncio.Exception:subclass("NotFound")
for _, what in ipairs { "text", 42, { 1 }, NotFound("here") } do
  local ok, err = pcall(error, what, 0)
  assert(not ok and memory(err) == what)
  ok, err = pcall(function() await(async(function() await(sleep(0)) error(what, 0) end)()) end)
  assert(not ok and memory(err) == what)
end
local ok, err = pcall(function() local x = nil; return x.field end)
assert(not ok and memory(err):find("index"))

local handled
ok = xpcall(function() error("to the handler") end, function(e) handled = e return e end)
assert(not ok and (handled == nil or memory(handled):find("to the handler")))

local order = {}
ok, err = pcall(function()
  local _ <close> = setmetatable({}, { __close = function(_, e) order[#order + 1] = e end })
  local _ <close> = setmetatable({}, { __close = function() error("second", 0) end })
  error("first", 0)
end)
assert(not ok and memory(err) == "second" and order[1] == "second")

local deep = async(function(self, n)
  if n == 0 then error("at the bottom") end
  await(self(self, n - 1))
end)
local task = create_task(deep(deep, 10))
ok, err = pcall(await, task)
assert(not ok and memory(err):find("at the bottom"))
assert(tostring(NotFound("x")) == "NotFound: x")
