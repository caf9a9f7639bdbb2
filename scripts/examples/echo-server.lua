-- A server that sends back what it gets. Each connection has a task of its own,
-- which runs `handler` from top to bottom, and waits where there is `await`: for
-- bytes to come, and for a client that is slow to take them.
--
--   build/neap scripts/examples/echo-server.lua [port]     Ctrl-C ends it
--   nc 127.0.0.1 PORT                                      talks to it

local asyncio = require "asyncio"
local net = require "net"

function async.handler(stream)
  while true do
    local data = await(stream:read()) -- what there is; nil at the end
    if not data then return end
    await(stream:write(data))
  end
end -- the stream is closed, however the handler ends

function async.main(port)
  local server <close> = await(net.listen("127.0.0.1", port, handler))
  print(("listening on %s, port %d"):format(server:address()))
  io.stdout:flush()
  await(asyncio.Future()) -- for ever
end

local port = math.tointeger(arg[1] or 0)
if not (port and math.ult(port, 65536)) then
  io.stderr:write("usage: echo-server.lua [port]\n")
  os.exit(2)
end
run(main(port))
