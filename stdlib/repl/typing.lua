--
-- typing.lua - what helps who types on a terminal: history and completion.
--
local editor = require "neap.repl.editor"
local start = require "neap.repl.session"

local MOST_SHOWN <const> = 100 -- candidates of a completion

local ipairs, math, table, utf8 = ipairs, math, table, utf8
local byte, find, gsub, match = string.byte, string.find, string.gsub, string.match
local rep, sub, getenv = string.rep, string.sub, os.getenv
local env = _G

local M = {last = nil} -- the last entry of the history

-- {=====================================================
-- History
-- ======================================================

-- The file; nil when there is no home.
local function history_path()
  local state, home = getenv "XDG_STATE_HOME", getenv "HOME"
  if state and sub(state, 1, 1) == "/" then return state .. "/neap/history" end
  if home and home ~= "" then return home .. "/.local/state/neap/history" end
  return nil
end

local path = history_path()

function M.load()
  if not path then return end
  for _, entry in ipairs(editor.history_load(path)) do
    editor.add(entry)
    M.last = entry
  end
end

function M.remember(text)
  if text == M.last or not find(text, "%S") then return end
  M.last = text
  editor.add(text)
  if path then editor.history_append(path, text) end
end

-- ======================================================}

-- {=====================================================
-- Completion
-- ======================================================

-- In characters; of what is no UTF-8, in bytes.
local function length(text)
  return utf8.len(text) or #text
end

local function common_prefix(list)
  local prefix = list[1]
  for i = 2, #list do
    local word, n = list[i], 0
    while n < #prefix and byte(prefix, n + 1) == byte(word, n + 1) do n = n + 1 end
    prefix = sub(prefix, 1, n)
  end
  -- no half characters
  while #prefix > 0 and not utf8.len(prefix) and utf8.len(list[1]) do prefix = sub(prefix, 1, -2) end
  return prefix
end

-- In columns, as ls does; what all begin with, `prefix`, is left out up to its last dot.
local function listing(list, prefix)
  local from = match(prefix, "^.*%.()") or 1
  local width, columns, lines = 1, editor.columns(), {}
  local names = {}
  for i = 1, math.min(#list, MOST_SHOWN) do
    names[i] = sub(list[i], from)
    width = math.max(width, length(names[i]) + 2)
  end
  local rows = (#names - 1) // math.max(columns // width, 1) + 1
  for row = 1, rows do
    local line = {}
    for i = row, #names, rows do
      line[#line + 1] = names[i] .. rep(" ", width - length(names[i]))
    end
    lines[row] = gsub(table.concat(line), " +$", "")
  end
  if #list > #names then lines[#lines + 1] = "... and " .. #list - #names .. " more" end
  return table.concat(lines, "\n") .. "\n"
end

-- For the editor: how many characters before the cursor go, what comes for them, what there is to choose from.
function M.complete(text)
  local first, candidates = start.part("completion")(text, env)
  if #candidates == 0 then return nil end
  local old, new = sub(text, first), common_prefix(candidates)
  if #new < #old then new = old end
  return length(old), new, #candidates > 1 and new == old and listing(candidates, new) or nil
end

-- ======================================================}

return M
