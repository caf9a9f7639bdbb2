-- class: budgets
-- More tasks than there may be; the error can be caught, and those there are
-- go on.
-- outcome: ended
local f = require "asyncio".Future()
local function wait() await(f) end
local n, ok, message = 0
repeat
  ok, message = pcall(function() create_task(async(wait)()) end)
  if ok then n = n + 1 end
until not ok
assert(n == 999 and message:find("too many tasks", 1, true), message)
assert(not pcall(gather, sleep(1), sleep(1)))
f:set_result()
await(sleep(0.05))
assert(#require "asyncio".all_tasks() == 1)
