-- Which ports of this machine are open? Tries to connect to each, so many at a
-- time, and prints those where somebody answers.
--
--   build/neap scripts/examples/port-scanner.lua [first [last]]
--
-- A refusal is an error of `connect`, as everything else that goes wrong; the
-- code tells which. The semaphore bounds how many sockets are open at once.

local asyncio = require "asyncio"
local net = require "net"

local HOST <const> = "127.0.0.1"
local TOGETHER <const> = 200

function async.is_open(port, semaphore)
  local _ <close> = await(semaphore:acquire())
  local ok, result = pcall(await, net.connect(HOST, port, {timeout = 5}))
  if ok then
    result:close()
    return true
  end
  local quiet = asyncio.isinstance(result, asyncio.TimeoutError) or result.code == "ECONNREFUSED"
  if not quiet then error(result, 0) end
  return false
end

function async.main(first, last)
  local semaphore = asyncio.Semaphore(TOGETHER)
  local checks = {}
  for port = first, last do checks[#checks + 1] = is_open(port, semaphore) end
  local start = asyncio.time()
  local open = 0
  for i, answers in ipairs(await(gather(checks))) do
    if answers then
      open = open + 1
      print(("port %d is open"):format(first + i - 1))
    end
  end
  io.stderr:write(("%d of %d ports, in %.2f s\n"):format(open, #checks, asyncio.time() - start))
end

local first = math.tointeger(arg[1] or 1)
local last = math.tointeger(arg[2] or first and math.max(first, 10000))
if not (first and last and 0 < first and first <= last and last < 65536) then
  io.stderr:write("usage: port-scanner.lua [first [last]]\n")
  os.exit(2)
end
run(main(first, last))
