-- cancel_model_programs.lua: makes random programs, writes them down, reads
-- them again, and makes them smaller.
--
-- A program is a table:
--   functions   a list of blocks; a block is a list of operations
--   callbacks   a list of blocks without anything that suspends
--   starters    so many of the first functions the main task starts, as
--               tasks in slots 1 to 4; there are futures in slots 5 and 6
--   strikes     {turn, number, message}: in that turn the main task cancels
--               the object of that number (1: the task of function 1)
-- The main task gives the others 25 turns. Then it cancels what is left,
-- again and again, until nothing is.
--
-- An operation is a list of its name and its operands; one with a block
-- inside has the field `body`, some have a `handler` as well. S are slots
-- for objects, F functions, C callbacks; K says which one of two or three.
--   sleep, call F, spawn S F, raise V, return V, self V (cancels itself)
--   future S, set S V, fail S V, gather S X {child ...}, shield S S,
--   wait HOW {child ...}, await S, wait_for S SECONDS
--   cancel S V, uncancel S, cancelling S, state S, result S
--   add S C, remove S C, soon K C, drop K
--   pcall {}; catch HOW V {} {}; close {} {} (the second one is what
--   __close does); generator {} {} (the second one consumes what `yield V`
--   in the first gives); timeout K NOW {}, reschedule K NOW;
--   group K {}, child S K F
--   lock K {}, semaphore K {}, condition K {}, cwait K, notify K N
--   ewait K, eset K, eclear K
--   get K, put K V, join K, get_nowait K, put_nowait K V, task_done K,
--   shutdown K IMMEDIATE
-- A child is a word: r2 for what is in slot 2, f3 for a call of function 3.
-- What cannot be done (in an empty slot, say) is skipped.

local M = {}

local TURNS, ROUNDS = 25, 150
local SLOTS = 8
local STARTERS = 4 -- functions; the slots after those of their tasks: futures

-- What the main task does after the start.
local rest = {}
for turn = 1, TURNS do table.insert(rest, {"tick", turn}) end
for _ = 1, ROUNDS do
  table.insert(rest, {"round"})
  table.insert(rest, {"pause"})
end
table.insert(rest, {"finish"})

-- Gives the program the main task's block.
local function add_main(program)
  local main = {}
  for f = 1, math.min(program.starters, #program.functions) do
    main[f] = {"spawn", f, f}
  end
  for i = 1, 2 do table.insert(main, {"future", STARTERS + i}) end
  table.move(rest, 1, #rest, #main + 1, main)
  program.main = main
  return program
end

-- {====================================================
-- Making
-- =====================================================

-- Gives random(n), from 1 to n: SplitMix64, the same everywhere.
local function generator(seed)
  local state = seed
  return function(n)
    state = state + 0x9e3779b97f4a7c15
    local z = state
    z = (z ~ (z >> 30)) * 0xbf58476d1ce4e5b9
    z = (z ~ (z >> 27)) * 0x94d049bb133111eb
    return ((z ~ (z >> 31)) >> 1) % n + 1
  end
end

-- Names with their weights; each program has some of the topics only.
local ALWAYS = {plain = {spawn = 4, cancel = 6, state = 1, raise = 2},
  blocking = {sleep = 12, await = 12, call = 4, ["return"] = 1},
  blocks = {catch = 5, close = 4, pcall = 2}}
local TOPICS = {
  {plain = {future = 6, set = 8, fail = 2, result = 1}},
  {plain = {uncancel = 4, cancelling = 3}, blocking = {self = 4}},
  {plain = {gather = 8}},
  {plain = {shield = 6}},
  {plain = {add = 4, remove = 2, soon = 5, drop = 2}},
  {plain = {reschedule = 4}, blocks = {timeout = 10}},
  {plain = {child = 10}, blocks = {group = 8}},
  {blocks = {generator = 10}},
  {blocks = {lock = 14}},
  {blocks = {semaphore = 14}},
  {blocks = {condition = 14}},
  {plain = {eset = 4, eclear = 2}, blocking = {ewait = 8}},
  {plain = {get_nowait = 1, put_nowait = 3, task_done = 3, shutdown = 1},
    blocking = {get = 10, put = 7, join = 2}},
  {blocking = {wait = 7, wait_for = 7}},
}

-- What a crowd waits for, and what wakes one of it.
local function in_block(name, k, ...) return {name, k, body = {{...}}} end
local CROWDS = {
  function() return {"get", 1}, {"put_nowait", 1, 0} end,
  function() return {"put", 2, 0}, {"get_nowait", 2} end,
  function() return {"ewait", 1}, {"eset", 1} end,
  function() return {"await", STARTERS + 1}, {"set", STARTERS + 1, 0} end,
  function() return in_block("lock", 1, "sleep"), in_block("lock", 1, "sleep") end,
  function() return in_block("semaphore", 1, "sleep"), in_block("semaphore", 1, "sleep") end,
  function()
    return in_block("condition", 1, "cwait", 1), in_block("condition", 1, "notify", 1, 1)
  end,
}

-- Adds the weights of a topic to the lists that are picked from.
local function add_topic(lists, topic)
  for kind, weights in pairs(topic) do
    local names = {}
    for name in pairs(weights) do table.insert(names, name) end
    table.sort(names) -- pairs has no order
    for _, name in ipairs(names) do
      for _ = 1, weights[name] do table.insert(lists[kind], name) end
    end
  end
end

-- The program with this number.
function M.make(seed)
  local random = generator(seed)
  local lists = {plain = {}, blocking = {}, blocks = {}}
  add_topic(lists, ALWAYS)
  if random(2) == 1 then -- one that is nearly all the program is about
    local topic = TOPICS[random(#TOPICS)]
    for _ = 1, 4 do add_topic(lists, topic) end
  else
    for _ = 1, random(4) do add_topic(lists, TOPICS[random(#TOPICS)]) end
  end
  local functions, callbacks = STARTERS - 1 + random(3), random(3)
  local serial = 0
  local f = 1             -- the function that is being made
  local inside = {}       -- the names of the blocks around, the innermost last
  local block

  local function value()
    serial = serial + 1
    return serial
  end
  local function slot() return random(SLOTS) end
  -- a slot for what this function may await
  local function awaited() return f < STARTERS and f + random(SLOTS - f)
    or STARTERS + random(SLOTS - STARTERS) end
  local function deeper() return f < functions and f + random(functions - f) or f end
  local function child() return random(3) == 1 and "f" .. random(functions) or "r" .. slot() end
  local function words(make)
    local list = {}
    for i = 1, random(12) == 1 and 0 or random(3) do list[i] = make() end
    return list
  end
  local function either() return random(4) == 1 and 2 or 1 end
  local function message() return random(3) > 1 and "m" .. value() or nil end

  local operands = {
    call = deeper,
    await = awaited,
    spawn = function() return slot(), random(functions) end,
    raise = value,
    ["return"] = value,
    self = message,
    set = function() return random(3) > 1 and STARTERS + random(2) or slot(), value() end,
    cancel = function() return random(2) == 1 and slot() or random(STARTERS), message() end,
    gather = function() return slot(), random(2) == 1, words(child) end,
    shield = function() return slot(), "r" .. slot() end,
    wait = function()
      local list = words(function() return "r" .. awaited() end)
      list[1] = list[1] or "r" .. awaited()
      return ({"ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"})[random(3)], list
    end,
    wait_for = function() return awaited(), ({0, 1000, false})[random(3)] or nil end,
    add = function() return slot(), random(callbacks) end,
    soon = function() return random(3), random(callbacks) end,
    drop = function() return random(3) end,
    catch = function()
      return ({"swallow", "again", "other"})[random(3)], value()
    end,
    yield = value,
    timeout = function() return random(3), random(3) > 1 end,
    group = either,
    child = function() return slot(), either(), deeper() end,
    notify = function() return either(), random(3) end,
    put = function() return either(), value() end,
    shutdown = function() return either(), random(2) == 1 end,
  }
  operands.fail, operands.remove, operands.reschedule =
    operands.set, operands.add, operands.timeout
  operands.put_nowait = operands.put
  for _, name in ipairs{"future", "uncancel", "cancelling", "state", "result"} do
    operands[name] = slot
  end
  for _, name in ipairs{"lock", "semaphore", "condition", "cwait", "ewait", "eset",
    "eclear", "get", "join", "get_nowait", "task_done"} do
    operands[name] = either
  end
  local HANDLER = {catch = true, close = true, generator = true}
  -- What these wake up is often cancelled before it has run.
  local WAKES = {put = true, put_nowait = true, eset = true, notify = true, set = true,
    lock = true, semaphore = true, condition = true, get = true}
  local OFTEN_IN = {
    condition = {"cwait", "cwait", "notify", "notify", "notify", "sleep"},
    generator = {"yield", "yield", "sleep"},
    lock = {"sleep"},
    semaphore = {"sleep"},
  }

  local function operation(kind, depth)
    local list = lists[kind]
    if kind ~= "blocks" and random(3) > 1 then
      list = OFTEN_IN[inside[#inside]] or list
    end
    local op = {list[random(#list)]}
    local name = op[1]
    if operands[name] then op = {name, operands[name]()} end
    if kind == "blocks" then
      table.insert(inside, name)
      op.body = block(depth + 1)
      table.remove(inside)
    end
    if HANDLER[name] then op.handler = block(depth + 1) end
    return op
  end

  function block(depth)
    local list = {}
    for _ = 1, random(depth == 0 and 7 or 3) do
      local roll = random(10)
      local op = operation(depth < 3 and roll > 7 and "blocks"
        or roll > 3 and "blocking" or "plain", depth)
      table.insert(list, op)
      if WAKES[op[1]] and random(3) == 1 then
        table.insert(list, {"cancel", operands.cancel()})
      end
    end
    return list
  end

  -- All functions but the last starter begin with waiting; that one wakes
  -- up and cancels.
  local function add_crowd(blocks)
    local make = CROWDS[random(#CROWDS)]
    for i = 1, STARTERS - 1 do
      table.insert(blocks[i], 1, (make()))
      if random(3) == 1 then table.insert(blocks[i], 1, {"sleep"}) end
    end
    for _ = 1, random(2) do
      table.insert(blocks[STARTERS], 1, {"cancel", random(STARTERS - 1), message()})
      for _ = 1, random(2) do table.insert(blocks[STARTERS], 1, (select(2, make()))) end
      for _ = 1, random(2) do table.insert(blocks[STARTERS], 1, {"sleep"}) end
    end
  end

  local program = {functions = {}, callbacks = {}, strikes = {}, starters = STARTERS}
  for i = 1, functions do
    f = i
    program.functions[i] = block(0)
  end
  if random(4) == 1 then add_crowd(program.functions) end
  for i = 1, callbacks do
    program.callbacks[i] = {}
    for j = 1, random(3) do program.callbacks[i][j] = operation("plain", 0) end
  end
  for i = 1, random(6) - 1 do
    program.strikes[i] = {random(10), random(STARTERS), message()}
  end
  return add_main(program)
end

-- The program with this name: a seed, or seed/turn for the same program
-- with one strike more, in that turn.
M.STRUCK = 12 -- so many turns

function M.named(name)
  local seed, turn = name:match "^(%d+)/?(%d*)$"
  local program = M.make(math.tointeger(seed))
  if turn ~= "" then
    table.insert(program.strikes, {tonumber(turn), seed // 10 % STARTERS + 1, "struck"})
  end
  return program
end

-- ====================================================}

-- {====================================================
-- Writing and reading
-- =====================================================

local function word(value)
  if type(value) ~= "table" then return ("%q"):format(value) end
  local list = {}
  for i, each in ipairs(value) do list[i] = word(each) end
  return "{" .. table.concat(list, ", ") .. "}"
end

local function write_block(lines, indent, name, block)
  if #block == 0 then return table.insert(lines, indent .. name .. "{},") end
  table.insert(lines, indent .. name .. "{")
  for _, op in ipairs(block) do
    local words = {}
    for i = 1, 4 do words[i] = word(op[i]) end
    local head = table.concat(words, ", "):gsub("[, nil]*$", "")
    if op.body then
      table.insert(lines, indent .. "  {" .. head .. ",")
      write_block(lines, indent .. "    ", "body = ", op.body)
      if op.handler then write_block(lines, indent .. "    ", "handler = ", op.handler) end
      table.insert(lines, indent .. "  },")
    else
      table.insert(lines, indent .. "  {" .. head .. "},")
    end
  end
  table.insert(lines, indent .. "},")
end

-- The text of a program: a Lua table.
function M.text(program)
  local strikes = {}
  for i, strike in ipairs(program.strikes) do strikes[i] = word(strike) end
  local lines = {"{", "starters = " .. program.starters .. ", strikes = {"
    .. table.concat(strikes, ", ") .. "},", "functions = {"}
  for _, block in ipairs(program.functions) do write_block(lines, "  ", "", block) end
  table.insert(lines, "}, callbacks = {")
  for _, block in ipairs(program.callbacks) do write_block(lines, "  ", "", block) end
  table.insert(lines, "}}")
  return table.concat(lines, "\n")
end

function M.read(text) return add_main(assert(load("return " .. text))()) end

-- ====================================================}

-- {====================================================
-- Making smaller
-- =====================================================

-- All lists of operations in a program, the outer ones first.
local function blocks_of(program)
  local list = {program.strikes}
  local function add(block)
    table.insert(list, block)
    for _, op in ipairs(block) do
      if op.body then add(op.body) end
      if op.handler then add(op.handler) end
    end
  end
  for _, block in ipairs(program.functions) do add(block) end
  for _, block in ipairs(program.callbacks) do add(block) end
  return list
end

-- Ways to make a block smaller at a place: each gives a function that takes
-- it back.
local function drop(block, i)
  local op = table.remove(block, i)
  return function() table.insert(block, i, op) end
end

local function unwrap(block, i)
  local op = block[i]
  if not op.body then return nil end
  table.remove(block, i)
  for j, inner in ipairs(op.body) do table.insert(block, i + j - 1, inner) end
  return function()
    for _ = 1, #op.body do table.remove(block, i) end
    table.insert(block, i, op)
  end
end

-- Takes out of the program what its failure, as `fails(program)` says, does
-- not need.
function M.reduce(program, fails)
  local smaller = true
  local function fails_still() return fails(add_main(program)) end
  while smaller do
    smaller = false
    local at = 1
    while blocks_of(program)[at] do
      local block = blocks_of(program)[at]
      for _, way in ipairs{drop, unwrap} do
        for i = #block, 1, -1 do
          local undo = way(block, i)
          if undo and fails_still() then
            smaller = true
          elseif undo then
            undo()
          end
        end
      end
      at = at + 1
    end
    program.starters = program.starters - 1
    if program.starters > 0 and fails_still() then
      smaller = true
    else
      program.starters = program.starters + 1
    end
  end
end

-- ====================================================}

return M
