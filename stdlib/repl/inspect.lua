--
-- repl/inspect.lua - any value as text that people can read.
--     inspect(value, {depth=, width=, items=, colour=}) -> text
--
-- A value becomes a tree first, which is then laid out: in one line where
-- that is short enough. A node is a leaf, {text=, kind=}, or a table:
--   items: a list of {key = leaf or nil, value = node}
--   title: what stands before its brace
--   shared, id: it comes again below; its number
--   size: how long it is in one line
-- A reference to a table that has been shown is {node=, kind=}.
--
-- No value's code runs, but for __tostring, which may fail or loop. How much
-- is looked at, and shown, is bounded, whatever the value is.
--
local is_name = require("neap.repl.names").is_name

local byte, format, gsub = string.byte, string.format, string.gsub
local rep, sub = string.rep, string.sub
local concat, sort = table.concat, table.sort
local getinfo, getmetatable, getupvalue = debug.getinfo, debug.getmetatable, debug.getupvalue
local co_close, co_create, co_resume = coroutine.close, coroutine.create, coroutine.resume
local co_status, sethook = coroutine.status, debug.sethook
local codepoint, utf8_len = utf8.codepoint, utf8.len
local math_type, max = math.type, math.max
local error, ipairs, next, pcall, select = error, ipairs, next, pcall, select
local rawequal, rawget, rawlen, tostring, type = rawequal, rawget, rawlen, tostring, type

-- What is shown unless the options say otherwise.
local DEPTH <const>, WIDTH <const>, ITEMS <const> = 3, 80, 50
-- How much is shown of a string by itself, and inside a table, in bytes.
local LONG <const>, SHORT <const> = 10000, 200
-- For a whole value: how many nodes it may have, and how many keys of tables
-- are looked at.
local NODES <const>, LOOKS <const> = 2000, 2000000
-- How many instructions a __tostring may take.
local STEPS <const> = 10000000

local colours = {
  number = "33", boolean = "33", string = "32", ["nil"] = "2", mark = "2",
  ["function"] = "36", object = "35", plain = false,
}

-- {======================================================
-- Strings
-- =======================================================

local escapes = {
  ["\a"] = "\\a", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
  ["\t"] = "\\t", ["\v"] = "\\v", ["\\"] = "\\\\", ['"'] = '\\"',
}

local function escape_byte(c)
  return escapes[c] or format("\\x%02X", byte(c))
end

-- What shows nothing, or turns the text around it: C1 controls, marks of
-- width and direction.
local function is_hidden(code)
  return code >= 0x80 and code < 0xA0 or code >= 0x200B and code <= 0x200F
    or code >= 0x2028 and code <= 0x202E or code >= 0x2060 and code <= 0x206F
    or code == 0xFEFF
end

local function escape_hidden(c)
  local code = codepoint(c)
  return is_hidden(code) and format("\\u{%X}", code) or nil
end

-- The text with what cannot be seen, and `special` characters, in escapes.
local function escape(text, special)
  local pieces, from = {}, 1
  repeat
    local good, bad = utf8_len(text, from)
    local piece = sub(text, from, good and -1 or bad - 1)
    piece = gsub(piece, special, escape_byte)
    pieces[#pieces + 1] = gsub(piece, "[\xC2\xE2\xEF][\x80-\xBF]+", escape_hidden)
    if bad then
      pieces[#pieces + 1] = escape_byte(sub(text, bad, bad))
      from = bad + 1
    end
  until good
  return concat(pieces)
end

-- The first bytes of a text, no character cut in two, and how many more
-- there are.
local function cut(text, limit)
  if #text <= limit then return text, 0 end
  local last = limit
  while last > limit - 4 and last > 0 and byte(text, last + 1) & 0xC0 == 0x80 do last = last - 1 end
  return sub(text, 1, last), #text - last
end

local function quote(text, limit)
  local more
  text, more = cut(text, limit)
  text = '"' .. escape(text, '[%c\\"]') .. '"'
  return more > 0 and format("%s... %d more bytes", text, more) or text
end

-- The text of a value that stands alone.
local function abridge(text)
  local start, more = cut(text, LONG)
  return more > 0 and format("%s... %d more bytes", start, more) or text
end

-- Words of a value's own, in the middle of others.
local function in_line(text)
  local more
  text, more = cut(text, SHORT)
  return escape(text, "%c") .. (more > 0 and "..." or "")
end

-- ======================================================= }

-- {======================================================
-- Objects and functions
-- =======================================================

local function name_of(meta)
  local name = meta and rawget(meta, "__name")
  return type(name) == "string" and in_line(name) or nil
end

-- A hook: raises now, and where that is caught, again at the next instruction.
local function give_up()
  sethook(give_up, "", 1)
  error("it takes too long", 0)
end

-- What the object's __tostring gives; or nil and why there is no text.
local function call_tostring(convert, value)
  local thread = co_create(pcall)
  sethook(thread, give_up, "", STEPS)
  local _, ok, text = co_resume(thread, convert, value)
  if co_status(thread) ~= "dead" then
    pcall(co_close, thread)
    return nil, "it yields"
  elseif not ok then
    return nil, type(text) == "string" and text or "the error is a " .. type(text)
  elseif type(text) ~= "string" then
    return nil, "it gives a " .. type(text)
  end
  return text
end

-- What async functions make has this metatable, which is an upvalue of theirs.
local async_meta = select(2, getupvalue(require("asyncio").async(function() end), 2))

local function describe_function(f)
  local info = getinfo(f, "S")
  local title = "function"
  if info.what == "C" then
    local name, meta = getupvalue(f, 2)
    if not name or not rawequal(meta, async_meta) then return "<built-in function>" end
    title, info = "async function", getinfo(select(2, getupvalue(f, 1)), "S")
    if info.what == "C" then return "<built-in async function>" end
  end
  return format("<%s at %s:%d>", title, in_line(info.short_src), info.linedefined)
end

local function describe_object(value, meta)
  local kind = type(value)
  if kind == "thread" then return format("<thread %p %s>", value, co_status(value)) end
  return format("<%s %p>", name_of(meta) or kind, value)
end

-- The metamethods of a table whose class has no name, as a mark.
local function describe_metatable(meta)
  local list = {}
  local looks = 100
  for key in next, meta do
    if type(key) == "string" and sub(key, 1, 2) == "__" then list[#list + 1] = in_line(key) end
    looks = looks - 1
    if looks == 0 then break end
  end
  sort(list)
  return format("<metatable%s%s>", list[1] and " " or "", concat(list, ", "))
end

-- ======================================================= }

-- {======================================================
-- The tree
-- =======================================================

local ranks = {number = 1, string = 2, boolean = 3}

-- The order of keys.
local function before(a, b)
  local type_a, type_b = type(a), type(b)
  if type_a ~= type_b then
    local rank_a, rank_b = ranks[type_a] or 4, ranks[type_b] or 4
    if rank_a ~= rank_b then return rank_a < rank_b end
    return type_a < type_b
  elseif ranks[type_a] == 3 then
    return not a and b
  elseif ranks[type_a] then
    return a < b
  end
  return format("%p", a) < format("%p", b)
end

-- Sorts a list of keys, and leaves the first ones.
local function keep_first(keys, limit)
  sort(keys, before)
  for i = #keys, limit + 1, -1 do keys[i] = nil end
end

-- The first keys of a table, in their order, but for 1 to `length`; and how
-- many more there are, at least.
local function first_keys(state, t, length)
  local keys, count, limit = {}, 0, state.items
  local last -- what comes behind it is not among the first
  for key in next, t do
    state.looks = state.looks - 1
    if state.looks < 0 then break end
    if not (math_type(key) == "integer" and key >= 1 and key <= length) then
      count = count + 1
      if last == nil or before(key, last) then
        keys[#keys + 1] = key
        if #keys >= 2 * limit then
          keep_first(keys, limit)
          last = keys[limit]
        end
      end
    end
  end
  keep_first(keys, limit)
  return keys, count - #keys
end

-- How many items there are without keys, and how many of them are shown.
local function array_part(state, t)
  local shown = 0
  while shown < state.items and rawget(t, shown + 1) ~= nil do shown = shown + 1 end
  return shown < state.items and shown or max(shown, rawlen(t)), shown
end

local build

local function key_leaf(state, key)
  if is_name(key) and #key <= SHORT then return {text = key, kind = "plain"} end
  local meta = getmetatable(key)
  if type(key) == "table" and not (meta and rawget(meta, "__tostring")) then
    return {text = "[" .. describe_object(key, meta) .. "]", kind = "mark"}
  end
  local leaf = build(state, key, 0)
  leaf.text = "[" .. leaf.text .. "]"
  return leaf
end

local function add_mark(items, text, ...)
  items[#items + 1] = {value = {text = format(text, ...), kind = "mark"}}
end

-- The items of a table, down to `depth`. Its own keys are looked at before
-- those of tables inside it.
local function add_items(state, node, t, depth)
  local items = node.items
  local length, shown = array_part(state, t)
  local keys, more = first_keys(state, t, length)
  local unseen = state.looks < 0
  local i = 1
  while i <= shown and state.nodes > 0 do
    items[i] = {value = build(state, rawget(t, i), depth)}
    i = i + 1
  end
  if i <= length then add_mark(items, "... %d more", length - i + 1) end
  i = 1
  while keys[i] ~= nil and state.nodes > 0 do
    items[#items + 1] = {key = key_leaf(state, keys[i]), value = build(state, rawget(t, keys[i]), depth)}
    i = i + 1
  end
  more = more + #keys - i + 1
  if more > 0 then
    add_mark(items, unseen and "... %d more at least" or "... %d more", more)
  elseif unseen then
    add_mark(items, "... maybe more")
  end
end

local function build_table(state, t, meta, depth)
  local title = name_of(meta) or ""
  local seen = state.seen[t]
  if seen then
    seen.shared = true
    return {node = seen, kind = "mark"}
  elseif depth < 1 and next(t) ~= nil then
    return {text = title .. "{...}", kind = "mark"}
  end
  local node = {items = {}, title = title}
  if next(t) ~= nil then state.seen[t] = node end
  add_items(state, node, t, depth - 1)
  if meta and title == "" then add_mark(node.items, "%s", describe_metatable(meta)) end
  return node
end

-- The node of a value; `depth`: how many tables it may have inside each
-- other.
function build(state, value, depth)
  local kind = type(value)
  state.nodes = state.nodes - 1
  if kind == "number" then return {text = value .. "", kind = kind} end
  if kind == "string" then
    return {text = quote(value, depth == state.depth and LONG or SHORT), kind = kind}
  elseif kind == "nil" or kind == "boolean" then
    return {text = tostring(value), kind = kind}
  elseif kind == "function" then
    return {text = describe_function(value), kind = kind}
  end
  local meta = getmetatable(value)
  local convert = meta and rawget(meta, "__tostring")
  if convert ~= nil then
    local text, problem = call_tostring(convert, value)
    if not text then
      text = format("<%s %p: __tostring: %s>", name_of(meta) or kind, value, in_line(problem))
    elseif depth < state.depth then
      text = in_line(text)
    else
      text = abridge(text)
    end
    return {text = text, kind = "object"}
  elseif kind == "table" then
    return build_table(state, value, meta, depth)
  end
  return {text = describe_object(value, meta), kind = "object"}
end

-- ======================================================= }

-- {======================================================
-- The layout
-- =======================================================

local function columns(text)
  return utf8_len(text) or #text
end

-- Gives the tables that come again their numbers, in the order in which they
-- are shown, and all nodes their sizes.
local function measure(state, node)
  if node.node then node.text = format("<table %d>", node.node.id) end
  if node.text then
    node.size = columns(node.text)
    return node.size
  end
  if node.shared then
    state.tables = state.tables + 1
    node.id = state.tables
    node.title = format("<table %d>%s", node.id, node.title)
  end
  node.size = columns(node.title) + 2
  for i, item in ipairs(node.items) do
    node.size = node.size + measure(state, item.value) + (i > 1 and 2 or 0)
      + (item.key and columns(item.key.text) + 3 or 0)
  end
  return node.size
end

-- Appends a piece of the text.
local function put(state, text, kind)
  local colour = state.colour and text ~= "" and colours[kind]
  state.out[#state.out + 1] = colour and format("\27[%sm%s\27[0m", colour, text) or text
end

local function put_flat(state, node)
  if node.text then return put(state, node.text, node.kind) end
  put(state, node.title, "mark")
  put(state, "{", "plain")
  for i, item in ipairs(node.items) do
    if i > 1 then put(state, ", ", "plain") end
    if item.key then
      put(state, item.key.text, item.key.kind)
      put(state, " = ", "plain")
    end
    put_flat(state, item.value)
  end
  put(state, "}", "plain")
end

-- Appends a node that begins at column `used`, in lines that are `indent`
-- in; a comma comes behind it.
local function put_node(state, node, indent, used)
  if node.text or used + node.size + 1 <= state.width then return put_flat(state, node) end
  local inner = indent + 2
  local column -- of the end of a line of short items
  put(state, node.title, "mark")
  put(state, "{", "plain")
  for i, item in ipairs(node.items) do
    local key, value = item.key, item.value
    local short = not key and value.text and value.kind ~= "mark"
    if i > 1 then put(state, ",", "plain") end
    if short and column and column + value.size + 2 <= state.width then
      put(state, " ", "plain")
      column = column + value.size + 2
    else
      put(state, "\n" .. rep(" ", inner), "plain")
      column = short and inner + value.size + 1
    end
    if key then
      put(state, key.text, key.kind)
      put(state, " = ", "plain")
    end
    put_node(state, value, inner, inner + (key and columns(key.text) + 3 or 0))
  end
  put(state, "\n" .. rep(" ", indent) .. "}", "plain")
end

-- ======================================================= }

return function(value, options)
  options = options or {}
  local state = {
    depth = options.depth or DEPTH, width = options.width or WIDTH,
    items = max(1, options.items or ITEMS), colour = options.colour,
    nodes = NODES, looks = LOOKS, seen = {}, tables = 0, out = {},
  }
  local node = build(state, value, state.depth)
  measure(state, node)
  put_node(state, node, 0, 0)
  return concat(state.out)
end
