--
-- signal.lua - signals of the process, for tasks: to wait for one, to go
-- through those that come, to have a task for each.
--
local asyncio = require "asyncio"
local c = require "neap.signal.c"
local usage = require "neap.module.usage" "signal"

local async, await, create_task = asyncio.async, asyncio.await, asyncio.create_task
local iscoroutine = asyncio.iscoroutine
local error, pcall, setmetatable, table, type = error, pcall, setmetatable, table, type

local M = {}

-- Waits until one of the signals comes; gives its name.
M.wait = async(function(...)
  local watch <close> = c.watch("signal.wait", ...)
  return c.next(watch)
end, "signal.wait")

-- for name in signal.each("HUP", "USR1") do: takes the signals from now on
-- until the loop is left.
function M.each(...)
  local watch = c.watch("signal.each", ...)
  return c.next, watch, nil, watch
end

local Handler = {__name = "Handler"}
Handler.__index = Handler

function Handler:__tostring()
  return ("<Handler %s%s>"):format(self.names, self.task:done() and " closed" or "")
end

-- Takes no more signals. Tasks that have begun go on.
function Handler:close()
  usage.check_self(self, Handler, "close", "handler")
  c.close(self.watch)
  self.task:cancel()
end
Handler.__close = Handler.close

local call = async(function(f, name)
  local result = f(name)
  if iscoroutine(result) then await(result) end
end, "signal.on")

local dispatch = async(function(watch, f)
  local _ <close> = watch
  for name in c.next, watch do create_task(call(f, name)) end
end, "signal.on")

-- on(name, ..., f): a task that calls f(name), async or not, for each of the
-- signals that comes, until the handler is closed or the run has ended.
function M.on(...)
  local names = {...}
  local f = table.remove(names)
  if type(f) ~= "function" then
    usage.refuse("on: a function expected after the signals, got %s", usage.describe(f))
  end
  local watch <const> = c.watch("signal.on", table.unpack(names))
  local text, dispatching = table.concat(names, " "), dispatch(watch, f)
  local ok, task = pcall(create_task, dispatching, {name = "signal.on " .. text})
  if not ok then
    c.close(watch)
    dispatching:close()
    error(task, 0)
  end
  return setmetatable({names = text, watch = watch, task = task}, Handler)
end

return M
