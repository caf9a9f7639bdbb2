-- order_spec.lua: random programs of tasks, futures, gathers, callbacks and
-- cancellations give the same lines in the same order on Neap and on
-- asyncio. support/order_programs.lua makes the programs;
-- support/order_neap.lua and support/order_asyncio.py run them.
--
-- ORDER_SEED=N begins with that seed (ORDER_SEED=random: with another one
-- each time), ORDER_COUNT=N runs as many programs.

local program = require "program"
local programs = require "order_programs"

local PYTHON = "/usr/bin/python3"
local SEED = os.getenv "ORDER_SEED" or "1"
local FIRST = SEED == "random" and os.time() % 1000000 or tonumber(SEED)
local sanitized = (os.getenv "SAN" or "") ~= ""
local COUNT = tonumber(os.getenv "ORDER_COUNT") or (sanitized and 100 or 400)

-- The lines of each program: seed -> text
local function traces(output)
  local result, seed = {}, nil
  for line in output:gmatch("[^\n]*") do
    local begins = line:match("^program (%d+)$")
    if begins then
      seed = tonumber(begins)
      result[seed] = {}
    elseif seed then
      table.insert(result[seed], line)
    end
  end
  return result
end

local function run_on(command, input)
  local result = program.run(command, {stdin = input, timeout = 300})
  assert.equal(0, result.code, result.stderr)
  return traces(result.stdout)
end

describe("order", function()
  it("of random programs is asyncio's", function()
    if not program.exists(PYTHON) then return pending("no " .. PYTHON) end
    local texts = {}
    for i = 0, COUNT - 1 do texts[#texts + 1] = programs.make(FIRST + i) end
    local input = table.concat(texts)
    -- Since 3.12 a gather of what is done is done at once, as Neap's is;
    -- with an older Python the programs leave that case out.
    local version = program.run({PYTHON, "-c",
      "import sys; print(sys.version_info >= (3, 12))"}).stdout
    local eager = version:match("True") and "1" or "0"
    local ours = run_on({program.neap, "tests/support/order_neap.lua", eager}, input)
    local theirs = run_on({PYTHON, "-W", "ignore",
      "tests/support/order_asyncio.py", eager}, input)
    for seed = FIRST, FIRST + COUNT - 1 do
      assert.is_table(ours[seed], "no trace; ORDER_SEED=" .. seed)
      assert.equal(table.concat(theirs[seed], "\n"),
        table.concat(ours[seed], "\n"), "ORDER_SEED=" .. seed)
    end
  end)
end)
