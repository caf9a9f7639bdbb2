--
-- http/options.lua - the options that a session and a request share, as they
-- are given and as they are used.
--
local curl = require "neap.http.curl"
local errors = require "neap.http.errors"
local fields = require "neap.http.fields"
local usage = require "neap.module.usage" "http"
local refuse, check, describe = usage.refuse, usage.check, usage.describe

local M = {}

-- without_credentials(text) -> the URL as far as errors show it
local function without_credentials(text)
  return (text:gsub("^([^/?#]*//)[^/?#]*@", "%1"))
end

-- url(text, base) -> what curl.url gives; raises InvalidURL. `base`, the
-- text of a URL, may be nil.
function M.url(text, base)
  if type(text) ~= "string" then refuse("a URL, a string, expected, got %s", describe(text)) end
  local url, message
  if text:find("^%a[%w+.-]*:") and not text:find("^%a[%w+.-]*://[^/?#]") then
    message = "it has no host" -- curl would take a part of the path for it
  else
    url, message = curl.url(fields.tidy(text), base)
  end
  if url then return url end
  local shown = without_credentials(text)
  error(errors.InvalidURL(("%q is not a URL (%s)"):format(shown, message), {url = shown}), 0)
end

local DEFAULT <const> = {total = 300, connect = 30}
local limits = usage.set "total connect idle"

local function check_limit(value, name)
  if value == false then return end
  if math.type(value) == nil then
    refuse("%s: a number of seconds or false expected, got %s", name, describe(value))
  elseif value < 0 or value ~= value then
    refuse("%s: %s is no number of seconds", name, value)
  end
end

-- timeout(given, of) -> {total=, connect=, idle=} in seconds, without those
-- that do not limit; what is not given is that of the table `of`. A number
-- is the total; 0 and false are no limit.
function M.timeout(given, of)
  of = of or DEFAULT
  if given == nil then return of end
  if type(given) ~= "table" then
    given = {total = given}
    check_limit(given.total, "timeout")
  end
  usage.check_options(given, limits, "timeout")
  local timeout = {}
  for name in pairs(limits) do
    local value = given[name]
    if value == nil then
      value = of[name]
    else
      check_limit(value, "timeout." .. name)
    end
    timeout[name] = value and value > 0 and value or nil
  end
  return timeout
end

local auth_fields = {user = true, password = true, [1] = true, [2] = true}

-- auth(given) -> user, password
function M.auth(given)
  check(given, "table", "auth")
  usage.check_options(given, auth_fields, "auth")
  local user = check(given.user or given[1] or false, "string", "auth: user")
  local password = check(given.password or given[2] or "", "string", "auth: password")
  if user:find(":", 1, true) then
    refuse("auth: a user cannot have ':' in the name")
  elseif (user .. password):find("[%c]") then
    refuse("auth: a control character in the user or password")
  end
  return user, password
end

-- proxy(given) -> the URL of a proxy
function M.proxy(given)
  M.url(check(given, "string", "proxy"))
  return given
end

local EISDIR <const> = 21

-- ca(given) -> path, whether it is a folder; or nil, nil, the PEM text itself
function M.ca(given)
  if check(given, "string", "ca") == nil then return end
  if given:find("-----BEGIN", 1, true) then return nil, nil, given end
  local file = usage.open(given, "r", "ca")
  local _, _, code = file:read(1)
  file:close()
  return given, code == EISDIR
end

-- count(given, default, what) -> an integer of at least 0
function M.count(given, default, what)
  if given == nil then return default end
  if math.type(given) ~= "integer" or given < 0 then
    refuse("%s: an integer of at least 0 expected, got %s", what,
      math.type(given) and given or describe(given))
  end
  return given
end

return M
