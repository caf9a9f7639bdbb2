-- grep.lua - looks for a pattern of Lua's in files, many at a time.
-- usage: neap scripts/examples/grep.lua PATTERN PATH...
--
-- One task walks through the folders and puts paths into a queue; sixteen
-- others take them out, read the files, and print the lines that match. The
-- queue is short: when all readers are busy, the walk waits. As grep does, it
-- exits with 0 if there was a match, 1 if there was none, 2 after an error.
local asyncio = require "asyncio"
local fs = require "fs"

local READERS <const> = 16

local pattern = arg[1]
local matches, errors = 0, 0

local function complain(err)
  errors = errors + 1
  io.stderr:write("grep.lua: ", tostring(err), "\n")
end

-- The lines of one file. Text with a zero byte is no text.
local search = async(function(path)
  local text = await(fs.read(path))
  if text:find("\0", 1, true) then return end
  local number = 0
  for line in text:gmatch "([^\n]*)\n?" do
    number = number + 1
    if line:find(pattern) then
      matches = matches + 1
      print(("%s:%d:%s"):format(path, number, line))
    end
  end
end)

local reader = async(function(paths)
  while true do
    local ok, path = pcall(await, paths:get())
    if not ok then return end -- QueueShutDown: there are no more
    local found, err = pcall(await, search(path))
    if not found then complain(err) end
  end
end)

-- Puts all files below the path into the queue, or the path itself.
local find = async(function(path, paths)
  if await(fs.stat(path)).type ~= "directory" then return await(paths:put(path)) end
  for each, kind, err in fs.walk(path) do
    if err then complain(err) end
    if kind == "file" then await(paths:put(each)) end
  end
end)

function async.main()
  local paths = asyncio.Queue(READERS)
  local group <close> = asyncio.TaskGroup()
  for _ = 1, READERS do group:create_task(reader(paths)) end
  for i = 2, #arg do
    local ok, err = pcall(await, find(arg[i], paths))
    if not ok then complain(err) end
  end
  paths:shutdown()
end

if #arg < 2 then
  io.stderr:write("usage: neap grep.lua PATTERN PATH...\n")
  os.exit(2)
end
run(main())
os.exit(errors > 0 and 2 or matches > 0 and 0 or 1)
