-- cancel_model_main.lua: runs programs on the model and on Neap, and says
-- where the two part. cancel_model_spec.lua calls it; by hand:
--
--   neap cancel_model_main.lua FIRST COUNT   the programs of these seeds
--   neap cancel_model_main.lua - <program    the program of this text
--
-- Standard error gets the name of each program that begins, so that what
-- Neap reports there, or a crash, has a name as well. The exit code is 1
-- when a program has failed.

local asyncio = require "asyncio"

package.path = arg[0]:gsub("[^/]*$", "?.lua;") .. package.path
local expect = require "cancel_model_expect"
local neap = require "cancel_model_neap"
local programs = require "cancel_model_programs"

-- Says what is wrong with the program, or nil.
local function fault(program)
  local theirs = expect.trace(program)
  local ok, ours, wrong = asyncio.catch(neap.trace, program)
  if not ok then return "an error came out of run: " .. tostring(ours) end
  for i = 1, math.max(#ours, #theirs) do
    if ours[i] ~= theirs[i] then
      return ("%s\nthen on Neap:  %s\non the model:  %s"):format(
        table.concat(ours, "\n", math.max(1, i - 40), i - 1),
        ours[i] or "(the end)", theirs[i] or "(the end)")
    end
  end
  if #wrong > 0 then return table.concat(wrong, "\n") end
  return nil
end

local failed = false

local function report(name, text)
  failed = true
  io.write("failed ", name, "\n", text, "\n")
end

local function check(name, program)
  io.stderr:write("program ", name, "\n")
  local text = fault(program)
  if text then report(name, text) end
end

-- Those of one seed: its program, and for each tenth the same with a strike
-- in every turn.
local function check_seed(seed)
  local name = ("%d"):format(seed)
  check(name, programs.named(name))
  collectgarbage() -- reports of what nobody has looked at come now
  for turn = 1, seed % 10 == 0 and programs.STRUCK or 0 do
    local struck = name .. "/" .. turn
    check(struck, programs.named(struck))
    collectgarbage()
  end
end

if arg[1] == "-" then
  check("-", programs.read(io.read("a")))
else
  local WARM, GROWTH = 100, 100 -- seeds, KB
  local first = math.tointeger(arg[1])
  local last = first + math.tointeger(arg[2]) - 1
  local memory -- in use after the first programs
  for seed = first, last do
    check_seed(seed)
    if seed - first == WARM then memory = collectgarbage "count" end
  end
  if memory and collectgarbage "count" > memory + GROWTH then
    report("memory", ("%d KB are in use, %d were after the first programs"):format(
      collectgarbage "count", memory))
  end
end
if failed then os.exit(1, true) end
