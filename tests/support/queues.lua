-- queues.lua - what the specs of queues share.

local asyncio = require "asyncio"
local tasks = require "tasks"

local M = {}

-- A queue with the numbers first to last in it.
function M.filled(first, last, maxsize)
  local queue = asyncio.Queue(maxsize)
  for i = first, last do queue:put_nowait(i) end
  return queue
end

-- A task that waits for an item.
function M.getter(queue)
  return tasks.begun(queue:get())
end

-- A task that waits for room.
function M.putter(queue, item)
  return tasks.begun(queue:put(item))
end

-- How many wait, as tostring tells; what: "getters" or "putters".
function M.waiting(queue, what)
  return tonumber(tostring(queue):match(what .. "=(%d+)")) or 0
end

return M
