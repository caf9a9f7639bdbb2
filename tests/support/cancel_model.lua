-- cancel_model.lua: asyncio in small, to compare Neap with: futures, tasks,
-- gather, shield and cancellation, as in CPython 3.13, in plain Lua without
-- a coroutine.
--
-- Everything happens in jobs, which run one after the other, first in first
-- out. A future is pending, and then once "finished" (with a value),
-- "failed" or "cancelled" (with an error); then its callbacks become jobs.
--
-- A task is a future with a stack of frames, the innermost last. A frame is
-- a small machine: frame:step(how, value) is called with "begin", with
-- "value" or "error" (what the frame called, or awaited, came to), or with
-- "yielded" (below), and says what is to be done next:
--   "call", frame     put a frame on top and begin it
--   "await", future   come back with the future's outcome
--   "turn"            come back in a later job, as after sleep(0)
--   "return", value   this frame has ended: the one below gets the value
--   "raise", err      the same with an error
--   "yield", value    put all frames above the innermost generator aside,
--                     and step that one with "yielded"
--   "resume", frames  put those on top again; the uppermost gets a value
-- A frame that begins, and whose task is cancelled before, never begins.
--
-- An error is a table with `class`, and `message` or `exceptions`.

local M = {}

local Model = {}
Model.__index = Model

-- A loop of its own, with nothing on it.
function M.new()
  return setmetatable({
    first = 1, last = 0, -- of the jobs; the job's function and argument
    current = nil,       -- the task that runs
    tasks = {},          -- all tasks, in the order of their creation
  }, Model)
end

function M.err(class, message) return {class = class, message = message} end

local err = M.err

function M.is_cancelled(e) return e ~= nil and e.class == "CancelledError" end

local is_cancelled = M.is_cancelled

-- Puts a job at the end; gives a handle: handle.cancelled = true drops it.
function Model:soon(fn, argument)
  self.last = self.last + 1
  local job = {fn = fn, argument = argument}
  self[self.last] = job
  return job
end

-- Runs jobs until there are none.
function Model:run()
  while self.first <= self.last do
    local job = self[self.first]
    self[self.first] = nil
    self.first = self.first + 1
    if not job.cancelled then job.fn(job.argument) end
  end
end

-- {====================================================
-- Futures
-- =====================================================

local Future = {}
Future.__index = Future

function Model:future()
  return setmetatable({model = self, state = "pending", callbacks = {}}, Future)
end

function Future:done() return self.state ~= "pending" end

function Future:settle(state, value)
  assert(not self:done(), "a future settles once")
  self.state, self.value = state, value
  local callbacks = self.callbacks
  self.callbacks = {}
  for _, fn in ipairs(callbacks) do self.model:soon(fn, self) end
end

function Future:add(fn)
  if self:done() then
    self.model:soon(fn, self)
  else
    table.insert(self.callbacks, fn)
  end
end

-- Gives how many were removed.
function Future:remove(fn)
  local removed = 0
  for i = #self.callbacks, 1, -1 do
    if self.callbacks[i] == fn then
      table.remove(self.callbacks, i)
      removed = removed + 1
    end
  end
  return removed
end

function Future:cancel(message)
  if self:done() then return false end
  self:settle("cancelled", err("CancelledError", message))
  return true
end

-- ====================================================}

-- {====================================================
-- Tasks
-- =====================================================

local Task = setmetatable({}, {__index = Future})
Task.__index = Task

-- What a future has come to, as the two arguments of a step.
local function outcome(future)
  return future.state == "finished" and "value" or "error", future.value
end

-- A new task; `frame` is its outermost one.
function Model:task(frame)
  local task = setmetatable(self:future(), Task)
  task.stack = {frame}
  task.requests = 0         -- cancelling()
  task.must_cancel = false  -- the next step is to raise CancelledError
  task.message = nil        -- with this message
  task.waiter = nil         -- the future that it awaits
  function task.wake_up(future) task:step(outcome(future)) end
  table.insert(self.tasks, task)
  self:soon(function() task:step("begin") end)
  return task
end

-- The unfinished ones.
function Model:all_tasks()
  local list = {}
  for _, task in ipairs(self.tasks) do
    if not task:done() then table.insert(list, task) end
  end
  return list
end

-- The outermost frame has ended.
function Task:finish(how, value)
  if how == "error" then
    self:settle(is_cancelled(value) and "cancelled" or "failed", value)
  elseif self.must_cancel then
    self.must_cancel = false
    self:settle("cancelled", err("CancelledError", self.message))
  else
    self:settle("finished", value)
  end
end

-- Puts the frames above the innermost generator that produces aside.
local function put_aside(stack)
  local aside = {}
  while not stack[#stack].producing do
    table.insert(aside, 1, table.remove(stack))
  end
  return aside
end

function Task:suspend(future)
  future:add(self.wake_up)
  self.waiter = future
  if self.must_cancel and future:cancel(self.message) then
    self.must_cancel = false
  end
end

-- Runs the task until it suspends or ends.
function Task:step(how, value)
  if self.must_cancel then
    if not (how == "error" and is_cancelled(value)) then
      how, value = "error", err("CancelledError", self.message)
    end
    self.must_cancel = false
  end
  self.waiter = nil
  self.model.current = self
  local stack = self.stack
  if how == "error" and not self.begun then table.remove(stack) end
  self.begun = true
  while #stack > 0 do
    local action, x = stack[#stack]:step(how, value)
    if action == "await" and not x:done() then
      self:suspend(x)
      break
    elseif action == "turn" then
      self.model:soon(function() self:step("value") end)
      break
    elseif action == "await" then
      how, value = outcome(x)
    elseif action == "call" then
      table.insert(stack, x)
      how, value = "begin", nil
    elseif action == "return" or action == "raise" then
      table.remove(stack)
      how, value = action == "raise" and "error" or "value", x
    elseif action == "yield" then
      local aside = put_aside(stack)
      stack[#stack].aside = aside
      how, value = "yielded", x
    elseif action == "resume" then
      table.move(x, 1, #x, #stack + 1, stack)
      how, value = "value", nil
    else
      error("no action: " .. tostring(action))
    end
  end
  self.model.current = nil
  if #stack == 0 then self:finish(how, value) end
end

-- Edge-triggered: what the task awaits is cancelled, and the error comes
-- from there; if there is nothing to cancel, the next step raises it.
function Task:cancel(message)
  if self:done() then return false end
  self.requests = self.requests + 1
  if self.waiter and self.waiter:cancel(message) then return true end
  self.must_cancel = true
  self.message = message
  return true
end

function Task:uncancel()
  if self.requests > 0 then
    self.requests = self.requests - 1
    if self.requests == 0 then self.must_cancel = false end
  end
  return self.requests
end

-- ====================================================}

-- {====================================================
-- gather, shield
-- =====================================================

local Gather = setmetatable({}, {__index = Future})
Gather.__index = Gather

-- A gather is not cancelled itself: its children are.
function Gather:cancel(message)
  if self:done() then return false end
  local any = false
  for _, child in ipairs(self.children) do
    if child:cancel(message) then any = true end
  end
  if any then
    self.cancel_requested = true
    self.message = message
  end
  return any
end

function Gather:child_done(child)
  self.left = self.left - 1
  if self:done() then return end
  if child.state ~= "finished" and not self.return_exceptions then
    self:settle("failed", child.value)
  elseif self.left == 0 and self.cancel_requested then
    self:settle("failed", err("CancelledError", self.message))
  elseif self.left == 0 then
    local list = {n = #self.children}
    for i, each in ipairs(self.children) do list[i] = each.value end
    self:settle("finished", list)
  end
end

function Model:gather(children, return_exceptions)
  local gather = setmetatable(self:future(), Gather)
  gather.children, gather.return_exceptions = children, return_exceptions
  gather.left = 0
  local seen, done = {}, {}
  local function child_done(child) gather:child_done(child) end
  for _, child in ipairs(children) do
    if not seen[child] then
      seen[child] = true
      gather.left = gather.left + 1
      if child:done() then table.insert(done, child) else child:add(child_done) end
    end
  end
  if #children == 0 then gather:settle("finished", {n = 0}) end
  for _, child in ipairs(done) do gather:child_done(child) end
  return gather
end

function Model:shield(inner)
  if inner:done() then return inner end
  local outer = self:future()
  local function inner_done()
    if not outer:done() then outer:settle(inner.state, inner.value) end
  end
  inner:add(inner_done)
  outer:add(function() inner:remove(inner_done) end)
  return outer
end

-- ====================================================}

return M
