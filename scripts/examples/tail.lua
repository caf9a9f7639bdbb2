-- tail.lua - prints the last lines of a file, and then what is appended.
-- usage: neap scripts/examples/tail.lua [-n LINES] FILE
--
-- It watches the folder, not the file: so it also sees that a log was rotated
-- (another file took the name), and goes on with the new one from its
-- beginning. Ctrl-C ends it.
local fs = require "fs"
local path = require "path"

local PIECE <const> = 4096 -- bytes that are read at a time, from the end

-- Goes to where the last `count` lines begin.
local seek_lines = async(function(file, count)
  local position = await(file:seek("end"))
  local first = true
  while position > 0 do
    local size = math.min(PIECE, position)
    position = await(file:seek("set", position - size))
    local piece = await(file:read(size))
    for i = size, 1, -1 do
      if piece:byte(i) == 10 and not (first and i == size) then
        count = count - 1
        if count == 0 then return await(file:seek("set", position + i)) end
      end
    end
    first = false
  end
  await(file:seek("set", 0))
end)

-- Prints what there is from the position on.
local print_rest = async(function(file)
  for piece in file:lines(PIECE) do io.write(piece) end
  io.flush()
end)

-- Follows the file until another one has its name, or it was cut.
local follow = async(function(file, name, watcher)
  local inode = await(file:stat()).ino
  while true do
    await(print_rest(file))
    repeat local _, changed = await(watcher:next())
    until changed == nil or changed == path.basename(name)
    if await(file:stat()).size < await(file:seek()) then return end
    if await(fs.exists(name)) and await(fs.stat(name)).ino ~= inode then
      return await(print_rest(file)) -- the end of the old one
    end
  end
end)

function async.main(name, count)
  local watcher <close> = fs.watch(path.dirname(name))
  while true do
    local file <close> = await(fs.open(name))
    if await(file:stat()).type ~= "file" then
      io.stderr:write(("tail.lua: '%s' is no file\n"):format(name))
      os.exit(1)
    end
    if count > 0 then await(seek_lines(file, count)) end
    await(follow(file, name, watcher))
    count = 0 -- all of the next one
  end
end

local count, name = 10, arg[1]
if name == "-n" then count, name = math.tointeger(arg[2]), arg[3] end
if not (name and count and count > 0) then
  io.stderr:write("usage: neap tail.lua [-n LINES] FILE\n")
  os.exit(2)
end
run(main(name, count))
