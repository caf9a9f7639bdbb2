-- repl_inspect_spec.lua - values as text that people can read.

local asyncio = require "asyncio"
local inspect = require "neap.repl.inspect"
local tasks = require "tasks"

-- The text, with addresses left out.
local function shown(value, options)
  return (inspect(value, options):gsub("0x%x+", "0x"))
end

local function line_here() return debug.getinfo(2, "l").currentline end

describe("a value that is no table", function()
  it("is shown as Lua prints it when it is a number, boolean or nil", function()
    for _, value in ipairs {1, -7, 1.0, 0.1, 1e100, 1 / 0, -1 / 0, math.mininteger, true, false} do
      assert.equal(tostring(value), inspect(value))
    end
    assert.equal("nil", inspect(nil))
  end)

  it("is quoted when it is a string, so that Lua reads it back", function()
    local text = "a\"b\\c\n\t\0\1\27[1m é 日本 \u{1F600}"
    assert.equal([["a\"b\\c\n\t\x00\x01\x1B[1m é 日本 😀"]], inspect(text))
    assert.equal(text, load("return " .. inspect(text))())
    local every = {}
    for i = 0, 255 do every[#every + 1] = string.char(i) .. "7" end
    every = table.concat(every)
    assert.equal(every, load("return " .. inspect(every))())
  end)

  it("shows bytes that are no UTF-8 as \\x, each", function()
    assert.equal([["\xFF\xC3\xE2\x82 \xED\xA0\x80"]], inspect "\xFF\xC3\xE2\x82 \xED\xA0\x80")
  end)

  it("shows what would turn the line around, or hide in it, as \\u", function()
    assert.equal([["\u{202E}a\u{200B}b\u{9B}c\u{FEFF}"]], inspect "\u{202E}a\u{200B}b\u{9B}c\u{FEFF}")
  end)

  it("is cut when it is a long string, at a character, with a count", function()
    assert.equal('"' .. ("x"):rep(10000) .. '"... 5 more bytes', inspect(("x"):rep(10005)))
    assert.equal('{"' .. ("x"):rep(200) .. '"... 1 more bytes}', inspect({("x"):rep(201)}, {width = 999}))
    assert.equal('{"x' .. ("é"):rep(99) .. '"... 4 more bytes}', inspect({"x" .. ("é"):rep(101)}, {width = 999}))
  end)

  it("shows a function with where it is defined", function()
    local f, line = function() end, line_here()
    local place = ("%s:%d"):format(debug.getinfo(1, "S").short_src, line)
    assert.equal("<function at " .. place .. ">", inspect(f))
    assert.equal("<async function at " .. place .. ">", inspect(async(f)))
    assert.equal("<built-in function>", inspect(print))
  end)

  it("shows tasks, futures, streams and errors by their tostring", function()
    tasks.main(function()
      local task = create_task(sleep(10), {name = "sleeper"})
      tasks.turns(1)
      for _, value in ipairs {task, asyncio.Future(), asyncio.Lock(), io.stdout, asyncio.TimeoutError "slow",
        asyncio.OSError} do
        assert.equal(tostring(value), inspect(value))
        assert.equal("{" .. tostring(value) .. "}", inspect({value}, {width = 999}))
      end
    end)
    assert.equal("TimeoutError: slow", inspect(asyncio.TimeoutError "slow"))
  end)

  it("shows a thread with its state", function()
    local thread = coroutine.create(function() end)
    assert.equal("<thread 0x suspended>", shown(thread))
    coroutine.resume(thread)
    assert.equal("<thread 0x dead>", shown(thread))
  end)
end)

describe("a table", function()
  it("shows its array without keys, then its keys in order", function()
    assert.equal("{}", inspect {})
    assert.equal("{1, 2, 3}", inspect {1, 2, 3})
    assert.equal([=[{"a", [-1] = 2, [2.5] = 3, [10] = 1, b = 6, ["end"] = 5, ["x y"] = 4, [false] = 8, [true] = 7}]=],
      inspect({"a", [10] = 1, [-1] = 2, [2.5] = 3, ["x y"] = 4, ["end"] = 5, b = 6, [true] = 7, [false] = 8},
        {width = 200}))
  end)

  it("names all that stands behind a hole", function()
    assert.equal("{1, [3] = 3, [4] = 4}", inspect {1, nil, 3, 4})
  end)

  it("is in one line where that is short enough, and else indented", function()
    local value = {name = "neap", list = {1, 2, 3}, deep = {er = {x = 1}}}
    assert.equal('{deep = {er = {x = 1}}, list = {1, 2, 3}, name = "neap"}', inspect(value))
    assert.equal('{\n  deep = {er = {x = 1}},\n  list = {1, 2, 3},\n  name = "neap"\n}', inspect(value, {width = 40}))
    assert.equal('{\n  deep = {\n    er = {\n      x = 1\n    }\n  },\n  list = {\n    1, 2,\n    3\n  },\n' ..
      '  name = "neap"\n}', inspect(value, {width = 10}))
  end)

  it("has the short items of an array behind each other", function()
    local numbers = {}
    for i = 1, 30 do numbers[i] = i end
    assert.equal("{\n  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,\n  13, 14, 15, 16, 17, 18, 19, 20, 21,\n" ..
      "  22, 23, 24, 25, 26, 27, 28, 29, 30\n}", inspect(numbers, {width = 40}))
  end)

  it("keeps lines within the width", function()
    local words = {}
    for i = 1, 50 do words[i] = ("é"):rep(i % 13) end
    for width = 20, 60 do
      for line in inspect(words, {width = width}):gmatch "[^\n]+" do assert.is_true(utf8.len(line) <= width) end
    end
  end)

  it("is cut at a depth", function()
    local value = {1, {2, {3, {4, {5}}}}}
    assert.equal("{1, {2, {3, {...}}}}", inspect(value))
    assert.equal("{1, {...}}", inspect(value, {depth = 1}))
    assert.equal("{...}", inspect(value, {depth = 0}))
    assert.equal("{1, {2, {3, {4, {5}}}}}", inspect(value, {depth = math.huge}))
    assert.equal("{{}}", inspect({{}}, {depth = 1}))
  end)

  it("is cut at a number of items, and tells how many more there are", function()
    local list, map = {}, {}
    for i = 1, 60 do
      list[i] = i
      map[("k%02d"):format(i)] = i
    end
    assert.equal("{1, 2, 3, ... 57 more}", inspect(list, {items = 3}))
    assert.equal("{k01 = 1, k02 = 2, ... 58 more}", inspect(map, {items = 2}))
    assert.matches("50, %.%.%. 10 more}$", inspect(list, {width = 999}))
  end)

  it("is marked where it comes again, and where it holds itself", function()
    local list = {1}
    assert.equal("{<table 1>{1}, <table 1>}", inspect {list, list})
    local value = {name = "v"}
    value.self = value
    assert.equal('<table 1>{name = "v", self = <table 1>}', inspect(value))
    local a, b = {}, {}
    a.b, b.a = b, a
    assert.equal("<table 1>{b = {a = <table 1>}}", inspect(a))
    assert.equal("{{}, {}}", inspect {{}, {}})
  end)

  it("cuts a key as it does a string", function()
    assert.equal('{["' .. ("x"):rep(200) .. '"... 1 more bytes] = 1}', inspect({[("x"):rep(201)] = 1}, {width = 999}))
  end)

  it("shows what its keys are when they are no names", function()
    assert.equal("{[<table 0x>] = 1, [<built-in function>] = 2}",
      (shown {[{1}] = 1, [print] = 2}:gsub("{(%[<b.-= 2), (.-= 1)}", "{%2, %1}")))
  end)
end)

describe("a metatable", function()
  it("gives a table its name", function()
    assert.equal("Account{balance = 5}", inspect(setmetatable({balance = 5}, {__name = "Account"})))
    assert.equal('json.array{1, "a"}', inspect(require("json").decode '[1,"a"]'))
  end)

  it("without a name is told of", function()
    assert.equal("{1, <metatable __add, __index>}", inspect(setmetatable({1}, {__index = {}, __add = print})))
    assert.equal("{<metatable>}", inspect(setmetatable({}, {})))
  end)

  it("is not asked for anything but __tostring", function()
    local function refuse() error "it was called" end
    local meta = {__index = refuse, __pairs = refuse, __len = refuse, __eq = refuse, __lt = refuse,
      __call = refuse, __name = 5, __metatable = false, __concat = refuse}
    assert.equal("{x = {1, <metatable __call, __concat, __eq, __index, __len, __lt, __metatable, __name, __pairs>}}",
      inspect({x = setmetatable({1}, meta)}, {width = 999}))
  end)

  it("with a __tostring that fails does no harm", function()
    local function of(f) return shown(setmetatable({}, {__tostring = f, __name = "Bad"})) end
    assert.equal("<Bad 0x: __tostring: no>", of(function() error("no", 0) end))
    assert.equal("<Bad 0x: __tostring: the error is a table>", of(function() error {} end))
    assert.equal("<Bad 0x: __tostring: it gives a number>", of(function() return 5 end))
    assert.equal("<Bad 0x: __tostring: it gives a nil>", of(function() end))
    assert.equal("<Bad 0x: __tostring: it yields>", of(coroutine.yield))
    assert.matches("^<Bad 0x: __tostring: .*stack overflow", of(function(self) return tostring(self) end))
    assert.matches("^<Bad 0x: __tostring: attempt to call a number value", of(5))
  end)

  it("with a __tostring that loops does no harm", function()
    local function loop() while true do end end
    local function stubborn() while true do pcall(pcall, loop) end end
    for _, convert in ipairs {loop, stubborn} do
      assert.equal("{<table 0x: __tostring: it takes too long>}", shown {setmetatable({}, {__tostring = convert})})
    end
  end)

  it("has its text in one line where it stands among others", function()
    local value = setmetatable({}, {__tostring = function() return "two\nlines" end})
    assert.equal("two\nlines", inspect(value))
    assert.equal("{two\\nlines}", inspect {value})
    value = setmetatable({}, {__tostring = function() return ("x"):rep(10001) end})
    assert.equal(("x"):rep(10000) .. "... 1 more bytes", inspect(value))
  end)
end)

describe("what is huge", function()
  local MANY = tasks.MANY

  it("is shown by its first items, in their order", function()
    local list, keys, tables = {}, {}, {}
    for i = 1, MANY do
      list[i] = i
      keys[("k%07d"):format(MANY - i)] = i
      tables[-i] = {}
    end
    local options = {items = 2}
    assert.equal(("{1, 2, ... %d more}"):format(MANY - 2), inspect(list, options))
    assert.equal(("{k0000000 = %d, k0000001 = %d, ... %d more}"):format(MANY, MANY - 1, MANY - 2),
      inspect(keys, options))
    assert.equal(("{[%d] = {}, [%d] = {}, ... %d more}"):format(-MANY, 1 - MANY, MANY - 2), inspect(tables, options))
  end)

  it("is shown in part, however deep and wide it is", function()
    local function tree(depth)
      if depth == 0 then return 1 end
      local t = {}
      for i = 1, 20 do t[i] = tree(depth - 1) end
      return t
    end
    local text = inspect(tree(4), {depth = math.huge})
    assert.matches("more\n}$", text)
    assert.is_true(#text < 50000)
    local chain = {}
    for _ = 1, MANY do chain = {chain} end
    assert.is_true(#inspect(chain, {depth = math.huge}) < 10000000)
  end)

  it("is not looked at to its end when there is much of it", function()
    local N <const> = 100000
    local tables, map = {}, {}
    for i = 1, N do map[-i] = true end
    for i = 1, 19 do tables[i] = table.move(map, -N, -1, 1, {}) end
    tables[20], tables[21] = map, table.move(map, -N, -1, -N, {})
    local text = inspect(tables, {items = 21, width = 2000})
    assert.matches("\n  {true, [^\n]*true, ... 99979 more},\n  {%[%-100000%] = true,", text)
    -- of two million keys 21 were those of the outermost table
    assert.matches(" = true, ... 99958 more at least},\n  {... maybe more}\n}$", text)
  end)
end)

describe("colours", function()
  it("are for types, and leave the text as it is", function()
    local value = {1, "a", true, x = print, y = {{{{}}}}, io.stdout, list = {}}
    local coloured = inspect(value, {colour = true})
    assert.matches("\27[33m1\27[0m", coloured, 1, true)
    assert.matches('\27[32m"a"\27[0m', coloured, 1, true)
    assert.matches("\27[36m<built-in function>\27[0m", coloured, 1, true)
    assert.equal(inspect(value), (coloured:gsub("\27%[%d+m", "")))
    assert.is_nil(inspect(value):find "\27")
  end)
end)
