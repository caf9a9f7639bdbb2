-- rerun.lua - runs a command, and again whenever files change.
-- usage: neap scripts/examples/rerun.lua FOLDER... -- COMMAND ARGUMENT...
--
-- A task for each folder waits for changes; one event tells all of them to the
-- main task. That waits until nothing has happened for a moment (an editor
-- does several things when it saves), cancels the task that runs the command,
-- which ends the program if it still runs, and begins again. Ctrl-C ends it.
local asyncio = require "asyncio"
local fs = require "fs"
local path = require "path"
local process = require "process"

local QUIET <const> = 0.1 -- seconds without a change

-- Sets the event at each change in the folder, until that has gone.
local watch = async(function(folder, changed, watched)
  for _ in fs.watch(folder) do
    changed:set()
    if not await(fs.exists(folder)) then break end
  end
  watched[folder] = nil
end)

-- Begins to watch the folder and those below it, as far as they are new.
local watch_all = async(function(group, root, changed, watched)
  local function add(folder)
    if watched[folder] then return end
    watched[folder] = true
    group:create_task(watch(folder, changed, watched))
  end
  add(root)
  local walk = fs.walk(root)
  for each, kind in walk do
    if path.basename(each):sub(1, 1) == "." then
      walk:skip() -- .git and the like
    elseif kind == "directory" then
      add(each)
    end
  end
end)

local run_command = async(function(command)
  command.group = true -- what it starts ends with it, too
  local child <close> = process.spawn(command)
  local code, signal = await(child:wait())
  print(("rerun.lua: ended with %s"):format(signal or code))
end)

-- Comes back when something has changed, and then nothing for a while.
local wait_for_change = async(function(changed)
  await(changed:wait())
  repeat
    changed:clear()
    local ok = pcall(await, asyncio.wait_for(changed:wait(), QUIET))
  until not ok -- TimeoutError
end)

function async.main(folders, command)
  local changed, watched = asyncio.Event(), {}
  local group <close> = asyncio.TaskGroup()
  while true do
    for _, folder in ipairs(folders) do await(watch_all(group, folder, changed, watched)) end
    local task = group:create_task(run_command(command))
    await(wait_for_change(changed))
    task:cancel()
    asyncio.catch(await, task)
  end
end

local folders, command = {}, nil
for _, word in ipairs(arg) do
  if word == "--" and not command then
    command = {}
  else
    table.insert(command or folders, word)
  end
end
if not (folders[1] and command and command[1]) then
  io.stderr:write("usage: neap rerun.lua FOLDER... -- COMMAND ARGUMENT...\n")
  os.exit(2)
end
io.stdout:setvbuf "line"
run(main(folders, command))
