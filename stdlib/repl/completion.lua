--
-- repl/completion.lua - what the word before the cursor may become.
--     complete(text, env) -> first, candidates
--
-- `text` is what has been typed, up to the cursor, which may be many lines;
-- `env` has the global variables. The candidates, sorted, stand for
-- text:sub(first). Which there are depends on where the word stands:
--   x, a.b.x   names in env; fields, also those of an __index that is a table
--   a:x        functions among them; of userdata and strings, too
--   "x         names of files; behind require, of modules
--   .x         commands, and what they are about
-- No code of the script's runs: what an __index function would give is not
-- known. A metatable may list it, in a table __dir, with the names as keys.
-- How many keys are looked at, and offered, is bounded.
--
local asyncio = require "asyncio"
local help = require "neap.repl.help"
local is_name = require("neap.repl.names").is_name
local keywords = require("neap.repl.names").keywords

local find, gmatch, gsub, match, sub = string.find, string.gmatch, string.gsub, string.match, string.sub
local getmetatable, getupvalue, open = debug.getmetatable, debug.getupvalue, io.open
local ipairs, next, rawequal, rawget = ipairs, next, rawequal, rawget
local package, require, select, sort = package, require, select, table.sort
local tonumber, type = tonumber, type

-- Those that `require` has, whatever a script puts in their place.
local loaded, preload, searchers = package.loaded, package.preload, package.searchers

local LOOKS <const> = 200000 -- keys of tables
local CANDIDATES <const> = 1000
local CHAIN <const> = 100 -- tables that are each other's __index
local FOLDERS <const> = 200 -- folders that are looked into for modules
local CODE <const> = 1000 -- bytes before the cursor in which a chain may stand

-- A list that takes each name once that begins with `prefix`, and that can be
-- shown and typed. add(name) gives whether there is room for more.
local function candidates(prefix)
  local list, seen = {}, {}
  return list, function(name)
    if not seen[name] and sub(name, 1, #prefix) == prefix and not find(name, "%c") then
      seen[name] = true
      list[#list + 1] = name
    end
    return #list < CANDIDATES
  end
end

-- {======================================================
-- Values
-- =======================================================

-- The table in which fields of the value that it has not itself are looked
-- up, and its metatable.
local function index_of(value)
  local meta = getmetatable(value)
  local index = meta and rawget(meta, "__index")
  return type(index) == "table" and index or nil, meta
end

-- The field of a value, as far as it can be told without running code.
local function field(value, key)
  for _ = 1, CHAIN do
    local found
    if type(value) == "table" then found = rawget(value, key) end
    if found ~= nil then return found end
    value = index_of(value)
    if value == nil then return nil end
  end
end

-- What can be called behind a colon.
local function is_method(value)
  local _, meta = index_of(value)
  return type(value) == "function" or meta and rawget(meta, "__call") ~= nil
end

-- Adds the names that a module has in its page: some load theirs only when
-- these are asked for.
local function add_documented(value, add)
  for name, module in next, loaded do
    if rawequal(module, value) and type(name) == "string" and name ~= "_G" then
      for _, entry in ipairs(help.names()) do
        if sub(entry, 1, #name + 1) == name .. "." then add(sub(entry, #name + 2)) end
      end
    end
  end
end

-- The fields of a value that begin with `prefix`, or those among them that are
-- `wanted`. Names that begin with "_" are left out, unless it does as well.
local function fields_of(value, prefix, wanted)
  local list, add = candidates(prefix)
  local hidden = sub(prefix, 1, 1) ~= "_"
  local looks = LOOKS

  local function add_keys(t)
    for key, item in next, t do
      looks = looks - 1
      if is_name(key) and not (hidden and sub(key, 1, 1) == "_") and (not wanted or wanted(item)) then
        if not add(key) then looks = 0 end
      end
      if looks <= 0 then return end
    end
  end

  if type(value) == "table" and not wanted then add_documented(value, add) end
  for _ = 1, CHAIN do
    if value == nil or looks <= 0 then break end
    if type(value) == "table" then add_keys(value) end
    local index, meta = index_of(value)
    local dir = meta and rawget(meta, "__dir")
    if type(dir) == "table" then add_keys(dir) end
    value = index
  end
  return list
end

-- ======================================================= }

-- {======================================================
-- Code
-- =======================================================

-- One more index at the end of a chain: where it begins, and the key.
local indices = {
  "()%[%s*(%d+)%s*%]%s*$", '()%[%s*"([^"\\]*)"%s*%]%s*$', "()%[%s*'([^'\\]*)'%s*%]%s*$",
}

-- What the chain at the end of the code, such as `a.b[1]["c"]`, stands for:
-- nil when nothing is known of it.
local function value_of(code, env)
  for i, pattern in ipairs(indices) do
    local from, key = match(code, pattern)
    if from then return field(value_of(sub(code, 1, from - 1), env), i == 1 and tonumber(key) or key) end
  end
  local from, name = match(code, "()([%a_][%w_]*)%s*$")
  if from then
    local before = match(sub(code, 1, from - 1), "^(.-)%s*%.%s*$")
    if not before or sub(before, -1) == "." then return field(env, name) end
    return field(value_of(before, env), name)
  end
  -- ("text"): a string, but not the argument of a function
  local opening = match(code, "()%(%s*([\"'])[^\"'\\]*%2%s*%)$")
  if opening and not find(sub(code, 1, opening - 1), "[%w_%)%]]$") then return "" end
end

local function complete_code(text, env)
  local code = sub(text, -CODE)
  if find(match(code, "[%w_.]*$"), "^%.?%d") then return #text + 1, {} end -- a number
  local word = match(code, "[%a_][%w_]*$") or ""
  local first = #text - #word + 1
  local before, separator = match(sub(code, 1, #code - #word), "^(.-)%s*([.:])%s*$")
  if separator and sub(before, -1) ~= separator then
    local value = value_of(before, env)
    return first, value == nil and {} or fields_of(value, word, separator == ":" and is_method)
  end
  local list = fields_of(env, word)
  for _, keyword in ipairs(word ~= "" and keywords or {}) do
    if sub(keyword, 1, #word) == word then list[#list + 1] = keyword end
  end
  return first, list
end

-- ======================================================= }

-- {======================================================
-- Files and modules
-- =======================================================

local function names_in(folder, prefix)
  return require("neap.repl.folder")(folder == "" and "." or folder, prefix, CANDIDATES)
end

-- Files whose path is what `text` has from byte `from` on, behind a quote or
-- none. What would have to be escaped is left out.
local function complete_file(text, from)
  local list = {}
  local folder, name = match(text, "^(.-)([^/]*)$", from)
  local special = "[%c\\" .. match(sub(text, from - 1, from - 1), "[\"']?") .. "]"
  for _, entry in ipairs(find(folder, "[%c\\]") and list or names_in(folder, name)) do
    if not find(entry, special) then list[#list + 1] = entry end
  end
  return from + #folder, list
end

local function is_file(path)
  local file = open(path, "r")
  return file ~= nil and file:close()
end

-- Adds the modules below `parent` ("", or "a.b.") that begin with `name` and
-- are found by a template of package.path.
local function add_modules(template, parent, name, budget, add)
  local start, tail = match(template, "^([^?]*)%?([^?]*)$")
  if not start then return end
  local folder, stem = match(start .. gsub(parent, "%.", "/"), "^(.-)([^/]*)$")
  for _, entry in ipairs(names_in(folder, stem .. name)) do
    local module = parent .. sub(entry, #stem + 1)
    local file = sub(module, 1, -#tail - 1)
    if sub(entry, -1) ~= "/" then
      if sub(entry, -#tail) == tail and not find(file, ".", #parent + 1, true) then add(file) end
    elseif not find(entry, ".", 1, true) and budget.folders > 0 then
      budget.folders = budget.folders - 1
      module = sub(module, 1, -2)
      if sub(tail, 1, 1) == "/" then
        if is_file(folder .. entry .. sub(tail, 2)) then add(module) end
      else -- does it have modules?
        for _, inner in ipairs(names_in(folder .. entry, "")) do
          if sub(inner, -#tail) == tail then
            add(module .. ".")
            break
          end
        end
      end
    end
  end
end

-- Modules that can be required: those that are there already, those along
-- package.path and cpath, and Neap's own, whose folders its searchers know.
local function complete_module(text, from)
  local prefix = sub(text, from)
  local list, add = candidates(prefix)
  local parent, name = match(prefix, "^(.-)([^.]*)$")
  local budget = {folders = FOLDERS}
  for _, known in ipairs {loaded, preload} do
    for module in next, known do
      if type(module) == "string" and not find(module, "^neap%.") and module ~= "_G" then add(module) end
    end
  end
  local function add_own(module)
    if module ~= "repl" then add(module) end -- no module, but many in one file
  end
  local templates = {}
  for _, searcher in next, searchers do
    local folders = type(searcher) == "function" and select(2, getupvalue(searcher, 1))
    if parent == "" and type(folders) == "string" then
      for folder in gmatch(folders, "[^;]+") do
        add_modules(folder .. "/?.lua", "", name, {folders = 0}, add_own)
        add_modules(folder .. "/?.so", "", name, {folders = 0}, add_own)
      end
    end
  end
  for _, name_of in ipairs {"path", "cpath"} do
    local path = rawget(package, name_of)
    if type(path) == "string" then templates[#templates + 1] = path end
  end
  for _, path in ipairs(templates) do
    for template in gmatch(path, "[^;]+") do add_modules(template, parent, name, budget, add) end
  end
  return from, list
end

-- ======================================================= }

-- {======================================================
-- Where the cursor stands
-- =======================================================

-- Where a string that begins at `from` ends, its quote; nil: it does not.
local function end_of_string(text, from, quote)
  local at = from + 1
  while true do
    at = find(text, "[\\\n" .. quote .. "]", at)
    if not at then return nil end
    if sub(text, at, at) ~= "\\" then return at end
    at = at + 2
  end
end

-- Goes through the code from its beginning: gives "code", "comment", or
-- "string" with where the string and its text begin.
local function context(text)
  local at = 1
  while true do
    local from = find(text, "[\"'%[-]", at)
    if not from then return "code" end
    local mark, comment = sub(text, from, from), 0
    if sub(text, from, from + 1) == "--" then comment = 2 end
    local level = match(text, "^%[(=*)%[", from + comment)
    local last
    if level then
      last = select(2, find(text, "]" .. level .. "]", from, true))
    elseif comment > 0 then
      last = find(text, "\n", from, true)
    elseif mark == '"' or mark == "'" then
      last = end_of_string(text, from, mark)
    else
      last = from
    end
    if not last then
      return comment > 0 and "comment" or "string", from, from + (level and #level + 2 or 1)
    end
    at = last + 1
  end
end

local function complete_lua(text, env)
  local kind, opening, from = context(text)
  if kind == "code" then return complete_code(text, env) end
  if kind == "comment" then return #text + 1, {} end
  if find(sub(text, 1, opening - 1), "%f[%w_]require%s*%(?%s*$") then return complete_module(text, from) end
  return complete_file(text, from)
end

local function task_names()
  local names = {}
  for i, task in ipairs(asyncio.all_tasks()) do names[i] = task:get_name() end
  return names
end

-- What stands behind a command; the others take nothing.
local arguments = {
  cancel = task_names,
  help = help.names,
  load = function(text, from) return complete_file(text, match(text, "^[\"']?()", from)) end,
  time = function(text, from, env)
    local first, list = complete_lua(sub(text, from), env)
    return first + from - 1, list
  end,
}

local function complete_argument(text, name, from, env)
  local first, list = arguments[name](text, from, env)
  if list then return first, list end
  local matching, add = candidates(sub(text, from))
  for _, each in ipairs(first) do add(each) end
  return from, matching
end

local function complete(text, env)
  local command = match(text, "^%s*()%.%a*$")
  if command then
    local list, add = candidates(sub(text, command))
    for _, name in ipairs(require("neap.repl.commands").names) do add("." .. name) end
    return command, list
  end
  local name, from = match(text, "^%s*%.(%a+)%s+()")
  if arguments[name] then return complete_argument(text, name, from, env) end
  return complete_lua(text, env)
end

-- ======================================================= }

return function(text, env)
  local first, list = complete(text, env)
  sort(list)
  return first, list
end
