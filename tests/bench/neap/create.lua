-- A task's whole life: create trivial tasks in batches of BATCH, then await each; prints ns per task.
-- usage: create.lua N [BATCH]
local BATCH = math.tointeger(arg[2] or 1000)
local batches = math.tointeger(arg[1]) // BATCH

local one = async(function() return 1 end)

local main = async(function()
  local sum = 0
  local start = os.clock()
  for _ = 1, batches do
    local tasks = {}
    for i = 1, BATCH do tasks[i] = create_task(one()) end
    for i = 1, BATCH do sum = sum + await(tasks[i]) end
  end
  local spent = os.clock() - start
  assert(sum == batches * BATCH)
  print(spent * 1e9 / sum)
end)

run(main())
