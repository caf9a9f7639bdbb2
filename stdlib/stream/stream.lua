--
-- stream.lua - byte streams: what net, tls and process give for reading and
-- writing.
--
local asyncio = require "asyncio"
local c = require "neap.stream.c"

for name, method in pairs(c.waiting) do
  c.methods[name] = asyncio.async(method, "Stream." .. name)
end

return {
  IncompleteReadError = c.IncompleteReadError,
  LimitOverrunError = c.LimitOverrunError,
  is_stream = c.is_stream,
}
