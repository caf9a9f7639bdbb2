--
-- session.lua - the interactive mode on a terminal, as the program neap calls
-- it: reads, shows results, runs commands. What it needs besides is loaded
-- when it is first needed.
--
local asyncio = require "asyncio"
local editor = require "neap.repl.editor"

local MOST_SHOWN <const> = 100 -- candidates of a completion

local print, require, tostring, type = print, require, tostring, type
local getenv, select, stdout, stderr, utf8 = os.getenv, select, io.stdout, io.stderr, utf8
local monotonic = asyncio.time
local env = _G

-- {=====================================================
-- History
-- ======================================================

-- The file; nil when there is no home.
local function history_path()
  local state, home = getenv "XDG_STATE_HOME", getenv "HOME"
  if state and state:sub(1, 1) == "/" then return state .. "/neap/history" end
  if home and home ~= "" then return home .. "/.local/state/neap/history" end
  return nil
end

local path = history_path()
local last -- entry

local function load_history()
  if not path then return end
  for _, entry in ipairs(editor.history_load(path)) do
    editor.add(entry)
    last = entry
  end
end

local function remember(text)
  if text == last or not text:find "%S" then return end
  last = text
  editor.add(text)
  if path then editor.history_append(path, text) end
end

-- ======================================================}

-- {=====================================================
-- Completion
-- ======================================================

local function common_prefix(list)
  local prefix = list[1]
  for i = 2, #list do
    local word, n = list[i], 0
    while n < #prefix and prefix:byte(n + 1) == word:byte(n + 1) do n = n + 1 end
    prefix = prefix:sub(1, n)
  end
  -- no half characters
  while #prefix > 0 and not utf8.len(prefix) and utf8.len(list[1]) do prefix = prefix:sub(1, -2) end
  return prefix
end

-- In columns, as ls does; what all begin with up to the last dot or slash is left out.
local function listing(list)
  local width, columns, lines = 1, editor.columns(), {}
  local names = {}
  for i = 1, math.min(#list, MOST_SHOWN) do
    names[i] = list[i]:match "[^.:/]+[/]?$" or list[i]
    width = math.max(width, (utf8.len(names[i]) or #names[i]) + 2)
  end
  local rows = (#names + columns // width) // math.max(columns // width, 1)
  rows = math.max(rows, 1)
  for row = 1, rows do
    local line = {}
    for i = row, #names, rows do
      line[#line + 1] = names[i] .. (" "):rep(width - (utf8.len(names[i]) or #names[i]))
    end
    lines[row] = table.concat(line):gsub(" +$", "")
  end
  if #list > #names then lines[#lines + 1] = "... and " .. #list - #names .. " more" end
  return table.concat(lines, "\n") .. "\n"
end

-- For the editor: how many characters before the cursor go, what comes for them, what there is to choose from.
local function complete(text)
  local first, candidates = require "neap.repl.completion"(text, env)
  if #candidates == 0 then return nil end
  local old, new = text:sub(first), common_prefix(candidates)
  if #new < #old then new = old end
  return utf8.len(old) or #old, new, #candidates > 1 and new == old and listing(candidates) or nil
end

-- ======================================================}

-- {=====================================================
-- Reading
-- ======================================================

local callbacks = {complete = complete, load = load_history}

-- Lines that were pasted without an end are one with what comes after them.
local function read(prompt, before)
  local pasted, initial = "", nil
  while true do
    local line, rest = editor.read(prompt, before .. pasted, initial, callbacks)
    if not line then return nil, rest end
    pasted = pasted .. line
    if not rest or rest == "" then return pasted end
    pasted, initial = pasted .. "\n", rest
    prompt = tostring(env._PROMPT2 or ">> ")
  end
end

-- ======================================================}

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
local function look()
  local start = monotonic()
  if start < next_look then return math.ceil((next_look - start) * 1000) end
  for _, value in next, env do
    if type(value) == "userdata" and not seen[value] and asyncio.isfuture(value) and value:done() then tell(value) end
  end
  collectgarbage()
  local now = monotonic()
  next_look = now + (now - start) * SHARE
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
  if hinted or not last or not last:find "^%s*local%s" or last:find "\n" then return end
  hinted = true
  stderr:write "a local variable ends with the line it is in; without the word local it stays\n"
end

-- Shows the results of a line, and keeps the first as _, _1, _2 ...
local function show(...)
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
  callbacks.quit()
end

function session.print(text)
  stdout:write(text, "\n")
end

-- Forgets the globals that have come since the beginning.
local globals = {}
for name, value in pairs(env) do globals[name] = value end
function session.reset()
  for name in pairs(env) do
    if globals[name] == nil then env[name] = nil end
  end
  for name, value in pairs(globals) do env[name] = value end
  count = 0
end

-- Runs code as if it were typed; gives its results.
session.evaluate = asyncio.async(function(code)
  local chunk, message = load("return " .. code .. ";", "=stdin")
  if not chunk then chunk, message = load(code, "=stdin") end
  if not chunk then error(message, 0) end
  return chunk()
end)

local function command(line)
  if not line:find "^%.%a" then return nil end
  return function()
    asyncio.await(require "neap.repl.commands".run(line, session))
  end
end

-- ======================================================}

local M = {}

-- What is typed runs in a task: there run(main()) awaits main().
local stock_run = asyncio.run
local function run(coro, ...)
  if asyncio.current_task() and asyncio.iscoroutine(coro) then return asyncio.await(coro) end
  return stock_run(coro, ...)
end

-- What the program calls; nil: no terminal that lines can be edited on.
-- `wait` waits for a key, `quit` asks for the end.
function M.open(wait, quit)
  if not editor.open() then return nil end
  callbacks.wait, callbacks.quit = wait, quit
  if env.run == stock_run then env.run = run end
  asyncio.run = run
  return {read = read, remember = remember, command = command, show = show, look = look, close = editor.close}
end

return M
