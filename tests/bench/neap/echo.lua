-- A server that sends back what it gets; prints its port.
local asyncio = require "asyncio"
local net = require "net"

local handler = async(function(stream)
  while true do
    local data = await(stream:read())
    if not data then return end
    await(stream:write(data))
  end
end)

run(async(function()
  local server <close> = await(net.listen("127.0.0.1", 0, handler, { backlog = 4096 }))
  print(select(2, server:address()))
  io.stdout:flush()
  await(asyncio.Future())
end)())
