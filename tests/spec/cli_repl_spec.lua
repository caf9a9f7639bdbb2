-- cli_repl_spec.lua - the interactive mode of neap.

local dropin = require "dropin"
local program = require "program"
local tasks = require "tasks"

local NEAP = program.neap
local run_both, same = dropin.run_both, dropin.same

local function neap(arguments, options)
  return program.run({NEAP, table.unpack(arguments)}, options)
end

describe("the interactive mode", function()
  -- Debian's lua5.4 reads with readline, which shows the lines it reads:
  -- take them out, one after the other.
  local function without_echo(text, stdin)
    local start = 1
    for line in stdin:gmatch("([^\n]*)\n") do
      local first, last = text:find("> " .. line .. "\n", start, true)
      assert(first, line)
      text = text:sub(1, first + 1) .. text:sub(last + 1)
      start = first + 2
    end
    return text
  end

  local function same_session(stdin, options)
    options = options or {}
    local ours, stock = run_both(options.words or {"-i"},
      {stdin = stdin, env = options.env})
    stock.stdout = without_echo(stock.stdout, stdin)
    assert.same(stock, ours)
    return ours
  end

  it("begins with the version and ends with a line of its own", function()
    assert.matches("^Lua 5.4[^\n]*\n> \n$", same_session("").stdout)
  end)

  it("prints the values of expressions", function()
    local result = same_session("1 + 1\n'a', nil, 2.0\n=7, 8\nnil\n;\n\nx\n")
    assert.matches("> 2\n> a\tnil\t2.0\n> 7\t8\n> nil\n> > > nil\n",
      result.stdout, 1, true)
  end)

  it("runs statements, and prints what return gives", function()
    same_session("x = 5\nx\nreturn x, x\nprint(x)\nlocal y = 1\ny\n=\n= =\n")
  end)

  it("reads on while a statement is not complete", function()
    local result = same_session("for i = 1, 2 do\nprint(i)\nend\n" ..
      "if true\nthen\n\nprint('yes') end\n" ..
      "s = [[a\n\nb]]\ns\n(function()\nprint('called') end)()\n")
    assert.matches(">> >> 1\n2\n", result.stdout, 1, true)
    assert.matches(">> called\n", result.stdout, 1, true)
  end)

  it("shows errors without the name of the program, and goes on", function()
    local result = same_session("error('x')\nlocal = 1\nerror({})\n" ..
      "error(nil)\nx.y\n3 +\n\n)\n" ..
      "error(setmetatable({}, {__tostring = function() return 'T' end}))\n")
    assert.matches("^stdin:1: x\n", result.stderr)
    assert.equal(0, result.code)
  end)

  it("gives the scopes of a line the error as lua does, but those of asyncio as they are", function()
    same_session("do local x <close> = setmetatable({}, {__close = function(_, e) print(e) end}) error('x') end\n")
    local result = neap({"-i"}, {
      stdin = "do local scope <close> = require 'asyncio'.timeout(0.01) await(sleep(1000)) end\n",
    })
    assert.matches("^TimeoutError\nstack traceback:\n", result.stderr)
  end)

  it("shows the errors of print", function()
    local result = same_session("print = nil\n1\n" ..
      "print = function() error('p', 0) end\n2\n")
    assert.matches("error calling 'print' (p)", result.stderr, 1, true)
  end)

  it("takes its prompts from _PROMPT and _PROMPT2", function()
    local result = neap({"-i"}, {
      stdin = "_PROMPT = 'one: '\n_PROMPT2 = setmetatable({}, " ..
        "{__tostring = function() return 'two: ' end})\ndo\nend\n",
    })
    assert.matches("\n> one: one: two: one: \n$", result.stdout)
    same_session("_PROMPT = '1> '\n_PROMPT2 = '2> '\ndo\nend\n_PROMPT = 42\n", {
      env = {LUA_INIT = "_PROMPT = '> '"},
      words = {"-i", "-e", "_PROMPT = '> '"},
    })
  end)

  it("ends when a prompt raises an error", function()
    local ours = neap({"-i"}, {
      stdin = "_PROMPT = setmetatable({}, " ..
        "{__tostring = function() error('no', 0) end})\n1\n",
    })
    assert.equal("no\n", ours.stderr)
    assert.equal(1, ours.code)
  end)

  it("says what is missing when input ends too early", function()
    local result = neap({"-i"}, {stdin = "for i = 1, 2 do\n"})
    assert.equal("stdin:1: 'end' expected near <eof>\n", result.stderr)
    assert.matches("> >> > \n$", result.stdout)
    assert.equal(0, result.code)
  end)

  it("goes on where memory is short", function()
    if tasks.sanitized then pending("address sanitizers need much more") end
    local result = program.run([[ulimit -v 40960; exec timeout 30 "$LUA" -i]], {
      stdin = "t = {} for i = 1, 1e9 do t[i] = {} end\n2 + 2\nt = nil\n60\n", env = {LUA = NEAP},
    })
    assert.equal("not enough memory\n", result.stderr)
    assert.matches("> > 4\n> > 60\n> ", result.stdout, 1, true)
    assert.equal(0, result.code)
  end)

  it("says so when no event loop can be opened, and goes on", function()
    -- three descriptors are open, and the three of the interactive mode
    local result = program.run([[ulimit -n 9; exec timeout 30 "$LUA" -i]], {
      stdin = "1 + 1\n)\n2\n", env = {LUA = NEAP},
    })
    assert.equal("no event loop can be opened\nstdin:1: unexpected symbol near ')'\nno event loop can be opened\n",
      result.stderr)
    assert.equal(0, result.code)
  end)

  it("ends though a callback starts its task again and again", function()
    local result = neap({"-i"}, {stdin = [[
function start() create_task(async(function() await(sleep(60)) end)()):add_done_callback(start) end
start()
await(sleep(0))
]]})
    assert.equal(0, result.code)
  end)

  it("takes a last line without newline, and lines with \\0", function()
    local result = neap({"-i"}, {stdin = "#'a\0b'\n#'a\0bc'"})
    assert.matches("> 3\n> 4\n> \n$", result.stdout)
  end)

  it("takes a line of 100 KB", function()
    local result = neap({"-i"}, {stdin = "#'" .. ("x"):rep(102400) .. "'\n1\n"})
    assert.matches("> 102400\n> 1\n", result.stdout)
    assert.equal("", result.stderr)
  end)

  it("shares standard input with the code that it runs", function()
    local result = neap({"-i"}, {stdin = "io.read()\nfor the code\n2\n"})
    assert.matches("> for the code\n> 2\n", result.stdout)
  end)

  it("lets tasks run while a line comes in pieces, also through a pipe that does not block", function()
    local folder <close> = program.folder()
    -- the rest of the line comes when a task has run
    local result = program.run([[
      mkfifo pipe; exec 3<>pipe
      (printf 'do create_task(async(function() await(sleep(0.01)) io.open("ran", "w"):close() end)()) end\nprint("b'
       for i in $(seq 1000); do test -e ran && break; sleep 0.01; done
       printf 'c", io.open("ran") ~= nil)\nos.exit(0)\n') >&3 &
      python3 -c 'import os; os.set_blocking(3, False)'
      exec timeout 30 "$LUA" -i <&3]], {cwd = folder.path, env = {LUA = NEAP}})
    assert.matches("> bc\ttrue\n", result.stdout, 1, true)
    assert.equal("", result.stderr)
  end)

  it("comes after the options and the script", function()
    local folder <close> = program.folder()
    folder:write("s.lua", "print('script', ...) local hidden = 1 shown = 2")
    local result = neap({"-i", "-e", "print('code')", "s.lua", "a"},
      {stdin = "hidden, shown, arg[1]\n", cwd = folder.path})
    assert.matches("^Lua[^\n]*\ncode\nscript\ta\n> nil\t2\ta\n", result.stdout)
  end)

  it("does not come after an error", function()
    local result = same({"-i", "-e", "error('x')"}, {stdin = "print(1)\n"})
    assert.equal(1, result.code)
  end)

  it("is there when standard input is a terminal", function()
    if not program.exists("script") then
      pending("no program that makes a terminal")
    end
    local result = program.run([[exec script -qec "$LUA" /dev/null]], {
      stdin = "6 * 7\nos.exit(5)\n",
      env = {LUA = program.quote(NEAP), TERM = "dumb"},
    })
    assert.matches("Lua 5.4", result.stdout, 1, true)
    -- the terminal shows what is typed when it comes, before or after prompts
    assert.matches("42\r\n> ", result.stdout)
    assert.equal(5, result.code)
  end)
end)
