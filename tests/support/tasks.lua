-- tasks.lua - what specs of tasks share: how to start them, pass turns, look
-- at what is raised, and at what very many of them cost.

local assert = require "luassert"
local asyncio = require "asyncio"
local lfs = require "lfs"

local M = {}

-- Is the Neap under test built with sanitizers? It is several times slower
-- and larger then.
M.sanitized = (os.getenv "SAN" or "") ~= ""

-- How many a test takes that needs very many.
M.MANY = M.sanitized and 10000 or 100000

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

-- A task of a coroutine object that has taken its first step.
function M.begun(coro)
  local task = create_task(coro)
  M.turns(1)
  return task
end

-- A task of fn(...) that has taken its first step.
function M.started(fn, ...)
  return M.begun(M.co(fn, ...))
end

-- A function that calls fn with its arguments through n levels of await.
function M.nested(n, fn)
  local level
  level = async(function(i, ...)
    if i == 0 then return fn(...) end
    return await(level(i - 1, ...))
  end)
  return function(...) return level(n, ...) end
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
  assert.equal(2, result.n)
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

-- The line that calls it.
function M.here()
  return debug.getinfo(2, "l").currentline
end

-- A variable whose end calls fn(_, error): local _ <close> = at_end(fn)
function M.at_end(fn)
  return setmetatable({}, {__close = fn})
end

-- The bytes in use when all garbage is gone.
function M.memory()
  collectgarbage()
  collectgarbage()
  return collectgarbage "count" * 1024
end

-- How many descriptors are open.
function M.descriptors()
  local n = 0
  for _ in lfs.dir "/proc/self/fd" do n = n + 1 end
  return n
end

-- Asserts that memory grows by less than so many bytes in n calls of fn (1
-- when left out). As many calls as `warm_up` tells (1) come before: pools
-- and tables have their size then.
function M.assert_no_growth(bytes, fn, n, warm_up)
  for _ = 1, warm_up or 1 do fn() end
  local before = M.memory()
  for _ = 1, n or 1 do fn() end
  local grown = M.memory() - before
  assert.is_true(grown < bytes, grown .. " bytes")
end

-- Asserts that fn(n) takes a time in proportion to n, give or take a lot: the
-- machine may be busy.
function M.assert_linear(fn)
  local function measured(n)
    local begin = os.clock()
    fn(n)
    return os.clock() - begin
  end
  local small, large = measured(M.MANY // 50), measured(M.MANY)
  assert.is_true(large < 50 * 10 * small + 1,
    ("%.3f s, and %.3f s for 50 times as many"):format(small, large))
end

-- A function random(n) that gives numbers from 1 to n, the same each time.
function M.random(seed)
  return function(n)
    seed = (seed * 1103515245 + 12345) % 2147483648
    return (seed >> 8) % n + 1
  end
end

-- The first seed of a test with random programs and how many there are: those
-- that NEAP_SEED and NEAP_PROGRAMS ask for; unless they do, 1 and `fixed`.
function M.seeds(fixed)
  local first = tonumber(os.getenv "NEAP_SEED")
  local n = tonumber(os.getenv "NEAP_PROGRAMS")
  if first then return first, n or 1 end
  if n then return os.time() % 1000000 * 1000, n end
  return 1, fixed
end

-- 300 tasks that hold a lock or semaphore some times each; some are cancelled.
-- Gives how many had it at once, at the most.
function M.most_holders(lock, seed)
  local random, inside, most, list = M.random(seed), 0, 0, {}
  local function enter()
    for _ = 1, random(4) do
      local _ <close> = await(lock:acquire())
      inside = inside + 1
      most = math.max(most, inside)
      local _ <close> = M.at_end(function() inside = inside - 1 end)
      M.turns(random(3) - 1)
    end
  end
  for i = 1, 300 do
    list[i] = create_task(M.co(enter))
    if random(2) == 1 then list[random(i)]:cancel() end
    if random(3) == 1 then M.turns(1) end
    if random(3) == 1 then list[random(i)]:cancel() end
  end
  for i = 1, 300 do asyncio.catch(await, list[i]) end
  assert.equal(0, inside)
  return most
end

return M
