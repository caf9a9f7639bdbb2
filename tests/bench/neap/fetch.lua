-- GET of a small file, 100 requests at a time over connections that are kept; prints us of processor time per request.
-- usage: fetch.lua N URL CA
local http = require "http"

local TOGETHER = 100
local url, ca = arg[2], arg[3]
local each = math.tointeger(arg[1]) // TOGETHER

local client = async(function(session)
  for _ = 1, each do
    local response <close> = await(session:get(url))
    assert(response.status == 200 and await(response:read()) == "small\n")
  end
end)

local main = async(function()
  local session <close> = http.ClientSession { limit = TOGETHER, ca = ca }
  local clients = {}
  local start = os.clock()
  for i = 1, TOGETHER do clients[i] = client(session) end
  await(gather(clients))
  print((os.clock() - start) * 1e6 / (TOGETHER * each))
end)

run(main())
