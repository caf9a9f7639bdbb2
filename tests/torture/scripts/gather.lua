-- Several at once: gather in both forms, wait, as_completed, shield, nested.
local asyncio = require "asyncio"

local work = async(function(i) await(sleep(0)) return i end)
local fail = async(function(what) await(sleep(0)) error(what, 0) end)

local t = await(gather(work(1), create_task(work(2)), gather(work(3), work(4))))
assert(t[1] == 1 and t[2] == 2 and t[3][2] == 4)

t = await(gather { work(1), fail("boom"), return_exceptions = true })
if t[2].value ~= "boom" then error(t[2], 0) end
assert(t[1] == 1)

local ok, err = pcall(await, gather(work(1), fail("bang")))
if err ~= "bang" then error(err, 0) end
assert(not ok)

local tasks = { create_task(work(1)), create_task(work(2)), create_task(sleep(100)) }
local done, pending = await(asyncio.wait(tasks, { timeout = 0.001 }))
for _, task in ipairs(done) do task:result() end
assert(#done == 2 and #pending == 1)
pending[1]:cancel()

local sum = 0
for task in asyncio.as_completed { work(1), work(2), work(3) } do
  local i = await(task)
  sum = sum + i
end
assert(sum == 6)

assert(await(asyncio.shield(work(9))) == 9)
