-- cli_script_spec.lua - neap runs scripts as lua5.4 does: how they are
-- read, their errors, how the program ends.

local dropin = require "dropin"
local program = require "program"

local NEAP = program.neap
local same, same_script = dropin.same, dropin.same_script

describe("scripts", function()
  it("get their arguments", function()
    local result = same_script("print(select('#', ...), ...)",
      {args = {"a", "", "-v", "ä'\"\\\n"}})
    assert.equal("4\ta\t\t-v\tä'\"\\\n\n", result.stdout)
  end)

  it("are read from standard input when nothing is named", function()
    assert.equal("1\tlua5.4\n", same({}, {stdin = "print(1, arg[0])"}).stdout)
  end)

  it("on standard input have the name stdin in errors", function()
    local result = same({}, {stdin = "\nerror('x')"})
    assert.matches("stdin:2: x", result.stderr, 1, true)
  end)

  it("can read standard input", function()
    local result = same_script([[
      print(io.read("n"), io.read("l"), io.read("L"))
      for line in io.lines() do print(#line, line) end
      print(io.read("l"), io.read("a"))]],
      {stdin = "42 first\nsecond\nthird\n\nlast"})
    assert.matches("^42\t first\tsecond\n", result.stdout)
  end)

  it("on standard input end with 0 after an error, with 1 after -", function()
    assert.equal(0, same({}, {stdin = "error('x')"}).code)
    assert.equal(0, same({}, {stdin = "x = = 1"}).code)
    assert.equal(1, same({"-"}, {stdin = "error('x')"}).code)
  end)

  it("on standard input can read what follows them", function()
    -- the whole input is the script: nothing is left
    local result = same({"-"}, {stdin = "print(io.read())\nprint(2)\n"})
    assert.equal("nil\n2\n", result.stdout)
  end)

  it("may begin with a line for the system", function()
    same_script("#!/usr/bin/env lua\nprint(debug.getinfo(1, 'l').currentline)")
    same_script("# only this line")
    same_script("\xEF\xBB\xBF# after a byte order mark\nprint(2)")
    same_script("#!x\nlocal = 1")
  end)

  it("can be started by the system", function()
    if NEAP:find("%s") then
      pending("the path of the program has a space")
    end
    local folder <close> = program.folder()
    local path = folder:write("run me.lua", "#!" .. NEAP .. "\nprint(...)")
    assert(os.execute("chmod +x " .. program.quote(path)))
    local result = program.run({path, "a", "b c"})
    assert.same({code = 0, stdout = "a\tb c\n", stderr = ""}, result)
  end)

  it("can be binary chunks", function()
    local result = same_script(string.dump(load("print('dumped', ...)", "=d")),
      {args = {"x"}})
    assert.equal("dumped\tx\n", result.stdout)
  end)

  it("that do not exist are an error", function()
    local result = same{"/no/such/script.lua"}
    assert.equal("lua5.4: cannot open /no/such/script.lua\n",
      result.stderr:match("^[^\n]*open /no/such/script.lua") .. "\n")
    assert.equal(1, result.code)
    same{""}
  end)

  it("that are folders are an error", function()
    assert.equal(1, same{"/"}.code)
  end)

  it("with a syntax error do not run", function()
    local result = same_script("print(1)\nlocal x = = 2\n")
    assert.equal("", result.stdout)
    assert.matches("script.lua:2: unexpected symbol near '='", result.stderr)
    same_script("x = 'open")
    same_script("goto nowhere")
    same_script("for i = 1 do end")
    same_script("local x <const> = 1; x = 2")
  end)

  it("can have a line of 100 KB", function()
    local long = ("x"):rep(100 * 1024)
    local result = same_script("print(#'" .. long .. "')")
    assert.equal("102400\n", result.stdout)
    same({"-e", "print(#'" .. long .. "')"})
    same({}, {stdin = "print(#'" .. long .. "')"})
    same_script("error('" .. long .. "')")
    same_script(long .. " = = 1")
  end)
end)

describe("errors", function()
  -- each ends the script with exit code 1
  local function fails(code, what)
    local result = same_script(code)
    assert.equal(1, result.code)
    assert.matches(what, result.stderr, 1, true)
  end

  it("that are texts come with a traceback", function()
    fails("local function f() error('text') end\n" ..
      "local function g() f() end g()",
      "script.lua:1: text\nstack traceback:\n")
    fails("error('no place', 0)", "lua5.4: no place\n")
    fails("error('the caller', 2)", "the caller")
    fails("error('')", "script.lua:1: \n")
  end)

  it("that are no texts are named by their type", function()
    fails("error({})", "(error object is a table value)")
    fails("error(nil)", "nil")
    fails("error()", "nil")
    fails("error(true)", "(error object is a boolean value)")
    fails("error(print)", "(error object is a function value)")
    fails("error(coroutine.create(print))", "(error object is a thread value)")
  end)

  it("that are numbers are shown as text", function()
    fails("error(42)", "42")
    fails("error(4.5)", "4.5")
  end)

  it("that have __tostring show it, without a traceback", function()
    local text = "error(setmetatable({}, " ..
      "{__tostring = function() return %s end}))"
    fails(text:format("'my own text'"), "lua5.4: my own text\n")
    fails(text:format("42"), "(error object is a table value)")
  end)

  it("raised by Lua itself", function()
    fails("local t = nil\nprint(t.x)",
      "attempt to index a nil value (local 't')")
    fails("x.y.z = 1", "(global 'x')")
    fails("return 1 < 'x'", "attempt to compare number with string")
    fails("return {} .. 'x'", "attempt to concatenate a table value")
    fails("return 1 // 0", "attempt to divide by zero")
    fails("return 1.5 | 1", "number has no integer representation")
    fails("return ('x'):rep(1, 2, 3).y.z", "attempt to index a nil value")
    fails("undefined()", "global 'undefined'")
    fails("string.rep()", "bad argument #1 to 'rep'")
    fails("('x'):bad()", "attempt to call a nil value (method 'bad')")
    fails("setmetatable(1, {})", "bad argument #1 to 'setmetatable'")
  end)

  it("of assert", function()
    fails("assert(false)", "assertion failed!")
    fails("assert(nil, 'said')", "said\n")
    fails("assert(false, {})", "(error object is a table value)")
    fails("assert()", "bad argument #1 to 'assert' (value expected)")
  end)

  it("of recursion without end", function()
    fails("local function f() return 1 + f() end f()", "stack overflow")
    fails("function f(...) return f(1, ...), 1 end f()", "stack overflow")
    fails("function f() return ('x'):gsub('.', f) end f()", "C stack overflow")
    fails("local t = setmetatable({}, {}) getmetatable(t).__index = " ..
      "function(t, k) return t[k .. 'x'] end print(t.a)", "C stack overflow")
  end)

  it("in coroutines", function()
    fails("coroutine.wrap(function() error('inside') end)()",
      "script.lua:1: inside")
    fails("coroutine.wrap(function() error({}) end)()", "a table value")
    fails("local f = coroutine.wrap(function() end) f() f()",
      "cannot resume dead coroutine")
    fails("coroutine.yield()", "attempt to yield from outside a coroutine")
    same_script([[
      local co = coroutine.create(function() local x = nil; x() end)
      print(coroutine.resume(co))
      print(debug.traceback(co))
      print(coroutine.status(co), coroutine.close(co))]])
  end)

  it("caught by pcall and xpcall go on as values", function()
    same_script([[
      print(pcall(error))
      print(pcall(error, "x", 0))
      print(select("#", pcall(function() return nil, nil end)))
      local function bad() local x = {} ; return x.y.z end
      print(pcall(bad))
      print(xpcall(bad, debug.traceback))
      print(xpcall(bad, function(m) return "handled: " .. m end))
      print(xpcall(bad, function() error("again") end))
      print(xpcall(function(...) return ... end, print, 1, nil, 3))
      print(pcall(pcall))
      print(pcall(xpcall))
      print(pcall(string.rep, "x", -1))]])
  end)

  it("in a finalizer and in __close", function()
    same_script([[
      warn("@on")
      setmetatable({}, {__gc = function() error("gc") end})
      collectgarbage()
      do
        local ok, text = pcall(function()
          local x <close> = setmetatable({}, {__close = function(_, e)
            print("closing", e) error("close", 0) end})
          error("body", 0)
        end)
        print(ok, text)
      end
      local last <close> = setmetatable({}, {
        __close = function() print("last") end})
      error("end")]])
  end)
end)

describe("the exit code", function()
  local function exits(code, number)
    assert.equal(number, same_script(code).code)
  end

  it("is 0 at the end of the program", function()
    exits("", 0)
    exits("return 7", 0)
    exits("return false", 0)
  end)

  it("is what os.exit says", function()
    exits("os.exit()", 0)
    exits("os.exit(true)", 0)
    exits("os.exit(false)", 1)
    exits("os.exit(0)", 0)
    exits("os.exit(7)", 7)
    exits("os.exit(255)", 255)
    exits("os.exit(256)", 0)
    exits("os.exit(-1)", 255)
    exits("pcall(os.exit, 3)", 3)
    exits("coroutine.wrap(os.exit)(4)", 4)
  end)

  it("is what os.exit says when it closes the state", function()
    exits("os.exit(5, true)", 5)
    exits("os.exit(true, true)", 0)
    local result = same_script([[
      setmetatable({}, {__gc = function() print("collected") end})
      local x <close> = setmetatable({}, {
        __close = function() print("closed") end})
      io.write("written ")
      os.exit(false, true)]])
    assert.equal("written closed\ncollected\n", result.stdout)
    exits("coroutine.wrap(function() os.exit(6, true) end)()", 6)
  end)

  it("is 1 after an error, and what was written is kept", function()
    local result = same_script("io.write('begun') error('x')")
    assert.equal("begun", result.stdout)
    assert.equal(1, result.code)
  end)

  it("is that of the signal that ended the program", function()
    local result = same_script([[io.popen("kill -TERM $PPID"):close()]])
    assert.equal(15, result.signal)
  end)

  it("does not depend on standard output", function()
    for _, code in ipairs{"print('x')", "io.write('x')", "error('x')",
        "os.exit(3)", "print(io.write('x'), io.stdout:flush())",
        "io.stderr:write(tostring(select(2, io.stdout:flush())), '\\n')",
        "io.write(('x'):rep(100000)) " ..
          "io.stderr:write(select(2, io.write('y')) or '-')",
        "io.stdout:setvbuf('no') " ..
          "io.stderr:write(table.concat({select(2, io.write('x'))}, ' '))",
        } do
      local env = {CODE = code}
      same([[exec "$LUA" -e "$CODE" >&-]], {env = env})
      same([[exec "$LUA" -e "$CODE" >/dev/full]], {env = env})
    end
    same([[exec "$LUA" -v >&-]])
  end)

  it("is that of a closed pipe when nobody reads", function()
    local result = same(
      [["$LUA" -e 'while true do print("x") end' | head -n 1]])
    assert.equal("x\n", result.stdout)
  end)
end)

describe("the language", function()
  it("gives the same results", function()
    same_script([=[
      for i = 1, 3 do
        if i == 2 then goto continue end
        io.write(i, " ")
        ::continue::
      end
      print(7 // 2, -7 // 2, 7 % -3, -7 % 3, 7.5 // 2, 1 / 0, -1 / 0, 2^53)
      print(math.maxinteger + 1 == math.mininteger, 1 << 63, ~0, 5 & 3 | 8)
      print(("%5.2f|%-5d|%05d|%x|%q|%s|%g"):format(3.14159, 42, 42, 255,
        "a\n\"", nil, 1e100))
      print(1e15, 1e16, 0.1, -0.0, 3.0, 2^63, 100 // 1e-320)
      print(#"\u{10FFFF}", "\x41\65\z
             B", [==[long]]==], 0x.8p1, 0xffffffffffffffff)
      print(tostring(nil), tostring(1e300 * 1e10), tonumber("0x10"),
        tonumber("z", 36))
      print(string.pack("<i4", 7):byte(1, -1))
      print(utf8.char(228, 8364), utf8.len("äö"), #utf8.charpattern)
      print(table.concat({1, 2, 3}, ","), table.unpack({1, nil, 3}, 1, 3))
      print(select(-1, 1, 2, 3), select("#", nil, nil))
      local t = setmetatable({}, {__index = function(_, k) return k * 2 end,
        __call = function(_, x) return x + 1 end,
        __len = function() return 9 end})
      print(t[4], t(4), #t)
      print(pcall(string.format, "%d", 1.5))
      print(os.time({year = 2020, month = 1, day = 1, hour = 12}),
        os.getenv("NOTHING"))
      local list = {5, 2, 8, 1}
      table.sort(list, function(a, b) return a > b end)
      print(table.concat(list, " "))
      print(load("return ...", "=x", "t", {})(1, 2))
      print(pcall(load, nil), load("x ="), load("\27Lua", "b", "t"))
      local gen = coroutine.wrap(function(...)
        for i = 1, select("#", ...) do coroutine.yield((select(i, ...))) end
        return "end"
      end)
      print(gen("a", "b"), gen(), gen())
      print(select(2, coroutine.running()), coroutine.isyieldable())]=])
  end)

  it("collects garbage in the mode that lua5.4 uses", function()
    local result = same{"-e", "print(collectgarbage('incremental'))"}
    assert.equal("generational\n", result.stdout)
  end)

  it("runs finalizers at the end of the program", function()
    local result = same_script([[
      for i = 1, 3 do
        setmetatable({}, {__gc = function() print("gc", i) end})
      end
      global = setmetatable({}, {__gc = function()
        print("gc of a global", io.type(io.stdout)) end})
      print("end")]])
    assert.matches("^end\n.*gc\t1\n", result.stdout)
  end)
end)
