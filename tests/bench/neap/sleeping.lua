-- Sleeping tasks: n of them asleep at once, at 1000 distinct times; prints bytes of resident memory
-- per task and the seconds it took to create them and put them to sleep.
local n = math.tointeger(arg[1])
local started = 0

local function resident()
  local file <close> = assert(io.open("/proc/self/status"))
  return math.tointeger(file:read("a"):match("VmRSS:%s*(%d+)")) * 1024
end

local sleeper = async(function(seconds)
  started = started + 1
  await(sleep(seconds))
end)

local main = async(function()
  local before, start = resident(), os.clock()
  for i = 1, n do create_task(sleeper(3600 + i % 1000)) end
  while started < n do await(sleep(0)) end
  local spent = os.clock() - start
  print((resident() - before) / n, spent)
  os.exit(0)  -- what comes after is not measured
end)

run(main())
