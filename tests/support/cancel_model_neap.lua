-- cancel_model_neap.lua: runs a program (cancel_model_programs.lua says
-- what that is) on Neap; gives its trace, and says what else is wrong with
-- it: a to-be-closed variable that was not closed, or twice; two holders of
-- a lock; a permit or an item that is lost; a waiter that is left; something
-- left on the loop.

local asyncio = require "asyncio"
local states = require "cancel_model_state"

local M = {}

local Boom = asyncio.Exception:subclass("Boom")
local CancelledError = asyncio.CancelledError
local catch, isinstance, within = asyncio.catch, asyncio.isinstance, states.within

local CLASSES = {"TimeoutError", "InvalidStateError", "QueueEmpty", "QueueFull",
  "QueueShutDown"}

local function error_text(e)
  if type(e) == "string" then -- a misuse of the API says what to do instead
    return e:find("attempt to ", 1, true) and "unexpected: " .. e or "usage"
  elseif isinstance(e, CancelledError) then
    return e.message and "CancelledError(" .. e.message .. ")" or "CancelledError"
  elseif isinstance(e, Boom) then
    return "Boom(" .. e.message .. ")"
  elseif isinstance(e, asyncio.ExceptionGroup) then
    local list = {}
    for i, each in ipairs(e.exceptions) do list[i] = error_text(each) end
    return "ExceptionGroup[" .. table.concat(list, " ") .. "]"
  end
  for _, name in ipairs(CLASSES) do
    if isinstance(e, asyncio[name]) then return name end
  end
  if isinstance(e, asyncio.Exception) and e.value then return error_text(e.value) end
  return "unexpected: " .. tostring(e)
end

local function value_text(value)
  if type(value) ~= "table" then return tostring(value) end
  if not value.n then return "(" .. error_text(value) .. ")" end
  local list = {}
  for i = 1, value.n do list[i] = value_text(value[i]) end
  return "[" .. table.concat(list, " ") .. "]"
end

local function outcome_text(future)
  if not future:done() then return "pending" end
  local ok, value = catch(future.result, future)
  if ok then return value_text(value) end
  return (future:cancelled() and "cancelled " or "") .. error_text(value)
end

-- A value whose closing calls fn(error).
local function closing(fn)
  return setmetatable({}, {__close = function(_, e) return fn(e) end})
end

-- Runs the program. Gives the trace, and a list of what else is wrong.
function M.trace(program)
  local state, wrong = states.new(), {}
  local locks, events, semaphores = {}, {}, {}
  local conditions, queues = {}, {}
  for i = 1, 2 do
    locks[i], events[i] = asyncio.Lock(), asyncio.Event()
    semaphores[i], conditions[i] = asyncio.Semaphore(i), asyncio.Condition()
    queues[i] = asyncio.Queue(i - 1)
  end
  local entered, left = 0, 0 -- blocks that are to be closed
  local items = {0, 0}       -- put into a queue and not yet taken out

  local function fault(...) table.insert(wrong, table.concat({...}, " ")) end

  local function say(context, ...)
    local task = asyncio.current_task()
    if task ~= context.task then fault(context.label, "in the wrong task") end
    state:say(context, task and task:cancelling() or 0, ...)
  end

  -- A to-be-closed value that is closed once: then it calls fn(error).
  local function scope(fn)
    local closed = false
    entered = entered + 1
    return closing(function(e)
      if closed then fault("closed twice") end
      closed = true
      left = left + 1
      return fn(e)
    end)
  end

  local operations, callbacks = {}, {}

  -- Gives true and a value when the function is to return.
  local function block(context, list, free)
    for _, op in ipairs(list) do
      if not free and not state:burn() then return end
      local returned, value = operations[op[1]](context, op)
      if returned then return true, value end
    end
  end

  local func = async(function(f)
    local context = state:context("f" .. f, f)
    context.task = asyncio.current_task()
    say(context, "begins")
    local _ <close> = scope(function(e)
      if e ~= nil then say(context, "fails", error_text(e)) end
    end)
    local _, value = block(context, program.functions[f])
    say(context, "ends", tostring(value))
    return value
  end)

  for i, list in ipairs(program.callbacks) do
    callbacks[i] = function(future)
      local context = state:context("c" .. i, math.huge)
      say(context, "called", future and tostring(future:done()) or "nil")
      local ok, e = catch(block, context, list)
      if not ok then say(context, "fails", error_text(e)) end
    end
  end

  local function children(words)
    local list = {}
    for i, word in ipairs(words) do
      local number = tonumber(word:sub(2))
      list[i] = word:sub(1, 1) == "f" and func(number) or state.slots[number].future
    end
    return list
  end

  -- {==================================================
  -- Operations on futures and tasks
  -- ===================================================

  function operations.sleep(context)
    await(sleep(0))
    say(context, "slept")
  end
  function operations.call(context, op)
    if state:must_not_wait(context, op) then return end
    if op[2] <= context.level then return say(context, "call", "skip") end
    say(context, "called", value_text(await(func(op[2]))))
  end
  function operations.spawn(context, op)
    say(context, "spawned", state:keep(op[2], "task", create_task(func(op[3])), op[3]).number)
  end
  function operations.future(context, op)
    say(context, "future", state:keep(op[2], "future", asyncio.Future(), math.huge).number)
  end
  function operations.gather(context, op)
    local level, depth = state:children(context, op, op[4])
    if not level then return end
    local list = children(op[4])
    list.return_exceptions = op[3]
    say(context, "gather", state:keep(op[2], "gather", gather(list), level, depth + 1).number)
  end
  function operations.shield(context, op)
    local level, depth = state:children(context, op, {op[3]})
    if not level then return end
    local shield = asyncio.shield(children{op[3]}[1])
    say(context, "shield", state:keep(op[2], "shield", shield, level, depth).number)
  end
  function operations.wait(context, op)
    if state:must_not_wait(context, op) then return end
    local level = state:children(context, op, op[3])
    if not level then return end
    if level <= context.level then return say(context, "wait", "skip") end
    local done = await(asyncio.wait(children(op[3]), {return_when = op[2]}))
    say(context, "waited", #done)
  end
  function operations.raise(_, op) error(Boom(op[2])) end
  operations["return"] = function(_, op) return true, op[2] end

  local function on_slot(name, fn)
    operations[name] = function(context, op)
      local object = state:object(context, op)
      if not object then return end
      say(context, name, object.number, tostring(fn(object.future, op)))
    end
  end
  on_slot("set", function(future, op) future:set_result(op[3]) return true end)
  on_slot("fail", function(future, op) future:set_exception(Boom(op[3])) return true end)
  on_slot("cancel", function(future, op) return future:cancel(op[3]) end)
  on_slot("uncancel", function(task) return task:uncancel() end)
  on_slot("cancelling", function(task) return task:cancelling() end)
  on_slot("state", function(future)
    return (future:done() and "done" or "pending")
      .. (future:cancelled() and " cancelled" or "")
  end)
  on_slot("result", function(future) return value_text(future:result()) end)
  on_slot("add", function(future, op)
    future:add_done_callback(callbacks[op[3]])
    return true
  end)
  on_slot("remove", function(future, op)
    return future:remove_done_callback(callbacks[op[3]])
  end)
  function operations.soon(_, op)
    state.handles[op[2]] = asyncio.call_soon(callbacks[op[3]])
  end
  function operations.drop(_, op)
    if state.handles[op[2]] then state.handles[op[2]]:cancel() end
  end
  operations["self"] = function(context, op)
    say(context, "self", tostring(context.task:cancel(op[2])))
  end
  function operations.await(context, op)
    local object = state:object(context, op)
    if not object then return end
    say(context, "await", object.number)
    say(context, "awaited", value_text(await(object.future)))
  end
  function operations.wait_for(context, op)
    local object = state:object(context, op)
    if not object then return end
    say(context, "wait_for", object.number)
    say(context, "awaited", value_text(await(asyncio.wait_for(object.future, op[3]))))
  end

  -- ==================================================}

  -- {==================================================
  -- Blocks
  -- ===================================================

  function operations.pcall(context, op)
    local ok, a, b = pcall(block, context, op.body)
    if ok then return a, b end
    say(context, "pcall", error_text(a))
  end
  function operations.catch(context, op)
    local ok, a, b = catch(block, context, op.body)
    if ok then return a, b end
    say(context, "catch", error_text(a))
    local returned, value = block(context, op.handler)
    if returned then return returned, value end
    if op[2] == "again" then error(a, 0) end
    if op[2] == "other" then error(Boom(op[3])) end
  end
  function operations.close(context, op)
    local _ <close> = scope(function(e)
      say(context, "closing", e == nil and "nil" or error_text(e))
      block(context, op.handler)
    end)
    return block(context, op.body)
  end
  function operations.generator(context, op)
    local failure
    local generator = coroutine.wrap(function()
      block(within(context, "generator"), op.body)
    end)
    for item in generator do
      say(context, "item", item)
      local ok, e = catch(block, context, op.handler)
      if not ok then
        say(context, "consumer", error_text(e))
        failure = e
      end
    end
    if failure ~= nil then error(failure, 0) end
  end
  function operations.yield(context, op)
    if state:must_not_wait(context, op) then return end
    if not context.generator then return say(context, "yield", "skip") end
    coroutine.yield(op[2])
  end
  function operations.timeout(context, op)
    local timeout
    local _ <close> = scope(function()
      say(context, "left", timeout:expired() and "expired" or "finished")
    end)
    local inner <close> = asyncio.timeout(op[3] and 0 or nil)
    timeout = inner
    state.scopes[op[2]] = inner
    return block(context, op.body)
  end
  function operations.reschedule(context, op)
    local timeout = state.scopes[op[2]]
    if not timeout then return say(context, "reschedule", "skip") end
    timeout:reschedule(op[3] and 0 or nil)
  end
  function operations.group(context, op)
    if state:must_not_wait(context, op) then return end
    local group <close> = asyncio.TaskGroup()
    state.groups[op[2]] = {group = group, level = context.level}
    local _ <close> = scope(function() say(context, "leaves") end)
    return block(context, op.body)
  end
  function operations.child(context, op)
    local group = state.groups[op[3]]
    if not group or op[4] <= group.level then return say(context, "child", "skip") end
    local task = group.group:create_task(func(op[4]))
    say(context, "child", state:keep(op[2], "task", task, op[4]).number)
  end

  -- ==================================================}

  -- {==================================================
  -- Primitives
  -- ===================================================

  -- A block that holds something, which `limit` tasks may hold at once.
  local function holding(name, things, limit)
    local holders = {0, 0}
    operations[name] = function(context, op)
      if name == "condition" and state:must_not_wait(context, op) then return end
      local i = op[2]
      say(context, name, i)
      local guard <close> = await(things[i]:acquire()) -- luacheck: ignore 211
      say(context, "holds", name, i)
      local inner = within(context, name, i)
      holders[i] = holders[i] + 1
      if holders[i] > limit(i) then fault(name, i, "has too many holders") end
      inner["wait in " .. name .. i] = function()
        holders[i] = holders[i] - 1
        local _ <close> = closing(function() holders[i] = holders[i] + 1 end)
        await(things[i]:wait())
      end
      local _ <close> = scope(function()
        holders[i] = holders[i] - 1
        say(context, "releases", name, i)
      end)
      return block(inner, op.body)
    end
  end
  holding("lock", locks, function() return 1 end)
  holding("semaphore", semaphores, function(i) return i end)
  holding("condition", conditions, function() return 1 end)

  function operations.cwait(context, op)
    if not context["condition" .. op[2]] then return say(context, "cwait", "skip") end
    say(context, "cwait")
    context["wait in condition" .. op[2]]()
    say(context, "notified")
  end
  function operations.notify(context, op)
    if not context["condition" .. op[2]] then return say(context, "notify", "skip") end
    conditions[op[2]]:notify(op[3])
    say(context, "notify")
  end
  function operations.ewait(context, op)
    say(context, "ewait")
    await(events[op[2]]:wait())
    say(context, "woken")
  end
  function operations.eset(_, op) events[op[2]]:set() end
  function operations.eclear(_, op) events[op[2]]:clear() end
  function operations.get(context, op)
    say(context, "get")
    local item = await(queues[op[2]]:get())
    items[op[2]] = items[op[2]] - 1
    say(context, "got", item)
  end
  function operations.put(context, op)
    say(context, "put")
    await(queues[op[2]]:put(op[3]))
    items[op[2]] = items[op[2]] + 1
    say(context, "has put")
  end
  function operations.join(context, op)
    say(context, "join")
    await(queues[op[2]]:join())
    say(context, "joined")
  end
  function operations.get_nowait(context, op)
    local item = queues[op[2]]:get_nowait()
    items[op[2]] = items[op[2]] - 1
    say(context, "get_nowait", item)
  end
  function operations.put_nowait(context, op)
    queues[op[2]]:put_nowait(op[3])
    items[op[2]] = items[op[2]] + 1
    say(context, "put_nowait", "true")
  end
  function operations.task_done(context, op)
    queues[op[2]]:task_done()
    say(context, "task_done", "true")
  end
  function operations.shutdown(context, op)
    if op[3] then items[op[2]] = items[op[2]] - queues[op[2]]:qsize() end
    queues[op[2]]:shutdown(op[3])
    say(context, "shutdown", "true")
  end

  -- ==================================================}

  -- {==================================================
  -- The main task
  -- ===================================================

  function operations.tick(context, op)
    say(context, "tick", op[2])
    state:strike(program.strikes, op[2], function(...) say(context, ...) end)
    await(sleep(0))
  end
  function operations.round(context)
    if state.quiet > 3 then return end
    state.quiet = state.quiet + 1
    local function cancel(what, i, future)
      say(context, "cancels", what, i, tostring(future:cancel("end")))
      state.quiet = 0
    end
    for i, task in ipairs(asyncio.all_tasks()) do
      if task ~= context.task then cancel("task", i, task) end
    end
    for i, object in ipairs(state.objects) do
      if object.kind ~= "task" and not object.future:done() then
        cancel(object.kind, i, object.future)
      end
    end
    await(sleep(0))
  end
  function operations.pause()
    if state.quiet > 3 then return end
    if #asyncio.all_tasks() > 1 then state.quiet = 0 end
    await(sleep(0))
  end
  function operations.finish(context)
    for number, object in ipairs(state.objects) do
      say(context, number, object.kind, outcome_text(object.future))
    end
    for i = 1, 2 do
      say(context, "left", tostring(locks[i]:locked()), tostring(semaphores[i]:locked()),
        tostring(conditions[i]:locked()), tostring(events[i]:is_set()), queues[i]:qsize())
    end
    say(context, "tasks", #asyncio.all_tasks())
    state.over = true
    for i, semaphore in ipairs(semaphores) do
      for _ = 1, i do
        if semaphore:locked() then return fault("semaphore", i, "has lost a permit") end
        await(semaphore:acquire())
      end
      if not semaphore:locked() then fault("semaphore", i, "has too many permits") end
    end
    await(asyncio.Future()) -- a deadlock, unless something is on the loop
  end

  local main = async(function()
    block({label = "main", level = 0, task = asyncio.current_task()}, program.main, true)
  end)
  local ok, e = catch(run, main())
  if ok or not tostring(e):find("deadlock", 1, true) then
    fault("run has not ended by a deadlock, but:", tostring(e))
  end
  -- ==================================================}

  if entered ~= left then
    fault(entered, "blocks were entered,", left, "left")
  end
  for i = 1, 2 do
    if items[i] ~= queues[i]:qsize() then
      fault("queue", i, "has", queues[i]:qsize(), "items and not", items[i])
    end
    for _, list in ipairs{locks, events, semaphores, conditions, queues} do
      local text = tostring(list[i])
      if text:find "ters=" then fault("waiters are left:", text) end
    end
  end
  return state.trace, wrong
end

return M
