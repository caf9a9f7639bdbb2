--
-- net/udp.lua - UDP sockets: names in place of numeric addresses.
--
local asyncio = require "asyncio"
local c = require "neap.net.c"
local connections = require "neap.net.connect"

local async = asyncio.async
local send = c.udp_send
local UdpSocket = c.udp_methods()

-- An address of the host that a socket can send to: one of its own family.
local function reachable(socket, host)
  if c.is_numeric(host) then return host end
  local own = socket:address()
  return connections.addresses(host, own and (own:find(":", 1, true) and "inet6" or "inet"))[1]
end

-- await(socket:receive()) -> data, host, port
UdpSocket.receive = async(c.udp_receive, "UdpSocket.receive")

-- await(socket:send(data [, host, port]))
UdpSocket.send = async(function(self, data, host, port)
  return send(self, data, host ~= nil and reachable(self, host) or nil, port)
end, "UdpSocket.send")

-- await(socket:connect(host, port)): where `send` sends, and the only one it
-- receives from
UdpSocket.connect = async(function(self, host, port)
  return c.udp_connect(self, reachable(self, host), port)
end, "UdpSocket.connect")

-- await(net.udp([host, port])) -> a socket, bound to the address
return async(function(host, port)
  if host == nil then return c.udp() end
  return c.udp(connections.addresses(host)[1], port)
end, "net.udp")
