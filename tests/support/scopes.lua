-- scopes.lua - what the specs of timeouts, of wait_for and of task groups
-- share: deadlines, blocks that are expected to fail, children for groups.

local asyncio = require "asyncio"
local tasks = require "tasks"

local M = {}

-- A limit of time, in seconds, that is soon over.
M.SOON = 0.001

-- A deadline that is over.
function M.past()
  return asyncio.time() - 1
end

-- The number of cancellation requests of the running task.
function M.cancelling()
  return asyncio.current_task():cancelling()
end

-- What a block with a timeout of that many seconds raises, and its scope;
-- fn gets the scope.
function M.in_timeout(seconds, fn)
  local scope
  local err = tasks.caught(function()
    local s <close> = asyncio.timeout(seconds)
    scope = s
    fn(s)
  end)
  return err, scope
end

-- What a block with a task group raises; fn gets the group.
function M.in_group(fn)
  return tasks.caught(function()
    local group <close> = asyncio.TaskGroup()
    fn(group)
  end)
end

-- The values that were raised, in a group error.
function M.values(err)
  tasks.is_a("ExceptionGroup", err)
  local list = {}
  for i, exception in ipairs(err.exceptions) do
    tasks.is_a("BaseException", exception)
    list[i] = exception.value
    if list[i] == nil then list[i] = exception end
  end
  return list
end

-- A coroutine object that fails with that value after n turns.
function M.failing(value, n)
  return tasks.co(function()
    tasks.turns(n or 0)
    error(value, 0)
  end)
end

-- One that waits; when cancelled it adds its name to a list n turns later.
function M.noting(list, name, n)
  return tasks.co(function()
    local _ <close> = tasks.at_end(function(_, err)
      if asyncio.isinstance(err, asyncio.CancelledError) then
        tasks.turns(n or 0)
        list[#list + 1] = name
      end
    end)
    await(sleep(1000))
  end)
end

-- Passes time without giving up a turn.
function M.spin(seconds)
  local stop = asyncio.time() + seconds
  while asyncio.time() < stop do end
end

-- Runs a main task fn, and asserts that afterwards nothing is left in the
-- loop that could wake it: then waiting for nothing is a deadlock.
function M.assert_no_timer_after(fn)
  local ended = false
  local err = tasks.caught(tasks.main, function()
    fn()
    ended = true
    await(asyncio.Future())
  end)
  assert(ended, err)
  assert(tostring(err):find("deadlock", 1, true), err)
end

return M
