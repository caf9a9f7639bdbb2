--
-- http/headers.lua - headers: those of a request, checked and made into
-- lines; those of a response, a map without regard to case.
--
local fields = require "neap.http.fields"
local usage = require "neap.module.usage" "http"

local lower = string.lower

local M = {}

-- lines(given) -> the lines of the headers but Cookie, a list with the name of
-- each in lower case, a table from such a name to its value, and the cookies
function M.lines(given)
  local flat = fields.flat(given, "headers")
  local lines, names, values, cookies = {}, {}, {}, nil
  for i = 1, #flat, 2 do
    local name, value = flat[i], flat[i + 1]:match("^[ \t]*(.-)[ \t]*$")
    if not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
      usage.refuse("headers: %q is not the name of a header", name)
    elseif value:gsub("\t", ""):find("%c") then
      usage.refuse("headers: the value of '%s' has a line break or another control character in it", name)
    end
    local key = lower(name)
    values[key] = value
    if key == "cookie" then
      cookies = cookies and cookies .. "; " .. value or value
    else
      names[#names + 1] = key
      lines[#lines + 1] = value == "" and name .. ":" or name .. ": " .. value
    end
  end
  return lines, names, values, cookies
end

-- without(lines, dropped) -> a new list, without the lines whose names, in
-- lower case, are keys of `dropped`
function M.without(lines, dropped)
  local list = {}
  for _, line in ipairs(lines) do
    if not dropped[lower(line:match("^[^:]+"))] then list[#list + 1] = line end
  end
  return list
end

-- A Headers object has, under a key that no script has, the list {name,
-- value, name, value ...} in the order in which they came.
local LIST = {}

local Headers = {}
local Headers_meta = {__name = "Headers"}

-- headers:get_all(name) -> a list of all values of that header
function Headers.get_all(headers, name)
  local list, values = rawget(headers, LIST), {}
  name = lower(usage.check(name or "", "string", "Headers.get_all"))
  for i = 1, #list, 2 do
    if lower(list[i]) == name then values[#values + 1] = list[i + 1] end
  end
  return values
end

-- headers[name] -> the first value, or nil
function Headers_meta.__index(headers, name)
  if Headers[name] then return Headers[name] end
  return type(name) == "string" and M.find(rawget(headers, LIST), lower(name)) or nil
end

function Headers_meta.__newindex()
  usage.refuse("the headers of a response cannot be changed")
end

-- pairs(headers): every header as it came, in order
function Headers_meta.__pairs(headers)
  local list, i = rawget(headers, LIST), -1
  return function()
    i = i + 2
    return list[i], list[i + 1]
  end
end

function Headers_meta.__tostring(headers)
  local lines = {}
  for name, value in pairs(headers) do lines[#lines + 1] = name .. ": " .. value end
  return table.concat(lines, "\n")
end

-- find(list, name) -> the first value of the name, which is in lower case
function M.find(list, name)
  for i = 1, #list, 2 do
    if lower(list[i]) == name then return list[i + 1] end
  end
end

-- new(list) -> the Headers object of a list {name, value, name, value ...}
function M.new(list)
  return setmetatable({[LIST] = list}, Headers_meta)
end

return M
