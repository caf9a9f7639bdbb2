-- run.lua - runs the busted specs: build/neap tests/run.lua [busted options]
--
-- From the top folder. Without arguments it runs all of tests/spec; the
-- defaults of the options stand in .busted. `make test` calls it.

local asyncio = require "asyncio"

-- busted runs tests under xpcall, which lets CancelledError and
-- KeyboardInterrupt through, as it should. Where a test lets one escape,
-- that test is to fail, and not the whole run: so busted's core alone sees
-- an xpcall that stops them as well.
local function stop_all(fn, handler)
  local result = table.pack(asyncio.catch(xpcall, fn, handler))
  if result[1] then
    return table.unpack(result, 2, result.n)
  end
  handler(result[2])
  return false
end

local function replace_global(fn, name, value)
  local env = setmetatable({[name] = value}, {__index = _G, __newindex = _G})
  local i = 1
  while true do
    local upvalue = debug.getupvalue(fn, i)
    assert(upvalue, "busted's core has changed: it has no _ENV here")
    if upvalue == "_ENV" then
      debug.setupvalue(fn, i, env)
      return
    end
    i = i + 1
  end
end

package.path = "./tests/support/?.lua;" .. package.path
replace_global(require "busted.core", "xpcall", stop_all)
require "busted.runner" {standalone = false, output = "report"}

-- The runner has left already when a test failed.
if not require("report").passed() then
  os.exit(1, true)
end
