-- class: forged handles
-- Resumes and closes what is not its own: the thread of a task, of a task that
-- has ended, the main one, itself, a generator that awaits.
-- outcome: ended
local threads = {}
local function keep() threads[#threads + 1] = coroutine.running() end
keep()
local asyncio = require "asyncio"
asyncio.call_soon(keep)
create_task(async(function() keep() await(sleep(0.01)) end)())
create_task(async(keep)())
create_task(async(function()
  coroutine.wrap(function() keep() await(sleep(0.01)) end)()
end)())
await(sleep(0.001))
assert(#threads == 5)
for _ = 1, 3 do
  for _, thread in ipairs(threads) do
    assert(not coroutine.resume(thread, print))
    assert(not pcall(coroutine.wrap(coroutine.resume), thread) or true)
    pcall(coroutine.close, thread)
    coroutine.status(thread)
    pcall(coroutine.isyieldable, thread)
  end
  await(sleep(0.01))
end
assert(not pcall(coroutine.yield, 1))
