-- order_neap.lua: runs the programs of order_programs.lua on Neap, from
-- standard input; prints what happens. order_asyncio.py does the same in
-- Python, operation by operation.
--
--   neap order_neap.lua EAGER <programs
--
-- EAGER is 1 when a gather of what is done is done at once (Python 3.12).

local asyncio = require "asyncio"

local EAGER = arg[1] == "1"
local FUEL = 300   -- operations that one program may do
local TICKS = 25   -- turns after which all that is left is cancelled
local ROUNDS = 100 -- of that
local DEPTH = 2    -- of gathers in gathers: cancel costs 4 to its power

local Boom = asyncio.Exception:subclass("Boom")

-- Reading: from words to tables.

local next_word = io.read("a"):gmatch("%S+")

local ARITY = {
  sleep = 0, count = 0, spawn = 2, call = 1, future = 1, await = 1, set = 2,
  fail = 2, cancel = 1, uncancel = 1, cancelling = 1, add = 2, remove = 2,
  soon = 2, later = 2, drop = 1, state = 1, result = 1, exception = 1,
  raise = 1, ["return"] = 1,
}
local BLOCKS = {pcall = 1, catch = 1, guard = 2, finally = 2}

-- A block: a list of operations, each a table with its name and operands.
local function read_block()
  assert(next_word() == "{")
  local block = {}
  for name in next_word do
    if name == "}" then return block end
    local op = {name = name}
    if BLOCKS[name] then
      for i = 1, BLOCKS[name] do op[i] = read_block() end
    elseif name == "gather" then
      op[1], op.return_exceptions = tonumber(next_word()), next_word() == "1"
      op.children = {}
      for i = 1, tonumber(next_word()) do op.children[i] = next_word() end
    else
      for i = 1, assert(ARITY[name], name) do op[i] = tonumber(next_word()) end
    end
    block[#block + 1] = op
  end
end

-- The next program, or nil.
local function read_program()
  if not next_word() then return nil end
  local program = {seed = next_word(), functions = {}, callbacks = {}}
  for word in next_word do
    if word == "end" then return program end
    local list = word == "func" and program.functions or program.callbacks
    list[#list + 1] = read_block()
  end
end

-- Running.

local function error_text(err)
  if asyncio.isinstance(err, asyncio.CancelledError) then return "CancelledError" end
  if asyncio.isinstance(err, Boom) then return "Boom " .. err.message end
  if asyncio.isinstance(err, asyncio.InvalidStateError) then
    return "InvalidStateError"
  end
  return "unexpected: " .. tostring(err)
end

local function value_text(value)
  if type(value) ~= "table" then return tostring(value) end
  if not value.n then return "(" .. error_text(value) .. ")" end
  local list = {}
  for i = 1, value.n do list[i] = value_text(value[i]) end
  return "[" .. table.concat(list, " ") .. "]"
end

local function outcome_text(future)
  if future:cancelled() then return "CancelledError" end
  local exception = future:exception()
  if exception ~= nil then return error_text(exception) end
  return value_text(future:result())
end

-- Runs one program; gives the lines of what happened.
local function run_program(program)
  local trace, fuel, serial = {}, FUEL, 0
  local registers, handles, objects = {}, {}, {}
  local callbacks = {}
  local run_block, func

  local over = false -- main has ended: what goes on is not compared

  local function say(context, ...)
    if over then return end
    local line = table.concat({context.label, ...}, " ")
    if asyncio.current_task() ~= context.task then
      line = line .. " in the wrong task"
    end
    trace[#trace + 1] = line
  end

  local function keep(register, kind, future, level, depth)
    local object = {kind = kind, future = future, level = level, depth = depth or 0}
    registers[register] = object
    objects[#objects + 1] = object
    object.number = #objects
    return object
  end

  local function spawn(register, f)
    return keep(register, "task", create_task(func(f)), f)
  end

  local function make_gather(op, context)
    local list, level = {return_exceptions = op.return_exceptions}, math.huge
    local depth = 0
    for _, child in ipairs(op.children) do
      local number = tonumber(child:sub(2))
      local object = registers[number]
      if child:sub(1, 1) == "f" then
        level = math.min(level, number)
      elseif not object or object.depth == DEPTH
        or (not EAGER and object.future:done()) then
        return say(context, "gather", "skip")
      else
        level = math.min(level, object.level)
        depth = math.max(depth, object.depth)
      end
    end
    for i, child in ipairs(op.children) do
      local number = tonumber(child:sub(2))
      list[i] = child:sub(1, 1) == "f" and func(number)
        or registers[number].future
    end
    keep(op[1], "gather", gather(list), level, depth + 1)
    say(context, "gather", "made")
  end

  local function finally(context, op)
    local _ <close> = setmetatable({}, {__close = function()
      run_block(context, op[2])
    end})
    return run_block(context, op[1])
  end

  local operations = {}

  function operations.sleep() await(sleep(0)) end
  function operations.call(context, op)
    if op[1] <= context.level then return say(context, "call", "skip") end
    say(context, "called", value_text(await(func(op[1]))))
  end
  function operations.await(context, op)
    local object = registers[op[1]]
    if not object or object.level <= context.level then
      return say(context, "await", "skip")
    end
    say(context, "await", object.number)
    say(context, "awaited", object.number, value_text(await(object.future)))
  end
  function operations.count(context)
    say(context, "count", #asyncio.all_tasks())
  end
  function operations.spawn(context, op)
    say(context, "spawned", spawn(op[1], op[2]).number)
  end
  function operations.future(_, op)
    keep(op[1], "future", asyncio.Future(), math.huge)
  end
  function operations.gather(context, op) make_gather(op, context) end
  function operations.soon(_, op)
    handles[op[1]] = asyncio.call_soon(callbacks[op[2]])
  end
  function operations.later(_, op)
    handles[op[1]] = asyncio.call_later(0, callbacks[op[2]])
  end
  function operations.drop(_, op)
    if handles[op[1]] then handles[op[1]]:cancel() end
  end
  function operations.raise(_, op) error(Boom(op[1])) end
  operations["return"] = function(_, op) return true, op[1] end
  function operations.pcall(context, op)
    local ok, a, b = pcall(run_block, context, op[1])
    if ok then return a, b end
    say(context, "pcall", error_text(a))
  end
  function operations.catch(context, op)
    local ok, a, b = asyncio.catch(run_block, context, op[1])
    if ok then return a, b end
    say(context, "catch", error_text(a))
  end
  function operations.guard(context, op)
    local ok, a, b = asyncio.catch(run_block, context, op[1])
    if ok then return a, b end
    say(context, "guard", error_text(a))
    run_block(context, op[2])
    error(a, 0)
  end
  operations.finally = finally

  -- Those on what is in a register.
  local on = {}
  function on.set(future, op) future:set_result(op[2]) return "done" end
  function on.fail(future, op) future:set_exception(Boom(op[2])) return "done" end
  function on.cancel(future) return future:cancel() end
  function on.uncancel(task) return task:uncancel() end
  function on.cancelling(task) return task:cancelling() end
  function on.add(future, op) future:add_done_callback(callbacks[op[2]]) return "done" end
  function on.remove(future, op) return future:remove_done_callback(callbacks[op[2]]) end
  function on.state(future)
    return (future:done() and "done" or "pending")
      .. (future:cancelled() and " cancelled" or "")
  end
  function on.result(future) return value_text(future:result()) end
  function on.exception(future)
    local exception = future:exception()
    return exception == nil and "nil" or error_text(exception)
  end
  local ONLY = {set = "future", fail = "future", uncancel = "task", cancelling = "task"}
  for name, fn in pairs(on) do
    operations[name] = function(context, op)
      local object = registers[op[1]]
      if not object or (ONLY[name] and ONLY[name] ~= object.kind) then
        return say(context, name, "skip")
      end
      say(context, name, object.number, tostring(fn(object.future, op)))
    end
  end

  local BLOCKING = {sleep = true, call = true, await = true}

  -- Runs a block; gives true and a value when it returned.
  function run_block(context, block)
    for _, op in ipairs(block) do
      if fuel == 0 then return end
      fuel = fuel - 1
      if context.task or not BLOCKING[op.name] then
        local returned, value = operations[op.name](context, op)
        if returned then return true, value end
      end
    end
  end

  func = async(function(f)
    serial = serial + 1
    local context = {label = f .. "." .. serial, level = f,
      task = asyncio.current_task()}
    say(context, "begins")
    local _ <close> = setmetatable({}, {__close = function(_, err)
      if err ~= nil then say(context, "fails", error_text(err)) end
    end})
    local _, value = run_block(context, program.functions[f])
    say(context, "ends", value_text(value))
    return value
  end)

  for i, block in ipairs(program.callbacks) do
    callbacks[i] = function(future)
      serial = serial + 1
      local context = {label = "c" .. i .. "." .. serial, level = math.huge}
      say(context, "called", future and tostring(future:done()) or "nil")
      run_block(context, block)
    end
  end

  local main = async(function()
    local context = {label = "main", task = asyncio.current_task()}
    for f = 1, 3 do spawn(f, f) end
    for tick = 1, TICKS do
      say(context, "tick", tick)
      await(sleep(0))
    end
    local quiet = 0 -- rounds without anything left
    for round = 1, ROUNDS do
      say(context, "round", round)
      quiet = quiet + 1
      for _, object in ipairs(objects) do
        if not object.future:done() then
          say(context, "cancels", object.number, tostring(object.future:cancel()))
          quiet = 0
        end
      end
      await(sleep(0))
      await(sleep(0))
      if quiet > 3 and #asyncio.all_tasks() == 1 then break end
    end
    for number, object in ipairs(objects) do
      say(context, number, object.kind, object.future:done()
        and outcome_text(object.future) or "pending")
    end
    say(context, #asyncio.all_tasks())
    over = true
  end)
  run(main())
  return trace
end

for program in read_program do
  print("program " .. program.seed)
  print(table.concat(run_program(program), "\n"))
end
