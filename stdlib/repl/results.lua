--
-- results.lua - what is shown on a terminal besides what is typed: results,
-- errors of tasks that nobody awaits, the output of commands.
--
local asyncio = require "asyncio"
local editor = require "neap.repl.editor"
local start = require "neap.repl.session"
local typing = require "neap.repl.typing"

local collectgarbage, error, load, math, next, pairs = collectgarbage, error, load, math, next, pairs
local require, select, setmetatable, table, tostring, type = require, select, setmetatable, table, tostring, type
local getenv, monotonic, stdout, stderr = os.getenv, asyncio.time, io.stdout, io.stderr
local env = _G

local M = {}

-- {=====================================================
-- Errors in the background
-- ======================================================

local SHARE <const> = 10 -- of the time, that may go into looking, is one part of so many
local seen = setmetatable({}, {__mode = "k"}) -- tasks that have ended
local next_look = 0

-- Tells of a task that has failed, as it would be told of when it is collected.
local function tell(task)
  seen[task] = true
  if task:cancelled() then return end
  local failure = task:exception()
  if not failure then return end
  local value = failure.value == nil and failure or failure.value
  stderr:write("Task exception was never retrieved\nfuture: ", tostring(task), "\n", tostring(value))
  if failure.traceback then stderr:write("\nstack traceback:", failure.traceback) end
  stderr:write "\n"
end

-- Called when tasks have ended, and there is time: those that failed are told of. The collector finds those that nobody
-- has; results and variables are looked at. -> ms until it is to be called again, or -1
function M.look()
  local begun = monotonic()
  if begun < next_look then return math.ceil((next_look - begun) * 1000) end
  for _, value in next, env do
    if type(value) == "userdata" and not seen[value] and asyncio.isfuture(value) and value:done() then tell(value) end
  end
  collectgarbage()
  local now = monotonic()
  next_look = now + (now - begun) * SHARE
  return -1
end

-- ======================================================}

-- {=====================================================
-- Results and commands
-- ======================================================

local function coloured()
  return (getenv "NO_COLOR" or "") == ""
end

local count = 0 -- of results

-- Who types "local x = 1" and comes from elsewhere may not know; once.
local hinted = false
local function hint()
  local line = typing.last
  if hinted or not line or not line:find "^%s*local%s" or line:find "\n" then return end
  hinted = true
  stderr:write "a local variable ends with the line it is in; without the word local it stays\n"
end

-- Shows the results of a line, and keeps the first as _, _1, _2 ...
function M.show(...)
  local n = select("#", ...)
  if n == 0 then return hint() end
  local inspect = require "neap.repl.inspect"
  local options = {width = editor.columns(), colour = coloured()}
  local texts, breaks = {}, "  "
  if ... ~= nil then
    count = count + 1
    env._ = ...
    env["_" .. count] = ...
  end
  for i = 1, n do
    texts[i] = inspect(select(i, ...), options)
    if texts[i]:find "\n" then breaks = "\n" end
  end
  stdout:write(table.concat(texts, breaks), "\n")
end

local session = setmetatable({env = env}, {__index = function(_, name)
  if name == "width" then return editor.columns() end
  return name == "colour" and coloured() or nil
end})

function session.quit()
  start.quit()
end

function session.print(text)
  stdout:write(text, "\n")
end

-- Forgets the globals that have come since the beginning.
function session.reset()
  for name in pairs(env) do
    if start.globals[name] == nil then env[name] = nil end
  end
  for name, value in pairs(start.globals) do env[name] = value end
  count = 0
end

-- Runs code as if it were typed; gives its results.
session.evaluate = asyncio.async(function(code)
  local chunk, message = load("return " .. code .. ";", "=stdin")
  if not chunk then chunk, message = load(code, "=stdin") end
  if not chunk then error(message, 0) end
  return chunk()
end)

function M.command(line)
  if not line:find "^%.%a" then return nil end
  return function()
    asyncio.await(require "neap.repl.commands".run(line, session))
  end
end

-- ======================================================}

return M
