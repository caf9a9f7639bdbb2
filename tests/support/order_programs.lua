-- order_programs.lua: makes random programs for order_spec.lua.
--
-- A program is a text of words, which order_neap.lua and order_asyncio.py
-- interpret. It has functions and callbacks, numbered from 1, each a block
-- of operations; registers 1 to 8 hold tasks, futures and gathers, and
-- others hold the handles of callbacks:
--   sleep                give up a turn
--   spawn R F            R = a task of function F
--   call F               await function F in line
--   future R             R = a plain future
--   gather R X N C...    R = a gather of N children, X = return_exceptions;
--                        a child is rR (a register) or fF (a call)
--   await R              await what is in R
--   set R V, fail R V    settle a plain future
--   cancel R, uncancel R, cancelling R
--   add R C, remove R C  a done callback
--   soon H C, later H C  H = the handle of callback C; drop H cancels it
--   state R, result R, exception R, count (of all tasks)
--   raise V, return V
--   pcall {..}           errors are caught, but no cancellation
--   catch {..}           both are caught
--   guard {..} {..}      when the first fails, the second runs, and the
--                        error goes on
--   finally {..} {..}    the second runs after the first in any case
-- What cannot be done (an empty register, say) is skipped by both sides.

local M = {}

local REGISTERS, HANDLES = 8, 3

-- Operations that callbacks may do, with their weights.
local PLAIN = {
  {"spawn", 5}, {"future", 4}, {"gather", 5}, {"set", 8}, {"fail", 2},
  {"cancel", 6}, {"uncancel", 2}, {"cancelling", 1}, {"add", 4}, {"remove", 2},
  {"soon", 4}, {"later", 3}, {"drop", 2}, {"state", 2}, {"result", 1},
  {"exception", 1}, {"count", 1}, {"raise", 1}, {"pcall", 2}, {"catch", 1},
}

-- Those of tasks besides.
local BLOCKING = {
  {"sleep", 12}, {"call", 5}, {"await", 18}, {"return", 1}, {"pcall", 3},
  {"catch", 4}, {"guard", 3}, {"finally", 5},
}

local function append(list, ...)
  for _, word in ipairs{...} do list[#list + 1] = word end
end

-- Makes the text of the program with this seed.
function M.make(seed)
  math.randomseed(seed)
  local random = math.random
  local functions, callbacks = random(3, 6), random(1, 4)
  local words = {}

  local function pick(weights)
    local total = 0
    for _, entry in ipairs(weights) do total = total + entry[2] end
    local at = random(total)
    for _, entry in ipairs(weights) do
      at = at - entry[2]
      if at <= 0 then return entry[1] end
    end
  end

  local block

  local function register() return random(REGISTERS) end
  local function value() return random(0, 9) end

  local operands = {
    sleep = function() end,
    count = function() end,
    spawn = function() append(words, register(), random(functions)) end,
    call = function() append(words, random(functions)) end,
    gather = function()
      local n = random(20) == 1 and 0 or random(4)
      append(words, register(), random(3) == 1 and 1 or 0, n)
      for _ = 1, n do
        append(words, random(3) == 1 and "f" .. random(functions)
          or "r" .. register())
      end
    end,
    set = function() append(words, register(), value()) end,
    add = function() append(words, register(), random(callbacks)) end,
    soon = function() append(words, random(HANDLES), random(callbacks)) end,
    drop = function() append(words, random(HANDLES)) end,
    raise = function() append(words, value()) end,
    pcall = function(blocking, depth) block(blocking, depth) end,
    guard = function(blocking, depth)
      block(blocking, depth)
      block(blocking, depth)
    end,
  }
  operands.fail = operands.set
  operands.remove = operands.add
  operands.later = operands.soon
  operands["return"] = operands.raise
  operands.catch = operands.pcall
  operands["finally"] = operands.guard
  for _, name in ipairs{"future", "await", "cancel", "uncancel", "cancelling",
    "state", "result", "exception"} do
    operands[name] = function() append(words, register()) end
  end

  function block(blocking, depth)
    append(words, "{")
    for _ = 1, random(1, depth == 0 and 7 or 3) do
      local name = pick(blocking and random(3) > 1 and BLOCKING or PLAIN)
      if depth >= 2 and operands[name] == operands.pcall
        or depth >= 2 and operands[name] == operands.guard then
        name = blocking and "sleep" or "count"
      end
      append(words, name)
      operands[name](blocking, depth + 1)
    end
    append(words, "}")
  end

  append(words, "program", seed, "\n")
  for _ = 1, functions do
    append(words, "func")
    block(true, 0)
    append(words, "\n")
  end
  for _ = 1, callbacks do
    append(words, "callback")
    block(false, 0)
    append(words, "\n")
  end
  append(words, "end", "\n")
  return (table.concat(words, " "):gsub(" ?\n ?", "\n"))
end

return M
