-- repl_signal_spec.lua - the interactive mode on a terminal: Ctrl-C, Ctrl-D,
-- Ctrl-Z, other signals, and how it ends.

local program = require "program"
local terminal = require "terminal"
local time = require "time"

local function open(options)
  if not terminal.exists then pending("tmux is not installed") end
  return terminal.open_repl(options)
end

-- Defines cleanup(seconds): an async function that waits for ever, and when it
-- is cancelled takes so long to clean up.
local CLEANUP = [[
function async.cleanup(seconds)
  local scope <close> = setmetatable({}, {__close = function()
    print "cleanup"
    await(sleep(seconds))
    print "clean"
  end})
  print "begun"
  await(sleep(1000))
end
]]

-- The process that runs in the terminal.
local function pid_of(t)
  t:type("require 'process'.pid\n")
  return t:expect("pid\n"):match "pid\n(%d+)"
end

-- A call of a function in C that takes for ever.
local LONG = "(('a'):rep(30000):find(('a*'):rep(30) .. 'b'))"

-- Waits until the process has ended; `again` is called until then.
local function ends(pid, again)
  local deadline = time.monotonic() + 30
  while os.execute("kill -0 " .. pid .. " 2>/dev/null") do
    again()
    assert(time.monotonic() < deadline, "it runs on")
  end
end

describe("Ctrl-C in the interactive mode", function()
  it("discards the line, and what it continues", function()
    local t <close> = open()
    t:type("error(")
    t:press("C-c")
    t:expect_last("> error(\n>")
    t:type("do\n")
    t:expect_last(">>")
    t:type("x")
    t:press("C-c")
    t:expect_last(">> x\n>")
    t:type("1\n")
    t:expect_last("\n1\n>")
  end)

  it("cancels what is awaited, and names at once the tasks that are left", function()
    local t <close> = open()
    t:type("do create_task(sleep(1000), {name = 'sleeper'}) print 'started' await(asyncio.Future()) end\n")
    t:type("\x15asyncio = require 'asyncio'\n")
    t:expect_last("asyncio = require 'asyncio'\n>")
    t:type("await(print 'begun' or asyncio.Future())\n") -- nothing can wake it
    t:expect("\nbegun")
    t:press("C-c")
    t:expect_last("KeyboardInterrupt\n>")
    t:press("C-c", "C-c")
    t:expect("still running: sleeper")
    t:expect_last("\n>")
  end)

  it("interrupts a loop that spins, also one that catches errors", function()
    local t <close> = open()
    t:type("print 'begun' while true do end\n")
    t:expect("\nbegun")
    t:press("C-c")
    t:expect("interrupted!")
    t:expect_last("in main chunk\n>")
    t:type("print 'again' while true do pcall(function() while true do end end) end\n")
    t:expect("\nagain")
    t:press("C-c")
    t:expect_last("again\n^CKeyboardInterrupt\n>")
  end)

  it("interrupts nothing of the prompt's own", function()
    local t <close> = open()
    local pid = pid_of(t)
    local held = t.folder:file "held"
    local holder <close> = assert(io.popen(("flock %s sh -c 'echo >%s; read line'"):format(
      t.folder:file "state/neap/history", held), "w"))
    assert(os.execute(("until test -e %s; do sleep 0.01; done"):format(held)))
    t:type("2\n") -- which waits 0.2 s for the history
    assert(os.execute("kill -INT " .. pid))
    holder:write "\n"
    t:type("\x151\n")
    local screen = t:expect_last("\n1\n>")
    assert.is_nil(screen:find("interrupted!", 1, true))
    assert.is_nil(screen:find("killed", 1, true)) -- a task that was cancelled before it began
  end)

  it("interrupts a task of the background that spins", function()
    local t <close> = open()
    t:type("do create_task(async(function() await(sleep(0.01)) print 'begun' while true do end end)()) end\n")
    t:expect("\nbegun")
    t:press("C-c")
    t:expect("interrupted!")
    t:expect_last("\n>")
    t:type("2\n")
    t:expect_last("\n2\n>")
  end)

  it("interrupts the report of an error that spins, whoever collects its task", function()
    local t <close> = open()
    t:type("spin = setmetatable({}, {__tostring = function() print 'begun' while true do end end})\n")
    for _, code in ipairs {"", " collectgarbage()"} do
      t:press("C-l")
      t:type("do create_task(async(function() error(spin) end)()) end" .. code .. "\n")
      t:expect("\nbegun")
      t:press("C-c")
      t:expect("its __tostring fails")
      t:expect_last("\n>")
      t:type("2\n")
      t:expect_last("\n2\n>")
    end
  end)

  it("ends a cleanup that takes long, as a second cancel does", function()
    local t <close> = open()
    t:paste(CLEANUP)
    t:expect_last("\n>")
    t:type("await(cleanup(0.01))\n")
    t:expect("\nbegun")
    t:press("C-c")
    t:expect_last("cleanup\nclean\nKeyboardInterrupt\n>")
    t:press("C-l")
    t:type("await(cleanup(1000))\n")
    t:expect("\nbegun")
    t:press("C-c")
    t:expect("\ncleanup")
    t:press("C-c")
    t:expect_last("KeyboardInterrupt\n>")
    assert.is_nil(t:screen():find("clean\n", 1, true))
  end)

  it("ends the program when it comes again to what cannot be interrupted", function()
    local spin = "{%s = function() print 'begun' while true do end end}"
    for _, code in ipairs {
      "setmetatable({}, " .. spin:format "__gc" .. ") collectgarbage()",
      "do setmetatable({}, " .. spin:format "__gc" .. ") end", -- collected while a line is typed
      "do print 'begun' print(" .. LONG .. ") end",
    } do
      local t <close> = open()
      local pid = pid_of(t)
      t:type("create_task(sleep(0))\n" .. code .. "\n")
      t:expect("\nbegun")
      ends(pid, function() os.execute(("kill -INT %s 2>/dev/null; sleep 0.1"):format(pid)) end)
      t:expect("ended: 130")
      t:type("seen\n") -- the terminal shows what is typed
      t:expect("\nseen\nseen")
    end
  end)

  it("tells of an error that only looks like a cancellation", function()
    local t <close> = open()
    t:type("require 'asyncio'.catch(await, sleep(print 'begun' or 1000)) error('CancelledError: no', 0)\n")
    t:expect("\nbegun")
    t:press("C-c")
    t:expect("\n^CCancelledError: no\nstack")
    t:expect_last("\n>")
  end)

  it("gives the prompt back from a task that does not let itself be cancelled", function()
    local t <close> = open()
    t:type("n = 0; while true do n = n + 1 require 'asyncio'.catch(await, sleep(1000)) print('caught ' .. n) end\n")
    t:press("C-c")
    t:expect("caught 1")
    t:press("C-c")
    t:expect("caught 2")
    t:press("C-c")
    t:expect_last("it goes on in the background\n>")
    t:type("n\n")
    t:expect_last("\n3\n>")
  end)
end)

describe("Ctrl-\\ in the interactive mode", function()
  it("tells above the line what the tasks await", function()
    local t <close> = open()
    t:type("do create_task(sleep(1000), {name = 'sleeper'}) end\n")
    t:type("half")
    t:expect_last("> half")
    t:press("C-\\")
    t:expect("task 'sleeper' sleeping")
    t:expect_last("\n> half")
  end)
end)

describe("the end of the interactive mode", function()
  it("cancels tasks, whose cleanup runs, in rounds", function()
    local t <close> = open()
    t:paste(CLEANUP)
    t:type("do create_task(cleanup(0.01)) create_task(async(function() await(sleep(0)) " ..
      "local x <close> = setmetatable({}, {__close = function() create_task(cleanup(0)) await(sleep(0)) end}) " ..
      "await(sleep(1000)) end)()) end\n")
    t:expect_last("\nbegun\n>")
    t:press("C-d")
    t:expect_last("ended: 0")
    local screen = t:screen()
    assert.equal(2, select(2, screen:gsub("\nclean\n", "%0")))
    assert.equal(2, select(2, screen:gsub("\nbegun\n", "%0")))
  end)

  it("waits for no cleanup after Ctrl-C", function()
    local t <close> = open()
    t:paste(CLEANUP)
    t:type("do create_task(cleanup(1000)) end\n")
    t:expect_last("\nbegun\n>")
    t:press("C-d")
    t:expect("\ncleanup")
    t:press("C-c")
    t:expect_last("ended: 0")
  end)

  it("waits for no task that nothing can wake", function()
    local t <close> = open()
    t:type("do create_task(async(function() local a = require 'asyncio' await(sleep(0)) " ..
      "while true do a.catch(await, a.Future()) end end)()) end\n")
    t:expect_last("\n>")
    t:press("C-d")
    t:expect_last("ended: 0")
  end)

  it("comes with an exit code when a script asks for it", function()
    for _, code in ipairs {"os.exit(3)", "require 'process'.exit(3)", "await(sleep(0)) require 'process'.exit(3)",
      "do create_task(async(function() await(sleep(0)) os.exit(3) end)()) end",
      "do create_task(async(function() await(sleep(0.01)) require 'process'.exit(3) end)()) end"} do
      local t <close> = open()
      t:type(code .. "\n")
      t:expect_last("ended: 3")
    end
  end)

  it("leaves the terminal as it was", function()
    local t <close> = open {words = {"-e", "os.execute 'stty -a >before'", "-i"}}
    t:type("1\n")
    t:expect_last("\n1\n>")
    t:type("os.execute 'stty -a >during'\n")
    t:expect_last("0\n>")
    t:press("C-d")
    t:expect_last("ended: 0")
    assert.equal(program.read(t.folder:file "before"), program.read(t.folder:file "during"))
  end)

  it("comes with the terminal's, and with a signal", function()
    for _, signal in ipairs {"HUP", "TERM"} do
      local t <close> = open()
      local pid = pid_of(t)
      t:paste(CLEANUP)
      t:type("do create_task(cleanup(0.01)) end\n")
      t:expect_last("\nbegun\n>")
      assert(os.execute(("kill -%s %s"):format(signal, pid)))
      t:expect("\nclean\n")
      t:expect_last("ended: " .. (signal == "HUP" and 129 or 143))
    end
  end)

  it("cleans up whatever has become of the globals", function()
    local t <close> = open()
    t:paste(CLEANUP)
    t:type("ipairs, table, math, next, require, package, io = nil do create_task(cleanup(0)) end\n")
    t:expect_last("\nbegun\n>")
    t:press("C-d")
    t:expect("\ncleanup\nclean\n")
  end)

  it("comes with a signal that arrives behind Ctrl-C, or while tasks clean up", function()
    local t <close> = open()
    local pid = pid_of(t)
    t:type(("do io.popen('kill -INT %d; kill -TERM %d'):close() end\n"):format(pid, pid))
    t:expect_last("ended: 143")
    local two <close> = open()
    pid = pid_of(two)
    two:paste(CLEANUP)
    two:type("do create_task(cleanup(1000)) end\n")
    two:expect_last("\nbegun\n>")
    two:press("C-d")
    two:expect("\ncleanup")
    assert(os.execute("kill -TERM " .. pid))
    two:expect_last("ended: 143")
  end)

  it("with a signal leaves nothing unwritten", function()
    local result = program.run({program.neap, "-i"}, {stdin = CLEANUP:gsub("\n", " ") ..
      "\ndo create_task(cleanup(0)) await(sleep(0)) " ..
      "os.execute('kill -TERM ' .. require 'process'.pid) await(sleep(1000)) end\n"})
    assert.matches("begun\ncleanup\nclean\n", result.stdout, 1, true)
  end)

  -- Calls act(session, kill, what ends the session's text) for each signal.
  local function each_signal(act)
    for signal, code in pairs {HUP = 129, TERM = 143} do
      local t <close> = open()
      local pid = pid_of(t)
      local function kill() assert(os.execute(("kill -%s %s"):format(signal, pid))) end
      act(t, kill, "ended: " .. code)
    end
  end

  it("comes with a signal while a loop spins that catches errors", function()
    each_signal(function(t, kill, ended)
      t:type("print 'begun' while true do pcall(function() while true do end end) end\n")
      t:expect("\nbegun")
      kill()
      t:expect(ended)
    end)
  end)

  it("comes with a signal when nothing can be interrupted", function()
    each_signal(function(t, kill, ended)
      t:type("print 'begun' print(" .. LONG .. ")\n")
      t:expect("\nbegun")
      kill()
      t:expect(ended)
    end)
  end)

  it("comes with a signal when a finalizer does not end", function()
    each_signal(function(t, kill, ended)
      t:type("kept = setmetatable({}, {__gc = function() print 'begun' while true do end end})\n")
      t:expect_last("\n>")
      kill()
      t:expect("\nbegun\n")
      t:expect_last(ended)
    end)
  end)

  it("comes when the terminal goes away, also where nobody tells so", function()
    -- A shell that leads the session, and ends, sends SIGCONT, which takes back the SIGSTOP by which LeakSanitizer
    -- holds the threads: it would wait for ever. The other ends are looked at for leaks.
    local env = {ASAN_OPTIONS = (os.getenv "ASAN_OPTIONS" or "") .. ":detect_leaks=0"}
    for _, trap in ipairs {"", "trap '' HUP; "} do
      local pid
      do
        local t <close> = open {words = {}, before = trap, env = env}
        pid = pid_of(t)
      end
      ends(pid, function() time.sleep(0.01) end)
    end
  end)

  it("stops on Ctrl-Z, and goes on", function()
    if not terminal.exists then pending("tmux is not installed") end
    local t <close> = terminal.open({"sh", "-i"}, {env = {PS1 = "shell$ ", ENV = false, TMUX = false}})
    t:expect_last("shell$")
    t:type(program.neap .. "\n")
    t:expect_last("\n>")
    t:type("x = 'ab")
    t:press("C-z")
    t:expect_last("shell$")
    t:type("echo $((1 + 1))\n")
    t:expect_last("\n2\nshell$")
    t:type("fg\n")
    t:expect_last("> x = 'ab")
    t:type("c'\n")
    t:type("x\n")
    t:expect_last('"abc"\n>')
  end)
end)

describe("Ctrl-Z in the interactive mode", function()
  it("stops nothing where no shell could go on with it", function()
    local t <close> = open()
    t:type("'ab")
    t:expect_last("> 'ab")
    t:press("C-z")
    t:type("c'\n")
    t:expect_last('"abc"\n>')
  end)
end)

describe("the start of the interactive mode", function()
  it("tells whose prompt it is, below what lua tells", function()
    local t <close> = open()
    assert.equal(("%s\nNeap %s. Type \".help\" for more information.\n>"):format(
      program.capture(program.quote(program.neap) .. " -v"),
      program.capture(program.quote(program.neap) .. " --version"):match "^Neap (%S+)"), t:screen())
  end)

  it("comes after LUA_INIT, options and the script", function()
    local folder <close> = program.folder()
    folder:write("s.lua", "run(async(function() await(sleep(0)) made = init .. given end)())")
    local t <close> = open {words = {"-i", "-e", "given = 2", folder:file "s.lua"}, env = {LUA_INIT = "init = 1"}}
    t:type("made\n")
    t:expect_last('"12"\n>')
  end)

  it("needs no terminal that can be edited on", function()
    local t <close> = open {env = {TERM = "dumb"}}
    t:type("do create_task(async(function() for i = 1, 2 do await(sleep(0.01)) print('tick ' .. i) end end)()) end\n")
    t:expect("tick 1\ntick 2")
    t:type("print('reads'), await(sleep(1000))\n")
    t:expect("\nreads") -- before that the terminal would forget the line
    t:press("C-c")
    t:expect_last("KeyboardInterrupt\n>")
    t:press("C-c")
    t:expect_last("\n>")
    t:type("1\n")
    t:expect_last("\n1\n>")
    t:press("C-d")
    t:expect_last("ended: 0")
  end)

  it("needs no terminal at all", function()
    local result = program.run("exec setsid " .. program.quote(program.neap) .. " -i",
      {stdin = "await(sleep(0.01, 5))\n" ..
        "create_task(async(function() await(sleep(0)) print 'ran' end)()) print 'x'\nsleep"})
    assert.equal(0, result.code)
    assert.matches("> 5\n> x\nran\n> function", result.stdout, 1, true)
  end)

  it("loads libedit for itself alone", function()
    local maps = "for line in io.lines '/proc/self/maps' do if line:find 'libedit' then print 'libedit' return end end"
    assert.equal("", program.run({program.neap, "-e", maps}).stdout)
    assert.is_nil(program.run({program.neap, "-i"}, {stdin = maps .. "\n"}).stdout:find("libedit", 1, true))
    local t <close> = open()
    t:type(maps .. "\n")
    t:expect_last("\nlibedit\n>")
  end)
end)
