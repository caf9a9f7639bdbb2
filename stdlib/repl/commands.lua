--
-- repl/commands.lua - what a line does that begins with a dot and a letter.
--     await(run(line, session)) -> whether it is such a line
--
-- `session` is the REPL's:
--   env                 the global variables
--   print(text)         shows lines above the prompt
--   evaluate(code)      async: runs code as if it were typed; gives its results
--   quit(), reset()     end the session; forget its variables and results
--   width, colour       as of inspect; may be nil
-- What is wrong with a command is shown. What is wrong with code that it runs
-- is raised.
--
local asyncio = require "asyncio"
local help = require "neap.repl.help"
local inspect = require "neap.repl.inspect"

local async, await, collectgarbage, error, ipairs = async, await, collectgarbage, error, ipairs
local loadfile, math, os, rawget, require, table = loadfile, math, os, rawget, require, table
local byte, find, format, gmatch = string.byte, string.find, string.format, string.gmatch
local gsub, match, sub = string.gsub, string.match, string.sub
local tostring, type = tostring, type

local M = {}

local GRACE <const> = 1 -- seconds that tasks have to end before they are told of
local ROUNDS <const> = 100 -- in which cleanup and callbacks make new tasks
local SHOWN <const> = 10 -- names in a message

-- Of each command what is written behind it, what it does, and its function.
local commands = {}

-- {======================================================
-- Names
-- =======================================================

-- How many letters one name is from another.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = byte(a, i) == byte(b, j) and 0 or 1
      diagonal, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
    end
  end
  return row[#b]
end

-- The name in the list that is meant, or nil when none is near.
local function nearest(name, list)
  local best, least = nil, math.min(3, (#name + 1) // 2) + 1 -- too far
  for _, each in ipairs(list) do
    local d = math.abs(#each - #name) < least and distance(name, each) or least
    if d < least then best, least = each, d end
  end
  return best
end

-- "; is it 'x'?" where a name in the list is near
local function question(name, list)
  local meant = nearest(name, list)
  return meant and format("; is it '%s'?", meant) or ""
end

-- ======================================================= }

-- {======================================================
-- Help
-- =======================================================

-- ".time EXPR  what it does"
local function usage_of(name)
  local command = commands[name]
  return format("  %-13s %s", "." .. name .. " " .. command.argument, command.summary)
end

local function describe(entry)
  return format("%s\n  %s: %s", entry.signature, entry.module, entry.summary)
end

-- Signatures, one below the other.
local function show_list(session, names)
  local lines, seen = {}, {}
  for _, name in ipairs(names) do
    local entry = help.lookup(name)
    if not seen[entry] then lines[#lines + 1] = "  " .. entry.signature end
    seen[entry] = true
  end
  session.print(table.concat(lines, "\n"))
end

-- The value of a name with dots in the globals, or nil; runs no code.
local function value_of(name, env)
  local value
  if find(name, "^[^.]") then value = env end
  for key in gmatch(name, "[^.]+") do
    value = type(value) == "table" and rawget(value, key) or nil
  end
  return value
end

-- About a name: as it is; a module; an object with methods; the last part of a
-- name; a global.
local function help_with(session, name)
  local entry, command = help.lookup(name), match(name, "^%.(%a+)$")
  if entry then return session.print(describe(entry)) end
  if commands[command] then return session.print(usage_of(command)) end
  local members, methods, same = {}, {}, {}
  for _, each in ipairs(help.names()) do
    if help.lookup(each).module == name then members[#members + 1] = each end
    if match(each, "^(.*):") == name then methods[#methods + 1] = each end
    if match(each, "[^.:]+$") == name then same[#same + 1] = each end
  end
  if members[1] then
    session.print(format("the module %s:", name))
    return show_list(session, members)
  end
  if methods[1] then show_list(session, methods) end
  for _, each in ipairs(same) do session.print(describe(help.lookup(each))) end
  if methods[1] or same[1] then return end
  local value = value_of(name, session.env)
  if value ~= nil then
    return session.print(format("%s = %s\n  no page of Neap's library tells of it", name,
      inspect(value, {depth = 1, width = session.width})))
  end
  session.print(format("nothing is known of '%s'%s", name, question(name, help.names())))
end

local function modules()
  local list, seen = {}, {}
  for _, name in ipairs(help.names()) do
    local module = help.lookup(name).module
    if not seen[module] then list[#list + 1] = module end
    seen[module] = true
  end
  table.sort(list)
  return table.concat(list, ", ")
end

-- ======================================================= }

-- {======================================================
-- Tasks
-- =======================================================

-- The tasks but the one that asks.
local function other_tasks()
  local list = {}
  for _, task in ipairs(asyncio.all_tasks()) do
    if task ~= asyncio.current_task() then list[#list + 1] = task end
  end
  return list
end

local function count_of(n, what)
  return format("%d %s%s", n, what, n == 1 and "" or "s")
end

-- The tree of tasks, without the one that asks.
local function tree()
  local pieces = {}
  asyncio.dump({write = function(_, text) pieces[#pieces + 1] = text end})
  local own = format("task '%s' running", asyncio.current_task():get_name())
  local lines, left_out = {}, false
  for line in gmatch(table.concat(pieces), "[^\n]+") do
    if find(line, "^%S") then left_out = sub(line, 1, #own) == own end
    if not left_out then lines[#lines + 1] = line end
  end
  lines[1] = gsub(lines[1], "^[^:]*: 1 running, ", count_of(#other_tasks(), "unfinished task") .. ": ")
  return table.concat(lines, "\n")
end

local function names_of(tasks)
  local list = {}
  for i, task in ipairs(tasks) do list[i] = gsub(task:get_name(), "%c", "?") end
  return list
end

-- Tells how a task that was asked to end did so.
local function ending(task)
  if not task:done() then
    return "has been asked to end, and still runs: .tasks shows where"
  elseif task:cancelled() then
    return "is cancelled"
  end
  local err = task:exception()
  return err and "ended with an error: " .. tostring(err) or "has returned"
end

local function cancel(tasks)
  for _, task in ipairs(tasks) do task:cancel() end
  if tasks[1] then await(asyncio.wait(tasks, {timeout = GRACE})) end
end

-- ======================================================= }

-- {======================================================
-- The commands
-- =======================================================

-- "12.3 ms"
local function seconds_of(seconds)
  for _, unit in ipairs {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}} do
    if seconds >= unit[1] then return format("%.3g %s", seconds / unit[1], unit[2]) end
  end
  return format("%.3g us", seconds / 1e-6)
end

-- "1.5 KiB"
local function bytes_of(bytes)
  local units = {"bytes", "KiB", "MiB", "GiB", "TiB"}
  local unit = 1
  while math.abs(bytes) >= 1024 and unit < #units do bytes, unit = bytes / 1024, unit + 1 end
  return format("%.4g %s", bytes, units[unit])
end

local function show_results(session, results)
  for i = 1, results.n do
    session.print(inspect(results[i], {width = session.width, colour = session.colour}))
  end
end

-- An argument without the quotes around it, if it has any.
local function unquoted(text)
  return match(text, "^'(.*)'$") or match(text, '^"(.*)"$') or text
end

commands.help = {argument = "[NAME]", summary = "what a function of the library does; these commands"}
function commands.help.run(session, name)
  if name ~= "" then return help_with(session, name) end
  local lines = {}
  for i, each in ipairs(M.names) do
    lines[i] = usage_of(each)
  end
  session.print(table.concat(lines, "\n"))
  session.print(".help NAME tells of the modules " .. modules() .. " and all that is in them")
end

commands.tasks = {argument = "", summary = "the tasks that are not done, and what they wait for"}
function commands.tasks.run(session)
  session.print(other_tasks()[1] and tree() or "no tasks")
end

commands.cancel = {argument = "NAME", summary = "asks the task of that name to end"}
function commands.cancel.run(session, name)
  name = unquoted(name)
  local found = {}
  local tasks = other_tasks()
  for _, task in ipairs(tasks) do
    if task:get_name() == name then found[#found + 1] = task end
  end
  if #found == 1 then
    cancel(found)
    session.print(format("task '%s' %s", name, ending(found[1])))
  elseif #found > 1 then
    session.print(format("%d tasks are called '%s': none is cancelled", #found, name))
  elseif not tasks[1] then
    session.print "there are no tasks"
  else
    local names = names_of(tasks)
    local more = #names > SHOWN and format(" and %d more", #names - SHOWN) or ""
    session.print(format("no task is called '%s'%s\nthere are: %s%s", name, question(name, names),
      table.concat(names, ", ", 1, math.min(#names, SHOWN)), more))
  end
end

commands.time = {argument = "EXPR", summary = "evaluates it; tells time and memory"}
function commands.time.run(session, code)
  if code == "" then return session.print "time of what? .time EXPR" end
  collectgarbage()
  local memory = collectgarbage "count"
  local meter <close> = require("neap.repl.meter")()
  local cpu, wall = os.clock(), asyncio.time()
  local results = table.pack(await(session.evaluate(code)))
  wall, cpu = asyncio.time() - wall, os.clock() - cpu
  local count, bytes = meter:stop()
  collectgarbage()
  memory = (collectgarbage "count" - memory) * 1024
  show_results(session, results)
  session.print(format("wall %s, CPU %s, %s of %s, memory %s%s", seconds_of(wall), seconds_of(cpu),
    count_of(count, "allocation"), bytes_of(bytes), memory < 0 and "" or "+", bytes_of(memory)))
end

local function chunk_of(path, env)
  local chunk, message = loadfile(path, "t", env)
  return chunk or error(message, 0)
end

commands.load = {argument = "FILE", summary = "runs a file of Lua here; it may await"}
function commands.load.run(session, path)
  if path == "" then return session.print "load what? .load FILE" end
  show_results(session, table.pack(chunk_of(unquoted(path), session.env)()))
end

commands.reset = {argument = "", summary = "cancels all tasks, and forgets your variables and results"}
function commands.reset.run(session)
  local asked, count = {}, 0
  for _ = 1, ROUNDS do
    local tasks = {}
    for _, task in ipairs(other_tasks()) do
      if not asked[task] then tasks[#tasks + 1] = task end
      asked[task] = true
    end
    if not tasks[1] then break end
    count = count + #tasks
    cancel(tasks)
  end
  local left = #other_tasks()
  session.reset()
  session.print(format("%s cancelled%s; variables and results are forgotten",
    count_of(count - left, "task"), left > 0 and format(", %d still ending", left) or ""))
end

commands.quit = {argument = "", summary = "ends the session, as Ctrl-D does"}
function commands.quit.run(session) session.quit() end

M.names = {"help", "tasks", "cancel", "time", "load", "reset", "quit"}

M.run = async(function(line, session)
  local name, argument = match(line, "^%s*%.(%a%w*)%s*(.-)%s*$")
  if not name then return false end
  local command = commands[name]
  if command then
    command.run(session, argument)
  else
    local meant = nearest(name, M.names)
    session.print(format("there is no command .%s;%s .help lists them all", name,
      meant and format(" is it .%s?", meant) or ""))
  end
  return true
end, "repl.command")

-- ======================================================= }

return M
