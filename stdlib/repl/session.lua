--
-- session.lua - the interactive mode on a terminal, as the program neap calls
-- it. What the first prompt does not need is loaded when it is first needed.
--
local editor = require "neap.repl.editor"

local next, require, tostring = next, require, tostring
local env = _G

local globals = {} -- as they were at the beginning

-- A function of another part.
local function later(part, name)
  return function(...) return require("neap.repl." .. part)[name](...) end
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
    prompt = tostring(env._PROMPT2 or ">> ")
  end
end

local M = {
  globals = globals,
  read = read, remember = later("typing", "remember"), command = later("results", "command"),
  show = later("results", "show"), look = later("results", "look"), close = editor.close,
}

-- Begins; false: there is no terminal that lines can be edited on. `wait` waits for a key, `quit` asks for the end.
function M.open(wait, quit)
  if not editor.open() then return false end
  callbacks.wait, M.quit = wait, quit
  for name, value in next, env do globals[name] = value end
  return true
end

return M
