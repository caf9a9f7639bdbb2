-- leakcheck.lua - busted's helper: no test leaves a task behind, and no
-- file of tests leaves a descriptor open.

local busted = require "busted"
local lfs = require "lfs"
local asyncio = require "asyncio"

-- The open descriptors: number -> what it is open on.
local function descriptors()
  local found = {}
  -- a file that was only forgotten is the collector's to close
  collectgarbage()
  collectgarbage()
  for name in lfs.dir("/proc/self/fd") do
    local target = lfs.symlinkattributes("/proc/self/fd/" .. name, "target")
    -- the listing itself is open, too, while it goes on
    if tonumber(name) and target and not target:find("^/proc/%d+/fd$") then
      found[tonumber(name)] = target
    end
  end
  return found
end

-- The loop opens its descriptors when it first runs, one in reserve for its
-- first socket, and one when it first watches a file, and keeps them.
run(async(function()
  local listen = require "net".listen
  await(listen("127.0.0.1", 0, print)):close()
end)())
require "fs".watch("/"):close()

local blamed = setmetatable({}, {__mode = "k"}) -- a task fails one test only

busted.after_each(function()
  local left = {}
  for _, task in ipairs(asyncio.all_tasks()) do
    if not blamed[task] then
      blamed[task] = true
      left[#left + 1] = tostring(task)
    end
  end
  if #left > 0 then
    error("the test leaves tasks behind:\n  " .. table.concat(left, "\n  "), 0)
  end
end)

local before

busted.subscribe({"file", "start"}, function()
  before = descriptors()
  return nil, true
end)

busted.subscribe({"file", "end"}, function(file)
  local left = {}
  for fd, target in pairs(descriptors()) do
    if before[fd] ~= target then
      left[#left + 1] = ("%d -> %s"):format(fd, target)
    end
  end
  if #left > 0 then
    table.sort(left)
    busted.publish({"error", "file"}, file, nil,
      "the file leaves descriptors open:\n  " .. table.concat(left, "\n  "), {})
  end
  return nil, true
end)
