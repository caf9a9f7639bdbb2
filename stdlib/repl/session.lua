--
-- session.lua - the interactive mode on a terminal, as the program neap calls
-- it. What the first prompt does not need is loaded when it is first needed.
--
local editor = require "neap.repl.editor"

local next, pcall, rawget, rawset, require, type = next, pcall, rawget, rawset, require, type
local env = _G

local globals = {} -- as they were at the beginning
local unbroken = {} -- the same, and of the libraries copies, which no script changes

local ready = {} -- parts that are loaded

-- Another part, which is loaded with the globals of the beginning: people call their variables `table` and `next`, too.
local function part(name)
  name = "neap.repl." .. name
  if not ready[name] then
    local typed = {}
    for key, value in next, unbroken do
      typed[key] = rawget(env, key)
      rawset(env, key, value)
    end
    ready[name] = pcall(require, name)
    for key in next, unbroken do rawset(env, key, typed[key]) end
  end
  return require(name) -- or raises why not
end

-- A function of another part.
local function later(where, name)
  return function(...) return part(where)[name](...) end
end

local callbacks = {complete = later("typing", "complete"), load = later("typing", "load")}

-- Lines that were pasted without an end are one with what comes after them.
local function read(prompt, before)
  local pasted, initial = "", nil
  while true do
    local line, rest = editor.read(prompt, before .. pasted, initial, callbacks)
    if not line then return nil, rest end
    pasted = pasted .. line
    if not rest or rest == "" then return pasted end
    pasted, initial = pasted .. "\n", rest
    prompt = rawget(env, "_PROMPT2")
    prompt = type(prompt) == "string" and prompt or ">> "
  end
end

-- What the program calls, and no script can.
local functions = {
  read = read, remember = later("typing", "remember"), command = later("results", "command"),
  show = later("results", "show"), look = later("results", "look"),
}

local M = {globals = globals, part = part}

local function copy(library)
  local result = {}
  for name, value in next, library do result[name] = value end
  return result
end

-- Begins. -> functions; nil: there is no terminal that lines can be edited on. `wait` waits for a key, `quit` asks for
-- the end.
function M.open(wait, quit)
  functions.close = editor.open()
  if not functions.close then return nil end
  callbacks.wait, M.quit = wait, quit
  for name, value in next, env do globals[name], unbroken[name] = value, value end
  for _, name in next, {"coroutine", "debug", "io", "math", "os", "string", "table", "utf8"} do
    local copied, own = pcall(copy, globals[name]) -- or a variable of a script's
    if copied then unbroken[name] = own end
  end
  return functions
end

return M
