--
-- http/fields.lua - names with values, as params, headers, form and cookies
-- are given: {name = value, name = {value, value}}, or a list of pairs
-- {{name, value}, {name, value}}, whose order is kept.
--
local usage = require "neap.module.usage" "http"
local refuse, describe = usage.refuse, usage.describe

local M = {}

-- What is sent for a value.
local function text_of(value, name, what)
  local kind = math.type(value)
  if type(value) == "string" or kind == "integer" then return tostring(value) end
  if kind == "float" then
    if value ~= value or value == math.huge or value == -math.huge then
      refuse("%s: the value of '%s' is not a finite number", what, name)
    end
    return tostring(value)
  end
  refuse("%s: a string or a number expected for '%s', got %s", what, name, describe(value))
end

local function check_name(name, what)
  if type(name) ~= "string" then
    refuse("%s: a name expected, got %s", what, describe(name))
  end
end

local function add(list, name, value, what)
  list[#list + 1] = name
  list[#list + 1] = text_of(value, name, what)
end

-- flat(given, what) -> {name, text, name, text ...}; the names of a table
-- without an order are sorted. `what` is the option, for usage errors.
function M.flat(given, what)
  local list = {}
  usage.check(given, "table", what)
  if given[1] ~= nil then
    for i, pair in ipairs(given) do
      if type(pair) ~= "table" then
        refuse("%s: a pair {name, value} expected as item %d, got %s", what, i, describe(pair))
      end
      check_name(pair[1], what)
      add(list, pair[1], pair[2], what)
    end
    return list
  end
  local names = {}
  for name in pairs(given) do
    check_name(name, what)
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = given[name]
    if type(value) ~= "table" then
      add(list, name, value, what)
    else
      for _, each in ipairs(value) do add(list, name, each, what) end
    end
  end
  return list
end

local function percent(character)
  return ("%%%02X"):format(character:byte())
end

-- What stays as it is: in a query, and in a form.
M.QUERY = "[^%w%-._~!$'()*,/:?@ ]"
M.FORM = "[^%w%-._~ ]"

-- encode(given, what, escaped) -> "name=value&name=value", blanks as "+";
-- `escaped` is one of the two above.
function M.encode(given, what, escaped)
  local list = M.flat(given, what)
  local parts = {}
  for i, text in ipairs(list) do
    list[i] = text:gsub(escaped, percent):gsub(" ", "+")
  end
  for i = 1, #list, 2 do parts[#parts + 1] = list[i] .. "=" .. list[i + 1] end
  return table.concat(parts, "&")
end

-- tidy(url) -> the URL with blanks and bytes beyond ASCII encoded, but for
-- those in the name of the host
function M.tidy(url)
  if not url:find("[ \x80-\xff]") then return url end
  local origin, rest = url:match("^(%a[%w+.-]*://[^/?#]*)(.*)$")
  if not origin then origin, rest = url:match("^(//[^/?#]*)(.*)$") end
  return (origin or "") .. (rest or url):gsub("[ \x80-\xff]", percent)
end

return M
