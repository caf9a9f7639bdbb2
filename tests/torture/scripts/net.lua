-- Sockets: connections, reads of all formats, writes, pipes, datagrams, ends.
local asyncio = require "asyncio"
local net = require "net"
local stream = require "stream"

-- What comes is as it was sent, or the end: the other side had no memory.
local function check(text, sent)
  if text == nil or text == "" then error("not enough memory on the other side", 0) end
  assert(text == sent)
end

local function served(s)
  local line = await(s:read("l"))
  await(s:write(line, "\n"))
  await(s:pipe(s))
end

local function main()
  local server <close> = await(net.listen("127.0.0.1", 0, async(served), {max_connections = 1}))
  local host, port = server:address()
  do
    local s <close> = await(net.connect(host, port))
    await(s:write("hello\n"))
    check(await(s:read("L")), "hello\n")
    await(s:write("one|two", 3, "\n"))
    check(await(s:readuntil("|")), "one|")
    check(await(s:readexactly(3)), "two")
    await(s:shutdown())
    check(await(s:read("a")), "3\n")
  end

  do
    local other <close> = await(net.connect(host, port))
    await(other:write("again\n"))
    check(await(other:read("L")), "again\n") -- the place of the first one is free
    local reader = create_task(other:read())
    await(sleep(0))
    reader:cancel()
    local ok, err = asyncio.catch(await, reader)
    if ok then check(err) end -- nothing was sent
    if not asyncio.isinstance(err, asyncio.CancelledError) then error(err, 0) end
  end

  local a <close> = await(net.udp(host, 0))
  local b <close> = await(net.udp(host, 0))
  await(a:send("ping", b:address()))
  assert(await(b:receive()) == "ping")
  assert(await(net.resolve(host))[1] == host)
end

-- Where the server had no memory, this side finds the connection closed.
local ok, err = asyncio.catch(main)
for _, class in ipairs {asyncio.OSError, stream.IncompleteReadError} do
  if asyncio.isinstance(err, class) then err = "not enough memory on the other side" end
end
if not ok then error(err, 0) end
