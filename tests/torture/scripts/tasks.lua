-- Tasks in every state: created, joined, named, listed, failed, their callbacks called.
local asyncio = require "asyncio"

local work = async(function(i)
  await(sleep(0))
  await(sleep(0.0001))
  return i, i * 2
end)

local list = {}
for i = 1, 6 do list[i] = create_task(work(i), { name = "task " .. i }) end
assert(#asyncio.all_tasks() == 7)
for i = 1, 6 do
  local a, b = await(list[i])
  assert(a == i and b == 2 * i and list[i]:done())
  assert(list[i]:get_name() == "task " .. i and tostring(list[i]):find("finished"))
end

local called = 0
local future = asyncio.Future()
future:add_done_callback(function() called = called + 1 end)
asyncio.call_soon(function(x) future:set_result(x) end, 5)
assert(await(future) == 5)
await(sleep(0))
assert(called == 1)

local handle = asyncio.call_later(100, error)
handle:cancel()

local failing = create_task(async(function() await(sleep(0)) error { code = 7 } end)())
local ok, err = pcall(await, failing)
if type(err) == "string" then error(err, 0) end
assert(not ok and err.code == 7)
assert(failing:exception().value == err)
