-- repl_terminal_spec.lua - the interactive mode on a terminal: typing while
-- tasks run, editing, signals.

local program = require "program"
local terminal = require "terminal"

-- Opens the interactive mode, and waits for the prompt.
local function open(options)
  if not terminal.exists then pending("tmux is not installed") end
  return terminal.open_repl(options)
end

-- Types lines, and waits for what comes of each.
local function talk(t, ...)
  local lines = {...}
  for i = 1, #lines, 2 do
    t:type(lines[i] .. "\n")
    t:expect_last(lines[i + 1] .. "\n>")
  end
end

local TICKS = [[do create_task(async(function() for i = 1, 3 do await(sleep(0.05)) print("tick " .. i) end end)()) end]]

describe("the interactive mode on a terminal", function()
  it("shows results, keeps them, and says what went wrong", function()
    local t <close> = open()
    talk(t, "6 * 7", "42", "_ + 1, 'x'", "43  \"x\"", "_1, _2", "42  43",
      "{b = 1, 'a'}", "{\"a\", b = 1}", "error 'no'", "in main chunk", "=nil", "nil")
    t:type("x =\n")
    t:expect_last(">>")
    t:type(")\n")
    t:expect_last("unexpected symbol near ')'\n>")
  end)

  it("awaits", function()
    local t <close> = open()
    talk(t, "function async.f(x) await(sleep(0.01)) return x, 'y' end", "end",
      "await(f(5))", "5  \"y\"", "local a, b = await(gather(f(1), f(2)))", "without the word local it stays",
      "await(create_task(f(8)))", "8  \"y\"", "run(f(9))", "9  \"y\"")
  end)

  it("gives the scopes of a line the error as it is", function()
    local t <close> = open()
    t:type("do local scope <close> = require 'asyncio'.timeout(0.01) await(sleep(1000)) end\n")
    t:expect("\nTimeoutError\nstack traceback:")
    t:expect_last("\n>")
    t:press("C-l")
    talk(t, "do local scope <close> = setmetatable({}, {__close = function(_, e) print('e:', e) end}) error 'no' end",
      "\ne:      stdin:1: no\nstdin:1: no\nstack traceback:\n" ..
      "        [C]: in function 'error'\n        stdin:1: in main chunk")
  end)

  it("runs tasks, and tells once of their errors, while a line is typed", function()
    local t <close> = open()
    t:type(TICKS .. "\n")
    t:type("half of a l")
    t:expect("\ntick 1\ntick 2\ntick 3\n> half of a l")
    t:press("C-u")
    t:type("do create_task(async(function() await(sleep(0.01)) error('oh', 0) end)()) end\n")
    t:type("another")
    t:expect("Task exception was never retrieved")
    t:expect_last("\n> another")
    t:press("C-u")
    t:type("collectgarbage()\n")
    local screen = t:expect_last("\n0\n>")
    assert.equal(1, select(2, screen:gsub("never retrieved", "")))
  end)

  it("tells of the error of a task that ends as it begins, also while another is always busy", function()
    local t <close> = open()
    for i, busy in ipairs {"", "while true do await(sleep(0)) end "} do
      t:type(("do create_task(async(function() await(sleep(0.1)) " ..
        "create_task(async(function() error('oh%d', 0) end)()) %sawait(sleep(1000)) end)()) end\n"):format(i, busy))
      t:expect(("\noh%d\nstack"):format(i))
      t:expect_last("\n>")
    end
  end)

  it("tells of the error of a task that a variable holds, if nobody has awaited it", function()
    local t <close> = open()
    t:type("function async.f() await(sleep(0.01)) error('oh', 0) end\n")
    t:type("create_task(f())\n")
    t:expect("never retrieved")
    t:expect_last("\n>")
    talk(t, "select(2, pcall(error, _:exception()))", 'Exception: oh')
    t:press("C-l")
    t:type("a = create_task(f())\n")
    t:expect("never retrieved")
    t:press("C-l")
    talk(t, "b = create_task(f()) pcall(await, b)", "b)", "b:done(), a:done(), _1:done()", "true  true  true")
    assert.is_nil(t:screen():find("never", 1, true))
  end)

  it("takes prompts with colours, as for readline, too, and of several lines", function()
    local t <close> = open()
    local typed = t.folder:file "typed"
    t:type(("do create_task(async(function() while true do await(sleep(0.01)) " ..
      "if os.remove %q then print '1\\n2' print '3' end end end)()) end\n"):format(typed))
    t:expect_last("\n>")
    for prompt, last in pairs {
      ["\\27[32mgreen>\\27[0m "] = "green> ", ["\\1\\27[1m\\2\\27[31mred>\\27[0m"] = "red> ",
      ["\\27]0;title\\a\\27[7m \\27[0m"] = " ", ["two\\n\\27[33mlines> "] = "lines> ",
    } do
      t:press("C-l")
      t:type(("_PROMPT = '%s'\n"):format(prompt))
      t:type("half")
      t:expect_last("\n" .. last .. "half")
      program.write(typed, "")
      t:expect_last((prompt:find "two" and "'\ntwo" or "'") .. "\n1\n2\n3\n" .. last .. "half")
      t:press("Left", "Left") -- of as many columns as it has
      t:type("x")
      t:expect_last("\n" .. last .. "haxlf")
      t:press("C-u")
    end
  end)

  it("leaves what is printed without a newline whole", function()
    local t <close> = open {width = 25}
    t:type("do create_task(async(function() for i = 1, 5 do await(sleep(0.02)) io.write(i, '.') end " ..
      "print '!' end)()) end\n")
    t:type("typed")
    t:expect_last("\n1.2.3.4.5.!\n> typed")
    t:press("C-u")
    for _, letter in ipairs {"x", "日"} do -- which do not fit into the rows, or do
      t:press("C-u")
      t:type(("do create_task(async(function() for i = 1, 4 do await(sleep(0.02)) io.write(('%s'):rep(15)) end " ..
        "print '!' end)()) end\n"):format(letter))
      t:type("typed")
      t:expect_last("end\n" .. letter:rep(60) .. "!\n> typed")
    end
    t:press("C-u")
    t:type("do io.write 'no newline' end\n")
    t:expect_last("\nno newline\n>")
  end)

  it("continues what is not complete, and keeps it as one entry of the history", function()
    local t <close> = open()
    t:type("for i = 1, 2 do\n")
    t:expect_last(">>")
    t:type("print(i)\nend\n")
    t:expect_last("\n1\n2\n>")
    t:press("Up")
    t:expect_last("\n> for i = 1, 2 do\nprint(i)\nend")
    t:press("Enter")
    t:expect_last("\nend\n1\n2\n>")
  end)

  it("continues an expression, and shows what it gives", function()
    local t <close> = open()
    for _, line in ipairs {"{1,", "2}", "1 +", "math.max(2,", "3)"} do
      t:type(line .. "\n")
      t:expect_last(line == "2}" and "{1, 2}\n>" or line == "3)" and "\n4\n>" or "\n>>")
    end
    talk(t, "x = = 1", "unexpected symbol near '='")
  end)

  it("keeps its history for the next time, and for other sessions", function()
    local t <close> = open()
    local two <close> = open {env = {XDG_STATE_HOME = t.folder:file "state"}}
    talk(t, "'first'", '"first"')
    talk(two, "'second'", '"second"')
    talk(t, "'th\\\\ird'", '"th\\\\ird"')
    local three <close> = open {env = {XDG_STATE_HOME = t.folder:file "state"}}
    three:press("Up")
    three:expect_last("> 'th\\\\ird'")
    three:press("Up")
    three:expect_last("> 'second'")
    three:press("Up")
    three:expect_last("> 'first'")
    three:press("C-c")
    three:press("C-r")
    three:type("sec")
    three:expect_last("> 'second'\nbck:sec")
    three:press("C-c")
    three:expect_last("> 'second'\nbck:sec\n>")
    local file = t.folder:file "state/neap/history"
    assert.equal("700 600", program.capture("stat -c %a " .. t.folder:file "state/neap") .. " " ..
      program.capture("stat -c %a " .. file))
    assert.equal("'first'\n'second'\n'th\\\\\\\\ird'\n", program.read(file))
  end)

  it("makes a history private that was not, and does without one that others hold", function()
    local t <close> = open()
    local file = t.folder:file "state/neap/history"
    talk(t, "'first'", '"first"')
    assert(os.execute("chmod 644 " .. file))
    talk(t, "'second'", '"second"')
    assert.equal("600", program.capture("stat -c %a " .. file))
    local held = t.folder:file "held"
    local holder <close> = assert(io.popen(("flock %s sh -c 'echo >%s; read line'"):format(file, held), "w"))
    assert(os.execute(("until test -e %s; do sleep 0.01; done"):format(held)))
    talk(t, "'third'", '"third"')
    holder:write "\n" -- enough
    assert.equal("'first'\n'second'\n", program.read(file))
  end)

  it("ends the last line of a history that an editor has not ended", function()
    local t <close> = open()
    local file = t.folder:file "state/neap/history"
    t:type("1\n")
    t:expect_last("\n1\n>")
    program.write(file, "edited")
    t:type("2\n")
    t:expect_last("\n2\n>")
    assert.equal("edited\n2\n", program.read(file))
  end)

  it("is no reader of a pipe where its history should be", function()
    local t <close> = open()
    local file = t.folder:file "state/neap/history"
    talk(t, "'first'", '"first"')
    assert(os.execute(("rm %s && mkfifo %s"):format(file, file)))
    talk(t, "'second'", '"second"')
    local two <close> = open {env = {XDG_STATE_HOME = t.folder:file "state"}}
    talk(two, "'third'", '"third"')
  end)

  it("keeps a history of bounded size", function()
    local t <close> = open()
    t:type("for i = 1, 3000 do local s = require 'neap.repl.editor' " ..
      "s.history_append(os.getenv 'XDG_STATE_HOME' .. '/neap/history', i .. (' '):rep(100)) end\n")
    t:expect_last("end\n>")
    local text = program.read(t.folder:file "state/neap/history")
    assert.is_true(#text < 300000)
    assert.matches("\n3000 +\n$", text)
    assert.matches("^%d+ +\n", text)
  end)

  it("keeps its history when an entry is too large for the file", function()
    local t <close> = open()
    local code = "do local history, append = os.getenv 'XDG_STATE_HOME' .. '/neap/history', " ..
      "require 'neap.repl.editor'.history_append "
    talk(t, "'first'", '"first"')
    code = code .. "append(history, ('x'):rep(300000)) append(history, 'last') end"
    talk(t, code, "end")
    assert.equal("'first'\n" .. code .. "\nlast\n", program.read(t.folder:file "state/neap/history"))
  end)

  it("works where a script guards the globals, or breaks a library", function()
    local t <close> = open {words = {"-e", "setmetatable(_G, {__newindex = error})", "-i"}}
    talk(t, "6 * 7", "42", "_ + _1", "84")
    t:type("string.find = nil\n")
    talk(t, "_", "\n> _\n84")
    talk(t, "package.loaded['neap.repl.typing'] = {}", "= {}", "_2", "\n84")
    t:expect("attempt to call a nil value")
    t:type("string.find = string.match\n") -- which does as well
    t:type("await, async = nil\n.time 1\n")
    t:expect("\nwall ")
  end)

  it("lets no script open its terminal again, nor close it", function()
    local t <close> = open()
    local typed = t.folder:file "typed"
    t:type("do local e = require 'neap.repl.editor' create_task(async(function() " ..
      ("while not io.open %q do await(sleep(0.01)) end "):format(typed) ..
      "print(pcall(e.open)) print(e.close, require 'neap.repl.session'.close) end)()) end\n")
    t:expect_last("\n>")
    t:type("half")
    t:expect_last("\n> half")
    program.write(typed, "")
    t:expect_last("\nfalse   the terminal is open\nnil     nil\n> half")
  end)

  it("tells of errors in a command as of those in a line", function()
    local t <close> = open()
    t.folder:write("fails.lua", "local x = nil\nx()")
    talk(t, ".load /nope", ".load /nope\ncannot open /nope: No such file or directory",
      ".time syntax error", ".time syntax error\nstdin:1: syntax error near 'error'",
      ".time error 'no'", ".time error 'no'\nstdin:1: no\nstack traceback:\n" ..
        "        [C]: in function 'error'\n        stdin:1: in main chunk",
      ".load fails.lua", ".load fails.lua\nfails.lua:2: attempt to call a nil value (local 'x')\n" ..
        "stack traceback:\n        fails.lua:2: in main chunk")
  end)

  it("gives Lua its streams back at the end, whatever names they have", function()
    local t <close> = open()
    t:type("out, io = io.stdout, nil\n")
    t:expect_last("\n>")
    t:type("setmetatable({}, {__gc = function() out:write 'at the end\\n' end})\n")
    t:press("C-d")
    t:expect("\nat the end\n")
    t:expect_last("ended: 0")
  end)

  it("completes words", function()
    local t <close> = open()
    t:type("string.forma")
    t:press("Tab")
    t:expect_last("> string.format")
    t:press("C-u")
    t:type("task = create_task(sleep(0, 5))\n")
    t:expect_last("\n>")
    t:type("=task:get_n")
    t:press("Tab")
    t:expect_last("> =task:get_name")
    t:press("C-u")
    t:type("string.re")
    t:press("Tab")
    t:expect("rep")
    t:expect_last("\n> string.re")
  end)

  it("lists what there is to choose from", function()
    local t <close> = open()
    for _, name in ipairs {"abc.lua", "abd.lua", "abd.txt"} do t.folder:write(name, "") end
    t:type(".load ab")
    t:press("Tab")
    t:expect("\nabc.lua  abd.lua  abd.txt\n> .load ab")
    t:press("C-u")
    t:type(".help asyncio.Tim")
    t:press("Tab")
    t:expect_last("asyncio.TimeoutError")
    t:press("C-u")
    t:type(".help asyncio.time")
    t:press("Tab")
    t:expect("\ntime        timeout     timeout_at\n")
    t:press("C-u")
    for i = 1, 9 do t.folder:write("full" .. i, "") end -- 7 columns each
    t:resize(24, 24)
    t:type(".load full")
    t:press("Tab")
    t:expect("\nfull1  full4  full7\nfull2  full5  full8\nfull3  full6  full9\n> .load full")
  end)

  it("does not depend on the globals that are typed over, nor on their metatable", function()
    local t <close> = open()
    talk(t, "table = {1, 2}", "2}", "table", "{1, 2}",
      "string, next, type, error, ipairs, math, os, rawget, pairs = 1, 2, 3, 4, 5, 6, 7, 8, 9", "9",
      "{next}", "{2}", ".help sleep", "or nothing", ".tasks", "no tasks", "require = nil", "nil")
    t:type("coll")
    t:press("Tab")
    t:expect_last("> collectgarbage")
    t:press("C-u")
    talk(t, ".reset", "are forgotten", "table.concat {1}", '"1"',
      "do setmetatable(_G, {__index = error, __newindex = error}) end", "end", "5", "5", "_", "5")
    t:type("do debug.setmetatable('', nil) end\n")
    t:type("print(8)\n")
    t:expect("\n8\n>")
    t:type("coll")
    t:press("Tab")
    t:expect_last("> collectgarbage")
  end)

  it("does not depend on what is in the libraries", function()
    local t <close> = open()
    talk(t, "for _, t in next, {string, table, math, os, utf8, io} do for k in next, t do t[k] = nil end end", "end",
      "x, {1}", "nil  {1}", ".help sleep", "or nothing", ".tasks", "no tasks")
    t:type(".time 1\n")
    t:expect("\nwall ")
    t:expect_last("\n>")
    t:type("co")
    t:press("Tab")
    t:expect("\ncollectgarbage  coroutine\n> co")
    t:press("C-u")
    talk(t, ".reset", "are forgotten")
  end)

  it("begins also where a script has done away with globals", function()
    local t <close> = open {words = {"-e", "ipairs, type, table = nil, 'x', 5", "-i"}}
    t:type("await(sleep(0), print(8))\n")
    t:expect("\n8\n")
    t:expect_last("\n>")
  end)

  it("shows many results", function()
    local t <close> = open()
    talk(t, "table.unpack({}, 1, 300000)", "nil  nil", "1", "1")
  end)

  it("takes UTF-8, and bytes that are none", function()
    local t <close> = open()
    talk(t, "#'é€😀'", "9")
    t:type("#'é€x")
    t:press("BSpace", "BSpace")
    t:type("'\n")
    t:expect_last("> #'é'\n2\n>")
    t:send("('\xff\xc3('):byte(1, -1)\r")
    t:expect_last("255  195  40\n>")
  end)

  it("takes a line longer than the screen has room for", function()
    local t <close> = open()
    t:send("#'" .. ("x"):rep(20000) .. "'\r")
    t:expect_last("\n20000\n>")
  end)

  it("shows a key at once while many tasks run", function()
    local t <close> = open()
    t:type("n = 0; function async.count() while true do n = n + 1 await(sleep(0)) end end\n")
    t:type("for i = 1, 10000 do create_task(count()) end\n")
    t:expect_last("end\n>")
    t:type("typed = n")
    t:expect_last("> typed = n")
    t:type("\nn > typed\n")
    t:expect_last("true\n>")
    t:press("C-d")
    t:expect_last("ended: 0")
  end)

  it("takes a line without end", function()
    local t <close> = open()
    for _ = 1, 20 do t:send(("x"):rep(50000)) end
    t:press("C-c")
    t:expect_last("x\n>")
    t:type("1\n")
    t:expect_last("\n1\n>")
  end)

  it("shows nothing of what is pasted that a terminal would obey", function()
    local t <close> = open()
    t:send("\27[200~x = '\xc2\x9b31m\x7f\xff\1é'\nreturn #x\27[201~")
    t:press("Enter")
    t:expect_last("> x = '?31m???é'\n>> return #x\n10\n>")
  end)

  it("shows the line again when its completion fails", function()
    local t <close> = open()
    talk(t, "package.loaded['neap.repl.completion'] = {}", "{}")
    t:type("str")
    t:press("Tab")
    t:expect("complete: ")
    t:expect_last("\n> str")
  end)

  it("runs what is pasted as one piece", function()
    local t <close> = open()
    t:paste("local n = 1\nlocal function f()\n\treturn n + 1\nend\nprint(f())")
    t:expect_last("\n>> print(f())")
    t:press("Enter")
    t:expect_last("\n2\n>")
    t:paste("1 +")
    t:paste(" 2")
    t:expect_last("> 1 + 2")
    t:press("C-u")
    local lines = {}
    for i = 1, 500 do lines[i] = ("total = (total or 0) + %d\n"):format(i) end
    t:paste(table.concat(lines))
    talk(t, "total", "125250")
    t:paste(table.concat(lines), true) -- line by line
    talk(t, "total", "250500")
  end)

  it("takes a paste whole in a search, and leaves nothing of one that Ctrl-C has cut short", function()
    local t <close> = open()
    talk(t, "found = 1", "1")
    t:press("C-r")
    t:type("fou")
    t:expect_last("bck:fou")
    t:paste("x = 2\ny = x\nz = y --")
    t:expect_last("\n> x = 2\ny = x\n>> z = y --found = 1")
    talk(t, "", "", "x, y, z, found", "2  2  2  1")
    t:send("\27[200~abc")
    t:press("C-c")
    t:expect_last("\n>")
    t:send("def\27[201~")
    t:expect_last("\n> def")
  end)

  it("takes what was typed while a line ran", function()
    local t <close> = open()
    t:type("do os.execute 'until test -e go; do sleep 0.01; done' end\n")
    t:type("string.forma")
    t:expect_last("end\nstring.forma")
    t.folder:write("go", "")
    t:expect_last("end\n> string.forma")
    t:press("Tab")
    t:expect_last("end\n> string.format")
  end)

  it("has its own keys besides those of vi", function()
    local home <close> = program.folder()
    home:write(".editrc", "bind -v\n")
    local t <close> = open {env = {HOME = home.path}}
    t:type("string.forma")
    t:press("Tab")
    t:expect_last("> string.format")
    t:press("C-u")
    t:paste("x = 1\ny = 2\n")
    talk(t, "x", "1")
    t:press("C-d")
    t:expect_last("ended: 0")
  end)

  it("goes on when the window is resized", function()
    local t <close> = open()
    local line = "'" .. ("abcdefghi "):rep(9)
    t:type(line)
    t:expect_last(line:sub(1, -2))
    t:resize(50, 20)
    t:type("x'")
    t:expect(line .. "x'")
    t:press("Enter")
    t:expect_last('x"\n>')
  end)

  it("knows its place in a line that has more rows than the screen", function()
    for _, letter in ipairs {"a", "日"} do
      local t <close> = open {width = 20, height = 4}
      t:send(letter:rep(100))
      t:press("Home", "End")
      for _ = 1, 3 do t:send(letter:rep(30)) end
      t:press("C-c")
      t:expect_last("\n>")
      t:type("1\n")
      t:expect_last("\n1\n>")
    end
  end)

  it("goes on in a window that has room for nothing", function()
    local t <close> = open()
    t:resize(5, 3)
    t:send("\xe3\xb4\xa4L\xb1\xff\1\5\xcb\xdd\xeb\0\t\xf0\x9f\x98\x80\x0b")
    t:press("C-c")
    t:resize(80, 24)
    t:type("1\n")
    t:expect_last("\n1\n>")
  end)

  it("goes as the page of the house shows it", function()
    local page = program.read("README.md")
    local session = page:match("\n## A prompt\n.-```\n(.-)\n```")
    local t <close> = open {width = 110, height = 40}
    for line in session:gmatch "[^\n]+" do
      local typed = line:match "^>>? (.*)"
      if typed then
        t:expect_last("\n" .. line:match "^>+")
        t:type(typed .. "\n")
      else
        t:expect("\n" .. line)
      end
    end
    t:expect_last("\n" .. session .. "\n>")
  end)
end)
