--
-- net.lua - TCP and Unix sockets: connections and servers; names.
--
local asyncio = require "asyncio"
require "stream" -- C's half asks it for streams
local c = require "neap.net.c"
local Server = require "neap.net.server"
local usage = require "neap.module.usage" "net"

local async = asyncio.async
local refuse, check = usage.refuse, usage.check

local M = {}

local connect, resolve = async(c.connect, "net.connect"), async(c.resolve, "net.resolve")

local connect_options = usage.set "nodelay"

-- await(net.connect(host, port [, options])) -> a stream
M.connect = async(function(host, port, options)
  options = options or {}
  usage.check_options(options, connect_options, "connect")
  if not c.is_numeric(host) then host = await(resolve(host))[1] end
  return await(connect(host, port, options.nodelay ~= false))
end, "net.connect")

local listen_options = usage.set "backlog nodelay max_connections reuseport"

-- await(net.listen(host, port, handler [, options])) -> a server
M.listen = async(function(host, port, handler, options)
  options = options or {}
  usage.check_options(options, listen_options, "listen")
  if not c.is_numeric(host) then host = await(resolve(host))[1] end
  if handler == nil then refuse("listen: a handler expected") end
  local max = check(options.max_connections, "number", "max_connections")
  return Server.new({c.listen(host, port, options.backlog or 511, max, options.nodelay ~= false,
    options.reuseport)}, handler, max)
end, "net.listen")

return M
