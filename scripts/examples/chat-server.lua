-- A chat: what one client writes, all others read. The first line that a client
-- sends is its name.
--
--   build/neap scripts/examples/chat-server.lua [port]     Ctrl-C ends it
--   nc 127.0.0.1 PORT                                      joins
--
-- Each client has two tasks: one reads its lines, the other writes what the rest
-- has to say, from a queue. So nobody waits for a client that does not read:
-- when its queue is full it misses some lines.

local asyncio = require "asyncio"
local net = require "net"

local MOST_LINES <const> = 100 -- that wait to be written to one client
local LONGEST <const> = 1000 -- bytes of a line

local clients = {} -- name -> queue

local function say(text, except)
  for name, queue in pairs(clients) do
    if name ~= except and not queue:full() then queue:put_nowait(text) end
  end
end

-- A name that nobody else has; nil when the client goes before it has said one.
function async.ask_name(stream)
  while true do
    await(stream:write("your name? "))
    local name = await(stream:read("l", LONGEST))
    if not name then return nil end
    name = name:match("^%s*(.-)%s*$")
    if name ~= "" and not clients[name] then return name end
    await(stream:write("that will not do; "))
  end
end

function async.write_lines(stream, queue)
  while true do
    await(stream:write(await(queue:get()), "\n"))
  end
end

function async.chat(stream)
  local name = await(ask_name(stream))
  if not name then return end
  local queue = asyncio.Queue(MOST_LINES)
  say(name .. " comes")
  clients[name] = queue
  local writer = create_task(write_lines(stream, queue))
  -- runs at the end of the function, also of one that an error ends
  local _ <close> = setmetatable({}, {__close = function()
    clients[name] = nil
    writer:cancel()
    say(name .. " goes")
  end})
  for line in stream:lines("l", LONGEST) do
    say(("%s: %s"):format(name, line), name)
  end
end

-- A client that vanishes is no defect of the server's: nobody is told.
function async.handler(stream)
  local ok, err = pcall(await, chat(stream))
  if not ok and not asyncio.isinstance(err, asyncio.OSError) then error(err, 0) end
end

function async.main(port)
  local server <close> = await(net.listen("127.0.0.1", port, handler, {max_connections = 1000}))
  print(("listening on %s, port %d"):format(server:address()))
  io.stdout:flush()
  await(asyncio.Future()) -- for ever
end

local port = math.tointeger(arg[1] or 0)
if not (port and math.ult(port, 65536)) then
  io.stderr:write("usage: chat-server.lua [port]\n")
  os.exit(2)
end
run(main(port))
