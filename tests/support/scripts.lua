-- scripts.lua - what specs share that run scripts, each a program of its own.

local assert = require "luassert"
local program = require "program"

local M = {}

-- Functions for scripts that begin with the same lines: `run` gives what
-- program.run_script does; `prints` asserts that a script comes to its end with
-- that output, and `prints_in_main` the same of the body of a main task.
function M.with(prelude)
  local function run(code)
    return program.run_script(prelude .. code, {timeout = 30})
  end

  local function prints(stdout, code)
    local result = run(code)
    assert.are.equal("", result.stderr)
    assert.are.equal(stdout, result.stdout)
    assert.are.equal(0, result.code)
  end

  local function prints_in_main(stdout, code)
    prints(stdout, "run(async(function()\n" .. code .. "\nend)())")
  end

  return run, prints, prints_in_main
end

return M
