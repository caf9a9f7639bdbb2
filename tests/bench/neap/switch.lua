-- A task switch: 1000 tasks, each awaiting sleep(0) in a loop; prints ns per switch.
local TASKS = 1000
local rounds = math.tointeger(arg[1]) // TASKS

local worker = async(function()
  for _ = 1, rounds do await(sleep(0)) end
end)

local main = async(function()
  local tasks = {}
  for i = 1, TASKS do tasks[i] = create_task(worker()) end
  local start = os.clock()
  await(gather(tasks))
  print((os.clock() - start) * 1e9 / (rounds * TASKS))
end)

run(main())
