--
-- errors.lua - the classes of asyncio's error objects.
--
-- A class is the metatable of its objects. C code knows an error object by
-- the flags that each class carries under a key of C's own (core/error.c),
-- and that a subclass takes over.
--
local flags_key, EXCEPTION, PASSING, CANCELLED, KEYBOARD = ...

-- Scripts may replace or remove globals.
local error, getmetatable, setmetatable = error, getmetatable, setmetatable
local pairs, rawequal, rawget = pairs, rawequal, rawget
local tostring, type = tostring, type

local classes = {}

local BaseException = {}

-- The text of an error object: its class, and its message if it has one.
local function tostring_error(object)
  local message = rawget(object, "message")
  local name = getmetatable(object).__name
  if message == nil then return name end
  return name .. ": " .. tostring(message)
end

-- Class(message, fields): an object to raise. `fields`, a table, gives
-- further fields of the object; for an ExceptionGroup it is the list of
-- its exceptions.
local function construct(class, message, fields)
  local object = {message = message}
  if fields ~= nil then
    if type(fields) ~= "table" then
      error(("%s: a table of fields expected, got a %s"):format(class.__name, type(fields)), 2)
    end
    if class.__groups then
      object.exceptions = fields
    else
      for field, value in pairs(fields) do object[field] = value end
    end
  end
  return setmetatable(object, class)
end

-- That of a group tells how many exceptions are in it, too.
local function tostring_group(object)
  local list = rawget(object, "exceptions")
  if type(list) ~= "table" then return tostring_error(object) end
  local n = #list
  return ("%s (%d sub-exception%s)"):format(tostring_error(object), n, n == 1 and "" or "s")
end

local class_meta = {
  __call = construct,
  __tostring = function(class) return "<class '" .. class.__name .. "'>" end,
}

local function new_class(name, base, flags)
  local class = {}
  for key, value in pairs(base) do
    if key == flags_key or (type(key) == "string" and key:find("^__")) then
      class[key] = value
    end
  end
  class.__name = name
  class.__index = class
  class.__tostring = base.__tostring or tostring_error
  class.__base = base ~= class_meta and base or nil
  class[flags_key] = flags or base[flags_key]
  return setmetatable(class, {
    __index = base,
    __call = class_meta.__call,
    __tostring = class_meta.__tostring,
    __name = "class",
  })
end

local function is_class(value)
  return type(value) == "table" and rawget(value, flags_key) ~= nil
end

-- class:subclass(name, also): a class whose objects are also of `class`;
-- and of `also`, if given, from which they take nothing else.
function BaseException.subclass(class, name, also)
  if not is_class(class) then
    error("subclass: an error class expected; write asyncio.Exception:subclass(\"Name\")", 2)
  end
  if type(name) ~= "string" then
    error("subclass: a name expected, got a " .. type(name), 2)
  end
  if also ~= nil and not is_class(also) then
    error("subclass: an error class expected after the name, got a " .. type(also), 2)
  end
  local subclass = new_class(name, class)
  if also then subclass.__also = also end
  return subclass
end

local function define(name, base, flags)
  local class = new_class(name, base, flags)
  classes[name] = class
  return class
end

local base = define("BaseException", BaseException, EXCEPTION | PASSING)
base.__base = nil
define("CancelledError", base, EXCEPTION | PASSING | CANCELLED)
define("KeyboardInterrupt", base, EXCEPTION | PASSING | KEYBOARD)
local exception = define("Exception", base, EXCEPTION)
define("TimeoutError", exception)
define("InvalidStateError", exception)
define("QueueEmpty", exception)
define("QueueFull", exception)
define("QueueShutDown", exception)
define("BrokenBarrierError", exception)
define("OSError", exception)
local group = define("ExceptionGroup", exception)
group.__groups = true
group.__tostring = tostring_group

-- Whether the class `of`, or anything else, is `class` or derived from it.
local function derived(of, class)
  while type(of) == "table" do
    if rawequal(of, class) or derived(rawget(of, "__also"), class) then return true end
    of = rawget(of, "__base")
  end
  return false
end

-- isinstance(value, class): whether value is an error object of the class
-- or of one derived from it. Takes any value.
local function isinstance(value, class)
  if not is_class(class) then
    error("isinstance: an error class expected as second argument, got a " .. type(class), 2)
  end
  return type(value) == "table" and derived(getmetatable(value), class)
end

return classes, isinstance
