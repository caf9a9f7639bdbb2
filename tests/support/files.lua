-- files.lua - what the specs of fs share: a folder for a test inside a run,
-- and the errors that calls raise.

local asyncio = require "asyncio"
local fs = require "fs"
local program = require "program"
local tasks = require "tasks"

local M = {}

-- Is this the superuser, to whom permissions mean nothing?
M.is_root = program.capture "id -u" == "0"

-- Runs fn(file, folder) as the main task: file(name) is a path in a folder
-- that is removed afterwards; with a second argument the file is made.
function M.with_folder(fn)
  local folder <close> = program.folder()
  return tasks.main(fn, function(name, text)
    if text then return folder:write(name, text) end
    return folder:file(name)
  end, folder.path)
end

-- The OSError that awaiting raises has that code; gives it.
function M.fails(code, awaitable)
  local err = tasks.caught(await, awaitable)
  assert(asyncio.isinstance(err, asyncio.OSError), tostring(err))
  assert(err.code == code, tostring(err))
  return err
end

-- A named pipe.
function M.fifo(path)
  assert(os.execute("mkfifo " .. program.quote(path)))
  return path
end

-- Makes files ("a/b") and folders ("a/") below the folder.
function M.make(file, list)
  for name in list:gmatch "%S+" do
    local folder = name:match "^(.*)/"
    if folder then await(fs.mkdir(file(folder), {parents = true})) end
    if not name:find "/$" then file(name, name) end
  end
end

-- What a walk gives, without the folder: "path type" each.
function M.walked(folder, options)
  local all = {}
  for path, kind, err in fs.walk(folder, options) do
    all[#all + 1] = path:sub(#folder + 2) .. " " .. (err and err.code or kind)
  end
  return all
end

-- How many files are open on a path.
function M.open_on(path)
  local count = tonumber(program.capture(
    ("find -L /proc/%s/fd -samefile %s 2>/dev/null | wc -l"):format(M.pid, program.quote(path))))
  return count
end

-- The number of this process.
M.pid = program.read("/proc/self/stat"):match "^%d+"

return M
