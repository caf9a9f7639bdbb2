-- Whole small files, 16 at a time; prints us of processor time per file.
-- usage: files.lua N FOLDER, which has the files 1 to N, of 1000 bytes each
local fs = require "fs"

local TOGETHER = 16
local n, folder = math.tointeger(arg[1]), arg[2]

local reader = async(function(first)
  for i = first, n, TOGETHER do
    assert(#await(fs.read(folder .. "/" .. i)) == 1000)
  end
end)

local main = async(function()
  local readers = {}
  local start = os.clock()
  for i = 1, TOGETHER do readers[i] = reader(i) end
  await(gather(readers))
  print((os.clock() - start) * 1e6 / n)
end)

run(main())
