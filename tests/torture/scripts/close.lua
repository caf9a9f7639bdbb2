-- coroutine.close with something to close: cleanup that fails, is nested; a generator that a cancelled task closes.
local closed = 0
local function cleanup(f)
  return setmetatable({}, { __close = function(_, err)
    closed = closed + 1
    if f then f(err) end
  end })
end

local function suspended(f)
  local co = coroutine.create(function()
    local _ <close> = cleanup(f)
    coroutine.yield(1)
  end)
  local ok, err = coroutine.resume(co)
  if not ok then error(err, 0) end
  return co
end

local function check(ok, err, expected)
  if err == "not enough memory" or err == "stack overflow" then error(err, 0) end
  assert(ok == (expected == nil) and err == expected)
end

local before = closed
check(coroutine.close(suspended()), nil)
assert(closed == before + 1)
do
  local ok, err = coroutine.close(suspended(function() error("in close", 0) end))
  check(ok, err, "in close")
  ok, err = coroutine.close(suspended(function() check(coroutine.close(suspended())) end))
  check(ok, err)
end

local task = create_task(async(function()
  local _ <close> = setmetatable({ co = suspended() }, {
    __close = function(self) coroutine.close(self.co) end,
  })
  await(sleep(100))
end)())
await(sleep(0))
task:cancel()
require("asyncio").catch(await, task)
