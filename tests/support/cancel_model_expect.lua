-- cancel_model_expect.lua: runs a program (cancel_model_programs.lua says
-- what that is) on the model; gives the trace that Neap is to show.
--
-- A block is a frame (cancel_model.lua) with a counter of its operations.
-- It comes to nothing, or to {returned = value} when its function returns.

local model = require "cancel_model"
local states = require "cancel_model_state"
local sync = require "cancel_model_sync"

local M = {}

local err, is_cancelled, within = model.err, model.is_cancelled, states.within

local function error_text(e)
  if e.exceptions then
    local list = {}
    for i, each in ipairs(e.exceptions) do list[i] = error_text(each) end
    return e.class .. "[" .. table.concat(list, " ") .. "]"
  end
  return e.message and e.class .. "(" .. e.message .. ")" or e.class
end

local function value_text(value)
  if type(value) ~= "table" then return tostring(value) end
  if value.class then return "(" .. error_text(value) .. ")" end
  local list = {}
  for i = 1, value.n do list[i] = value_text(value[i]) end
  return "[" .. table.concat(list, " ") .. "]"
end

local function outcome_text(future)
  local cancelled = future.state == "cancelled" and "cancelled " or ""
  if future.state == "finished" then return value_text(future.value) end
  return cancelled .. (future.value and error_text(future.value) or "pending")
end

-- Runs the program; gives the trace, a list of lines.
function M.trace(program)
  local state, loop = states.new(), model.new()
  local locks, events, semaphores = {}, {}, {}
  local conditions, queues = {}, {}
  for i = 1, 2 do
    locks[i], events[i] = sync.lock(), sync.event()
    semaphores[i], conditions[i] = sync.semaphore(i), sync.condition()
    queues[i] = sync.queue(i - 1)
  end

  local start = {}  -- what an operation does, or begins
  local ended = {}  -- what an operation does with the value it has got
  local callbacks = {}

  local function say(context, ...)
    local requests = loop.current and loop.current.requests or 0
    state:say(context, requests, ...)
  end

  local function block(context, operations, free)
    local at, op = 0, nil
    return {step = function(_, how, value)
      if how == "error" then return "raise", value end
      if how == "value" then
        if op.body and value then return "return", value end
        if ended[op[1]] then ended[op[1]](context, op, value) end
      end
      while true do
        at = at + 1
        op = operations[at]
        if not op or not (free or state:burn()) then return "return" end
        local action, x = start[op[1]](context, op)
        if action then return action, x end
      end
    end}
  end

  -- A frame that runs a block and then `leave(how, value)`, which is an
  -- action, or nothing: the block's outcome.
  local function around(context, operations, leave)
    return {step = function(_, how, value)
      if how == "begin" then return "call", block(context, operations) end
      local action, x = leave(how, value)
      if action then return action, x end
      return how == "error" and "raise" or "return", value
    end}
  end

  -- A frame that does first one thing, then another: two makers of frames.
  local function one_after_other(first, second)
    local behind = false
    return {step = function(_, how, value)
      if how == "begin" then return "call", first() end
      if how == "error" then return "raise", value end
      if behind then return "return", value end
      behind = true
      return "call", second()
    end}
  end

  local function func(f)
    local context
    return {step = function(_, how, value)
      if how == "begin" then
        context = state:context("f" .. f, f)
        say(context, "begins")
        return "call", block(context, program.functions[f])
      elseif how == "error" then
        say(context, "fails", error_text(value))
        return "raise", value
      end
      say(context, "ends", tostring(value and value.returned))
      return "return", value and value.returned
    end}
  end

  for i, operations in ipairs(program.callbacks) do
    callbacks[i] = function(future)
      local context = state:context("c" .. i, math.huge)
      say(context, "called", future and tostring(future:done()) or "nil")
      for _, op in ipairs(operations) do
        if not state:burn() then return end
        local action, x = start[op[1]](context, op)
        if action then return say(context, "fails", error_text(x)) end
      end
    end
  end

  local function children(words)
    local list = {}
    for i, word in ipairs(words) do
      local number = tonumber(word:sub(2))
      list[i] = word:sub(1, 1) == "f" and loop:task(func(number))
        or state.slots[number].future
    end
    return list
  end

  -- {==================================================
  -- Operations on futures and tasks
  -- ===================================================

  function start.sleep() return "turn" end
  function ended.sleep(context) say(context, "slept") end
  function start.call(context, op)
    if state:must_not_wait(context, op) then return end
    if op[2] <= context.level then return say(context, "call", "skip") end
    return "call", func(op[2])
  end
  function ended.call(context, _, value) say(context, "called", value_text(value)) end
  function start.spawn(context, op)
    local object = state:keep(op[2], "task", loop:task(func(op[3])), op[3])
    say(context, "spawned", object.number)
  end
  function start.future(context, op)
    say(context, "future", state:keep(op[2], "future", loop:future(), math.huge).number)
  end
  function start.gather(context, op)
    local level, depth = state:children(context, op, op[4])
    if not level then return end
    local gather = loop:gather(children(op[4]), op[3])
    say(context, "gather", state:keep(op[2], "gather", gather, level, depth + 1).number)
  end
  function start.shield(context, op)
    local level, depth = state:children(context, op, {op[3]})
    if not level then return end
    local shield = loop:shield(children{op[3]}[1])
    say(context, "shield", state:keep(op[2], "shield", shield, level, depth).number)
  end
  function start.wait(context, op)
    if state:must_not_wait(context, op) then return end
    local level = state:children(context, op, op[3])
    if not level then return end
    if level <= context.level then return say(context, "wait", "skip") end
    return "call", sync.wait(loop, children(op[3]), op[2])
  end
  function ended.wait(context, _, done) say(context, "waited", done) end
  function start.raise(_, op) return "raise", err("Boom", op[2]) end
  start["return"] = function(_, op) return "return", {returned = op[2]} end

  -- Those on what is in a slot: what they give is said.
  local function on_slot(name, fn)
    start[name] = function(context, op)
      local object = state:object(context, op)
      if not object then return end
      local result, failure = fn(object.future, op)
      if failure then return "raise", failure end
      say(context, name, object.number, tostring(result))
    end
  end
  local function settle(future, how, value)
    if future:done() then return nil, err("InvalidStateError") end
    future:settle(how, value)
    return true
  end
  on_slot("set", function(future, op) return settle(future, "finished", op[3]) end)
  on_slot("fail", function(future, op)
    return settle(future, "failed", err("Boom", op[3]))
  end)
  on_slot("cancel", function(future, op) return future:cancel(op[3]) end)
  on_slot("uncancel", function(task) return task:uncancel() end)
  on_slot("cancelling", function(task) return task.requests end)
  on_slot("state", function(future)
    return (future:done() and "done" or "pending")
      .. (future.state == "cancelled" and " cancelled" or "")
  end)
  on_slot("result", function(future)
    if not future:done() then return nil, err("InvalidStateError") end
    if future.state == "finished" then return value_text(future.value) end
    return nil, future.value
  end)
  on_slot("add", function(future, op) future:add(callbacks[op[3]]) return true end)
  on_slot("remove", function(future, op) return future:remove(callbacks[op[3]]) end)
  function start.soon(_, op) state.handles[op[2]] = loop:soon(callbacks[op[3]]) end
  function start.drop(_, op)
    local handle = state.handles[op[2]]
    if handle then handle.cancelled = true end
  end
  start["self"] = function(context, op) -- cancels itself
    say(context, "self", tostring(loop.current:cancel(op[2])))
  end
  function start.await(context, op)
    local object = state:object(context, op)
    if not object then return end
    say(context, "await", object.number)
    return "await", object.future
  end
  function ended.await(context, _, value) say(context, "awaited", value_text(value)) end
  function start.wait_for(context, op)
    local object = state:object(context, op)
    if not object then return end
    say(context, "wait_for", object.number)
    if op[3] == 0 then return "call", sync.wait_for_now(loop, object.future) end
    return "await", object.future
  end
  ended.wait_for = ended.await

  -- ==================================================}

  -- {==================================================
  -- Blocks
  -- ===================================================

  function start.pcall(context, op)
    return "call", around(context, op.body, function(how, value)
      if how == "value" or is_cancelled(value) then return end
      say(context, "pcall", error_text(value))
      return "return"
    end)
  end
  function start.catch(context, op)
    local failure
    return "call", around(context, op.body, function(how, value)
      if failure and how == "error" then return end
      if failure then
        if value or op[2] == "swallow" then return "return", value end
        return "raise", op[2] == "again" and failure or err("Boom", op[3])
      end
      if how == "value" then return end
      say(context, "catch", error_text(value))
      failure = value
      return "call", block(context, op.handler)
    end)
  end
  function start.close(context, op)
    local body_how, body_value
    return "call", around(context, op.body, function(how, value)
      if body_how then
        if how == "error" then return "raise", value end
        return body_how == "error" and "raise" or "return", body_value
      end
      body_how, body_value = how, value
      say(context, "closing", how == "error" and error_text(value) or "nil")
      return "call", block(context, op.handler)
    end)
  end
  function start.generator(context, op)
    local generator, failure = {}, nil
    function generator:step(how, value)
      if how == "begin" then
        self.producing = true
        return "call", block(within(context, "generator"), op.body)
      elseif how == "yielded" then
        self.producing = false
        say(context, "item", value)
        return "call", block(context, op.handler)
      elseif not self.producing then -- the consumer has ended
        if how == "error" then
          say(context, "consumer", error_text(value))
          failure = value
        end
        self.producing = true
        return "resume", self.aside
      elseif how == "error" then
        return "raise", value
      elseif failure then
        return "raise", failure
      end
      return "return"
    end
    return "call", generator
  end
  function start.yield(context, op)
    if state:must_not_wait(context, op) then return end
    if not context.generator then return say(context, "yield", "skip") end
    return "yield", op[2]
  end
  function start.timeout(context, op)
    local scope = sync.timeout(loop, op[3])
    state.scopes[op[2]] = scope
    return "call", around(context, op.body, function(how, value)
      local failure = sync.leave_timeout(scope, how == "error" and value or nil)
      say(context, "left", scope.state)
      if failure then return "raise", failure end
    end)
  end
  function start.reschedule(context, op)
    local scope = state.scopes[op[2]]
    if not scope then return say(context, "reschedule", "skip") end
    local ok, failure = sync.reschedule(loop, scope, op[3])
    if not ok then return "raise", failure end
  end
  function start.group(context, op)
    if state:must_not_wait(context, op) then return end
    local group = sync.group(loop)
    state.groups[op[2]] = {group = group, level = context.level}
    local body_how, body_value
    return "call", around(context, op.body, function(how, value)
      if body_how then
        if how == "value" then return "return", body_value end
        return
      end
      body_how, body_value = how, value
      say(context, "leaves")
      return "call", sync.leave_group(group, how == "error" and value or nil)
    end)
  end
  function start.child(context, op)
    local group = state.groups[op[3]]
    if not group or op[4] <= group.level then return say(context, "child", "skip") end
    local task, failure = sync.group_task(group.group, func(op[4]))
    if not task then return "raise", failure end
    say(context, "child", state:keep(op[2], "task", task, op[4]).number)
  end

  -- ==================================================}

  -- {==================================================
  -- Primitives
  -- ===================================================

  -- A block that holds something.
  local function holding(name, things, acquire, release)
    start[name] = function(context, op)
      if name == "condition" and state:must_not_wait(context, op) then return end
      local thing = things[op[2]]
      say(context, name, op[2])
      return "call", one_after_other(function() return acquire(loop, thing) end,
        function()
          say(context, "holds", name, op[2])
          return around(within(context, name, op[2]), op.body, function()
            release(thing)
            say(context, "releases", name, op[2])
          end)
        end)
    end
  end
  holding("lock", locks, sync.acquire, sync.release)
  holding("semaphore", semaphores, sync.acquire_semaphore, sync.release_semaphore)
  holding("condition", conditions,
    function(_, condition) return sync.acquire(loop, condition.lock) end,
    function(condition) sync.release(condition.lock) end)

  function start.cwait(context, op)
    if not context["condition" .. op[2]] then return say(context, "cwait", "skip") end
    say(context, "cwait")
    return "call", sync.wait_condition(loop, conditions[op[2]])
  end
  function ended.cwait(context) say(context, "notified") end
  function start.notify(context, op)
    if not context["condition" .. op[2]] then return say(context, "notify", "skip") end
    sync.notify(conditions[op[2]], op[3])
    say(context, "notify")
  end
  function start.ewait(context, op)
    say(context, "ewait")
    return "call", sync.wait_event(loop, events[op[2]])
  end
  function ended.ewait(context) say(context, "woken") end
  function start.eset(_, op) sync.set(events[op[2]]) end
  function start.eclear(_, op) events[op[2]].is_set = false end
  function start.get(context, op)
    say(context, "get")
    return "call", sync.get(loop, queues[op[2]])
  end
  function ended.get(context, _, value) say(context, "got", value) end
  function start.put(context, op)
    say(context, "put")
    return "call", sync.put(loop, queues[op[2]], op[3])
  end
  function ended.put(context) say(context, "has put") end
  function start.join(context, op)
    say(context, "join")
    return "call", sync.join(loop, queues[op[2]])
  end
  function ended.join(context) say(context, "joined") end
  local function on_queue(name, fn)
    start[name] = function(context, op)
      local result, failure = fn(queues[op[2]], op[3])
      if failure then return "raise", failure end
      say(context, name, tostring(result))
    end
  end
  on_queue("get_nowait", sync.get_nowait)
  on_queue("put_nowait", sync.put_nowait)
  on_queue("task_done", sync.task_done)
  on_queue("shutdown", function(queue, immediate)
    sync.shutdown(queue, immediate)
    return true
  end)

  -- ==================================================}

  -- {==================================================
  -- The main task
  -- ===================================================

  function start.tick(context, op)
    say(context, "tick", op[2])
    state:strike(program.strikes, op[2], function(...) say(context, ...) end)
    return "turn"
  end
  function start.round(context)
    if state.quiet > 3 then return end
    state.quiet = state.quiet + 1
    local function cancel(what, i, future)
      say(context, "cancels", what, i, tostring(future:cancel("end")))
      state.quiet = 0
    end
    for i, task in ipairs(loop:all_tasks()) do
      if task ~= loop.current then cancel("task", i, task) end
    end
    for i, object in ipairs(state.objects) do
      if object.kind ~= "task" and not object.future:done() then
        cancel(object.kind, i, object.future)
      end
    end
    return "turn"
  end
  function start.pause()
    if state.quiet > 3 then return end
    if #loop:all_tasks() > 1 then state.quiet = 0 end
    return "turn"
  end
  function start.finish(context)
    for number, object in ipairs(state.objects) do
      say(context, number, object.kind, outcome_text(object.future))
    end
    for i = 1, 2 do
      say(context, "left", tostring(locks[i].locked), tostring(semaphores[i].permits == 0),
        tostring(conditions[i].lock.locked), tostring(events[i].is_set), #queues[i].items)
    end
    say(context, "tasks", #loop:all_tasks())
    state.over = true
  end

  loop:task(block({label = "main", level = 0}, program.main, true))
  -- ==================================================}

  loop:run()
  return state.trace
end

return M
