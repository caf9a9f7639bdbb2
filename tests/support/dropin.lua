-- dropin.lua - compares Neap with lua5.4: both run the same, and what they
-- give (standard output, standard error, exit code, signal) is to be equal
-- byte for byte, but for the program's own name.

local assert = require "luassert"
local program = require "tests.support.program"

local M = {}

local STOCK = "lua5.4"
local has_stock = program.exists(STOCK)

-- Puts `name` for the program's own name wherever it stands in a text.
local function rename(text, path, name)
  local from, start = {}, 1
  repeat
    local first, last = text:find(path, start, true)
    from[#from + 1] = text:sub(start, (first or 0) - 1)
    start = (last or 0) + 1
  until not first
  return table.concat(from, name)
end

-- Runs a command (a list of arguments, or a command of the shell that
-- names the program as "$LUA") with one program.
local function run_with(path, command, options)
  local env = {LUA = path}
  for name, value in pairs(options.env or {}) do
    env[name] = value
  end
  if type(command) == "table" then
    command = {path, table.unpack(command)}
  end
  return program.run(command, {
    stdin = options.stdin, env = env, cwd = options.cwd,
  })
end

-- The same of both programs, names made equal.
function M.run_both(command, options)
  options = options or {}
  if not has_stock then
    error("there is no lua5.4 to compare with: install it", 0)
  end
  local ours = run_with(program.neap, command, options)
  local stock = run_with(STOCK, command, options)
  ours.stdout = rename(ours.stdout, program.neap, STOCK)
  ours.stderr = rename(ours.stderr, program.neap, STOCK)
  return ours, stock
end

-- Asserts that both give the same; gives what they gave.
function M.same(command, options)
  local ours, stock = M.run_both(command, options)
  assert.same(stock, ours)
  return ours
end

-- The same, of a script in a file.
function M.same_script(code, options)
  local folder <close> = program.folder()
  folder:write("script.lua", code)
  options = options or {}
  local words = {"script.lua", table.unpack(options.args or {})}
  return M.same(words, {
    stdin = options.stdin, env = options.env, cwd = folder.path,
  })
end

return M
