--
-- http.lua - HTTP requests: the module's names, and requests without a
-- session.
--
local asyncio = require "asyncio"
local curl = require "neap.http.curl"
local errors = require "neap.http.errors"
local requests = require "neap.http.request"
local ClientSession = require "neap.http.session"

local catch, method = asyncio.catch, asyncio.async

local M = {ClientSession = ClientSession, libraries = curl.version}

for name, class in pairs(errors) do
  if type(class) == "table" then M[name] = class end
end

-- Options of a session that a request without one needs.
local of_session = {"verify", "ca"}

-- Sends a request in a session of its own, which ends with the response.
local function once(verb, url, options)
  local own, rest = {}, options
  if type(options) == "table" then
    rest = {}
    for name, value in pairs(options) do rest[name] = value end
    for _, name in ipairs(of_session) do own[name], rest[name] = rest[name], nil end
  end
  local session = ClientSession(own)
  local ok, response = catch(requests.perform, session, verb, url, rest)
  -- what has come already can be read all the same
  if ok and not response.transfer:finished() then
    response.owner = session
  else
    session:close()
  end
  if ok then return response end
  error(response, 0)
end

for name in requests.METHODS:gmatch("%a+") do
  local verb = name:upper()
  -- await(http.get(url [, options])) -> a response
  M[name] = method(function(url, options)
    return once(verb, url, options)
  end, "http." .. name)
end

-- await(http.request(method, url [, options])) -> a response
M.request = method(function(verb, url, options)
  return once(requests.check_method(verb), url, options)
end, "http.request")

return M
