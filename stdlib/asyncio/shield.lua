--
-- shield.lua - await something without passing a cancellation on to it.
--
local asyncio, _, core = ...

local copy_outcome = core.copy_outcome
local ensure_future, Future = asyncio.ensure_future, asyncio.Future

-- shield(awaitable) -> a Future that ends as the awaitable does, or is
-- cancelled alone. A coroutine object or an object with __await starts at
-- once, as a task. When the Future is cancelled, an error of the task is
-- nobody's: it is reported unless somebody else looks at it.
-- Errors: usage error for what cannot be awaited. Does not suspend.
local function shield(awaitable)
  local inner = ensure_future(awaitable, "shield", 2)
  if inner:done() then return inner end
  local outer = Future()
  local function inner_done()
    if not outer:done() then copy_outcome(inner, outer) end
  end
  inner:add_done_callback(inner_done)
  outer:add_done_callback(function()
    inner:remove_done_callback(inner_done)
  end)
  return outer
end

return {shield = shield}
