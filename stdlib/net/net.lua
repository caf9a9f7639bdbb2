--
-- net.lua - TCP and Unix sockets: connections and servers; UDP; names.
--
local asyncio = require "asyncio"
require "stream" -- C's half asks it for streams
local connections = require "neap.net.connect"
local servers = require "neap.net.server"
local usage = require "neap.module.usage" "net"

local known = usage.set "family"

return {
  connect = connections.connect,
  connect_unix = connections.connect_unix,
  listen = servers.listen,
  listen_unix = servers.listen_unix,
  udp = require "neap.net.udp",

  -- await(net.resolve(host [, options])) -> a list of addresses
  resolve = asyncio.async(function(host, options)
    options = options or {}
    usage.check_options(options, known, "resolve")
    return connections.addresses(host, connections.check_family(options.family))
  end, "net.resolve"),
}
