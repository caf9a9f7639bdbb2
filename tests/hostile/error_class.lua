-- class: error objects
-- A class of its own, with a __tostring; and fields that are not what the
-- library thinks.
-- outcome: error
local asyncio = require "asyncio"
local function spin() while true do end end
local hostile = setmetatable({}, {__tostring = spin, __index = spin})
local e = asyncio.Exception("x")
rawset(e, "message", hostile)
rawset(e, "traceback", hostile)
rawset(e, "exceptions", e)
local class = getmetatable(e)
if type(class) == "table" then
  rawset(class, "__tostring", spin)
  rawset(class, "__name", hostile)
  rawset(class, "__index", spin)
  rawset(class, "__eq", spin)
end
error(e)
