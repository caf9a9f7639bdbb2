-- A proxy: each connection to it becomes one to another server, and bytes go
-- both ways until both sides have said that they are done.
--
--   build/neap scripts/examples/tcp-proxy.lua HOST PORT [own port]
--
-- `pipe` moves the bytes in C, and reads no faster than the other side takes
-- them. When one side has ended, `shutdown` tells that to the other, which may
-- still have something to say.

local asyncio = require "asyncio"
local net = require "net"

local function one_way(from, to)
  local bytes = await(from:pipe(to))
  await(to:shutdown())
  return bytes
end
local forward = async(one_way)

local function proxy_to(host, port)
  return async(function(client)
    local name = table.concat({client:peer_address()}, ":")
    local server <close> = await(net.connect(host, port, {timeout = 10}))
    -- when one way breaks, the group cancels the other
    local there, back
    do
      local ways <close> = asyncio.TaskGroup()
      there = ways:create_task(forward(client, server))
      back = ways:create_task(forward(server, client))
    end
    print(("%s: %d bytes there, %d back"):format(name, there:result(), back:result()))
    io.stdout:flush()
  end)
end

function async.main(host, port, own_port)
  local server <close> = await(net.listen("127.0.0.1", own_port, proxy_to(host, port)))
  print(("listening on %s, port %d"):format(server:address()))
  io.stdout:flush()
  await(asyncio.Future()) -- for ever
end

local host, port, own_port = arg[1], math.tointeger(arg[2]), math.tointeger(arg[3] or 0)
if not (port and own_port and math.ult(port, 65536) and math.ult(own_port, 65536)) then
  io.stderr:write("usage: tcp-proxy.lua HOST PORT [own port]\n")
  os.exit(2)
end
run(main(host, port, own_port))
