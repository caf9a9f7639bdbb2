-- A server that sends back what it gets, on lua5.4 with luv; prints its port.
local uv = require "luv"

local server = uv.new_tcp()
server:bind("127.0.0.1", 0)
server:listen(4096, function(failure)
  assert(not failure, failure)
  local client = uv.new_tcp()
  server:accept(client)
  client:nodelay(true)
  local came
  local function close() if not client:is_closing() then client:close() end end
  function came(err, data)
    if err or not data then return close() end
    local taken = client:try_write(data) or 0
    if taken == #data then return end
    client:read_stop()
    client:write(data:sub(taken + 1), function(broken)
      if broken then close() else client:read_start(came) end
    end)
  end
  client:read_start(came)
end)
print(server:getsockname().port)
io.stdout:flush()
uv.run()
