--
-- http/request.lua - one request: its options checked and made into what
-- http.curl takes, and the hops from redirect to redirect.
--
-- A request is the table that multi:start gets, and has for this half's use
--   target: the URL as curl.url gave it
--   timeout: {total=, connect=, idle=}
--   follow: how many redirects to follow; nil: to give them as they are
--   source, rewind: see body.lua
--
local asyncio = require "asyncio"
local body = require "neap.http.body"
local cookies = require "neap.http.cookies"
local errors = require "neap.http.errors"
local fields = require "neap.http.fields"
local headers = require "neap.http.headers"
local options_of = require "neap.http.options"
local response_of = require "neap.http.response"
local upload_of = require "neap.http.upload"
local usage = require "neap.module.usage" "http"
local refuse, check = usage.refuse, usage.check

local catch, time = asyncio.catch, asyncio.time

local MAX_REDIRECTS <const> = 10

-- The methods with a function of their own.
local M = {METHODS = "get post put patch delete head options"}

local known = usage.set [[
  params headers json data form files timeout allow_redirects max_redirects auth cookies proxy
]]

local credentials = usage.set "authorization cookie host proxy-authorization"
local about_body = usage.set [[
  content-type content-length content-encoding content-language content-location
]]
local sends_body = usage.set "POST PUT PATCH"

-- Puts the query behind that of the URL.
local function with_params(text, params)
  local query = fields.encode(params, "params", fields.QUERY)
  if query == "" or type(text) ~= "string" then return text end
  local url, fragment = text:match("^([^#]*)(.*)$")
  local between = not url:find("?", 1, true) and "?" or url:find("[?&]$") and "" or "&"
  return url .. between .. query .. fragment
end

-- The headers of the request: its own, and those of the session that it does
-- not give anew.
local function put_headers(request, options, of_session)
  local lines, names, values, cookie = headers.lines(options.headers or {})
  local content_type = body.put(request, options)
  if values["transfer-encoding"] then
    refuse("headers: Transfer-Encoding is not for a request to set; a function as data= is "
      .. "sent in chunks")
  elseif request.parts and values["content-type"] then
    refuse("headers: files= makes the Content-Type itself")
  elseif values["content-length"] then
    body.check_length(request, values["content-length"])
  end
  local merged = {}
  for i, line in ipairs(of_session.lines) do
    local name = of_session.names[i]
    local made_by_files = request.parts and name == "content-type"
    if not (values[name] or made_by_files) then merged[#merged + 1] = line end
  end
  for i, line in ipairs(lines) do
    if names[i] ~= "content-length" then merged[#merged + 1] = line end
  end
  if content_type and not values["content-type"] and not of_session.values["content-type"] then
    merged[#merged + 1] = "Content-Type: " .. content_type
  end
  request.headers = merged
  request.cookies = cookies.join(request.cookies, cookie)
  return values
end

local function put_auth(request, options, values, of_session)
  local auth, target = options.auth, request.target
  if auth and target.user then
    refuse("auth= and a user in the URL")
  elseif (auth or target.user) and values.authorization then
    refuse("a header Authorization and %s", auth and "auth=" or "a user in the URL")
  end
  if auth or auth == false or values.authorization then
    request.username, request.password = nil, nil
  end
  if auth then
    request.username, request.password = options_of.auth(auth)
  end
  if request.username and of_session.values.authorization then
    request.headers = headers.without(request.headers, {authorization = true})
  end
end

local function put_options(request, options, of_session, session)
  local values = put_headers(request, options, of_session)
  put_auth(request, options, values, of_session)
  if options.cookies ~= nil then
    request.cookies = cookies.join(request.cookies, cookies.text(options.cookies))
  end
  if options.proxy ~= nil then
    request.proxy = options.proxy and options_of.proxy(options.proxy) or nil
  end
  if options.timeout ~= nil then
    request.timeout = options_of.timeout(options.timeout, session.timeout)
    request.connect_timeout = request.timeout.connect
  end
  local max = options_of.count(options.max_redirects, MAX_REDIRECTS, "max_redirects")
  local allow = check(options.allow_redirects, "boolean", "allow_redirects")
  if allow == nil then allow = request.method ~= "HEAD" end
  request.follow = allow and max or nil
end

local NONE <const> = {}

-- prepare(session, method, url, options) -> the request; usage errors and
-- InvalidURL for what cannot be sent.
local function prepare(session, method, text, options)
  if options ~= nil then
    usage.check_options(options, known, "a request")
    if options.params ~= nil then text = with_params(text, options.params) end
  end
  local target = options_of.url(text, session.base)
  local trusted = session.origin == nil or session.origin == target.origin
  local of_session = trusted and session.trusted or session.others
  local request = {
    method = method,
    url = target.href,
    target = target,
    headers = of_session.lines,
    cookies = of_session.cookies,
    username = target.user or of_session.user,
    password = target.user and (target.password or "") or of_session.password,
    proxy = session.proxy,
    verify = session.verify,
    ca = session.ca,
    ca_is_folder = session.ca_is_folder,
    ca_text = session.ca_text,
    timeout = session.timeout,
    connect_timeout = session.timeout.connect,
    follow = method ~= "HEAD" and MAX_REDIRECTS or nil,
  }
  if options ~= nil or target.user then
    put_options(request, options or NONE, of_session, session)
  end
  if request.body == nil and request.parts == nil then
    if sends_body[method] then request.body = "" end
  elseif method == "HEAD" then
    refuse("a HEAD request has no body")
  end
  return request
end

-- check_method(verb) -> the method in capitals
function M.check_method(verb)
  if type(verb) ~= "string" then
    refuse("request: a method such as \"GET\" expected, got %s", usage.describe(verb))
  elseif not verb:find("^[%w!#$%%&'*+.^_`|~-]+$") or verb:upper() == "CONNECT" then
    refuse("request: %q is not a method for a request", verb)
  end
  return verb:upper()
end

local function without_body(request)
  request.body, request.length, request.parts = nil, nil, nil
  request.source, request.rewind = nil, nil
  request.headers = headers.without(request.headers, about_body)
end

-- May what is meant for one URL be sent to the other? It may when a server
-- sends its visitors from http to https.
local function same_site(from, to)
  return from.origin == to.origin or from.host == to.host
    and from.scheme == "http" and from.port == 80 and to.scheme == "https" and to.port == 443
end

-- Makes the request that which a redirect asks for.
local function redirect(request, response, location)
  local status, method, from = response.status, request.method, request.target
  local to = options_of.url(location, request.url)
  if (status == 303 and method ~= "HEAD") or (status <= 302 and method == "POST") then
    request.method = "GET"
    without_body(request)
  elseif request.rewind then
    request.rewind()
  elseif request.source then
    local why = "cannot follow the redirect to %s: the body was read while it was sent"
    error(errors.of_response(errors.ClientPayloadError, response, why:format(to.href)), 0)
  end
  if not same_site(from, to) then
    request.headers = headers.without(request.headers, credentials)
    request.cookies, request.username, request.password = nil, nil, nil
  end
  if to.user then
    request.headers = headers.without(request.headers, {authorization = true})
    request.username, request.password = to.user, to.password or ""
  end
  to.fragment = to.fragment or from.fragment
  request.target, request.url = to, to.href
end

-- Sends the request and waits for the head of the response.
local function exchange(session, request, deadline)
  local idle = request.timeout.idle
  local transfer = session.multi:start(request)
  local upload = request.source and upload_of.start(session, transfer, request, deadline)
  local ok, head, failure = catch(transfer.head, transfer, deadline, idle)
  if ok and head then
    return response_of.new(request, transfer, head, deadline, upload)
  end
  transfer:close()
  if upload then
    upload_of.stop(upload)
    if ok and upload.failed then error(upload.error, 0) end
  end
  error(ok and errors.from_failure(failure, request) or head, 0)
end

local redirects = {[301] = true, [302] = true, [303] = true, [307] = true, [308] = true}

-- perform(session, method, url, options) -> the response, of which the head
-- has come. Suspends.
function M.perform(session, method, text, options)
  local request = prepare(session, method, text, options)
  local total = request.timeout.total
  local deadline = total and time() + total
  local history
  while true do
    if session.closed then
      local failure = {kind = "closed", message = "the session was closed"}
      error(errors.from_failure(failure, request), 0)
    end
    local response = exchange(session, request, deadline)
    response.history = history and table.move(history, 1, #history, 1, {}) -- its own
    if not (redirects[response.status] and request.follow) then return response end
    local location = response.headers["Location"]
    if location == nil or location == "" then return response end
    response:close()
    history = history or {}
    if #history >= request.follow then
      local text_of_error = ("more than %d redirects"):format(request.follow)
      error(errors.of_response(errors.TooManyRedirects, response, text_of_error), 0)
    end
    history[#history + 1] = response
    redirect(request, response, location)
  end
end

return M
