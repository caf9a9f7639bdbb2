-- repl_commands_spec.lua - the commands of the REPL, and what .help knows.

local asyncio = require "asyncio"
local commands = require "neap.repl.commands"
local help = require "neap.repl.help"
local program = require "program"
local tasks = require "tasks"

-- A session that keeps what is printed, and evaluates expressions.
local function new_session(env)
  local printed = {}
  local session = {env = env or {}, printed = printed, ended = 0, resets = 0}
  function session.print(text) printed[#printed + 1] = text end
  function session.quit() session.ended = session.ended + 1 end
  function session.reset() session.resets = session.resets + 1 end
  session.evaluate = async(function(code) return assert(load("return " .. code, "=stdin", "t", session.env))() end)
  return session
end

-- What a line prints, in a running loop.
local function output(line, session)
  session = session or new_session()
  local from = #session.printed + 1
  assert.is_true(await(commands.run(line, session)))
  return table.concat(session.printed, "\n", from)
end

-- The same in a loop of its own.
local function printed(line, session)
  return tasks.main(output, line, session)
end

describe("a line", function()
  it("is a command when it begins with a dot and a letter", function()
    tasks.main(function()
      local session = new_session()
      for _, line in ipairs {"", ".", ".5 + 1", "..", "...", "x.quit", "= .5", "._", ". quit"} do
        assert.is_false(await(commands.run(line, session)), line)
      end
      assert.same({}, session.printed)
      assert.is_true(await(commands.run("  .quit  ", session)))
      assert.equal(1, session.ended)
    end)
  end)

  it("with an unknown command names the one that is meant", function()
    assert.equal("there is no command .hlep; is it .help? .help lists them all", printed ".hlep me")
    assert.equal("there is no command .quti; is it .quit? .help lists them all", printed ".quti")
    assert.equal("there is no command .xyzzy; .help lists them all", printed ".xyzzy")
    assert.matches("^there is no command %.x+", printed("." .. ("x"):rep(100000)))
  end)
end)

describe(".help", function()
  it("lists the commands and the modules", function()
    local text = printed ".help"
    for _, name in ipairs(commands.names) do assert.matches("  ." .. name .. " ", text, 1, true) end
    assert.matches("asyncio, fs, http, json, net, path, process, signal, stream, time", text, 1, true)
  end)

  it("tells of a function, a method, a class", function()
    assert.equal("gather(a, b, ...), gather(list), gather{a, b, return_exceptions = true}\n" ..
      "  asyncio: Gives a Future of many awaitables, all of which start at once, coroutine objects as tasks",
      printed ".help gather")
    assert.equal(printed ".help gather", printed ".help asyncio.gather")
    assert.equal("task:cancel(msg)\n  asyncio: asks it to end; gives whether it was not done yet",
      printed ".help task:cancel")
    assert.equal("asyncio.TimeoutError\n  asyncio: A class below `Exception`; raised by `wait_for`, `timeout`, " ..
      "`timeout_at`, `as_completed`", printed ".help asyncio.TimeoutError")
  end)

  it("tells of all whose last name it is", function()
    local text = printed ".help cancel"
    for _, each in ipairs {"task:cancel(msg)", "handle:cancel()", "group:cancel()"} do
      assert.matches(each, text, 1, true)
    end
  end)

  it("lists what a module has", function()
    local text = printed ".help path"
    assert.matches("^the module path:\n", text)
    assert.matches("\n  path.join(first, ...)\n", text, 1, true)
    local _, count = printed(".help asyncio"):gsub("\n  gather%(", "")
    assert.equal(1, count)
  end)

  it("lists the methods of what has some", function()
    local text = printed ".help task"
    assert.matches("^  task:", text)
    assert.matches("\n  task:cancel(msg)\n", text, 1, true)
    assert.is_nil(text:find "\n  [^t]")
  end)

  it("tells of a command", function()
    assert.equal("  .time EXPR    evaluates it; tells time and memory", printed ".help .time")
  end)

  it("shows a global of one's own, and Lua's", function()
    local session = new_session {string = string, mine = {x = 1}}
    assert.equal("mine = {x = 1}\n  no page of Neap's library tells of it", printed(".help mine", session))
    assert.matches("^string.rep = <built%-in function>", printed(".help string.rep", session))
  end)

  it("names the nearest entry for a name that is unknown", function()
    assert.equal("nothing is known of 'fs.raed'; is it 'fs.read'?", printed ".help fs.raed")
    assert.equal("nothing is known of 'qwertyuiop'", printed ".help qwertyuiop")
    for _, name in ipairs {".", "..", ".x"} do
      assert.matches("^nothing is known of '" .. name:gsub("%.", "%%.") .. "'", printed(".help " .. name))
    end
  end)
end)

describe("an entry", function()
  local modules = {"asyncio", "fs", "http", "json", "net", "path", "process", "signal", "stream", "time", "tls"}

  it("is there for each public name of each module", function()
    for _, module in ipairs(modules) do
      for name in pairs(require(module)) do
        assert.is_table(help.lookup(module .. "." .. name), module .. "." .. name)
      end
    end
  end)

  it("is there for the names that are loaded later, and for the globals", function()
    local count, parts = 0, nil
    assert.is_function(asyncio.timeout) -- now asyncio.lua is loaded
    for i = 1, 10 do
      local name, value = debug.getupvalue(getmetatable(asyncio).__index, i)
      if name == "part_of" then parts = value end
    end
    for name in pairs(parts) do
      count = count + 1
      assert.is_table(help.lookup("asyncio." .. name), name)
    end
    assert.is_true(count > 10)
    for _, name in ipairs {"stdin", "stdout", "stderr"} do assert.is_table(help.lookup("process." .. name)) end
    for _, name in ipairs {"async", "await", "sleep", "create_task", "gather", "run"} do
      assert.is_table(help.lookup(name))
    end
  end)

  it("is there for each method of each class", function()
    local function check(object, ...)
      local count = 0
      for name, value in pairs(debug.getmetatable(object).__index) do
        if type(value) == "function" and not name:find "^_" then
          local found
          for _, self in ipairs {...} do found = found or help.lookup(self .. ":" .. name) end
          assert.is_table(found, (...) .. ":" .. name)
          count = count + 1
        end
      end
      assert.is_true(count > 0, (...))
    end
    tasks.main(function()
      local fs, net, process = require "fs", require "net", require "process"
      check(asyncio.current_task(), "task", "future")
      check(asyncio.Future(), "future", "task")
      check(asyncio.call_soon(function() end), "handle")
      local coro = sleep(1)
      check(coro, "coro")
      coro:close()
      check(asyncio.timeout(nil), "scope")
      check(asyncio.TaskGroup(), "group")
      check(asyncio.Lock(), "lock")
      check(asyncio.Event(), "event")
      check(asyncio.Condition(), "condition")
      check(asyncio.Semaphore(), "semaphore")
      check(asyncio.BoundedSemaphore(), "semaphore")
      check(asyncio.Barrier(1), "barrier")
      for _, class in ipairs {"Queue", "PriorityQueue", "LifoQueue"} do check(asyncio[class](), "queue") end
      local folder <close> = await(fs.tempdir())
      check(folder, "dir")
      check(fs.walk(folder.path), "walk")
      local watcher <close> = fs.watch(folder.path)
      check(watcher, "watcher")
      local file <close> = await(fs.tempfile())
      check(file, "file")
      local server <close> = await(net.listen("127.0.0.1", 0, function() end))
      check(server, "server")
      local stream <close> = await(net.connect(server:address()))
      check(stream, "stream")
      local socket <close> = await(net.udp())
      check(socket, "socket")
      local session <close> = require("http").ClientSession()
      check(session, "session")
      local child <close> = process.spawn {"true"}
      check(child, "process")
      local handler <close> = require("signal").on("USR1", function() end)
      check(handler, "handler")
    end)
  end)

  it("has a signature with its name, one sentence, and a module", function()
    local known = {}
    for _, module in ipairs(modules) do known[module] = true end
    local names = help.names()
    assert.is_true(#names > 250)
    for i, name in ipairs(names) do
      local entry = help.lookup(name)
      local last = name:match "[%w_]+$"
      assert.is_true(i == 1 or names[i - 1] < name)
      assert.matches(last, entry.signature, 1, true)
      assert.is_true(known[entry.module], name)
      assert.is_true(#entry.summary > 4 and #entry.summary < 250, name .. ": " .. entry.summary)
      assert.is_nil(entry.summary:find("[\n*]") or entry.summary:find("](", 1, true), entry.summary)
    end
    assert.is_nil(help.lookup "nothing")
  end)

  it("says with await what suspends", function()
    local meta = select(2, debug.getupvalue(async(function() end), 2))
    for _, module in ipairs(modules) do
      for name, value in pairs(require(module)) do
        local entry = help.lookup(module .. "." .. name)
        local is_async = type(value) == "function" and rawequal(select(2, debug.getupvalue(value, 2)), meta)
        if is_async then assert.matches("^await%(", entry.signature) end
      end
    end
  end)
end)

describe(".tasks", function()
  it("shows the tree of the tasks, but for its own", function()
    tasks.main(function()
      asyncio.current_task():set_name "repl"
      assert.equal("no tasks", output ".tasks")
      local server = create_task(sleep(1000), {name = "server"})
      create_task(async(function() await(server) end)(), {name = "client"})
      tasks.turns(1)
      local text = output(".tasks"):gsub("%d[%d.]+ s left", "... s left"):gsub(", created at [^\n]*", "")
        :gsub("[^\n]*repl_commands_spec[^\n]*\n", "")
      assert.equal("2 unfinished tasks: 1 sleeping, 1 waiting\ntask 'client' waiting\n" ..
        "  awaits task 'server' sleeping\n    <sleep()>\n    awaits sleep, ... s left", text)
    end)
  end)
end)

describe(".cancel", function()
  it("cancels the task of that name, and says what has become of it", function()
    tasks.main(function()
      local task = tasks.begun(sleep(1000))
      task:set_name "a sleeper"
      assert.equal("task 'a sleeper' is cancelled", output ".cancel a sleeper")
      assert.is_true(task:cancelled())
      create_task(sleep(1000), {name = "quoted"})
      assert.equal("task 'quoted' is cancelled", output ".cancel 'quoted'")
    end)
  end)

  it("tells of one that fails, returns, or goes on", function()
    tasks.main(function()
      local function stubborn(fn)
        return function()
          asyncio.catch(await, sleep(1000))
          return fn()
        end
      end
      local never = asyncio.Event()
      tasks.started(stubborn(function() error("cleanup", 0) end)):set_name "fails"
      tasks.started(stubborn(function() return 1 end)):set_name "returns"
      local goes_on = tasks.started(stubborn(function() await(never:wait()) end))
      goes_on:set_name "goes on"
      assert.equal("task 'fails' ended with an error: Exception: cleanup", output ".cancel fails")
      assert.equal("task 'returns' has returned", output ".cancel returns")
      assert.equal("task 'goes on' has been asked to end, and still runs: .tasks shows where",
        output ".cancel goes on")
      assert.is_false(goes_on:done())
    end)
  end)

  it("cancels none when there are several of the name", function()
    tasks.main(function()
      local a = create_task(sleep(1000), {name = "twin"})
      local b = create_task(sleep(1000), {name = "twin"})
      assert.equal("2 tasks are called 'twin': none is cancelled", output ".cancel twin")
      assert.is_false(a:done() or b:done())
    end)
  end)

  it("names those there are when there is none of the name", function()
    tasks.main(function()
      assert.equal("there are no tasks", output ".cancel x")
      create_task(sleep(1000), {name = "server"})
      create_task(sleep(1000), {name = "client"})
      assert.equal("no task is called 'servre'; is it 'server'?\nthere are: server, client", output ".cancel servre")
      for i = 1, 10 do create_task(sleep(1000), {name = "t" .. i}) end
      assert.equal("no task is called ''\nthere are: server, client, t1, t2, t3, t4, t5, t6, t7, t8 and 2 more",
        output ".cancel")
    end)
  end)
end)

describe(".time", function()
  it("shows the results, and what they have taken", function()
    local text = printed(".time await(sleep(0.02, 'slept'))", new_session(_G))
    assert.matches('^"slept"\nwall [%d.]+ ms, CPU [%d.]+ [mu]s, %d+ allocations of [%d.]+ %a+, memory [+-][%d.]+ %a+$',
      text)
    assert.is_true(tonumber(text:match "wall ([%d.]+) ms") >= 20)
  end)

  it("counts what is allocated, also what is collected meanwhile", function()
    local session = new_session {make = function()
      for _ = 1, 100000 do local _ = {} end
      return nil, 2
    end}
    local text = printed(".time make()", session)
    assert.matches("^nil\n2\nwall ", text)
    local count, bytes = text:match "(%d+) allocations of ([%d.]+) MiB"
    assert.is_true(tonumber(count) >= 100000 and tonumber(count) < 110000, text)
    assert.is_true(tonumber(bytes) >= 5, text)
    local kept = printed(".time make()", new_session {make = function() return ("x"):rep(3 << 20) end})
    assert.matches("memory %+3[%d.]* MiB$", kept)
  end)

  it("raises the error of the code, and measures again afterwards", function()
    tasks.main(function()
      local session = new_session {error = error}
      assert.has_error(function() output(".time error('no', 0)", session) end, "no")
      assert.matches("^1\nwall", output(".time 1", session))
      assert.equal("time of what? .time EXPR", output(".time", session))
    end)
  end)

  it("is no harm to a program that ends meanwhile", function()
    local result = program.run({program.neap, "-e", [[
      local commands = require "neap.repl.commands"
      local session = {env = _G, print = print}
      session.evaluate = async(function() os.exit(7, true) end)
      run(commands.run(".time x", session))
    ]]})
    assert.equal(7, result.code)
    assert.equal("", result.stderr)
  end)
end)

describe(".load", function()
  it("runs a file with the session's globals; it may await", function()
    local folder <close> = program.folder()
    folder:write("some file.lua", "#!/usr/bin/env neap\nx = await(sleep(0, 5))\nreturn x, {x}\n")
    local session = new_session {await = await, sleep = sleep}
    assert.equal("5\n{5}", printed((".load %s/some file.lua"):format(folder.path), session))
    assert.equal(5, session.env.x)
    assert.equal("5\n{5}", printed((".load '%s/some file.lua'"):format(folder.path), session))
  end)

  it("raises the file's errors with their place", function()
    local folder <close> = program.folder()
    folder:write("bad.lua", "x = \n")
    folder:write("fails.lua", "\nerror 'no'\n")
    tasks.main(function()
      local _, err = pcall(output, (".load %s/bad.lua"):format(folder.path))
      assert.equal(folder.path .. "/bad.lua:2: unexpected symbol near <eof>", err)
      _, err = pcall(output, (".load %s/fails.lua"):format(folder.path), new_session {error = error})
      assert.equal(folder.path .. "/fails.lua:2: no", err)
      _, err = pcall(output, ".load no/such/file.lua")
      assert.matches("^cannot open no/such/file.lua", err)
      assert.equal("load what? .load FILE", output ".load")
    end)
  end)
end)

describe(".reset", function()
  it("cancels all tasks, waits for their cleanup, and has the session forget", function()
    tasks.main(function()
      local cleaned
      local task = tasks.started(function()
        local _ <close> = setmetatable({}, {__close = function()
          create_task(sleep(1000))
          await(sleep(0))
          cleaned = true
        end})
        await(sleep(1000))
      end)
      create_task(sleep(1000))
      local session = new_session()
      assert.equal("3 tasks cancelled; variables and results are forgotten", output(".reset", session))
      assert.is_true(cleaned and task:cancelled())
      assert.equal(1, session.resets)
      assert.equal("0 tasks cancelled; variables and results are forgotten", output(".reset", session))
    end)
  end)

  it("does not go on for ever where a callback starts its task again", function()
    tasks.main(function()
      local again = true
      local function start()
        if again then create_task(sleep(1000)):add_done_callback(start) end
      end
      start()
      local session = new_session()
      assert.matches("tasks cancelled, 1 still ending", output(".reset", session))
      again = false
    end)
  end)
end)
