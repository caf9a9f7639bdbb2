-- fs_model.lua: a tree of files in plain Lua, and what the calls of fs do to
-- it, to compare the real ones with. Links lead nowhere; every folder and
-- file is readable and writable.
--
-- A node is {kind = "directory", entries = {name = node}}, {kind = "file",
-- data =, mode =} or {kind = "link", text =}; a hard link is the same node
-- in two places. Paths are lists of names below the root, which is a folder.

local M = {}

M.NOWHERE = "nowhere/at all" -- where the links lead

function M.folder() return {kind = "directory", entries = {}} end

-- The folder that a path is in, its last name, and what is there, or nil;
-- or nil and the error that looking for it gives.
local function look(root, path)
  local folder = root
  for i = 1, #path - 1 do
    folder = folder.entries[path[i]]
    if folder == nil or folder.kind == "link" then return nil, "ENOENT" end
    if folder.kind ~= "directory" then return nil, "ENOTDIR" end
  end
  return folder, path[#path], folder.entries[path[#path]]
end

-- Whether the path `inner` is `outer`, or below it.
local function is_within(outer, inner)
  for i, name in ipairs(outer) do
    if inner[i] ~= name then return false end
  end
  return true
end

-- A copy of what is there; `known` keeps hard links together, if given.
function M.clone(node, known)
  if known and known[node] then return known[node] end
  local new = {kind = node.kind, data = node.data, mode = node.mode, text = node.text}
  if known then known[node] = new end
  if node.entries then
    new.entries = {}
    for name, entry in pairs(node.entries) do new.entries[name] = M.clone(entry, known) end
  end
  return new
end

-- All that is in a tree: path -> what is there, as a text.
function M.flat(root)
  local all, counts = {}, {}
  local function count(node)
    counts[node] = (counts[node] or 0) + 1
    for _, entry in pairs(node.entries or {}) do count(entry) end
  end
  count(root)
  local function add(path, node)
    if node.kind == "file" then
      all[path] = ("file %d %s %s"):format(counts[node], node.mode, node.data)
    else
      all[path] = node.kind .. " " .. (node.text or "")
    end
    for name, entry in pairs(node.entries or {}) do add(path .. "/" .. name, entry) end
  end
  for name, entry in pairs(root.entries) do add(name, entry) end
  return all
end

-- {=====================================================
-- Calls: each gives what the call gives, or nil and the codes of the
-- errors that may come of it, one or several words.
-- ======================================================

local calls = {}
M.calls = calls

-- The file that a call would read or change, through links as well; what is
-- made for it when there is none.
local function file_at(root, path, make)
  local folder, name, node = look(root, path)
  if not folder then return nil, name end
  if node == nil and make then
    node = {kind = "file", data = "", mode = "644"}
    folder.entries[name] = node
  end
  if node == nil or node.kind == "link" then return nil, "ENOENT" end
  if node.kind == "directory" then return nil, "EISDIR" end
  return node
end

function calls.write(root, path, data)
  local node, err = file_at(root, path, true)
  if not node then return nil, err end
  node.data = data
  return true
end

function calls.replace(root, path, data) -- atomic
  local node, err = file_at(root, path, true)
  if not node then return nil, err end
  local folder, name = look(root, path)
  folder.entries[name] = {kind = "file", data = data, mode = node.mode}
  return true
end

function calls.append(root, path, data)
  local node, err = file_at(root, path, true)
  if not node then return nil, err end
  node.data = node.data .. data
  return true
end

function calls.read(root, path)
  local node, err = file_at(root, path)
  return node and node.data, err
end

-- Writes at a position of an open file; gives what is behind it then.
function calls.patch(root, path, data, at)
  local node, err = file_at(root, path)
  if not node then return nil, err end
  local old = node.data .. ("\0"):rep(at - #node.data)
  node.data = old:sub(1, at) .. data .. old:sub(at + #data + 1)
  return node.data:sub(at + #data + 1)
end

function calls.truncate(root, path, _, at)
  local node, err = file_at(root, path)
  if not node then return nil, err end
  node.data = (node.data .. ("\0"):rep(at - #node.data)):sub(1, at)
  return true
end

function calls.chmod(root, path, _, at)
  local node, err = file_at(root, path)
  if not node then return nil, err == "EISDIR" and "none" or err end
  node.mode = at % 2 == 0 and "600" or "755"
  return true
end

function calls.mkdir(root, path)
  local folder, name, node = look(root, path)
  if not folder then return nil, name end
  if node then return nil, "EEXIST" end
  folder.entries[name] = M.folder()
  return true
end

function calls.symlink(root, path)
  local folder, name, node = look(root, path)
  if not folder then return nil, name end
  if node then return nil, "EEXIST" end
  folder.entries[name] = {kind = "link", text = M.NOWHERE}
  return true
end

function calls.readlink(root, path)
  local folder, name, node = look(root, path)
  if not folder then return nil, name end
  if not node then return nil, "ENOENT" end
  return node.text, "EINVAL"
end

function calls.remove(root, path)
  local folder, name, node = look(root, path)
  if not folder then return nil, name end
  if not node then return nil, "ENOENT" end
  if node.entries and next(node.entries) then return nil, "ENOTEMPTY" end
  folder.entries[name] = nil
  return true
end

function calls.remove_all(root, path)
  local folder, name, node = look(root, path)
  if not folder then return nil, name end
  if not node then return nil, "ENOENT" end
  folder.entries[name] = nil
  return true
end

function calls.list(root, path)
  local folder, name, node = look(root, path)
  if not folder then return nil, name end
  if not node or node.kind == "link" then return nil, "ENOENT" end
  if node.kind == "file" then return nil, "ENOTDIR" end
  local names = {}
  for each in pairs(node.entries) do names[#names + 1] = each end
  table.sort(names)
  return table.concat(names, "/")
end

function calls.walk(root, path)
  local names, err = calls.list(root, path)
  if not names then return nil, err end
  local _, _, node = look(root, path)
  local all = {}
  for name, text in pairs(M.flat(node)) do all[#all + 1] = name .. " " .. text:match "^%w+" end
  table.sort(all)
  return table.concat(all, "/")
end

function calls.stat(root, path)
  local folder, name, node = look(root, path)
  if not folder then return nil, name end
  if not node then return nil, "ENOENT" end
  return node.kind == "file" and "file " .. #node.data or node.kind
end

function calls.exists(root, path)
  local folder, _, node = look(root, path)
  return tostring(folder ~= nil and node ~= nil and node.kind ~= "link")
end

-- {{{ two paths

function calls.rename(root, path, _, _, to)
  local folder, name, node = look(root, path)
  local other, new, there = look(root, to)
  if not folder then return nil, name .. " " .. (other and "" or new) end
  if not other then return nil, new .. " ENOENT" end
  if not node then return nil, "ENOENT" end
  if node.entries and is_within(path, to) and #to > #path then return nil, "EINVAL" end
  if there and is_within(to, path) and #path > #to then return nil, "ENOTEMPTY EISDIR" end
  if there == node then return true end
  if there and there.entries and not node.entries then return nil, "EISDIR" end
  if there and node.entries and not there.entries then return nil, "ENOTDIR" end
  if there and there.entries and next(there.entries) then return nil, "ENOTEMPTY" end
  folder.entries[name] = nil
  other.entries[new] = node
  return true
end

function calls.link(root, path, _, _, to)
  local folder, name, node = look(root, path)
  local other, new, there = look(root, to)
  if not folder then return nil, name .. " " .. (other and "" or new) end
  if not node then return nil, "ENOENT" end
  if not other then return nil, new end
  if there then return nil, "EEXIST" end
  if node.entries then return nil, "EPERM" end
  other.entries[new] = node
  return true
end

function calls.copy(root, path, _, _, to)
  local node, err = file_at(root, path)
  if not node then return nil, err end
  local _, _, there = look(root, to)
  if there == node then return nil, "EINVAL" end
  there, err = file_at(root, to, true)
  if not there then return nil, err end
  there.data, there.mode = node.data, node.mode
  return true
end

function calls.copy_all(root, path, _, _, to) -- only where nothing is
  local folder, name, node = look(root, path)
  local other, new, there = look(root, to)
  if not folder then return nil, name end
  if not node or node.kind == "link" then return nil, "ENOENT" end
  if not other then return nil, new end
  if there then return nil, "EEXIST" end
  if node.entries and is_within(path, to) then return nil, "EINVAL" end
  other.entries[new] = M.clone(node)
  return true
end

-- }}}

-- ====================================================== }

return M
