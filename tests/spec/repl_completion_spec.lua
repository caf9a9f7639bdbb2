-- repl_completion_spec.lua - what the word before the cursor may become.

local asyncio = require "asyncio"
local complete = require "neap.repl.completion"
local program = require "program"
local tasks = require "tasks"

-- The candidates as one text, and where they begin.
local function completed(text, env)
  local first, list = complete(text, env or {})
  return table.concat(list, " "), first
end

local function has(list, name)
  return (" " .. list .. " "):find(" " .. name .. " ", 1, true) ~= nil
end

describe("a word", function()
  local env = {print = print, printer = 1, point = {x = 1, y = 2}, other = 1, _hidden = 1, ["no name"] = 1,
    [1] = 1, ["end"] = 1}

  it("becomes a global variable, or a keyword", function()
    assert.same({"point print printer", 1}, {completed("p", env)})
    assert.same({"print printer", 8}, {completed("return pri", env)})
    assert.same({"or other", 6}, {completed("x = (o", env)})
    assert.same({"while", 1}, {completed("wh", env)})
    assert.same({"", 1}, {completed("nothing", env)})
  end)

  it("becomes any of them when nothing is typed, but for keywords", function()
    assert.same({"other point print printer", 1}, {completed("", env)})
    assert.same({"other point print printer", 5}, {completed("x = ", env)})
  end)

  it("begins with a line of its own, on lines before which there may be anything", function()
    assert.same({"print printer", 20}, {completed("s = 'a\n--[[x\n]]\n\n1 pri", env)})
  end)

  it("with a _ is offered to who types a _", function()
    assert.same({"_hidden", 1}, {completed("_", env)})
    assert.same({"", 5}, {completed("obj.", {obj = {_x = 1}})})
    assert.same({"_x", 5}, {completed("obj._", {obj = {_x = 1}})})
  end)

  it("that is a number is left alone", function()
    for _, text in ipairs {"1", "0x1f", "3.", "1e", "x = .5"} do assert.equal("", (completed(text, env))) end
  end)

  it("behind .. and :: is a word as others", function()
    assert.same({"print printer", 4}, {completed("a..pri", env)})
    assert.same({"print printer", 3}, {completed("::pri", env)})
  end)

  it("in a comment is left alone", function()
    assert.equal("", (completed("-- pri", env)))
    assert.equal("", (completed("--[==[ ]] pri", env)))
    assert.equal("print printer", (completed("-- x\npri", env)))
    assert.equal("print printer", (completed("--[==[ ]==] pri", env)))
  end)
end)

describe("a field", function()
  local env = {a = {b = {c = {deep = 1, dull = 2}}, fn = print, ["not a name"] = 1, ["end"] = 1}, list = {{name = 1}},
    map = {["a key"] = {inside = 1}, plain = {x = 1}}, text = "text", number = 5}

  it("is found along a chain of names", function()
    assert.same({"b fn", 3}, {completed("a.", env)})
    assert.same({"deep dull", 7}, {completed("a.b.c.d", env)})
    assert.same({"deep", 15}, {completed("x = 1 + a.b.c.de", env)})
    assert.same({"deep dull", 14}, {completed("a . b\n . c . d", env)})
    assert.equal("", (completed("a.nothing.d", env)))
    assert.equal("", (completed("nothing.d", env)))
    assert.equal("", (completed("number.d", env)))
  end)

  it("is found behind constant indices", function()
    assert.equal("name", (completed("list[1].", env)))
    assert.equal("inside", (completed('map["a key"].', env)))
    assert.equal("inside", (completed("map [ 'a key' ] . i", env)))
    assert.equal("", (completed("list[2].", env)))
    assert.equal("", (completed("list[i].", env)))
  end)

  it("is not made up for what a call gives", function()
    assert.equal("", (completed("f().", env)))
    assert.equal("", (completed("f('x'):", env)))
    assert.equal("", (completed("f 'x'.", env)))
    assert.equal("", (completed("f{}.a", env)))
  end)

  it("of an __index that is a table is offered, too", function()
    local base = setmetatable({base = 1}, {__index = {top = 1}})
    local object = setmetatable({own = 1}, {__index = base})
    assert.equal("base own top", (completed("object.", {object = object})))
    assert.equal("leaf", (completed("object.sub.", {object = setmetatable({}, {__index = {sub = {leaf = 1}}})})))
  end)

  it("that a metatable lists in __dir is offered, too", function()
    local object = setmetatable({}, {__index = error, __dir = {made = print, later = 1}})
    assert.equal("later made", (completed("object.", {object = object})))
    assert.equal("made", (completed("object:", {object = object})))
  end)

  it("of the library that is loaded later is offered", function()
    local list = completed("asyncio.", {asyncio = asyncio})
    for _, name in ipairs {"TaskGroup", "timeout", "Queue", "gather", "TimeoutError"} do
      assert.is_true(has(list, name), name)
    end
    assert.equal("stderr stdin stdout", (completed("process.std", {process = require "process"})))
  end)
end)

describe("a method", function()
  it("is a function of the table, or of its class", function()
    local class = {area = print, scale = print, sides = 4, __tostring = print}
    class.__index = class
    local object = setmetatable({name = 1, own = print, callable = setmetatable({}, {__call = print})}, class)
    assert.same({"area callable own scale", 8}, {completed("object:", {object = object})})
    assert.equal("scale", (completed("object:sc", {object = object})))
  end)

  it("is found for strings", function()
    assert.equal("rep reverse", (completed("text:re", {text = "x"})))
    assert.equal("rep reverse", (completed("('x'):re", {})))
    assert.equal("rep reverse", (completed('y = ("x"):re', {})))
  end)

  it("is found for tasks, files, streams and responses", function()
    tasks.main(function()
      local env = {task = asyncio.current_task(), file = io.stdout, queue = asyncio.Queue()}
      assert.equal("cancel cancelled cancelling", (completed("task:canc", env)))
      assert.equal("seek setvbuf", (completed("file:se", env)))
      assert.equal("get get_nowait", (completed("queue:g", env)))
      local net = require "net"
      local server <close> = await(net.listen("127.0.0.1", 0, function() end))
      local conn <close> = await(net.connect(server:address()))
      assert.equal("read readexactly readuntil", (completed("conn:read", {conn = conn})))
      assert.equal("close close_clients", (completed("server:c", {server = server})))
      assert.equal("patch post put", (completed("session:p", {session = require("http").ClientSession()})))
    end)
  end)
end)

describe("the name of a module", function()
  it("is one that is there, has a loader, or is Neap's own", function()
    package.preload["preloaded.module"] = error
    local list, first = completed 'require "'
    package.preload["preloaded.module"] = nil
    assert.equal(10, first)
    for _, name in ipairs {"preloaded.module", "string", "asyncio", "fs", "http", "json", "luv"} do
      assert.is_true(has(list, name), name)
    end
    assert.is_false(has(list, "module"))
    assert.is_false(has(list, "neap.repl.completion"))
    assert.equal("asyncio", completed "require 'asyn")
    for _, name in ipairs {"http", "net", "tls", "repl"} do
      assert.equal(pcall(require, name), has(list, name), name)
      assert.is_false(has(list, name .. "."), name)
    end
  end)

  it("is found along package.path and package.cpath, as require finds it", function()
    local folder <close> = program.folder()
    for _, name in ipairs {"alone.lua", "native.so", "other.txt", "two.points.lua"} do folder:write(name, "") end
    assert(os.execute(("cd '%s' && mkdir pack deep empty && touch pack/init.lua pack/part.lua deep/inner.lua"):format(
      folder.path)))
    local path, cpath = package.path, package.cpath
    package.path = ("%s/?.lua;%s/?/init.lua;no-such-folder/?.lua;strange"):format(folder.path, folder.path)
    package.cpath = folder.path .. "/?.so"
    local names, first = completed 'require("'
    local parts = completed "require 'pack."
    local one = completed "require [[al"
    package.path, package.cpath = path, cpath
    assert.equal(10, first)
    for _, name in ipairs {"alone", "native", "pack", "pack.", "deep."} do assert.is_true(has(names, name), name) end
    for _, name in ipairs {"other", "two.points", "two", "empty.", "empty", "deep"} do
      assert.is_false(has(names, name), name)
    end
    assert.equal("pack.init pack.part", parts)
    assert.equal("alone", one)
  end)

  it("does not stumble over a package.path that is none", function()
    local saved = {}
    for _, field in ipairs {"path", "cpath", "loaded", "preload", "searchers"} do saved[field] = package[field] end
    package.path, package.cpath, package.loaded, package.preload, package.searchers = nil, {}, 5, nil, nil
    local names = completed "require 'jso"
    for field, value in pairs(saved) do package[field] = value end
    assert.equal("json", names)
  end)
end)

describe("a string", function()
  it("becomes the name of a file", function()
    local folder <close> = program.folder()
    folder:write("one.txt", "")
    folder:write("ona", "")
    folder:write(".hidden", "")
    folder:write("with'quote", "")
    assert(os.execute(("cd '%s' && mkdir sub && ln -s sub onlink"):format(folder.path)))
    local open = "io.open('" .. folder.path .. "/"
    assert.same({"ona one.txt onlink/", #open + 1}, {completed(open .. "on")})
    assert.same({"ona one.txt onlink/ sub/", #open + 1}, {completed(open)})
    assert.same({".hidden", #open + 1}, {completed(open .. ".")})
    assert.same({"", #open + 5}, {completed(open .. "sub/")})
    assert.same({"", #open + 9}, {completed(open .. "nothing/")})
    assert.same({"with'quote", #open + 1}, {completed(open:gsub("'", '"') .. "wi")})
    assert.same({"with'quote", 8 + #folder.path}, {completed(".load " .. folder.path .. "/wi")})
    assert.same({"with'quote", 9 + #folder.path}, {completed('.load "' .. folder.path .. "/wi")})
    assert.equal("", (completed(".load '" .. folder.path .. "/wi")))
    assert.equal("", (completed("'a\\tb")))
    assert.is_true(has(completed "'", "tests/"))
    assert.is_true(has(completed "x = [==[", "tests/"))
  end)

  it("that has ended is left alone", function()
    assert.equal("print", (completed("'it\\'s' .. pri", {print = print})))
    assert.equal("print", (completed("[[a]b]] .. pri", {print = print})))
    assert.equal("print", (completed("x = 'no end\npri", {print = print})))
  end)
end)

describe("a command", function()
  it("is completed at the beginning of a line", function()
    assert.same({".cancel .help .load .quit .reset .tasks .time", 1}, {completed "."})
    assert.same({".tasks .time", 3}, {completed "  .t"})
    assert.equal("", (completed "x.t"))
  end)

  it("is completed with what it is about", function()
    assert.same({"fs.read fs.readlink fs.realpath fs.remove fs.rename", 7}, {completed ".help fs.re"})
    assert.equal("task:cancel task:cancelled task:cancelling", (completed ".help task:c"))
    assert.same({"print", 7}, {completed(".time pri", {print = print})})
    assert.same({"fast", 13}, {completed(".time x + a.fa", {a = {fast = 1}})})
    assert.same({"README.md", 7}, {completed ".load READ"})
    assert.same({"README.md", 13}, {completed ".load tests/READ"})
    tasks.main(function()
      create_task(sleep(10), {name = "sleeper"})
      create_task(sleep(10), {name = "sleeper"})
      assert.same({"sleeper", 9}, {completed ".cancel sl"})
    end)
  end)
end)

describe("completion", function()
  it("offers nothing that would move the cursor", function()
    tasks.main(function()
      for i, name in ipairs {"job", "job\27[31m", "job\n"} do create_task(sleep(10), {name = name .. i}) end
      assert.same({"job1", 9}, {completed(".cancel j")})
    end)
    package.preload["neapless\27"] = print
    assert.same({"", 10}, {completed("require 'neapless")})
    package.preload["neapless\27"] = nil
  end)

  it("runs no code of the script's", function()
    local function refuse() error "it was called" end
    local meta = {__index = refuse, __pairs = refuse, __len = refuse, __eq = refuse, __lt = refuse, __call = refuse,
      __tostring = refuse, __name = refuse, __metatable = refuse, __newindex = refuse}
    local env = setmetatable({object = setmetatable({field = 1}, meta)}, meta)
    assert.equal("field", (completed("object.", env)))
    assert.equal("", (completed("object.field.", env)))
    assert.equal("", (completed("object.other.", env)))
    assert.equal("object", (completed("ob", env)))
    assert.equal("", (completed("unknown.", env)))
  end)

  it("gets out of tables that are each other's __index", function()
    local a, b = {x = 1}, {y = 1}
    setmetatable(a, {__index = setmetatable(b, {__index = a})})
    assert.equal("x y", (completed("a.", {a = a})))
    assert.equal("", (completed("a.z.", {a = a})))
  end)

  it("looks at a part of what is huge", function()
    local big = {}
    for i = 1, tasks.MANY do big["key" .. i] = i end
    local _, list = complete("big.", {big = big})
    assert.equal(1000, #list)
    local strange = {}
    for i = 1, 300000 do strange[i .. " no name"] = i end
    assert.equal("", (completed("strange.", {strange = strange})))
  end)

  it("gives a place and a list for any text", function()
    local pieces = {"a", ".", ":", "[", "]", "(", ")", "'", '"', "\\", "-", "=", " ", "\n", "1", "{", "\0", "\xFF", "é",
      "require", "/", "[[", "--", ".help "}
    local state = 7
    for _ = 1, 20000 do
      local text = {}
      for i = 1, 8 do
        state = (state * 1103515245 + 12345) % 2147483648
        text[i] = pieces[state // 65536 % #pieces + 1]
      end
      text = table.concat(text)
      local first, list = complete(text, {a = {a = {a = 1}, require = 1}, require = "x"})
      assert.is_true(first >= 1 and first <= #text + 1, text)
      assert.equal("table", type(list))
    end
  end)

  it("takes its time from the text's length alone", function()
    for _, piece in ipairs {"(", "'", "[", "[=", " ", "a.", "a[1].", "x = 1\n", "\\", "--", "require '", "/"} do
      local first = complete(piece:rep(tasks.MANY), {a = 1})
      assert.is_true(first >= 1)
    end
  end)
end)
