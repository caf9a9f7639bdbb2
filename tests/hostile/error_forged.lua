-- class: error objects
-- No script has the value that a kill is; and what it can make of the classes
-- that pass is caught by who should.
-- outcome: ECANCELED
local asyncio = require "asyncio"
for _, value in pairs {false, 0, "killed", {}, print, coroutine.create(print), create_task(sleep(0))} do
  local ok, e = pcall(error, value)
  assert(not ok and (e == value))
end
assert(select("#", pcall(error)) == 2)
error(asyncio.CancelledError("forged"))
