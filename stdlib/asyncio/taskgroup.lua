--
-- taskgroup.lua - a block that owns tasks.
--
--   do
--     local group <close> = asyncio.TaskGroup()
--     group:create_task(fetch(1))
--     group:create_task(fetch(2))
--   end                          -- here all of them have ended
--
-- The first child that fails makes the group abort: it cancels the other
-- children and the task that entered it (the parent), waits until all have
-- ended, and raises one ExceptionGroup. It takes its own request back then:
-- so a cancellation of the parent from outside is told from its own by the
-- count of requests.
--
local asyncio, _, core = ...

local cancel_members, create_member = core.cancel_members, core.create_member
local failure, line_up, members = core.failure, core.line_up, core.members
local catch, current_task = asyncio.catch, asyncio.current_task
local iscoroutine, isinstance = asyncio.iscoroutine, asyncio.isinstance
local BaseException, CancelledError = asyncio.BaseException, asyncio.CancelledError
local Exception, ExceptionGroup = asyncio.Exception, asyncio.ExceptionGroup
local KeyboardInterrupt = asyncio.KeyboardInterrupt

local error, getmetatable, ipairs, pcall = error, getmetatable, ipairs, pcall
local setmetatable, tostring, type = setmetatable, tostring, type

local TaskGroup = {}
TaskGroup.__index = TaskGroup
TaskGroup.__name = "TaskGroup"

-- Cancels the children.
local function abort(group)
  group.aborting = true
  cancel_members(group.children)
end

-- A child has failed.
local function child_failed(group, task)
  local parent, errors = group.parent, group.errors
  if group.finished or parent:done() then return end -- the error is reported
  -- not seen yet: when nobody leaves the block it is reported. An error of
  -- pcall says that there is no memory to tell
  local _, err = pcall(failure, task, true)
  errors[#errors + 1] = err
  group.failed[#group.failed + 1] = task
  if group.interrupt == nil and isinstance(err, KeyboardInterrupt) then
    group.interrupt = err
  end
  local aborting = group.aborting
  if not aborting then abort(group) end
  if not aborting or not group.exiting and not group.parent_asked then
    group.parent_asked = true -- its body, or its wait for the children, ends
    parent:cancel()
  end
end

-- Waits until the last child has ended, however often the parent is
-- cancelled. Gives the CancelledError of a cancellation from outside.
local function wait_for_children(group)
  local cancellation
  while members(group.children) > 0 do
    local ok, err = catch(line_up, group.children)
    if not ok then
      if not group.aborting then abort(group) end
      if not isinstance(err, CancelledError) then -- cannot wait here
        group.finished = true
        error(err, 0)
      end
      if not group.parent_asked then cancellation = cancellation or err end
    end
  end
  return cancellation
end

-- An error as asyncio hands it out: an object of an error class.
local function as_exception(err)
  if isinstance(err, BaseException) then return err end
  local ok, text = pcall(tostring, err)
  if not ok then text = ("(error object is a %s value; its __tostring fails)"):format(type(err)) end
  return Exception(text, {value = err})
end

-- Leaving the block. (A nil that is raised in it looks like no error.)
function TaskGroup.__close(group, err)
  if group.finished then
    if err == nil then error("TaskGroup: this group's block was left before", 2) end
    return
  end
  local parent, errors = group.parent, group.errors
  local cancellation = isinstance(err, CancelledError) and err or nil
  group.exiting = true
  if err ~= nil then
    if isinstance(err, KeyboardInterrupt) then group.interrupt = group.interrupt or err end
    if not group.aborting then abort(group) end
  end
  local from_outside = wait_for_children(group)
  cancellation = cancellation or from_outside
  group.finished = true
  for _, task in ipairs(group.failed) do failure(task) end -- now it is seen
  if group.interrupt then error(group.interrupt, 0) end
  if group.parent_asked then parent:uncancel() end
  if err ~= nil and not isinstance(err, CancelledError) then
    errors[#errors + 1] = as_exception(err)
  end
  if #errors > 0 then
    if parent:cancelling() > 0 then -- the request from outside strikes later
      parent:uncancel()
      parent:cancel()
    end
    error(ExceptionGroup("unhandled errors in a TaskGroup", errors), 0)
  elseif cancellation then
    error(cancellation, 0)
  end
end

function TaskGroup.__tostring(group)
  local text = "<TaskGroup"
  local n = members(group.children)
  if n > 0 then text = text .. " tasks=" .. n end
  if #group.errors > 0 then text = text .. " errors=" .. #group.errors end
  if group.aborting then text = text .. " cancelling" end
  return text .. (group.finished and " finished>" or ">")
end

local function check_group(group, name)
  if getmetatable(group) ~= TaskGroup then
    error(("TaskGroup.%s: a TaskGroup expected; write group:%s(...)"):format(name, name), 3)
  end
end

-- group:create_task(coro, {name=}) -> Task of the group. Usage error when
-- the group is shutting down or has finished; the coroutine object is closed.
-- Does not suspend.
function TaskGroup.create_task(group, coro, options)
  check_group(group, "create_task")
  local over = group.finished or group.exiting and members(group.children) == 0
  local refusal = over and "is finished" or group.aborting and "is shutting down"
  if refusal then
    if iscoroutine(coro) then coro:close() end
    error("TaskGroup.create_task: the group " .. refusal, 2)
  end
  local task = create_member(coro, options, group.children)
  return task -- no tail call: this function stays between it and the caller
end

-- group:cancel(): cancels the children; the block ends without an error
-- when its body has ended. (The body itself is not interrupted: a
-- to-be-closed variable could not keep the CancelledError inside.)
-- Does not suspend.
function TaskGroup.cancel(group)
  check_group(group, "cancel")
  if not group.aborting and not group.finished then abort(group) end
end

-- TaskGroup() -> a group, entered by the running task: the value of a
-- to-be-closed variable. Usage error outside a task.
local function new()
  local parent = current_task()
  if parent == nil then
    error("TaskGroup: outside a task: write it in an async function that run() started", 2)
  end
  local group = {
    parent = parent,
    errors = {nil}, -- of children, in the order in which they happened; there
    -- is room for the first one
    failed = {},   -- these children
    aborting = false, exiting = false, finished = false,
    parent_asked = false, -- the group has cancelled the parent
  }
  group.children = core.group(group, child_failed) -- the unfinished ones
  return setmetatable(group, TaskGroup)
end

return {TaskGroup = new}
