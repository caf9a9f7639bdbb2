-- fs_model_spec.lua: random calls of fs, by several tasks at once and also
-- cancelled, do to files what they do to a model of them, and leave nothing.
--
-- tests/support/fs_model_main.lua is the program, fs_model.lua the model.
-- NEAP_SEED=n replays the calls of that seed, as far as threads let it;
-- NEAP_PROGRAMS=n makes those of so many new ones.

local program = require "program"
local tasks = require "tasks"

local FIXED <const> = tasks.sanitized and 10 or 40 -- seeds that are the same each time

local function run(threads, cancels)
  local folder <close> = program.folder()
  local first, count = tasks.seeds(FIXED)
  local result = program.run({program.neap, "tests/support/fs_model_main.lua", folder.path, first, count, cancels},
    {env = {UV_THREADPOOL_SIZE = threads}, timeout = 60 + count})
  assert.equal("", result.stdout)
  assert.equal(0, result.code, result.stderr)
  assert.equal(count, select(2, result.stderr:gsub("seed %d+\n", "")), result.stderr)
  assert.equal("", (result.stderr:gsub("seed %d+\n", "")))
end

describe("random calls of fs", function()
  it("do what they do to the model, in four threads", function() run(4, 0) end)

  it("that are cancelled leave what was, what was to be, or what the page says", function() run(1, 1) end)
end)
