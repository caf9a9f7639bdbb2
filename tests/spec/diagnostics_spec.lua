-- diagnostics_spec.lua: what Neap tells on stderr: errors nobody retrieved,
-- tasks destroyed while pending, deadlocks, slow steps in debug mode.
-- traceback_spec.lua has the tracebacks, coroutine_spec.lua what was never
-- awaited, interrupt_spec.lua Ctrl-C.

local program = require "program"

-- Runs a script that ends well; gives its stderr and stdout.
local function stderr_of(code, options)
  local result = program.run_script(code, options)
  assert.are.equal(0, result.code)
  return result.stderr, result.stdout
end

describe("an error that nobody retrieves", function()
  local NEVER = "Task exception was never retrieved\n"

  it("TA-12 is reported once the task is collected; nothing stops",
  function()
    local stderr, stdout = stderr_of [[
      function async.bad() error("boom") end
      function async.main()
        create_task(bad())
        await(sleep(0))
        await(sleep(0))
        collectgarbage() collectgarbage()
        io.stderr:write("collected\n")
        return "value"
      end
      print(run(main()))
    ]]
    assert.are.equal("value\n", stdout)
    assert.are.equal(NEVER .. [[
future: <Task finished name='Task-2' coro=<bad() done, defined at script.lua:1> exception='script.lua:1: boom'>
script.lua:1: boom
stack traceback:
	[C]: in function 'error'
	script.lua:1: in async function 'bad'
	(task 'Task-2', created at script.lua:3)
collected
]], stderr)
  end)

  it("TA-12 is reported at the end of the program at the latest", function()
    local stderr, stdout = stderr_of [[
      function async.bad(text) error(text, 0) end
      function async.main()
        kept = create_task(bad("boom"), {name = "kept"})
      end
      run(main())
      print("end")
    ]]
    assert.are.equal("end\n", stdout)
    assert.matches("^" .. NEVER .. "future: <Task finished name='kept' "
      .. "coro=<bad%(%) done[^\n]*> exception='boom'>\nboom\n", stderr)
    assert.are.equal(1, select(2, stderr:gsub(NEVER, "")))
  end)

  it("TA-12 is reported for each task once", function()
    local stderr = stderr_of [[
      function async.bad(i) error("boom " .. i, 0) end
      run(async(function()
        for i = 1, 3 do
          create_task(bad(i))
        end
        await(sleep(0))
      end)())
      for _ = 1, 3 do
        collectgarbage()
      end
    ]]
    assert.are.equal(3, select(2, stderr:gsub(NEVER, "")))
    for i = 1, 3 do
      assert.are.equal(1, select(2, stderr:gsub("\nboom " .. i .. "\n", "")))
    end
  end)

  it("TA-12 with a __tostring is reported in the next turn, or where none comes", function()
    for turn, expected in pairs{
      ["collectgarbage() await(sleep(0)) print 'turn'"] = "told\nturn\nrun\n",
      [ [[asyncio.current_task():add_done_callback(function() -- in the last turn
            collectgarbage()
            print "collected"
          end)]] ] = "collected\nrun\ntold\n",
    } do
      local stderr, stdout = stderr_of([[
        local asyncio = require "asyncio"
        local err = setmetatable({}, {__tostring = function() print "told" return "mine" end})
        run(async(function()
          do create_task(async(function() error(err) end)()) end
          await(sleep(0))
          ]] .. turn .. [[
        end)())
        print "run"
        for _ = 1, 3 do
          collectgarbage()
        end
      ]])
      assert.are.equal(expected, stdout)
      assert.are.equal(1, select(2, stderr:gsub(NEVER, "")))
      assert.matches("\nmine\n", stderr)
    end
  end)

  it("TA-12 in a future is reported as that", function()
    assert.are.equal([[
Future exception was never retrieved
future: <Future finished exception='boom'>
boom
]], (stderr_of [[
      run(async(function()
        require "asyncio".Future():set_exception("boom")
      end)())
      collectgarbage()
    ]]))
  end)

  it("TA-14 is not reported when somebody looked", function()
    for _, look in ipairs {
      "task:exception()", "pcall(task.result, task)", "pcall(await, task)",
      "pcall(await, gather(task))",
      "await(gather {task, return_exceptions = true})",
      "create_task(async(function(t) pcall(await, t) end)(task))",
    } do
      assert.are.equal("", (stderr_of([[
        run(async(function()
          local task = create_task(async(error)("boom"))
          await(sleep(0))
          ]] .. look .. [[
          task = nil
          await(sleep(0))
          await(sleep(0))
        end)())
      ]])))
    end
  end)

  it("TA-14 is not reported for later failures in a gather", function()
    assert.are.equal("", (stderr_of [[
      run(async(function()
        local fail = async(function(turns)
          for _ = 1, turns do await(sleep(0)) end
          error("boom", 0)
        end)
        print(pcall(await, gather(fail(0), fail(1), fail(2))))
        await(sleep(0.001))
      end)())
    ]]))
  end)

  it("TA-15 is not reported after cancel()", function()
    assert.are.equal("", (stderr_of [[
      run(async(function()
        local task = create_task(async(error)("boom"))
        await(sleep(0))
        print(task:cancel())
      end)())
    ]]))
  end)

  it("is not reported for a cancellation", function()
    assert.are.equal("", (stderr_of [[
      run(async(function()
        create_task(sleep(1000)):cancel()
        local task = create_task(sleep(1000))
        await(sleep(0))
        task:cancel()
        await(sleep(0))
        create_task(sleep(1000))
      end)())
    ]]))
  end)

  it("RU-06 of a leftover's cleanup is reported as such", function()
    local stderr, stdout = stderr_of [[
      print(run(async(function()
        create_task(async(function()
          local x <close> = setmetatable({}, {__close = function()
            await(sleep(0))
            error("in cleanup", 0)
          end})
          await(sleep(1000))
        end)(), {name = "left"})
        await(sleep(0))
        return "value"
      end)()))
    ]]
    assert.are.equal("value\n", stdout)
    assert.matches("^unhandled exception during shutdown\nfuture: <Task "
      .. "finished name='left' [^\n]*exception='in cleanup'>\nin cleanup\n"
      .. "stack traceback:\n", stderr)
    assert.are.equal(1, select(2, stderr:gsub("stack traceback", "")))
  end)

  it("of the main task is not reported beside what run raises", function()
    local stderr = stderr_of [[
      print(pcall(run, async(error)("boom", 0)))
      local coro = async(error)("boom", 0)
      print(pcall(run, coro))
    ]]
    assert.are.equal("", stderr)
  end)
end)

describe("a report", function()
  it("TA-12 of a future tells where it was made, in debug mode", function()
    assert.are.equal([[
Future exception was never retrieved
future: <Future finished exception='boom'>, created at script.lua:2
boom
]], (stderr_of [[
      run(async(function()
        require "asyncio".Future():set_exception("boom")
      end)(), {debug = true})
      collectgarbage()
    ]]))
  end)

  it("RU-06 of a leftover tells which task it is", function()
    local stderr = stderr_of [[
      run(async(function()
        local left = create_task(async(function()
          asyncio = require "asyncio"
          asyncio.catch(await, sleep(1000))
          error("in cleanup", 0)
        end)(), {name = "left"})
        create_task(async(function() await(gather(left)) end)(), {name = "other"})
        await(sleep(0))
        await(sleep(0))
      end)())
    ]]
    assert.matches("unhandled exception during shutdown\nfuture: <Task finished name='left' "
      .. "[^\n]*>\nin cleanup\n", stderr)
  end)

  it("of a task destroyed tells who awaits it", function()
    local stderr = stderr_of([[
      local asyncio = require "asyncio"
      local never = async(function()
        while true do asyncio.catch(await, asyncio.Future()) end
      end)
      run(async(function()
        local inner = create_task(never(), {name = "inner"})
        create_task(async(function()
          while true do asyncio.catch(await, inner) end
        end)(), {name = "outer"})
        await(sleep(0))
      end)())
    ]], {timeout = 10})
    assert.matches("task: <Task cancelling name='inner' [^\n]*>, "
      .. "created at script.lua:6, awaited by task 'outer'\n", stderr)
    assert.matches("task: <Task cancelling name='outer' [^\n]*>, "
      .. "created at script.lua:7\n", stderr)
  end)

  it("TA-09 of a failed done callback tells of which task", function()
    assert.matches("^Exception in callback\nhandle: <Handle oncb%(%) at script.lua:1>, "
      .. "called with <Task finished name='mine' [^\n]* result=7>, "
      .. "created at script.lua:3\nboom\n", (stderr_of [[
      function oncb() error("boom", 0) end
      run(async(function()
        local task = create_task(async(function() return 7 end)(), {name = "mine"})
        task:add_done_callback(oncb)
        await(task)
      end)())
    ]]))
  end)
end)

describe("an ExceptionGroup", function()
  -- Code of a script that makes a group with a group inside.
  local GROUP = [[
    local asyncio = require "asyncio"
    local bad = async(function(err) await(sleep(0)) error(err, 0) end)
    local function group()
      local errors = await(gather {return_exceptions = true,
        bad("one"), bad(asyncio.TimeoutError("two"))})
      return asyncio.ExceptionGroup("outer", {errors[1], "plain",
        asyncio.ExceptionGroup("inner", {errors[2]})})
    end
  ]]
  local MEMBERS = ([[
  sub-exception 1: Exception: one
  stack traceback:
  >[C]: in function 'error'
  >script.lua:2: in async function 'bad'
  >(task 'Task-2', created at script.lua:4)
  sub-exception 2: plain
  sub-exception 3: ExceptionGroup: inner (1 sub-exception)
    sub-exception 1: TimeoutError: two
    stack traceback:
    >[C]: in function 'error'
    >script.lua:2: in async function 'bad'
    >(task 'Task-3', created at script.lua:4)
]]):gsub("  >", "  \t")

  it("that is not caught shows each exception with its traceback", function()
    local result = program.run_script(GROUP .. [[
      run(async(function() error(group()) end)())
    ]])
    assert.are.equal(1, result.code)
    assert.are.equal(program.neap .. [[
: ExceptionGroup: outer (3 sub-exceptions)
stack traceback:
	[C]: in function 'error'
	script.lua:9: in async function '<script.lua:9>'
	(task 'Task-1', created at script.lua:9)
	[C]: in function 'run'
	script.lua:9: in main chunk
]] .. MEMBERS, (result.stderr:gsub("\t%[C%]: in %?\n", "")))
  end)

  it("TA-12 that nobody retrieves shows them, too", function()
    local stderr = stderr_of(GROUP .. [[
      run(async(function()
        create_task(async(function() error(group()) end)())
        await(sleep(0.01))
      end)())
      collectgarbage()
    ]])
    assert.matches("^Task exception was never retrieved\nfuture: <Task finished [^\n]* "
      .. "exception=ExceptionGroup%('outer'%)>\nExceptionGroup: outer", stderr)
    local members = stderr:match("\n(  sub%-exception 1.*)")
    assert.are.equal(MEMBERS, (members:gsub("Task%-3", "Task-2", 1):gsub("Task%-4", "Task-3")))
  end)

  it("that holds itself, or very many, is shown in part", function()
    local stderr = stderr_of [[
      local asyncio = require "asyncio"
      local many = {}
      for i = 1, 1000 do many[i] = "error " .. i end
      local group = asyncio.ExceptionGroup("many", many)
      local circle = asyncio.ExceptionGroup("circle", {})
      circle.exceptions[1] = circle
      circle.exceptions[2] = circle
      run(async(function()
        create_task(async(error)(group))
        create_task(async(error)(circle))
        await(sleep(0))
      end)())
      collectgarbage()
    ]]
    assert.are.equal(50, select(2, stderr:gsub("sub%-exception %d+: error", "")))
    assert.matches("\n  ... and 950 more\n", stderr, 1, true)
    assert.are.equal(50, select(2, stderr:gsub("sub%-exception %d: Exc", "")))
  end)
end)

describe("tasks that wait for what never comes", function()
  -- Runs a script that must end with a deadlock at `line`; gives the list.
  local function deadlock(line, code)
    local result = program.run_script(code, {timeout = 10})
    assert.are.equal(1, result.code)
    local first = ("%s: script.lua:%d: deadlock: every task waits, and "
      .. "nothing is pending that could wake one\n"):format(program.neap, line)
    assert.are.equal(first, result.stderr:sub(1, #first))
    return result.stderr:sub(#first + 1), result.stdout
  end

  it("AW-10 are a deadlock: each is listed with what it awaits", function()
    local list, stdout = deadlock(12, [[
      local asyncio = require "asyncio"
      function async.waits(f)
        await(f)
      end
      function async.main()
        local f = asyncio.Future()
        local task = create_task(waits(f), {name = "waiter"})
        create_task(async(function() await(gather(f, task)) end)())
        await(task)
        print("not reached")
      end
      run(main())
    ]])
    assert.are.equal("", stdout)
    assert.are.equal([[
	<Task pending name='Task-1' coro=<main() running at script.lua:9> ]]
      .. [[wait_for=<Task pending name='waiter' coro=<waits() running at script.lua:3>>>, ]]
      .. [[created at script.lua:12
	<Task pending name='waiter' coro=<waits() running at script.lua:3> ]]
      .. [[wait_for=<Future pending>>, created at script.lua:7, awaited by task 'Task-1'
	<Task pending name='Task-3' coro=<<script.lua:8>() running at script.lua:8> ]]
      .. [[wait_for=<_GatheringFuture pending>>, created at script.lua:8
stack traceback:
	[C]: in function 'run'
	script.lua:12: in main chunk
]], list)
  end)

  it("AW-10 are cancelled then, so that their cleanup runs", function()
    local _, stdout = deadlock(4, [[
      local asyncio = require "asyncio"
      local closing = setmetatable({}, {__close = function(_, err)
        await(sleep(0)) print("cleanup", err) end})
      run(async(function()
        create_task(async(function()
          local x <close> = closing
          await(asyncio.Future())
        end)())
        local x <close> = closing
        await(asyncio.Future())
      end)())
    ]])
    assert.are.equal(("cleanup\tCancelledError\n"):rep(2), stdout)
  end)

  it("AW-10 raise an error that pcall catches; run works again", function()
    local stderr, stdout = stderr_of [[
      local asyncio = require "asyncio"
      local ok, err = pcall(run, async(function() await(asyncio.Future()) end)())
      print(ok, err:match("deadlock"))
      print(run(async(function() return await(sleep(0.001, "again")) end)()))
    ]]
    assert.are.equal("", stderr)
    assert.are.equal("false\tdeadlock\nagain\n", stdout)
  end)

  it("AW-10 are listed to the 20th, the others counted", function()
    local list = deadlock(2, [[
      local asyncio = require "asyncio"
      run(async(function()
        for _ = 1, 99 do
          create_task(async(await)(asyncio.Future()))
        end
        await(asyncio.Future())
      end)())
    ]])
    assert.are.equal(20, select(2, list:gsub("\n?\t<Task pending", "")))
    assert.matches("\n\t... and 80 tasks more\n", list, 1, true)
  end)

  it("are no deadlock while anything can wake them", function()
    local stderr, stdout = stderr_of [[
      local asyncio = require "asyncio"
      print(run(async(function()
        local f = asyncio.Future()
        asyncio.call_later(0.02, f.set_result, f, "woken")
        return await(f)
      end)()))
      print(run(async(function()
        local f = asyncio.Future()
        create_task(async(function() await(sleep(0.02)) f:set_result(1) end)())
        return await(f)
      end)()))
    ]]
    assert.are.equal("", stderr)
    assert.are.equal("woken\n1\n", stdout)
  end)
end)

describe("a task that never ends", function()
  it("is reported when it is destroyed", function()
    -- it catches each cancellation, and then waits for what never comes
    local stderr, stdout = stderr_of([[
      local asyncio = require "asyncio"
      run(async(function()
        create_task(async(function()
          while true do
            asyncio.catch(await, asyncio.Future())
          end
        end)(), {name = "stubborn"})
        await(sleep(0))
      end)())
      print("end")
    ]], {timeout = 10})
    assert.are.equal("Task was destroyed but it is pending!\n"
      .. "task: <Task cancelling name='stubborn' coro=<<script.lua:3>() "
      .. "running at script.lua:5> wait_for=<Future pending>>, "
      .. "created at script.lua:3\n", stderr)
    assert.are.equal("end\n", stdout)
  end)
end)

describe("debug mode", function()
  local SLOW = [[
    local asyncio = require "asyncio"
    local time = require "time"
    function async.slow()
      await(sleep(0))
      time.sleep(0.15)
      await(sleep(0))
    end
    function async.main()
      await(create_task(slow(), {name = "S"}))
    end
  ]]

  it("SC-08 names a step of more than 100 ms with task and line", function()
    -- others may be slow, too, on a busy machine
    local wanted = "%f[^\n\0]Executing <Task pending name='S' coro=<slow%(%) "
      .. "running at script.lua:6> created at script.lua:9> "
      .. "took %d%.%d+ seconds, awaited by task 'Task%-1'\n"
    assert.matches(wanted, (stderr_of(SLOW .. "run(main(), {debug = true})")))
    assert.matches(wanted, (stderr_of(SLOW .. "run(main())",
      {env = {NEAP_DEBUG = "1"}})))
    assert.matches(wanted, (stderr_of(SLOW .. "run(main())",
      {options = {"--debug"}})))
  end)

  it("SC-08 names nothing when it is off", function()
    assert.are.equal("", (stderr_of(SLOW .. "run(main())")))
    assert.are.equal("", (stderr_of(SLOW .. "run(main(), {debug = false})")))
    assert.are.equal("", (stderr_of(SLOW .. "run(main(), {})",
      {env = {NEAP_DEBUG = "0"}})))
  end)

  it("of one run ends with it", function()
    local stderr = stderr_of(SLOW .. [[
      run(main(), {debug = true})
      io.stderr:write("off\n")
      run(main())
    ]])
    assert.matches("seconds[^\n]*\noff\n$", stderr)
  end)

  it("SC-08 obeys asyncio.slow_callback_duration", function()
    assert.are.equal("", (stderr_of(
      "require 'asyncio'.slow_callback_duration = 10\n" .. SLOW
      .. "run(main(), {debug = true})")))
    local stderr = stderr_of [[
      require "asyncio".slow_callback_duration = 0
      run(async(function() await(sleep(0)) end)(), {debug = true})
    ]]
    assert.are.equal(2, select(2, stderr:gsub("Executing <Task ", "")))
  end)

  it("SC-08 names a slow callback", function()
    local stderr = stderr_of([[
      local asyncio = require "asyncio"
      local time = require "time"
      run(async(function()
        asyncio.call_soon(function(x) time.sleep(0.15) print(x) end, "ran")
        await(sleep(0))
        await(sleep(0))
      end)(), {debug = true})
    ]])
    assert.matches("%f[^\n\0]Executing <Handle function at script.lua:4> took "
      .. "%d%.%d+ seconds\n", stderr)
  end)

  it("runs callbacks of each kind as without it", function()
    local stderr, stdout = stderr_of([[
      local asyncio = require "asyncio"
      run(async(function()
        asyncio.call_soon(print, "soon", nil, 1)
        asyncio.call_later(0, print, "later")
        local task = create_task(async(function() end)())
        task:add_done_callback(function(t) print("done", t == task) end)
        await(task)
        await(sleep(0.001))
        await(sleep(0))
      end)(), {debug = true})
    ]])
    assert.are.equal("", stderr)
    local lines = {}
    for line in stdout:gmatch "[^\n]+" do
      lines[#lines + 1] = line
    end
    table.sort(lines)
    assert.are.same({"done\ttrue", "later", "soon\tnil\t1"}, lines)
  end)
end)

describe("a report", function()
  it("comes after what the script has printed before", function()
    local result = program.run("exec 2>&1; exec \"$LUA\" -e '" .. [[
      io.write("first ")
      async(function() end)()
      collectgarbage() collectgarbage()
      io.write("last")
    ]] .. "'", {env = {LUA = program.neap}})
    assert.matches("^first RuntimeWarning: [^\n]*\n[^\n]*\nlast$",
      result.stdout)
  end)
end)
