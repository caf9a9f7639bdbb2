-- dump_spec.lua: asyncio.dump(), the tree of who awaits whom; and the dump
-- that SIGQUIT asks for, in every state of a program.

local asyncio = require "asyncio"
local dropin = require "dropin"
local program = require "program"

-- Runs a script; its stderr, which is what the dumps go to, with the
-- addresses of futures replaced. The script ends well.
local function stderr_of(code, options)
  local result = program.run_script(code, options or {timeout = 30})
  assert.are.equal(0, result.code, result.stderr)
  return (result.stderr:gsub("0x%x+", "0xF")), result.stdout
end

-- The text of asyncio.dump(), taken here.
local function dump()
  local pieces = {}
  asyncio.dump {write = function(_, text) pieces[#pieces + 1] = text end}
  return table.concat(pieces), pieces
end

local function count(text, what)
  return select(2, text:gsub(what, "%0"))
end

describe("asyncio.dump", function()
  it("TA-20 writes to stderr and gives nothing", function()
    local stderr, stdout = stderr_of [[
      local asyncio = require "asyncio"
      function async.main()
        print(select("#", asyncio.dump()))
      end
      run(main())
    ]]
    assert.are.equal("0\n", stdout)
    assert.are.equal([[
1 unfinished task: 1 running
task 'Task-1' running, created at script.lua:5
  script.lua:3: in async function 'main'
]], stderr)
  end)

  it("tells that there are no tasks", function()
    assert.are.equal("0 unfinished tasks\n", (dump()))
  end)

  it("names what a task waits for in line", function()
    local text = stderr_of [[
      local asyncio = require "asyncio"
      function async.main()
        local lock, queue, event = asyncio.Lock(), asyncio.Queue(), asyncio.Event()
        await(lock:acquire())
        local tasks = {
          create_task(lock:acquire()), create_task(queue:get()), create_task(event:wait()),
        }
        await(sleep(0))
        await(sleep(0))
        asyncio.dump()
        for _, task in ipairs(tasks) do print(task) end
      end
      run(main())]]
    for _, name in ipairs {"Lock", "Queue", "Event"} do
      assert.are.equal(1, count(text, "awaits " .. name .. " 0x"))
    end
  end)

  it("TA-20 shows what each task awaits beneath its await chain", function()
    assert.are.equal([[
5 unfinished tasks: 1 running, 2 sleeping, 2 waiting
task 'Task-1' running, created at script.lua:20
  script.lua:18: in async function 'main'
task 'top' waiting, created at script.lua:14
  script.lua:8: in async function 'outer'
  script.lua:4: in async function 'middle'
  awaits gather, 1 of 4 done
    task 'left' waiting, created at script.lua:12
      script.lua:4: in async function 'middle'
      awaits Future 0xF
    task 'right' sleeping, created at script.lua:13
      script.lua:4: in async function 'middle'
      awaits sleep, S s left
    Future 0xF
task 'alone' sleeping, created at script.lua:15
  <sleep()>
  awaits sleep, S s left
]], (stderr_of([[
      local asyncio = require "asyncio"
      local done
      function async.middle(what)
        await(what)
        return 1
      end
      function async.outer(what)
        await(middle(what))
        return 1
      end
      function async.main()
        local left = create_task(middle(asyncio.Future()), {name = "left"})
        local right = create_task(middle(sleep(100)), {name = "right"})
        create_task(outer(gather(left, right, asyncio.Future(), done)), {name = "top"})
        create_task(sleep(200), {name = "alone"})
        await(sleep(0))
        await(sleep(0))
        asyncio.dump()
      end
      done = asyncio.Future() done:set_result() run(main())
    ]]):gsub("[%d.]+ s left", "S s left")))
  end)

  it("tells how long a sleep still is", function()
    run(async(function()
      create_task(sleep(1000))
      await(sleep(0))
      local left = dump():match("awaits sleep, ([%d.]+) s left")
      assert.is_true(tonumber(left) > 900 and tonumber(left) <= 1000)
    end)())
  end)

  it("tells which tasks have not started, are ready, are being cancelled", function()
    assert.are.equal([[
4 unfinished tasks: 1 running, 2 ready, 1 not started
task 'Task-1' running, created at script.lua:13
  script.lua:11: in async function 'main'
task 'ready' ready, created at script.lua:6
  script.lua:2: in async function 'work'
task 'cancelled' ready, cancelling, created at script.lua:7
  script.lua:2: in async function 'work'
task 'new' not started, created at script.lua:10
  <work() running at script.lua:2>
]], (stderr_of [[
      local asyncio = require "asyncio"
      function async.work(f) await(f) end
      function async.main()
        local f = asyncio.Future()
        local other = asyncio.Future()
        create_task(work(f), {name = "ready"})
        local cancelled = create_task(work(other), {name = "cancelled"})
        await(sleep(0))
        f:set_result() cancelled:cancel()
        create_task(work(f), {name = "new"})
        asyncio.dump()
      end
      run(main())
    ]]))
  end)

  it("shows a task that several await once, and then by name", function()
    local text = stderr_of [[
      local asyncio = require "asyncio"
      function async.waits(what) await(what) return 1 end
      function async.main()
        local shared = create_task(waits(asyncio.Future()), {name = "shared"})
        create_task(waits(shared), {name = "a"})
        create_task(waits(shared), {name = "b"})
        create_task(waits(gather(shared, shared)), {name = "c"})
        await(sleep(0))
        asyncio.dump()
      end
      run(main())
    ]]
    assert.are.equal(1, count(text, "awaits Future"))
    assert.matches([[
task 'a' waiting, created at script.lua:5
  script.lua:2: in async function 'waits'
  awaits task 'shared' waiting, created at script.lua:4
    script.lua:2: in async function 'waits'
    awaits Future 0xF
task 'b' waiting, created at script.lua:6
  script.lua:2: in async function 'waits'
  awaits task 'shared' (shown above)
task 'c' waiting, created at script.lua:7
  script.lua:2: in async function 'waits'
  awaits gather, 0 of 2 done
    task 'shared' (shown above)
    task 'shared' (shown above)
]], text, 1, true)
  end)

  it("AW-10 marks tasks that await each other, and ends", function()
    assert.matches([[
task 'lead' waiting, created at script.lua:9
  script.lua:2: in async function 'waits'
  awaits task 'a' waiting, created at script.lua:6
    script.lua:2: in async function 'waits'
    awaits gather, 0 of 1 done
      task 'b' waiting, created at script.lua:7
        script.lua:2: in async function 'waits'
        awaits task 'a' (a circle: shown above)
task 'itself' waiting, created at script.lua:11
  script.lua:10: in async function '<script.lua:10>'
  awaits gather, 0 of 1 done
    task 'itself' (a circle: shown above)
]], (stderr_of [[
      local asyncio = require "asyncio"
      function async.waits(get) await(get()) return 1 end
      function async.main()
        local a, b, itself
        local function get_b() return gather(b) end
        a = create_task(waits(get_b), {name = "a"})
        b = create_task(waits(function() return a end), {name = "b"})
        await(sleep(0))
        create_task(waits(function() return a end), {name = "lead"})
        local function async_itself() await(gather(itself)) return 1 end
        itself = create_task(async(async_itself)(), {name = "itself"})
        await(sleep(0))
        asyncio.dump()
        os.exit(0, false)
      end
      run(main())
    ]]):gsub("^.-\n  [^\n]+\n", ""), 1, true)
  end)

  it("shows a gather that nobody awaits", function()
    assert.matches([[
gather that nobody awaits, 0 of 2 done
  task 'Task-2' sleeping, created at script.lua:3
    <sleep()>
    awaits sleep, S s left
  Future 0xF
]], (stderr_of([[
      local asyncio = require "asyncio"
      run(async(function()
        local all = gather(sleep(1), asyncio.Future())
        await(sleep(0))
        asyncio.dump()
        all:cancel()
      end)())
    ]]):gsub("[%d.]+ s left", "S s left")), 1, true)
  end)

  it("TA-20 shows the generators in which a task awaits", function()
    local text = stderr_of [[
      local asyncio = require "asyncio"
      function async.main()
        create_task(async(function()
          coroutine.wrap(function()
            for _ in coroutine.wrap(function()
              await(sleep(1))
            end) do end
          end)()
        end)(), {name = "nested"})
        await(sleep(0))
        asyncio.dump()
        coroutine.wrap(function()
          coroutine.resume(coroutine.create(function()
            asyncio.dump()
          end))
        end)()
      end
      run(main())
    ]]
    local nested = text:match("task 'nested'.-\n(.-)  awaits")
    local lines = {}
    for line in nested:gmatch("script%.lua:(%d+):") do
      lines[#lines + 1] = line
    end
    assert.are.same({"4", "5", "6"}, lines, text)
    lines = {}
    for line in text:match(".*task 'Task%-1'(.-)\ntask"):gmatch("\n  script%.lua:(%d+):") do
      lines[#lines + 1] = line
    end
    assert.are.same({"12", "13", "14"}, lines, text)
  end)

  it("TA-20 shortens a deep await chain", function()
    run(async(function()
      local function deep(n)
        return async(function()
          await(n == 0 and sleep(1000) or deep(n - 1))
          return 1
        end)()
      end
      create_task(deep(1000))
      await(sleep(0))
      local text = dump()
      assert.is_true(count(text, "\n") < 40, text)
      assert.matches("skipping %d+ levels", text)
    end)())
  end)

  it("stays one line for each, whatever is in a name", function()
    run(async(function()
      create_task(sleep(1000), {name = "two\nlines" .. ("x"):rep(10000)})
      await(sleep(0))
      local text = dump()
      assert.are.equal(7, count(text, "\n"), text)
      assert.is_true(#text < 1000)
    end)())
  end)

  it("writes large texts in pieces of whole lines", function()
    run(async(function()
      for _ = 1, 1000 do create_task(sleep(1000)) end
      await(sleep(0))
      local text, pieces = dump()
      assert.are.equal(1000, count(text, "awaits sleep"))
      assert.is_true(#pieces > 5)
      for _, piece in ipairs(pieces) do
        assert.is_true(#piece <= 8000)
        assert.are.equal("\n", piece:sub(-1))
        assert.are_not.equal("\n", piece:sub(1, 1))
      end
    end)())
  end)

  it("writes to a file", function()
    local folder <close> = program.folder()
    local path = folder:file("dump")
    run(async(function()
      local file <close> = assert(io.open(path, "w"))
      asyncio.dump(file)
    end)())
    assert.matches("^1 unfinished task: 1 running\ntask 'Task%-%d+' running, ",
      program.read(path))
  end)

  it("raises the error of the file", function()
    local ok, err = pcall(asyncio.dump, assert(io.open("/dev/full", "w")))
    if ok then -- it was buffered
      local file <close> = assert(io.open("/dev/full", "w"))
      file:setvbuf("no")
      ok, err = pcall(asyncio.dump, file)
    end
    assert.is_false(ok)
    assert.matches("dump: ", err)
    ok, err = pcall(asyncio.dump, {write = function() error("mine", 0) end})
    assert.is_false(ok)
    assert.are.equal("mine", err)
  end)

  it("goes on when writing makes and cancels tasks", function()
    run(async(function()
      local tasks = {}
      for i = 1, 300 do tasks[i] = create_task(sleep(1000)) end
      await(sleep(0))
      local text = ""
      asyncio.dump {write = function(_, piece)
        text = text .. piece
        if #tasks < 400 then
          tasks[#tasks + 1] = create_task(sleep(1000))
          gather {tasks[1], tasks[#tasks], return_exceptions = true}
        end
        table.remove(tasks, 1):cancel()
      end}
      assert.is_true(count(text, "\ntask") >= 300)
    end)())
  end)

  it("takes a long chain of tasks", function()
    local stderr, stdout = stderr_of([[
      local asyncio = require "asyncio"
      function async.waits(what) await(what) end
      run(async(function()
        local last = create_task(waits(sleep(1000)))
        for _ = 1, 100000 do last = create_task(waits(last)) end
        await(sleep(0))
        await(sleep(0))
        local n = 0
        asyncio.dump {write = function(_, text)
          n = n + select(2, text:gsub("awaits task", ""))
        end}
        print(n)
      end)())
    ]], {timeout = 60})
    assert.are.equal("", stderr)
    assert.are.equal("100000\n", stdout)
  end)
end)

-- A script that can send itself SIGQUIT: quit() returns when it has come.
local QUIT = [[
  local asyncio = require "asyncio"
  local function quit() io.popen("kill -QUIT $PPID"):close() end
]]

-- Words of the shell, in a child of a script. IN_SLEEP waits until the
-- script's process sleeps, DUMPED until it has written to stderr.
local IN_SLEEP = "until grep -q '^State:.S' /proc/$PPID/status; do :; done; "
local DUMPED = "until [ -s /proc/$PPID/fd/2 ]; do :; done; "

describe("SIGQUIT", function()
  it("dumps the tasks while the loop sleeps; the program goes on", function()
    local stderr, stdout = stderr_of([[
      local asyncio = require "asyncio"
      function async.main(command)
        local pipe <close> = io.popen(command)
        asyncio.catch(await, sleep(1000))
        return "value"
      end
      print(run(main(...)))
    ]], {timeout = 20, args = {
      IN_SLEEP .. "kill -QUIT $PPID; " .. DUMPED .. "kill -INT $PPID"}})
    assert.are.equal("value\n", stdout)
    assert.matches("^1 unfinished task: 1 sleeping\ntask 'Task%-1' sleeping, "
      .. "created at script.lua:7\n  script.lua:4: in async function 'main'\n"
      .. "  %[C%]: in function 'asyncio.catch'\n"
      .. "  awaits sleep, [%d.]+ s left\n$", stderr)
  end)

  it("reaches an endless loop of one instruction, and Ctrl-C after it", function()
    local result = program.run_script([[
      run(async(function(command)
        io.popen(command):read() while true do end
      end)(...))
    ]], {timeout = 20, args = {
      "echo; exec >&-; kill -QUIT $PPID; " .. DUMPED .. "kill -INT $PPID"}})
    assert.matches("^1 unfinished task: 1 running\ntask [^\n]+\n"
      .. "  script.lua:2: in async function '[^\n]+\n.*KeyboardInterrupt\n$",
      result.stderr)
    assert.are.equal(130, result.code)
  end)

  it("reaches a generator inside a task", function()
    local stderr = stderr_of(QUIT .. [[
      function async.main()
        coroutine.wrap(function()
          coroutine.wrap(function() quit() return 1 end)()
        end)()
      end
      run(main())
    ]])
    local lines = {}
    for line in stderr:gmatch("\n  script%.lua:(%d+):") do
      lines[#lines + 1] = line
    end
    assert.are.same({"4", "5", "5", "2"}, lines, stderr)
  end)

  it("leaves a hook of the script's own in its place", function()
    local stderr, stdout = stderr_of(QUIT .. [[
      run(async(function()
        local lines = 0
        local function hook() lines = lines + 1 end
        debug.sethook(hook, "l", 7)
        quit()
        local before = lines
        await(sleep(0))
        local f, mask, n = debug.gethook()
        debug.sethook()
        print(f == hook, mask, n, lines > before)
      end)())
    ]])
    assert.are.equal("true\tl\t7\ttrue\n", stdout)
    assert.are.equal(1, count(stderr, "unfinished"))
  end)

  it("does no harm to a cancellation that is pending, nor suffers from it", function()
    local stderr, stdout = stderr_of(QUIT .. [[
      run(async(function()
        local me = asyncio.current_task()
        local task = create_task(sleep(1000), {name = "other"})
        await(sleep(0))
        task:cancel()
        me:cancel("mine")
        quit()
        print(select(2, asyncio.catch(await, task)))
        print(task:cancelled())
      end)())
    ]])
    assert.are.equal("CancelledError\ntrue\n", stdout)
    assert.matches("task 'Task-1' running, cancelling, ", stderr, 1, true)
    assert.matches("task 'other' ready, cancelling, ", stderr, 1, true)
  end)

  it("twice in short gives one dump at least; Ctrl-C with it works", function()
    local result = program.run_script([[
      run(async(function()
        io.popen("kill -QUIT $PPID; kill -QUIT $PPID; kill -INT $PPID"):close()
        await(sleep(1000))
      end)())
    ]], {timeout = 20})
    local dumps = count(result.stderr, "1 unfinished task: 1 running\n")
    assert.is_true(dumps == 1 or dumps == 2, result.stderr)
    assert.matches("\nKeyboardInterrupt\n$", result.stderr)
    assert.are.equal(130, result.code)
  end)

  it("does not end a read that blocks", function()
    local stderr, stdout = stderr_of([[
      run(async(function(command)
        local pipe <close> = io.popen(command)
        print(pipe:read())
      end)(...))
    ]], {timeout = 20, args = {
      IN_SLEEP .. "kill -QUIT $PPID; sleep 0.1; echo text"}})
    assert.are.equal("text\n", stdout)
    assert.are.equal(1, count(stderr, "unfinished"))
  end)

  it("in a second run is as in the first", function()
    local stderr = stderr_of(QUIT .. [[
      for i = 1, 2 do
        run(async(function()
          create_task(sleep(0), {name = "run " .. i})
          quit()
          await(sleep(0))
        end)())
      end
    ]])
    assert.are.equal(2, count(stderr, "2 unfinished tasks"))
    assert.are.equal(1, count(stderr, "task 'run 2'"))
  end)

  it("ends a synchronous program, before a run and after it", function()
    for _, code in ipairs {"", "run(async(function() await(sleep(0)) end)())"} do
      local result = program.run_script(code .. " " .. QUIT .. [[
        io.stdout:setvbuf("no")
        print("before")
        quit()
        for _ = 1, 1e9 do end
      ]])
      assert.are.equal(3, result.signal or result.code - 128)
      assert.are.equal("before\n", result.stdout)
      assert.are.equal("", result.stderr)
    end
  end)

  it("is ignored outside of a run when it was before the program", function()
    local folder <close> = program.folder()
    local path = folder:write("script.lua", QUIT .. "quit() print 'on'"
      .. " run(async(function() quit() end)())")
    local result = program.run(("trap '' QUIT; exec %s %s"):format(
      program.quote(program.neap), program.quote(path)))
    assert.are.equal("on\n", result.stdout)
    assert.matches("^1 unfinished task: 1 running\n", result.stderr)
    assert.are.equal(0, result.code)
  end)

  it("does to a synchronous program what it does in lua5.4", function()
    dropin.same_script [[
      io.popen("kill -QUIT $PPID"):close()
      for _ = 1, 1e9 do end
    ]]
  end)
end)
