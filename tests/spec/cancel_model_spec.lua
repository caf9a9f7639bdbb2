-- cancel_model_spec.lua: random programs of tasks that are cancelled at
-- every point, in scopes, groups, queues, locks and generators, do on Neap
-- what they do on a model of asyncio, step by step.
--
-- tests/support/cancel_model_programs.lua says what the programs consist
-- of, cancel_model.lua what the model is. NEAP_SEED=n replays the programs
-- from that seed on; NEAP_PROGRAMS=n runs those of so many new seeds. A
-- program that fails is made smaller before it is shown.

local program = require "program"
local programs = require "cancel_model_programs"
local tasks = require "tasks"

-- Seeds that are the same each time; each has 2.2 programs.
local FIXED = tasks.sanitized and 500 or 1000
local BATCH = 1000 -- seeds that one process runs
local LIMIT = 300  -- seconds that it may take
local SHRINKING = 60 -- seconds to make a program smaller
local MAIN = "tests/support/cancel_model_main.lua"

-- The name of the program that standard error tells something of, and that.
local function reported(stderr)
  local name
  for line in stderr:gmatch "[^\n]+" do
    local begins = line:match "^program (%S+)$"
    if not begins then
      return name, (stderr .. "program "):match("program " .. name .. "\n(.-)program ")
    end
    name = begins
  end
end

-- Runs programs in a process, for at most so many seconds. Gives the name
-- of the first one that has failed, and what is wrong with it; nil if none.
local function run_programs(words, stdin, limit)
  local command = {program.neap, MAIN, table.unpack(words)}
  local ok, result = pcall(program.run, command, {stdin = stdin, timeout = limit})
  if not ok then -- no end
    return result:match ".*program (%S+)", "it does not end"
  end
  if not result.stderr:find "^program " then return "none", "no program ran: " .. result.stderr end
  local name, text = reported(result.stderr)
  if name then return name, "on standard error:\n" .. text end
  name, text = result.stdout:match "^failed (%S+)\n(.*)"
  if name then return name, (text:gsub("\nfailed .*", "")) end
  if result.code ~= 0 then
    return result.stderr:match ".*program (%S+)", ("it ends with code %s, signal %s"):format(
      result.code, result.signal)
  end
  return nil
end

-- All about the program of that name, which has failed, made smaller.
local function all_about(name, text)
  if not name:find "^%d" then return text end
  local small, stop = programs.named(name), os.time() + SHRINKING
  programs.reduce(small, function(candidate)
    if os.time() > stop then return false end
    local failed, what = run_programs({"-"}, programs.text(candidate), 5)
    if failed then text = what end
    return failed ~= nil
  end)
  return ("program %s (replay with NEAP_SEED=%s), made smaller:\n%s\n%s"):format(
    name, name:match "%d+", programs.text(small), text)
end

describe("cancellation", function()
  it("is that of the model in random programs", function()
    local first, n = tasks.seeds(FIXED)
    for at = first, first + n - 1, BATCH do
      local count = math.min(BATCH, first + n - at)
      local name, text = run_programs({at, count}, nil, LIMIT)
      if name then error(all_about(name, text), 0) end
    end
  end)

  it("has programs that are the same when they are written and read", function()
    for seed = 1, 20 do
      local text = programs.text(programs.make(seed))
      assert.equal(text, programs.text(programs.read(text)))
      assert.equal(text, programs.text(programs.make(seed)))
    end
  end)
end)
