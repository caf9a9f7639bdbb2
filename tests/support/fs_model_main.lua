-- fs_model_main.lua: tasks that make random calls of fs, each in a folder of
-- its own, and each call on a model of it as well; fs_model_spec.lua runs it:
--
--   neap fs_model_main.lua FOLDER FIRST COUNT CANCELS
--
-- runs the programs of so many seeds. CANCELS, 0 or 1: whether calls are
-- cancelled. Then there may be one thread alone for the work
-- (UV_THREADPOOL_SIZE=1): what is begun after it tells that a call which was
-- cancelled is over. It has been done, or not, or in part where the page of fs
-- says so; the model goes on from there.

local asyncio = require "asyncio"
local fs = require "fs"
local lfs = require "lfs"

package.path = arg[0]:gsub("[^/]*$", "?.lua;") .. package.path
local model = require "fs_model"
local program = require "program"
local tasks = require "tasks"

local base, first, count, cancels = arg[1], tonumber(arg[2]), tonumber(arg[3]), arg[4] == "1"

local TASKS <const>, STEPS <const> = 3, 100
local NAMES <const> = {"a", "b\n", "\xffc", "d"}
local LARGE <const> = ("0123456789"):rep(20000)
local NO_DATA <const> = {copy = true, copy_all = true, link = true, rename = true}

-- {=====================================================
-- What is there, read with Lua's own means
-- ======================================================

local BITS <const> = {r = 4, w = 2, x = 1, ["-"] = 0}

local function octal(permissions)
  return (permissions:gsub("(.)(.)(.)", function(r, w, x) return ("%d"):format(BITS[r] + BITS[w] + BITS[x]) end))
end

-- The node of the model for what is at the path.
local function found(path, known)
  local st = assert(lfs.symlinkattributes(path))
  if st.mode == "link" then
    known[st.ino] = known[st.ino] or {kind = "link", text = st.target}
    return known[st.ino]
  elseif st.mode == "file" then
    known[st.ino] = known[st.ino] or {kind = "file", data = program.read(path), mode = octal(st.permissions)}
    return known[st.ino]
  end
  local node = model.folder()
  for name in lfs.dir(path) do
    if name ~= "." and name ~= ".." then node.entries[name] = found(path .. "/" .. name, known) end
  end
  return node
end

-- The first difference of two flat trees, or nil.
local function difference(is, should)
  for path, text in pairs(should) do
    if is[path] ~= text then
      return ("%q is %q, and not %q"):format(path, tostring(is[path]):sub(1, 60), text:sub(1, 60))
    end
  end
  for path, text in pairs(is) do
    if should[path] == nil then return ("%q is there: %q"):format(path, text:sub(1, 60)) end
  end
end

-- ====================================================== }

-- {=====================================================
-- Calls
-- ======================================================

-- The calls of the model, done by fs: they give the same.
local real = {}
for _, name in ipairs {"append", "mkdir", "read", "readlink", "remove", "write"} do
  local writes = name == "append" or name == "write"
  real[name] = function(path, data) return await(fs[name](path, writes and data or nil)) end
end
for _, name in ipairs {"copy", "link", "rename"} do
  real[name] = function(path, _, _, to) return await(fs[name](path, to)) end
end
function real.replace(path, data) await(fs.write(path, data, {atomic = true})) end
function real.copy_all(path, _, _, to) await(fs.copy(path, to, {recursive = true, overwrite = false})) end
function real.remove_all(path) await(fs.remove(path, {recursive = true})) end
function real.symlink(path) await(fs.symlink(model.NOWHERE, path)) end
function real.chmod(path, _, at)
  if await(fs.stat(path)).type ~= "file" then error "none" end -- as the model has it
  await(fs.chmod(path, at % 2 == 0 and "600" or "755"))
end
function real.list(path) return table.concat(await(fs.list(path)), "/") end
function real.exists(path) return tostring(await(fs.exists(path))) end
function real.stat(path)
  local st = await(fs.lstat(path))
  return st.type == "file" and "file " .. st.size or st.type
end
function real.walk(path)
  local all = {}
  for each, kind, err in fs.walk(path) do
    if err then error(err, 0) end
    all[#all + 1] = each:sub(#path + 2) .. " " .. kind
  end
  table.sort(all)
  return table.concat(all, "/")
end
function real.patch(path, data, at)
  local file <close> = await(fs.open(path, "r+"))
  await(file:seek("set", at))
  await(file:write(data))
  return await(file:read "a")
end
function real.truncate(path, _, at)
  local file <close> = await(fs.open(path, "r+"))
  await(file:truncate(at))
end
-- These change nothing that stays.
function real.tempfile(path)
  local file <close> = await(fs.tempfile {dir = path:match "^(.*)/"})
  await(file:write "some text")
  await(file:seek("set", 5))
  assert(await(file:read "a") == "text")
end
function real.tempdir(path)
  local dir <close> = await(fs.tempdir {dir = path:match "^(.*)/"})
  await(fs.write(dir.path .. "/a", "text", {atomic = true}))
end
function model.calls.tempdir(root, path)
  if #path == 1 then return true end
  local names, err = model.calls.list(root, table.move(path, 1, #path - 1, 1, {}))
  return names and true, err
end
model.calls.tempfile = model.calls.tempdir

local KINDS <const> = {}
for name in pairs(real) do KINDS[#KINDS + 1] = name end
for _, name in ipairs {"mkdir", "mkdir", "mkdir", "write", "write", "replace", "replace", "copy_all", "tempdir"} do
  KINDS[#KINDS + 1] = name -- more often
end
table.sort(KINDS)

-- Whether a call that was cancelled may have left that: `before` and `after`
-- are what was there, and what there would be.
local function may_be(kind, is, before, after)
  if not difference(is, before) or not difference(is, after) then return true end
  for path in pairs(kind == "remove_all" and before or after) do
    local now, old, new = is[path], before[path], after[path]
    if now ~= old and now ~= new then
      local part = now and (old or new) and kind ~= "replace" and now:match "^file %d+ %d+ (.*)$"
      local whole = new and new:match "^file %d+ %d+ (.*)$" or ""
      if not part or whole:sub(1, #part) ~= part then return false end
    end
  end
  for path, text in pairs(is) do
    if text ~= before[path] and after[path] == nil then return false end
  end
  return true
end

-- ====================================================== }

-- The path of something that is there, mostly, or that could be.
local function some_path(root, random)
  local names, node = {}, root
  for i = 1, random(4) do
    local there = {}
    for _, name in ipairs(NAMES) do
      if node and node.entries and node.entries[name] then there[#there + 1] = name end
    end
    local is_known = #there > 0 and random(4) > 1
    names[i] = is_known and there[random(#there)] or NAMES[random(#NAMES)]
    node = node and node.entries and node.entries[names[i]]
    if not (node and node.entries) and random(8) > 1 then break end
  end
  return names
end

-- One random call. Gives what is wrong with it, or nil.
local function step(state, random)
  local function path() return some_path(state.root, random) end
  local function real_path(names) return state.folder .. "/" .. table.concat(names, "/") end
  local kind, from, to = KINDS[random(#KINDS)], path(), path()
  local data = random(6) == 1 and LARGE:sub(1, random(#LARGE)) or ("text%d "):format(random(1000)):rep(random(9))
  local at = random(12) - 1
  local cancel_at = cancels and random(3) == 1 and random(8) - 1
  state.log[#state.log + 1] = ("%s %q %s%s"):format(kind, table.concat(from, "/"),
    NO_DATA[kind] and ("%q"):format(table.concat(to, "/")) or "", cancel_at and " cancelled at " .. cancel_at or "")

  local after = model.clone(state.root, {})
  local expected, codes = model.calls[kind](after, from, data, at, to)
  local task = create_task(async(real[kind])(real_path(from), data, at, real_path(to)))
  if cancel_at then
    for _ = 1, cancel_at do await(sleep(random(2) == 1 and 0 or 0.0002)) end
    task:cancel()
  end
  local ok, result = asyncio.catch(await, task)
  if task:cancelled() then
    await(fs.exists "/") -- the one thread has done what was begun before
    local root = found(state.folder, {})
    local is = model.flat(root)
    if not may_be(kind, is, model.flat(state.root), model.flat(after)) then
      return "cancelled: " .. (difference(is, model.flat(after)) or "")
    end
    state.root = root
    return
  end
  if expected == nil then
    local code = not ok and (type(result) == "string" and result:match "none$" or result.code)
    if not code or not (" " .. codes .. " "):find(" " .. code .. " ", 1, true) then
      return ("%s expected, got %s"):format(codes, tostring(result):sub(1, 200))
    end
    return
  end
  if not ok then return tostring(result) end
  state.root = after
  if expected ~= true and result ~= expected then
    return ("%q expected, got %q"):format(tostring(expected):sub(1, 60), tostring(result):sub(1, 60))
  end
end

-- Makes the steps of one task. Gives what is wrong, or nil.
local run_task = async(function(state, random)
  local function compare() return difference(model.flat(found(state.folder, {})), model.flat(state.root)) end
  await(fs.mkdir(state.folder))
  for _ = 1, STEPS do
    local wrong = step(state, random) or random(20) == 1 and compare()
    if wrong then return wrong .. "\nin " .. state.folder .. ", after\n" .. table.concat(state.log, "\n") end
  end
  return compare()
end)

local function descriptors()
  collectgarbage()
  collectgarbage()
  return tasks.descriptors()
end

local function run_seed(seed)
  local folder <close> = await(fs.tempdir {dir = base})
  local states, running = {}, {}
  for i = 1, TASKS do
    states[i] = {folder = folder.path .. "/" .. i, root = model.folder(), log = {}}
    running[i] = run_task(states[i], tasks.random(seed * TASKS + i))
  end
  local wrong = await(gather(running))
  for i = 1, TASKS do
    if wrong[i] then return wrong[i] end
  end
  if #asyncio.all_tasks() ~= 1 then return "tasks are left" end
end

run(async(function()
  await(fs.exists "/")
  local before = descriptors()
  for seed = first, first + count - 1 do
    io.stderr:write("seed ", seed, "\n")
    local wrong = run_seed(seed)
    if not wrong and descriptors() ~= before then wrong = "descriptors are left" end
    if not wrong and #await(fs.list(base)) > 0 then wrong = "a folder is left" end
    if wrong then
      print(("seed %d (replay with NEAP_SEED=%d): %s"):format(seed, seed, wrong))
      os.exit(1, true)
    end
  end
end)())
