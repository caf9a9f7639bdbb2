-- A server that sends back what it gets; prints its port.
-- usage: echo.lua pipe|write
local asyncio = require "asyncio"
local net = require "net"

local function handler(stream)
  if arg[1] == "pipe" then return await(stream:pipe(stream)) end
  while true do
    local data = await(stream:read())
    if not data then return end
    await(stream:write(data))
  end
end

run(async(function()
  local server = await(net.listen("127.0.0.1", 0, async(handler), { backlog = 4096 }))
  print(select(2, server:address()))
  io.stdout:flush()
  await(asyncio.Future())
end)())
