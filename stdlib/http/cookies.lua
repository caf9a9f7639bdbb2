--
-- http/cookies.lua - cookies: the text of those to send, and those that a
-- response sets.
--
local fields = require "neap.http.fields"
local usage = require "neap.module.usage" "http"

local M = {}

-- text(given) -> "name=value; name=value" for the option `cookies`
function M.text(given)
  local flat, parts = fields.flat(given, "cookies"), {}
  for i = 1, #flat, 2 do
    local name, value = flat[i], flat[i + 1]
    if name == "" or name:find("[%c%s=;,]") then
      usage.refuse("cookies: %q is not the name of a cookie", name)
    elseif value:find("[%c;]") then
      usage.refuse("cookies: the value of '%s' has a semicolon or a control character in it", name)
    end
    parts[#parts + 1] = name .. "=" .. value
  end
  return #parts > 0 and table.concat(parts, "; ") or nil
end

-- join(a, b) -> both texts, each of which may be nil
function M.join(a, b)
  return a and b and a .. "; " .. b or a or b
end

-- set_by(headers) -> table name -> value of what Set-Cookie sets
function M.set_by(headers)
  local set = {}
  for _, text in ipairs(headers:get_all("Set-Cookie")) do
    local name, value = text:match("^[^;]*"):match("^%s*([^=]-)%s*=%s*(.-)%s*$")
    if name and name ~= "" then set[name] = value:match('^"(.*)"$') or value end
  end
  return set
end

-- parse_jar(lines) -> a list of tables, for the lines of a cookie file
function M.parse_jar(lines)
  local list = {}
  for _, line in ipairs(lines) do
    local only = line:match("^#HttpOnly_(.*)$")
    local domain, tail, path, secure, expires, name, value = (only or line)
      :match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$")
    list[#list + 1] = {
      name = name, value = value, path = path,
      domain = domain:gsub("^%.", ""),
      subdomains = tail == "TRUE",
      secure = secure == "TRUE",
      http_only = only ~= nil,
      expires = expires ~= "0" and math.tointeger(tonumber(expires)) or nil,
    }
  end
  return list
end

return M
