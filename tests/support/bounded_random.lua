--
-- bounded_random.lua - calls the bounded functions of string and table and
-- Lua's own with the same random arguments: both have to give the same
-- results, or the same errors, and to use tables in the same order.
--
-- Loaded by tests/capi/bounded.c with the copies of Lua's own libraries, a
-- seed, and how many calls of each kind to make. Raises an error with the
-- first call that differs.
--
local stock, seed, count = ...

math.randomseed(seed)
local random = math.random

local function one_of(list) return list[random(#list)] end

-- A text of up to n of these pieces.
local function text(pieces, n)
  local out = {}
  for i = 1, random(0, n) do out[i] = one_of(pieces) end
  return stock.table.concat(out)
end

-- {{{ comparing

local function show(value)
  if type(value) ~= "table" then return stock.string.format(type(value) == "string" and "%q" or "%s", value) end
  local out = {}
  for k, v in next, value do out[#out + 1] = "[" .. tostring(k) .. "]=" .. show(v) end
  return "{" .. stock.table.concat(out, ", ") .. "}"
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b and math.type(a) == math.type(b) end
  for k, v in next, a do
    if not same(v, rawget(b, k)) then return false end
  end
  for k in next, b do
    if rawget(a, k) == nil then return false end
  end
  return true
end

-- What comes of a call, an error with its position.
local function outcome(f, arguments)
  return table.pack(pcall(function() return table.pack(f(table.unpack(arguments, 1, arguments.n))) end))
end

-- Calls both functions; `make` gives the arguments, new ones each time, and in
-- their field `used` what else has to be the same after the call.
local function compare(what, theirs, ours, make)
  local arguments = make()
  local description = what .. show(arguments)
  local expected = outcome(theirs, arguments)
  local used = arguments.used
  arguments = make()
  local got = outcome(ours, arguments)
  if not same(expected, got) or not same(used, arguments.used) then
    error(stock.string.format("%s\nis: %s %s\nnot: %s %s", description, show(got), show(arguments.used),
      show(expected), show(used)), 0)
  end
end

-- Makes a function that gives the same arguments at each call.
local function always(...)
  local arguments = table.pack(...)
  return function() return arguments end
end
-- }}}

-- {{{ patterns

local letters = {"a", "b", "c", "A", "1", " ", ",", "(", ")", "%", "]", "-", "^", "\0", "\n", "\xe9", ".", "$"}
local singles = {"a", "b", ".", "%a", "%d", "%s", "%w", "%S", "%A", "%p", "%x", "%g", "%c", "%u", "%L", "%z",
  "%Z", "%%", "%.", "%(", "[ab]", "[^ab]", "[a-c]", "[%a_]", "[%w-]", "[]]", "[^]a]", "[a-]", "[%a-z]", "[-a]", "[^%s]",
  "[a-%%]", "[%]]", "[\0-\xff]", "\0", " ", "\xe9", "[^-]", "$", "^", "-", "[a^]"}
local suffixes = {"", "", "", "*", "+", "-", "?"}
local broken = {"%", "[", "[^", "[a", "[a-", "[%", "[]", "[^]", "%b", "%b(", "%f", "%fa", "%f[", "(", ")", "%0", "%9",
  "((", "**", "+", "?", "*", "%bab%1"}

-- With so few items in groups Lua's own matcher comes to an end.
local function pattern(depth)
  local out = {}
  for i = 1, random(0, 4 - 2 * depth) do
    local dice = random(20)
    if dice <= 13 then out[i] = one_of(singles) .. one_of(suffixes)
    elseif dice <= 15 and depth < 2 then out[i] = "(" .. pattern(depth + 1) .. ")"
    elseif dice == 16 then out[i] = "()"
    elseif dice == 17 then out[i] = one_of {"%b()", "%bab", "%baa", "%b\0a", "%ba\0"}
    elseif dice == 18 then out[i] = "%f" .. one_of {"[a]", "[%w]", "[^%w]", "[\0]", "[^\0]", "[%z]"}
    elseif dice == 19 then out[i] = "%" .. random(0, 3)
    else out[i] = random(4) == 1 and one_of(broken) or one_of(letters)
    end
  end
  local all = stock.table.concat(out)
  if depth > 0 then return all end
  return (random(6) == 1 and "^" or "") .. all .. (random(6) == 1 and "$" or "")
end

local function any_pattern()
  local dice = random(12)
  if dice == 1 then return text(letters, 4) end
  if dice == 2 then return text({"(", ")", "a", "[", "]", "%", "^", "-", "*", "b", "f", "1"}, 8) end
  if dice == 3 then return stock.string.rep(one_of {"a?", "(", "()", "(a?)", "a*", ".-", "a", "%a"}, random(250)) end
  return pattern(0)
end

local function maybe(value) if random(3) == 1 then return value end end

-- The results of an iterator, or the first of them.
local function all_of(f)
  return function(...)
    local results = {}
    local iterator = f(...)
    for i = 1, 40 do
      results[i] = table.pack(iterator())
      if results[i].n == 0 then break end
    end
    return results
  end
end

local function replacement()
  local dice = random(8)
  if dice == 1 then return {a = "x", b = 7, c = false, [1] = 2.5, ab = "%1"} end
  if dice == 2 then
    return setmetatable({}, {__index = function(_, key) return key ~= "a" and "<" .. key .. ">" end})
  end
  if dice == 3 then return function(...) return select("#", ...) .. tostring((...)) end end
  if dice == 4 then return function(a) if a == "a" then return nil elseif a == "b" then return {} end return a end end
  if dice == 5 then return one_of {7, 1.5, true} end
  if dice == 6 then return text({"%", "%1", "%2", "a"}, 3) end
  return text({"%1", "%0", "%%", "%2", "x", "\0"}, 4)
end

for _ = 1, count do
  local s, p = text(letters, 20), any_pattern()
  local plain = stock.string.rep(text(letters, 3), random(30))
  local init = maybe(random(-25, 25)) or one_of {nil, nil, math.maxinteger, math.mininteger}
  compare("find", stock.string.find, string.find, always(s, p, init, maybe(true)))
  compare("find", stock.string.find, string.find, always(plain .. s, plain, init, true))
  compare("match", stock.string.match, string.match, always(s, p, init))
  compare("gmatch", all_of(stock.string.gmatch), all_of(string.gmatch), always(s, p, init))
  compare("gsub", stock.string.gsub, string.gsub, always(s, p, replacement(), maybe(random(-1, 5))))
end

-- The limits of nested calls and of captures.
for n = 1, 210 do
  for _, piece in ipairs {"a?", "a-", "()", "(a)", "("} do
    local s, p = stock.string.rep("a", n), stock.string.rep(piece, n)
    compare("match", stock.string.match, string.match, always(s, p))
  end
end

local function anything() return one_of {"%", nil, true, 1, -2, 3.5, "2", "a", {}, 0} end

local function anythings()
  return table.unpack({anything(), anything(), anything(), anything()}, 1, random(0, 4))
end

for _ = 1, count // 10 do
  for _, name in ipairs {"find", "match", "gsub", "rep", "format", "pack"} do
    compare(name, stock.string[name], string[name], always(anythings()))
  end
  compare("gmatch", all_of(stock.string.gmatch), all_of(string.gmatch), always(anythings()))
  compare("rep", stock.string.rep, string.rep, always(text(letters, 3), random(-1, 20), maybe(text(letters, 2))))
  compare("rep", stock.string.rep, string.rep,
    always(text(letters, 3), one_of {1 << 31, 1 << 40, math.maxinteger}, "-"))
  local object = setmetatable({}, {__name = "thing",
    __tostring = one_of {function() return "object" end, false}})
  if random(2) == 1 then getmetatable(object).__tostring = nil end
  compare("format", stock.string.format, string.format, always("<%s>", object))
  compare("format", stock.string.format, string.format,
    always(text({"%s", "%d", "%%", "%5s", "%-8.3s", "%.0s", "a", "%q", "%i", "%s"}, 6),
      one_of {1, object}, "text", 3, 2.0, stock.string.rep("z", 120), true))
  compare("pack", stock.string.pack, string.pack,
    always(text({"c3", "i4", "z", "!8", "s1", "c", "c0", "x", "<"}, 4), "ab", 7, 1))
end
-- }}}

-- {{{ tables

-- A table with n values of these, perhaps behind a proxy, which notes what is
-- read and written; and a table with all that happens to it.
local function sequence(n, values, metamethods)
  local t = {}
  for i = 1, n do t[i] = values[i] end
  local used = {t = t}
  if metamethods == 0 then return t, used end
  return setmetatable({}, {
    __index = function(_, k) used[#used + 1] = k return t[k] end,
    __newindex = function(_, k, v) used[#used + 1] = -k t[k] = v end,
    __len = metamethods == 2 and function() return n end or nil,
  }), used
end

-- Compares calls of a function of table, given the table and these.
local function compare_table(name, n, values, ...)
  local arguments, metamethods = table.pack(...), random(0, 2)
  compare("table." .. name, stock.table[name], table[name], function()
    local t, used = sequence(n, values, metamethods)
    return {t, used = used, n = arguments.n + 1, table.unpack(arguments, 1, arguments.n)}
  end)
end

-- Orders: of numbers, and none at all.
local orders = {
  function(a, b) return a > b end,
  function(a, b) return a % 5 < b % 5 end,
  function(a, b) return a <= b end,
  function() return true end,
  function() return false end,
  function(a, b) return (a * 7919 + b * 104729) % 3 == 0 end,
  function(a, b) return a < b end,
}

for _ = 1, count // 4 do
  local n = random(8) == 1 and random(95) or random(0, 9)
  local range = one_of {3, 10, 1000}
  local values = {}
  for i = 1, n do values[i] = random(range) end
  local sorted = random(4)
  if sorted == 1 then stock.table.sort(values) end
  compare_table("sort", n, values, one_of(orders))
  compare_table("sort", n, values)
  compare_table("insert", n, values, random(-1, n + 3), "new")
  compare_table("insert", n, values, "new")
  compare_table("insert", n, values, anything(), anything(), maybe(1))
  compare_table("remove", n, values, n > 0 and random(n) or nil)
  compare_table("remove", n, values, n + random(0, 1))
  compare_table("concat", n, values, maybe(", "), maybe(random(-1, 9)), maybe(random(-1, 9)))
  compare_table("concat", n, values, "", math.maxinteger - random(0, 1), math.maxinteger)
  compare_table("move", n, values, random(-2, 9), random(-2, 9), random(-2, 9), maybe {})
  compare_table("move", n, values, one_of {0, math.mininteger}, math.maxinteger, random(-5, 5))
  compare_table("move", n, values, random(3), math.maxinteger, 4)
  if n > 0 then values[random(n)] = anything() end
  compare_table("sort", n, values)
  compare_table("concat", n, values, anything())
end

for _ = 1, count // 10 do
  for _, name in ipairs {"insert", "remove", "move", "concat", "sort"} do
    compare(name, stock.table[name], table[name], always(anythings()))
  end
end
-- }}}
