-- tasks.lua - what specs of tasks share: how to start them, pass turns and
-- look at what is raised.

local assert = require "luassert"
local asyncio = require "asyncio"

local M = {}

-- A coroutine object of fn(...).
function M.co(fn, ...)
  return async(fn)(...)
end

-- Runs fn(...) as the main task; gives its results.
function M.main(fn, ...)
  return run(M.co(fn, ...))
end

-- Passes n turns (1 when left out).
function M.turns(n)
  for _ = 1, n or 1 do await(sleep(0)) end
end

-- A task of fn(...) that has taken its first step.
function M.started(fn, ...)
  local task = create_task(M.co(fn, ...))
  M.turns(1)
  return task
end

-- Passes turns until ready() is true; fails when it never is.
function M.wait_until(ready)
  local deadline = asyncio.time() + 60
  while not ready() do
    assert.is_true(asyncio.time() < deadline, "what the test waits for does not happen")
    await(sleep(0.001))
  end
end

-- What fn(...) raises, of any kind.
function M.caught(...)
  local result = table.pack(asyncio.catch(...))
  assert.is_false(result[1])
  return result[2]
end

-- Asserts that a value is an error object of the class of that name.
function M.is_a(class, value)
  assert.is_true(asyncio.isinstance(value, asyncio[class]),
    ("%s expected, got %s"):format(class, tostring(value)))
end

-- The message of the usage error that fn(...) raises; it must carry the
-- position of the spec's own line.
function M.refused(fn, ...)
  local file = debug.getinfo(2, "S").short_src
  local err = M.caught(fn, ...)
  assert.equal("string", type(err))
  local place, message = err:match "^([^\n:]*):%d+: (.*)$"
  assert.equal(file, place, err)
  return message
end

-- A variable whose end calls fn: local _ <close> = at_end(fn)
function M.at_end(fn)
  return setmetatable({}, {__close = fn})
end

-- The bytes in use when all garbage is gone.
function M.memory()
  collectgarbage()
  collectgarbage()
  return collectgarbage "count" * 1024
end

return M
