--
-- results.lua - what is shown on a terminal besides what is typed: results,
-- errors of tasks that nobody awaits, the output of commands.
--
local asyncio = require "asyncio"
local editor = require "neap.repl.editor"
local inspect = require "neap.repl.inspect"
local start = require "neap.repl.session"
local typing = require "neap.repl.typing"

local collectgarbage, error, ipairs, load, math, next = collectgarbage, error, ipairs, load, math, next
local concat, find, pack, rawset, setmetatable = table.concat, string.find, table.pack, rawset, setmetatable
local type = type
local getenv, monotonic, stdout, stderr = os.getenv, asyncio.time, io.stdout, io.stderr
local env = _G

local M = {}

-- {=====================================================
-- Errors in the background
-- ======================================================

local SHARE <const> = 10 -- of the time, that may go into looking, is one part of so many
local next_look = 0

-- Gives a variable back what it held, when it is collected.
local Holder = {__gc = function(self) rawset(env, self.name, self.value) end}

-- Has the collector tell of tasks that failed, and that nobody awaits. It tells of what is garbage; so the variables of
-- the session, results among them, do not hold them meanwhile.
local function look_behind()
  local held = {}
  for name, value in next, env do
    if type(value) == "userdata" and asyncio.isfuture(value) and value:done() then
      held[#held + 1] = setmetatable({name = name, value = value}, Holder)
    end
  end
  for _, holder in ipairs(held) do rawset(env, holder.name, nil) end
  held = nil -- luacheck: ignore
  collectgarbage()
end

-- Called when tasks have ended, and there is time. -> ms until it is to be called again, or -1
function M.look()
  local begun = monotonic()
  if begun < next_look then return math.ceil((next_look - begun) * 1000) end
  look_behind()
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
  if hinted or not line or not find(line, "^%s*local%s") or find(line, "\n") then return end
  hinted = true
  stderr:write "a local variable ends with the line it is in; without the word local it stays\n"
end

-- Shows the results of a line, and keeps the first as _, _1, _2 ... also where
-- a script has made new globals an error.
function M.show(...)
  local results = pack(...)
  if results.n == 0 then return hint() end
  local options = {width = editor.columns(), colour = coloured()}
  local texts, breaks = {}, "  "
  if results[1] ~= nil then
    count = count + 1
    rawset(env, "_", results[1])
    rawset(env, "_" .. count, results[1])
  end
  for i = 1, results.n do
    texts[i] = inspect(results[i], options)
    if find(texts[i], "\n") then breaks = "\n" end
  end
  stdout:write(concat(texts, breaks), "\n")
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
  for name in next, env do
    if start.globals[name] == nil then rawset(env, name, nil) end
  end
  for name, value in next, start.globals do rawset(env, name, value) end
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
  if not find(line, "^%.%a") then return nil end
  return function()
    asyncio.await(start.part("commands").run(line, session))
  end
end

-- ======================================================}

return M
