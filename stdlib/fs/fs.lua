--
-- fs.lua - files and folders. All that may wait for a disk is done on threads,
-- and awaited; see the page beside it.
--
local asyncio = require "asyncio"
local c = require "neap.fs.c"
local usage = require "neap.module.usage" "fs"

local async, catch = asyncio.async, asyncio.catch
local functions = c.functions

-- What was read is longer than it may be: the class is that of streams, which
-- are loaded when it is first needed.
c.on_overrun(function(...) return require "stream".LimitOverrunError(...) end)

local M = {watch = c.watch}

local private = usage.set "copy copy_entry copy_mode discard scan tempdir tempfile"

for name, f in pairs(functions) do
  if not private[name] then M[name] = async(f, "fs." .. name) end
end
for name, f in pairs(c.file_waiting) do
  c.file.__index[name] = async(f, "File." .. name)
end
c.watcher.__index.next = async(c.watcher_next, "Watcher.next")

-- {{{ tempfile, tempdir

-- await(fs.tempfile([options])) -> a File, which is removed when it closes; its
-- path
M.tempfile = async(function(options)
  return functions.tempfile(c.place("fs.tempfile", options))
end, "fs.tempfile")

local TempDir = {__name = "TempDir"}
TempDir.__index = TempDir

function TempDir.__tostring(dir)
  return ("<TempDir '%s'%s>"):format(dir.path, dir.removed and " removed" or "")
end

-- Removes it with all in it, unless somebody has done so before. When the task
-- is cancelled meanwhile, that goes on. Where no task can wait, outside of one
-- or in coroutine.close, the thread does.
local function discard(dir)
  usage.check_self(dir, TempDir, "remove", "dir")
  if dir.removed then return end
  local waits = asyncio.current_task() and coroutine.isyieldable()
  local ok, err = catch(functions.discard, dir.path, waits)
  if not ok and not (asyncio.isinstance(err, asyncio.OSError) and err.code == "ENOENT") then
    error(err, 0)
  end
  dir.removed = true
end

TempDir.__close = discard

-- await(dir:remove())
TempDir.remove = async(discard, "TempDir.remove")

-- await(fs.tempdir([options])) -> a folder, {path=}, which is removed when it
-- goes out of scope
M.tempdir = async(function(options)
  return setmetatable({path = functions.tempdir(c.place("fs.tempdir", options))}, TempDir)
end, "fs.tempdir")

-- }}}

-- {{{ walk

-- Fields of a walk, which are not for scripts:
--   folders: those we are in: {path=, dev=, ino=, entries= (see scan), at=}
--   down: the path of the folder that came last, to be entered next; or nil
--   follow, depth: options
local Walk = {__name = "Walk"}
Walk.__index = Walk

-- Is the folder one of those that we are in? Only links lead there.
local function is_loop(walk, dev, ino)
  for _, folder in ipairs(walk.follow and walk.folders or {}) do
    if folder.dev == dev and folder.ino == ino then return true end
  end
  return false
end

-- Enters a folder; unless links are followed it has to be in the one where we
-- are, if that is any. Gives an error, if there is one.
local function enter(walk, path)
  local above = not walk.follow and walk.folders[#walk.folders] or {}
  local ok, entries, dev, ino = pcall(functions.scan, path, above.dev, above.ino)
  if not ok then return entries end
  if not is_loop(walk, dev, ino) then
    table.insert(walk.folders, {path = path, dev = dev, ino = ino, entries = entries, at = 1})
  end
end

-- Whether a link leads to a folder.
local function leads_to_folder(path)
  local ok, stat = pcall(functions.stat, path)
  return ok and stat.type == "directory"
end

-- The next: path, type; or path, "error", the error.
function Walk.__call(walk)
  usage.check_self(walk, Walk, "__call", "walk")
  if walk.root then
    local err = enter(walk, walk.root)
    walk.root = nil -- not before: a task that is cancelled takes nothing
    if err then error(err, 0) end
  end
  local down = walk.down
  if down then
    local err = enter(walk, down)
    walk.down = nil
    if err then return down, "error", err end
  end
  local folders = walk.folders
  local folder = folders[#folders]
  while folder and not folder.entries[folder.at] do
    folders[#folders] = nil
    folder = folders[#folders]
  end
  if not folder then return nil end
  local name, kind = folder.entries[folder.at], folder.entries[folder.at + 1]
  local path = folder.path:find "/$" and folder.path .. name or folder.path .. "/" .. name
  local is_folder = kind == "directory" or (kind == "link" and walk.follow and leads_to_folder(path))
  if is_folder and #folders < walk.depth then walk.down = path end
  folder.at = folder.at + 2
  return path, kind
end

-- walk:skip(): not into the folder that came last.
function Walk.skip(walk)
  usage.check_self(walk, Walk, "skip", "walk")
  walk.down = nil
end

-- fs.walk(path [, options]) -> an iterator over all that is below the folder,
-- which suspends the task
function M.walk(path, options)
  local depth, follow = c.walk_options(path, options)
  return setmetatable({root = path, folders = {}, depth = depth, follow = follow}, Walk)
end

-- }}}

-- {{{ copy

-- Copies what is in a folder to another, which is there, as `dev` and `ino`;
-- then both get the permissions of theirs, as do those below.
local function copy_content(from, to, overwrite, dev, ino)
  local walk, made = M.walk(from), {{rest = "", dev = dev, ino = ino}}
  local inside = {made[1]} -- the one that is made of each of walk.folders
  for path, _, err in walk do
    if err then error(err, 0) end
    local depth, rest = #walk.folders, path:sub(#from + 1)
    local source, target = walk.folders[depth], inside[depth]
    dev, ino = functions.copy_entry(path, to .. rest, overwrite, source.dev, source.ino, target.dev, target.ino)
    if dev then
      inside[depth + 1] = {rest = rest, dev = dev, ino = ino}
      table.insert(made, inside[depth + 1])
    end
  end
  for i = #made, 1, -1 do
    local folder = made[i]
    functions.copy_mode(from .. folder.rest, to .. folder.rest, folder.dev, folder.ino)
  end
end

-- await(fs.copy(from, to [, options])): a file with its permissions, or a tree
M.copy = async(function(from, to, options)
  local dev, ino = functions.copy(from, to, options)
  if dev then copy_content(from:match "^(.*[^/])/*$" or "/", to, options.overwrite ~= false, dev, ino) end
end, "fs.copy")

-- }}}

return M
