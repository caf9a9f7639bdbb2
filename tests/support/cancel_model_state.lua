-- cancel_model_state.lua: what the two interpreters of a program (on the
-- model, cancel_model_expect.lua; on Neap, cancel_model_neap.lua) have in
-- common: the trace, the fuel, and the objects that operations are about.
--
-- An object is what stands in a slot: a future, task, gather or shield,
-- with its number and its level. The level of a task is that of its
-- function, that of a gather the lowest of its children's. A function
-- awaits only what has a higher level than itself: so no tasks await each
-- other in a circle, and every program ends.

local M = {}

local State = {}
State.__index = State

local FUEL = 250 -- operations that one program may do
local DEPTH = 2  -- of gathers in gathers: cancel costs 4 to its power

function M.new()
  return setmetatable({
    trace = {},
    fuel = FUEL,
    serial = 0,      -- of contexts
    slots = {},      -- slot -> object
    objects = {},    -- all of them, in the order in which they were made
    groups = {},     -- number -> {group, level}
    scopes = {},     -- number -> timeout scope
    handles = {},    -- number -> handle of call_soon
    over = false,    -- main has ended: what goes on is not compared
    quiet = 0,       -- rounds of the end without anything left
  }, State)
end

-- A line of the trace; `requests` is what cancelling() gives.
function State:say(context, requests, ...)
  if self.over then return end
  local line = table.concat({context.label, ...}, " ")
  if requests > 0 then line = ("%s  (%d)"):format(line, requests) end
  table.insert(self.trace, line)
end

-- Cancels what the program's strikes of that turn are about.
function State:strike(strikes, turn, say)
  for _, strike in ipairs(strikes) do
    local object = self.objects[strike[2]]
    if strike[1] == turn and object then
      say("strikes", object.number, tostring(object.future:cancel(strike[3])))
    end
  end
end

-- What a function, or a callback, does its operations in.
function State:context(name, level)
  self.serial = self.serial + 1
  return {label = name .. "." .. self.serial, level = level}
end

-- The same within a block that changes what may be done: in a generator, or
-- with something held. There it says which one.
function M.within(context, key, which)
  local inner = setmetatable({[key] = which or true}, {__index = context})
  if which then inner[key .. which] = true end
  return inner
end

-- Who waits for a condition refuses to be cancelled while it takes the lock
-- again. So who has the lock waits for no task: it could be that one.
function State:must_not_wait(context, op)
  if not context.condition then return false end
  self:say(context, 0, op[1], "skip")
  return true
end

-- Whether one operation more may be done.
function State:burn()
  if self.fuel == 0 or self.over then return false end
  self.fuel = self.fuel - 1
  return true
end

function State:keep(slot, kind, future, level, depth)
  local object = {kind = kind, future = future, level = level, depth = depth or 0}
  table.insert(self.objects, object)
  object.number = #self.objects
  if slot then self.slots[slot] = object end
  return object
end

local ONLY = {set = "future", fail = "future", uncancel = "task", cancelling = "task"}
local AWAITS = {await = true, wait_for = true}

-- The object that an operation is about, or nil when it is to be skipped.
function State:object(context, op)
  local object = self.slots[op[2]]
  if not object or (ONLY[op[1]] and ONLY[op[1]] ~= object.kind)
    or (AWAITS[op[1]] and (object.level <= context.level
      or context.condition and object.kind ~= "future")) then
    self:say(context, 0, op[1], "skip")
    return nil
  end
  return object
end

-- Looks at the children of a gather, or of a wait: words like r2 (slot 2)
-- and f1 (a call of function 1). Gives their level and depth, or nil.
function State:children(context, op, words)
  local level, depth = math.huge, 0
  for _, word in ipairs(words) do
    local number = tonumber(word:sub(2))
    local object = self.slots[number]
    if word:sub(1, 1) == "f" then
      level = math.min(level, number)
    elseif not object or object.depth == DEPTH then
      self:say(context, 0, op[1], "skip")
      return nil
    else
      level = math.min(level, object.level)
      depth = math.max(depth, object.depth)
    end
  end
  return level, depth
end

return M
