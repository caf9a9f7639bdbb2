--
-- http/session.lua - ClientSession: what many requests share - connections,
-- cookies, and defaults, which are made ready once.
--
-- Fields that are not for scripts:
--   multi: see http.curl
--   base, origin: of base_url, or nil
--   trusted, others: what requests to that origin send by default, and those
--     to others: {lines=, names=, values= (see headers.lines), cookies=,
--     user=, password=}; without base_url all are `trusted`
--   timeout, proxy, verify, ca, ca_is_folder, ca_text: see options.lua
--   uploads: those that may be under way, as keys
--
local asyncio = require "asyncio"
local cookies = require "neap.http.cookies"
local curl = require "neap.http.curl"
local headers = require "neap.http.headers"
local options_of = require "neap.http.options"
local requests = require "neap.http.request"
local upload_of = require "neap.http.upload"
local usage = require "neap.module.usage" "http"
local check, refuse = usage.check, usage.refuse

local method = asyncio.async

local Session = {__name = "ClientSession"}
Session.__index = Session

local known = usage.set [[
  base_url headers timeout auth limit limit_per_host cookies proxy verify ca
]]

local USER_AGENT <const> = "User-Agent: neap/" .. curl.neap_version
local LIMIT <const> = 100 -- connections

-- Host, too: the cookies that are sent are those of the host it names.
local secrets = usage.set "authorization host proxy-authorization"

-- The lines without those with credentials.
local function public_part(all)
  local public = {lines = {}, names = {}, values = all.values}
  for i, name in ipairs(all.names) do
    if not secrets[name] then
      table.insert(public.names, name)
      table.insert(public.lines, all.lines[i])
    end
  end
  return public
end

-- What requests send by default.
local function defaults(options, base)
  local lines, names, values, cookie = headers.lines(options.headers or {})
  local all = {lines = {}, names = {}, values = values}
  local function add(name, line)
    table.insert(all.names, name)
    table.insert(all.lines, line)
  end
  if not values["user-agent"] then add("user-agent", USER_AGENT) end
  if not values["accept"] then add("accept", "Accept: */*") end
  for i, name in ipairs(names) do
    if name == "content-length" or name == "transfer-encoding" then
      refuse("headers: a session cannot set %s", name)
    end
    add(name, lines[i])
  end
  all.cookies = cookies.join(cookie, options.cookies and cookies.text(options.cookies))
  if options.auth then
    if base and base.user then refuse("auth= and a user in base_url") end
    all.user, all.password = options_of.auth(options.auth)
  elseif base and base.user then
    all.user, all.password = base.user, base.password or ""
  end
  if all.user and values.authorization then
    refuse("auth= (or a user in base_url) and a header Authorization")
  end
  return all
end

local function check_session(value, name)
  usage.check_self(value, Session, name, "session")
  if value.closed then
    refuse("ClientSession.%s: the session is closed", name)
  end
end

for name in requests.METHODS:gmatch("%a+") do
  local verb = name:upper()
  -- await(session:get(url [, options])) -> a response, whose head has come
  Session[name] = method(function(session, url, options)
    check_session(session, name)
    return requests.perform(session, verb, url, options)
  end, "ClientSession." .. name)
end

-- await(session:request(method, url [, options])) -> a response
Session.request = method(function(session, verb, url, options)
  check_session(session, "request")
  return requests.perform(session, requests.check_method(verb), url, options)
end, "ClientSession.request")

-- session:cookies() -> the cookies that servers have set: a list of tables
function Session.cookies(session)
  check_session(session, "cookies")
  return cookies.parse_jar(session.multi:cookies())
end

-- session:close(): ends what is under way. Does not suspend.
function Session.close(session)
  usage.check_self(session, Session, "close", "session")
  if session.closed then return end
  session.closed = true
  for upload in pairs(session.uploads) do upload_of.stop(upload) end
  session.multi:close()
end

Session.__close = Session.close

function Session.__tostring(session)
  return ("<ClientSession%s%s>"):format(session.base and " " .. session.base or "",
    session.closed and " closed" or "")
end

-- ClientSession([options]) -> a session
local function ClientSession(options)
  options = options or {}
  usage.check_options(options, known, "ClientSession")
  local base = options.base_url ~= nil and options_of.url(options.base_url) or nil
  local all = defaults(options, base)
  local ca, ca_is_folder, ca_text = options_of.ca(options.ca)
  local multi_options = {
    limit = options_of.count(options.limit, LIMIT, "limit"),
    limit_per_host = options_of.count(options.limit_per_host, 0, "limit_per_host"),
  }
  return setmetatable({
    closed = false,
    base = base and base.href,
    origin = base and base.origin,
    trusted = all,
    others = public_part(all),
    timeout = options_of.timeout(options.timeout),
    proxy = options.proxy and options_of.proxy(options.proxy) or nil,
    verify = check(options.verify, "boolean", "verify") ~= false,
    ca = ca,
    ca_is_folder = ca_is_folder,
    ca_text = ca_text,
    uploads = setmetatable({}, {__mode = "k"}),
    multi = curl.multi(multi_options),
  }, Session)
end

return ClientSession
