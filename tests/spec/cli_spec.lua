-- cli_spec.lua - the command line of neap: the options, arg, the
-- environment. What lua5.4 has too is compared with it.

local dropin = require "dropin"
local program = require "program"

local NEAP = program.neap
local run_both, same = dropin.run_both, dropin.same
local same_script = dropin.same_script

local function neap(arguments, options)
  return program.run({NEAP, table.unpack(arguments)}, options)
end

describe("options that lua5.4 has too", function()
  it("-e runs code", function()
    assert.equal("7\n", same{"-e", "print(3 + 4)"}.stdout)
  end)

  it("-e takes its code from the same word", function()
    assert.equal("7\n", same{"-eprint(3 + 4)"}.stdout)
  end)

  it("-e, -l and -W are done in their order, in one state", function()
    local result = same{
      "-e", "warn('lost') x = 1", "-W", "-e", "warn('kept', ' ', 'whole')",
      "-l", "y=cjson", "-e", "print(x, type(y.encode))",
    }
    assert.equal("1\tfunction\n", result.stdout)
    assert.equal("Lua warning: kept whole\n", result.stderr)
  end)

  it("-e ends the program at the first error", function()
    local result = same{"-e", "print(1)", "-e", "error('x')", "-e", "print(2)"}
    assert.equal("1\n", result.stdout)
    assert.equal(1, result.code)
  end)

  it("-e has one chunk name in errors", function()
    local result = same{"-e", "local x = nil + 1"}
    assert.matches("(command line):1:", result.stderr, 1, true)
  end)

  it("-e reports a syntax error", function()
    assert.equal(1, same{"-e", "for"}.code)
  end)

  it("-l loads a module into a global of its name", function()
    local result = same{"-l", "cjson", "-e", "print(type(cjson.encode))"}
    assert.equal("function\n", result.stdout)
  end)

  it("-l loads a module into a global of another name", function()
    local result = same{"-lj=cjson", "-e", "print(type(j.encode), cjson)"}
    assert.equal("function\tnil\n", result.stdout)
  end)

  it("-l names the places where a module was looked for", function()
    local ours, stock = run_both{"-l", "no.such.module"}
    assert.equal(1, ours.code)
    assert.equal(stock.code, ours.code)
    for line in stock.stderr:gmatch("[^\n]+") do -- Neap looks in more places
      assert.is_truthy(ours.stderr:find(line, 1, true), line)
    end
  end)

  it("-l passes on the error of a module", function()
    local folder <close> = program.folder()
    folder:write("bad.lua", "error('no luck')")
    local result = same({"-l", "bad"}, {cwd = folder.path})
    assert.matches("no luck", result.stderr)
  end)

  it("-v shows the version and runs nothing else", function()
    assert.matches("^Lua 5%.4%.%d+ .*\n$", same{"-v"}.stdout)
  end)

  it("-v goes with -e and a script", function()
    local result = same({"-v", "-e", "print(1)", "-"}, {stdin = "print(2)"})
    assert.matches("^Lua 5.4[^\n]*\n1\n2\n$", result.stdout)
  end)

  it("-W turns warnings on", function()
    local result = same{"-W", "-e", "warn('a', 'b') warn('@off') warn('c')"}
    assert.equal("Lua warning: ab\n", result.stderr)
  end)

  it("without -W, warn('@on') does", function()
    local result = same{"-e", "warn('a') warn('@on') warn('b')"}
    assert.equal("Lua warning: b\n", result.stderr)
  end)

  it("- reads the script from standard input and gives it arguments", function()
    local result = same({"-", "a", "b"}, {stdin = "print(arg[0], ...)"})
    assert.equal("-\ta\tb\n", result.stdout)
  end)

  it("-- ends the options", function()
    local folder <close> = program.folder()
    folder:write("-e", "print('script', ...)")
    folder:write("-", "print('dash', ...)")
    local result = same({"--", "-e", "x"}, {cwd = folder.path})
    assert.equal("script\tx\n", result.stdout)
    result = same({"--", "-"}, {cwd = folder.path})
    assert.equal("dash\n", result.stdout)
  end)

  it("-- alone leaves standard input as the script", function()
    assert.equal("1\n", same({"--"}, {stdin = "print(1)"}).stdout)
  end)
end)

describe("options that are wrong", function()
  -- as lua5.4's, but for one line more at the end
  local function complains(arguments, what)
    local ours, stock = run_both(arguments)
    assert.equal(1, ours.code)
    assert.equal("", ours.stdout)
    assert.matches(what, ours.stderr, 1, true)
    assert.equal(stock.stderr .. "'lua5.4 --help' shows all of them\n",
      ours.stderr)
    assert.equal(stock.code, ours.code)
  end

  it("an unknown letter", function()
    complains({"-x"}, "unrecognized option '-x'")
  end)

  it("an unknown word", function()
    complains({"--nothing"}, "unrecognized option '--nothing'")
  end)

  it("letters put together", function()
    complains({"-vi"}, "unrecognized option '-vi'")
    complains({"-Ev"}, "unrecognized option '-Ev'")
    complains({"-Wx"}, "unrecognized option '-Wx'")
    complains({"-ix"}, "unrecognized option '-ix'")
  end)

  it("-e and -l without an argument", function()
    complains({"-e"}, "'-e' needs argument")
    complains({"-l"}, "'-l' needs argument")
    complains({"-e", "-v"}, "'-e' needs argument")
    complains({"-l", "--"}, "'-l' needs argument")
  end)

  it("nothing runs when a later option is wrong", function()
    complains({"-e", "print(1)", "-y"}, "unrecognized option '-y'")
  end)

  it("what follows the script is no option", function()
    local result = same_script("print(...)", {args = {"-x", "--help"}})
    assert.equal("-x\t--help\n", result.stdout)
  end)
end)

describe("the table arg", function()
  local SHOW = "for i = -6, 6 do " ..
    "if arg[i] then io.write(i, '=', arg[i], ';') end end"

  it("has the script at 0, its arguments above, the rest below", function()
    local folder <close> = program.folder()
    folder:write("s.lua", SHOW)
    local result = same({"-e", "x = 1", "-W", "s.lua", "a", "", "c d"},
      {cwd = folder.path})
    assert.equal("-4=lua5.4;-3=-e;-2=x = 1;-1=-W;0=s.lua;1=a;2=;3=c d;",
      result.stdout)
  end)

  it("has the program at 0 when there is no script", function()
    local result = same{"-e", SHOW}
    assert.equal("0=lua5.4;1=-e;2=" .. SHOW .. ";", result.stdout)
  end)

  it("is complete when LUA_INIT runs", function()
    local result = same({"-", "a"}, {env = {LUA_INIT = SHOW}})
    assert.equal("-1=lua5.4;0=-;1=a;", result.stdout)
  end)

  it("can be changed before the script runs", function()
    local result = same({"-e", "arg[1], arg[2] = nil, 'z' arg = {'p', 'q'}",
      "-", "a"}, {stdin = "print(...)"})
    assert.equal("p\tq\n", result.stdout)
  end)

  it("must be a table when the script starts", function()
    local result = same({"-e", "arg = nil", "-"}, {stdin = "print(...)"})
    assert.equal("lua5.4: 'arg' is not a table\n", result.stderr)
    assert.equal(1, result.code)
  end)

  it("must not have too many elements", function()
    local result = same({"-e",
      "arg = setmetatable({}, {__len = function() return 10000000 end})", "-"})
    assert.matches("too many arguments to script", result.stderr)
  end)

  it("may raise an error of any type from its length", function()
    local ours, stock = run_both{"-e",
      "arg = setmetatable({}, {__len = function() error({}) end})", "-"}
    assert.equal(stock.code, ours.code)
    assert.equal("lua5.4: (error object is a table value)\n", ours.stderr)
  end)
end)

describe("the environment", function()
  local PRINT = {"-e", "print('main')"}

  it("LUA_INIT runs before all else", function()
    local result = same(PRINT, {env = {LUA_INIT = "print('init')"}})
    assert.equal("init\nmain\n", result.stdout)
  end)

  it("LUA_INIT_5_4 counts more than LUA_INIT", function()
    local result = same(PRINT, {
      env = {LUA_INIT = "print('old')", LUA_INIT_5_4 = "print('new')"},
    })
    assert.equal("new\nmain\n", result.stdout)
  end)

  it("LUA_INIT can name a file", function()
    local folder <close> = program.folder()
    local path = folder:write("init.lua", "#!skipped\nprint('file', ...)")
    local result = same(PRINT, {env = {LUA_INIT = "@" .. path}})
    assert.equal("file\nmain\n", result.stdout)
  end)

  it("an error in LUA_INIT ends the program", function()
    local result = same(PRINT, {env = {LUA_INIT = "error('early')"}})
    assert.matches("LUA_INIT:1: early", result.stderr)
    assert.equal("", result.stdout)
    assert.equal(1, result.code)
    same(PRINT, {env = {LUA_INIT_5_4 = "error('early')"}})
    same(PRINT, {env = {LUA_INIT = "="}})
    same(PRINT, {env = {LUA_INIT = "@/no/such/file"}})
  end)

  it("-E leaves LUA_INIT out", function()
    local result = same({"-E", "-e", "print(1)"},
      {env = {LUA_INIT = "print('init')"}})
    assert.equal("1\n", result.stdout)
  end)

  it("LUA_PATH and LUA_CPATH set the paths, ;; is the default", function()
    local show = {"-e", "print(package.path) print(package.cpath)"}
    same(show)
    local result = same(show,
      {env = {LUA_PATH = "/a/?.lua", LUA_CPATH = "/b/?.so"}})
    assert.equal("/a/?.lua\n/b/?.so\n", result.stdout)
    same(show, {env = {LUA_PATH = "/a/?.lua;;", LUA_CPATH = ";;/b/?.so"}})
    same(show, {env = {LUA_PATH_5_4 = "/c/?.lua", LUA_PATH = "/a/?.lua"}})
  end)

  it("-E leaves LUA_PATH and LUA_CPATH out", function()
    local result = same({"-E", "-e", "print(package.path, package.cpath)"},
      {env = {LUA_PATH = "/a/?.lua", LUA_CPATH_5_4 = "/b/?.so"}})
    assert.is_nil(result.stdout:find("/a/", 1, true))
    assert.is_nil(result.stdout:find("/b/", 1, true))
  end)

  it("LUA_PATH finds a Lua module", function()
    local folder <close> = program.folder()
    folder:write("mine.lua", "return {name = ..., file = select(2, ...)}")
    local result = same({"-l", "mine", "-e", "print(mine.name, mine.file)"},
      {env = {LUA_PATH = folder:file("?.lua")}})
    assert.equal("mine\t" .. folder:file("mine.lua") .. "\n", result.stdout)
  end)

  it("LUA_CPATH finds a C module", function()
    local lfs = assert(package.searchpath("lfs", package.cpath))
    local folder <close> = program.folder()
    local path = folder:write("lfs.so", program.read(lfs))
    local result = same({"-e", "local lfs, file = require 'lfs' print(file)"},
      {env = {LUA_CPATH = folder:file("?.so")}})
    assert.equal(path .. "\n", result.stdout)
  end)
end)

describe("C modules", function()
  it("lfs loads and works", function()
    local result = same{"-e", "print(require('lfs').attributes('/', 'mode'))"}
    assert.equal("directory\n", result.stdout)
  end)

  it("cjson loads and works", function()
    local result = same{"-e", "print(require('cjson').encode({1, 'x', true}))"}
    assert.equal('[1,"x",true]\n', result.stdout)
  end)

  it("luv loads and runs a loop of its own", function()
    local result = same_script([[
      local uv = require "luv"
      local timer = uv.new_timer()
      timer:start(1, 0, function() print("tick") timer:close() end)
      uv.run()
      print("done")]])
    assert.equal("tick\ndone\n", result.stdout)
  end)
end)

describe("Neap's own options", function()
  it("--help tells about every option", function()
    local result = neap{"--help"}
    assert.equal(0, result.code)
    assert.equal("", result.stderr)
    for _, option in ipairs{"-e stat", "-i", "-l mod", "-l g=mod", "-v", "-E",
        "-W", "--", "-", "--debug", "--help", "--version"} do
      assert.is_truthy(result.stdout:find("\n  " .. option .. "  ", 1, true)
        or result.stdout:find("\n  " .. option .. " ", 1, true), option)
    end
    -- wherever the program stands, its path in the first line is as long
    local text = result.stdout:gsub(program.neap:gsub("%W", "%%%0"), "neap")
    for line in text:gmatch("[^\n]+") do
      assert.is_true(#line < 80, line)
    end
  end)

  it("--help runs nothing", function()
    local result = neap{"-e", "print('no')", "--help", "-x"}
    assert.equal(0, result.code)
    assert.is_nil(result.stdout:find("^no"))
    assert.equal(neap{"--help"}.stdout, result.stdout)
  end)

  it("--version names Neap, Lua and libuv", function()
    local result = neap{"--version"}
    assert.same({code = 0, stderr = "", stdout = result.stdout}, result)
    assert.matches(
      "^Neap %d+%.%d+%.%d+ %(Lua 5%.4%.%d+, libuv 1%.%d+%.%d+%)\n$",
      result.stdout)
  end)

  -- debug mode tells where a task has created a coroutine that it lost
  local LOST = [[
    local lost = async(function() end)
    local main = async(function()
      lost()
      collectgarbage()
    end)
    run(main())]]

  local function reports_place(options)
    local result = program.run_script(LOST, options)
    assert.equal(0, result.code)
    assert.matches("was never awaited", result.stderr)
    return result.stderr:find("script.lua:3", 1, true) ~= nil
  end

  it("--debug turns debug mode on", function()
    assert.is_true(reports_place{options = {"--debug"}})
    assert.is_false(reports_place{})
  end)

  it("NEAP_DEBUG=1 does, too, unless -E is given", function()
    assert.is_true(reports_place{env = {NEAP_DEBUG = "1"}})
    assert.is_false(reports_place{env = {NEAP_DEBUG = "0"}})
    assert.is_false(reports_place{env = {NEAP_DEBUG = "1"}, options = {"-E"}})
    assert.is_true(reports_place{env = {NEAP_DEBUG = "1"},
      options = {"-E", "--debug"}})
  end)

  it("finds Neap's own modules beside the program", function()
    local result = neap{"-e", "print(type(require('asyncio')))"}
    assert.same({code = 0, stdout = "table\n", stderr = ""}, result)
  end)
end)
