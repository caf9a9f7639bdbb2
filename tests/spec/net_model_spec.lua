-- net_model_spec.lua: random traffic over streams loses no byte, and leaves
-- nothing behind. tests/support/net_model.lua says what is played, and what has
-- to come of it.
--
-- NEAP_SEED=n replays what a seed says; NEAP_PROGRAMS=n plays so many.

local model = require "net_model"
local tasks = require "tasks"

local FIXED = tasks.sanitized and 40 or 150 -- seeds that are the same each time
local RANDOM = tasks.sanitized and 10 or 50 -- and others

local function play(seed)
  local before = tasks.descriptors()
  local ok, bytes = pcall(tasks.main, model.play, seed)
  if not ok then error(("NEAP_SEED=%d: %s"):format(seed, tostring(bytes)), 0) end
  run(tasks.co(tasks.turns, 3)) -- what is closed has been given back
  assert.equal(before, tasks.descriptors(), "NEAP_SEED=" .. seed)
  return bytes
end

describe("random traffic", function()
  it("comes in order, with no byte lost or doubled, and leaves nothing", function()
    local first = tonumber(os.getenv "NEAP_SEED")
    local n = tonumber(os.getenv "NEAP_PROGRAMS")
    local bytes = 0
    collectgarbage()
    if first then
      for seed = first, first + (n or 1) - 1 do bytes = bytes + play(seed) end
    else
      for seed = 1, FIXED do bytes = bytes + play(seed) end
      assert.is_true(bytes > FIXED * 1000, bytes .. " bytes")
      first = os.time() % 1000000 * 1000
      for seed = first, first + (n or RANDOM) - 1 do play(seed) end
    end
  end)
end)
