--
-- tls/sides.lua - the two sides of a handshake: options to what puts TLS on
-- top of a stream. `net` uses them as well as tls.lua.
--
local asyncio = require "asyncio"
local c = require "neap.tls.c"
require "neap.tls.errors"
local contexts = require "neap.tls.contexts"
local usage = require "neap.module.usage" "tls"

local PATIENCE <const> = 60 -- seconds for a handshake, unless it is told

local accept = asyncio.async(c.accept, "tls.accept")
local connect = asyncio.async(c.connect, "tls.connect")

local M = {}

local clients, servers = usage.set "context server_name session timeout", usage.set "context timeout"
for _, known in ipairs {clients, servers} do
  for name in pairs(contexts.known) do known[name] = true end
end

-- The context for clients that ask for nothing else: the system's authorities
-- are read once.
local standard

-- A context of the options, which may have one.
local function context_of(options, of)
  local given = options.context
  local own
  for name in pairs(options) do
    if contexts.known[name] then own = name end
  end
  if given ~= nil then
    if not c.is_context(given) then
      usage.refuse("context: a Context expected, got %s; write tls.context{...}", usage.describe(given))
    elseif own then
      usage.refuse("%s: give it to tls.context, as there is a context", own)
    end
    return given
  elseif own or of ~= "connect" then
    return contexts.new(options)
  end
  standard = standard or contexts.new {}
  return standard
end

-- What may stand for options: nil and true are none, and a context is one.
local function check_options(options, known, of)
  if c.is_context(options) then return {context = options} end
  if options == nil or options == true then return {} end
  usage.check_options(options, known, of)
  return options
end

local function seconds_of(options)
  local seconds = usage.check_seconds(options.timeout, "timeout") or PATIENCE
  if seconds < 0 then usage.refuse("timeout is %s, but cannot be negative", seconds + 0.0) end
  return seconds
end

-- client(options, host) -> a function: stream -> what gives the stream of TLS.
-- The host is the server's name unless the options have one.
function M.client(options, host)
  options = check_options(options, clients, "connect")
  local context, seconds = context_of(options, "connect"), seconds_of(options)
  local name = usage.check(options.server_name, "string", "server_name") or host
  local session = usage.check(options.session, "string", "session")
  if name then
    name = name:gsub("%.$", "") -- "example.com." is the same host
    -- OpenSSL would take ".example" for all names below it, and "*.example" for what certificates say of them
    if #name < 1 or #name > 255 or name:find "^[.*]" or name:find("\0", 1, true) then
      usage.refuse("server_name: %q is no name of a host", name)
    end
  elseif contexts.options_of[context].verify ~= false then
    usage.refuse "connect: server_name, which the certificate is to be for, is missing; verify=false does without"
  end
  return function(stream) return connect(seconds, stream, context, name, session) end
end

-- server(options) -> the same for the server's side
function M.server(options)
  options = check_options(options, servers, "accept")
  local context, seconds = context_of(options, "accept"), seconds_of(options)
  local own = contexts.options_of[context]
  if not own.cert then
    usage.refuse "accept: a server needs a certificate; give cert= and key="
  elseif own.verify and not own.ca then
    usage.refuse "verify: give ca=, the authority that signs clients' certificates"
  end
  return function(stream) return accept(seconds, stream, context) end
end

return M
