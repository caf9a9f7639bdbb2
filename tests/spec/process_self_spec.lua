-- process_self_spec.lua: this process: its standard streams, environment,
-- folder, end.

local asyncio = require "asyncio"
local files = require "files"
local net = require "net"
local process = require "process"
local program = require "program"
local tasks = require "tasks"

local PRELUDE = "local process, asyncio = require 'process', require 'asyncio'\n"

-- Runs the body of a main task, with a command of the shell around it, %s.
local function run_main(code, shell, options)
  local folder <close> = program.folder()
  folder:write("script.lua", PRELUDE .. "run(async(function()\n" .. code .. "\nend)())")
  return program.run((shell or "exec %s"):gsub("%%s", function()
    return program.quote(program.neap) .. " " .. folder:file "script.lua"
  end), options)
end

local UPPER = [[
  for line in process.stdin:lines() do await(process.stdout:write(line:upper() .. "\n")) end
  await(process.stderr:write "end\n")
]]

describe("process.stdin, stdout, stderr", function()
  local expected = {code = 0, stdout = "ONE\nTWO\nTHREE\n", stderr = "end\n"}

  it("are streams over files", function()
    assert.are.same(expected, run_main(UPPER, nil, {stdin = "one\ntwo\nthree"}))
  end)

  it("are streams over pipes", function()
    local result = run_main(UPPER, "{ printf 'one\\ntwo\\n'; sleep 0.05; echo three; } | %s | cat")
    assert.are.same(expected, result)
  end)

  it("are streams over terminals", function()
    if not program.exists "script" then pending "script is not installed" end
    local result = run_main([[
      await(process.stdout:write "go\n")
      print(await(process.stdin:read "l"))
    ]], "echo typed | script -qec '%s' /dev/null")
    assert.matches("go\r\n", result.stdout, 1, true)
    assert.matches("typed\r\n$", result.stdout)
  end)

  it("are streams over /dev/null, and what libuv cannot watch", function()
    assert.are.same({code = 0, stdout = "", stderr = "end\n"}, run_main(UPPER, "exec %s </dev/null"))
    local result = run_main("print(#await(process.stdin:readexactly(200000)))", "exec %s </dev/zero")
    assert.are.same({code = 0, stdout = "200000\n", stderr = ""}, result)
  end)

  it("let other tasks run while they wait", function()
    local folder <close> = program.folder()
    local go = files.fifo(folder:file "go")
    local result = run_main(([[
      local reading = create_task(process.stdin:read "l")
      await(sleep(0.01))
      print(reading:done())
      io.open(%q, "w"):close()
      print(await(reading))
    ]]):format(go), ("{ read _ <%s; echo late; } | %%s"):format(go))
    assert.are.same({code = 0, stdout = "false\nlate\n", stderr = ""}, result)
  end)

  it("keep the program from ending while they write much to a file", function()
    local result = run_main([[
      await(process.stdout:write(("x"):rep(200000)))
      await(process.stdout:write("\n"))
    ]])
    assert.are.same({0, 200001, ""}, {result.code, #result.stdout, result.stderr})
  end)

  it("leave pipes of other users blocking, and are streams over them", function()
    -- who may not open the pipe anew has it together with cat and seq
    local neap = "setpriv --reuid=65534 --regid=65534 --clear-groups " .. program.quote(program.neap) .. " -e "
    if not files.is_root or not os.execute(neap .. "'' 2>/dev/null") then
      return pending "needs another user than the superuser"
    end
    local result = program.run(("{ seq 1000; sleep 0.05; echo end; } | { %s %s; seq 100000; } | { sleep 0.1; wc; }")
      :format(neap, program.quote [[
        local process = require "process"
        run(async(function()
          for line in process.stdin:lines() do await(process.stdout:write(line, "\n")) end
          await(process.stdout:write(("x"):rep(300000), "\n"))
        end)()) ]]))
    assert.are.same({"101002 101002 892793", ""}, {result.stdout:gsub("%s+", " "):match "^ ?(.-) ?$", result.stderr})
  end)

  it("let other tasks run also over files, and what never ends", function()
    for _, endless in ipairs {
      "while true do await(process.stdin:read()) end",
      "for _ in process.stdin:lines(100) do end",
      "await(process.stdin:pipe(process.stdout))",
      "while true do await(process.stdout:write(('x'):rep(1000))) end",
    } do
      local result = run_main(([[
        local endless = create_task(async(function() %s end)())
        await(sleep(0.01))
        endless:cancel()
        local ok, err = asyncio.catch(await, endless)
        await(process.stderr:write(tostring(not ok and asyncio.isinstance(err, asyncio.CancelledError))))
      ]]):format(endless), "exec %s </dev/zero >/dev/null", {timeout = 10})
      assert.are.same({code = 0, stdout = "", stderr = "true"}, result)
    end
  end)

  it("are the same stream each time, and tell who they are", function()
    local result = run_main [[
      print(process.stdin, process.stdout, process.stderr, process.stdout == process.stdout)
      print(process.stdfoo)
    ]]
    assert.are.equal("<Stream stdin>\t<Stream stdout>\t<Stream stderr>\ttrue\nnil\n", result.stdout)
  end)

  it("write behind what was printed", function()
    local result = run_main [[
      io.write "printed "
      await(process.stdout:write "written\n")
    ]]
    assert.are.equal("printed written\n", result.stdout)
  end)

  it("closed, leave the program's own open", function()
    local result = run_main [[
      process.stdout:close()
      process.stdin:close()
      print "still here"
      print(io.read "l")
    ]]
    assert.are.same({code = 0, stdout = "still here\nnil\n", stderr = ""}, result)
  end)

  it("do not change how others block on the same pipe", function()
    local result = run_main([[
      process.stdin:close()
      os.execute "head -n 1"
    ]], "{ sleep 0.1; echo late; } | %s")
    assert.are.same({code = 0, stdout = "late\n", stderr = ""}, result)
  end)

  it("leave sockets blocking for others, but can shut them down", function()
    local folder <close> = program.folder()
    local script = folder:write("script.lua", PRELUDE .. [[
      run(async(function()
        local ticks = 0
        local turns = create_task(async(function()
          while true do
            await(sleep(0))
            ticks = ticks + 1
          end
        end)())
        local count = await(process.stdin:pipe(process.stdout))
        turns:cancel()
        for number = 0, 1 do
          local flags = io.open("/proc/self/fdinfo/" .. number):read "a":match "flags:%s*(%d+)"
          io.stderr:write(flags:match "4...$" or "blocking", " ")
        end
        io.stderr:write(count, " ", tostring(ticks > 0), "\n")
        await(process.stdout:shutdown())
        await(sleep(60))
      end)())
    ]])
    local text = ("0123456789"):rep(100000)
    tasks.main(function()
      local far, over = {}, asyncio.Event()
      local _ <close> = await(net.listen_unix(folder:file "socket", async(function(stream)
        far[#far + 1] = stream
        await(over:wait())
      end)))
      local _ <close> = tasks.at_end(function() over:set() end)
      local near = {}
      for i = 1, 2 do
        near[i] = await(net.connect_unix(folder:file "socket"))
        tasks.wait_until(function() return #far == i end)
      end
      local child <close> = process.spawn {program.neap, script, stdin = near[1], stdout = near[2], stderr = "pipe"}
      local feed = create_task(async(function()
        await(far[1]:write(text))
        await(far[1]:shutdown())
      end)())
      assert.is_true(text == await(asyncio.wait_for(far[2]:read "a", 20)))
      await(feed)
      assert.are.equal("blocking blocking 1000000 true\n", await(child.stderr:read "L"))
    end)
  end)

  it("raise EPIPE when nobody reads any more", function()
    local result = run_main([[
      await(sleep(0.05))
      local ok, err = pcall(function()
        for _ = 1, 100 do await(process.stdout:write(("x"):rep(10000))) end
      end)
      await(process.stderr:write(tostring(err.code) .. "\n"))
    ]], "{ %s; echo $? >&2; } | true")
    assert.are.equal("EPIPE\n0\n", result.stderr)
  end)

  it("raise ENOSPC when the disk is full, and EBADF when they are not open", function()
    local result = run_main([[
      print(pcall(await, process.stderr:write "x"))
      print(pcall(await, process.stdin:read()))
    ]], "exec %s 2>/dev/full <&-")
    assert.are.equal("false\tOSError: write 'stderr': no space left on device (ENOSPC)\n"
      .. "false\tOSError: read 'stdin': bad file descriptor (EBADF)\n", result.stdout)
  end)
end)

describe("the environment", function()
  it("is read and written by name", function()
    local name = "NEAP_PROCESS_SPEC"
    assert.is_nil(process.getenv(name))
    process.setenv(name, "a=b")
    finally(function() process.setenv(name) end)
    assert.are.equal("a=b", process.getenv(name))
    assert.are.equal("a=b", os.getenv(name))
    assert.are.equal("a=b", process.environ()[name])
    assert.are.equal("a=b\n", program.capture("echo $" .. name) .. "\n")
    run(async(function()
      assert.are.equal("a=b\n", await(process.shell("echo $" .. name)).stdout)
      local env = process.environ()
      env[name] = "c"
      assert.are.equal("c\n", await(process.shell("echo $" .. name, {env = env})).stdout)
    end)())
    assert.are.equal("a=b", process.getenv(name))
    process.setenv(name, nil)
    assert.is_nil(process.getenv(name))
    assert.is_nil(process.environ()[name])
    process.setenv(name, 5) -- as `env` takes it
    assert.are.equal("5", process.getenv(name))
    assert.matches("a string expected as its value, got boolean$", select(2, pcall(process.setenv, name, true)))
  end)

  it("is a table with every variable", function()
    assert.are.equal(os.getenv "PATH", process.environ().PATH)
    local count, lines = 0, 0
    for _ in pairs(process.environ()) do count = count + 1 end
    for _ in program.read "/proc/self/environ":gmatch "[^\0]+" do lines = lines + 1 end
    assert.is_true(count > 0 and count >= lines - 2)
  end)

  it("is what getenv gives, and can be handed on, however odd it is", function()
    if not program.exists "python3" then return pending "python3 is not installed" end
    local folder <close> = program.folder()
    folder:write("script.lua", PRELUDE .. [[
      local env = process.environ()
      print(process.getenv "A", env.A, env[""])
      io.write(run(process.run {"/usr/bin/env", env = env}).stdout)
    ]])
    local result = program.run({"python3", "-c", [=[
import ctypes, sys
words = lambda *list: (ctypes.c_char_p * (len(list) + 1))(*list)
ctypes.CDLL(None).execve(sys.argv[1].encode(), words(*[word.encode() for word in sys.argv[1:]]),
  words(b"A=1", b"A=2", b"=x=y", b"nothing", b"B=3"))
]=], program.neap, folder:file "script.lua"})
    assert.are.same({0, ""}, {result.code, result.stderr})
    assert.matches("^1\t1\tnil\n", result.stdout)
    local lines = {}
    for line in result.stdout:gmatch "%u=[^\n]*" do lines[#lines + 1] = line end
    table.sort(lines)
    assert.are.same({"A=1", "B=3"}, lines)
  end)

  it("has no variable without a name, or with '='", function()
    for _, name in ipairs {"", "A=B", "A\0B"} do
      assert.has_error(function() process.getenv(name) end)
      assert.has_error(function() process.setenv(name, "x") end)
    end
    assert.has_error(function() process.setenv("A", "x\0y") end)
    assert.has_error(function() process.getenv(5) end)
  end)
end)

describe("the process", function()
  it("has a number", function()
    assert.are.equal(tonumber(program.capture "echo $PPID"), process.pid)
  end)

  it("has a folder, which can be changed", function()
    local folder <close> = program.folder()
    local before = process.cwd()
    assert.are.equal(program.capture "pwd -P", before)
    process.chdir(folder.path)
    finally(function() process.chdir(before) end)
    assert.are.equal(program.capture "pwd -P", process.cwd())
    local ok, err = pcall(process.chdir, "/no/such/folder")
    assert.is_false(ok)
    assert.are.same({"ENOENT", "chdir", "/no/such/folder"}, {err.code, err.syscall, err.path})
  end)

  it("says by signal 0 whether there is such a process", function()
    process.kill(process.pid, 0)
    local ok, err = pcall(process.kill, 2 ^ 22 | 0, 0)
    assert.is_false(ok)
    assert.are.equal("ESRCH", err.code)
  end)

  it("sends signals", function()
    local ok, err = pcall(process.kill, 2 ^ 22 | 0, "TERM") -- beyond Linux's largest
    assert.is_false(ok)
    assert.are.equal("ESRCH", err.code)
    assert.is_true(asyncio.isinstance(err, asyncio.OSError))
    assert.has_error(function() process.kill(process.pid, "NOPE") end)
    assert.has_error(function() process.kill("self", "TERM") end)
    for _, signal in ipairs {1, "0", 0.5} do -- by name
      assert.has_error(function() process.kill(process.pid, signal) end)
    end
    local result = run_main [[
      local waiting = create_task(require "signal".wait "USR1")
      await(sleep(0))
      process.kill(process.pid, "USR1")
      print(await(waiting))
    ]]
    assert.are.equal("USR1\n", result.stdout)
  end)
end)

describe("process.exit", function()
  local CLEANUP = [[
    local function cleanup(name)
      return setmetatable({}, {__close = function() await(sleep(0.01)) print("cleanup " .. name) end})
    end
    create_task(async(function()
      local _ <close> = cleanup "other"
      await(sleep(100))
    end)())
    await(sleep(0))
    local _ <close> = cleanup "main"
  ]]

  it("ends the program with an exit code, after all cleanup", function()
    local result = run_main(CLEANUP .. "process.exit(7)")
    assert.are.same({code = 7, stdout = "cleanup main\ncleanup other\n", stderr = ""}, result)
  end)

  it("passes through pcall", function()
    local result = run_main "pcall(process.exit, 3) print 'not reached'"
    assert.are.same({code = 3, stdout = "", stderr = ""}, result)
  end)

  it("works in other tasks, and in callbacks", function()
    for _, code in ipairs {
      "create_task(async(function() process.exit(4) end)()) await(sleep(100))",
      "asyncio.call_soon(process.exit, 4) await(sleep(100))",
    } do
      local result = run_main(CLEANUP .. code)
      assert.are.same({code = 4, stdout = "cleanup main\ncleanup other\n", stderr = ""}, result)
    end
  end)

  it("takes what os.exit takes", function()
    for code, given in pairs {[0] = "", [1] = "false", [255] = "255"} do
      assert.are.equal(code, run_main("process.exit(" .. given .. ")").code)
    end
    assert.are.equal(0, run_main("process.exit(true)").code)
    local result = run_main "print(pcall(process.exit, 'x'))"
    assert.are.equal("false\tprocess: exit: an integer or boolean expected, got a string\n",
      (result.stdout:gsub("%S+:%d+: ", "")))
  end)

  it("works outside tasks: in chunks, on standard input, in the line reader", function()
    local exit = "require 'process'.exit(5) print 'not reached'"
    local neap = program.neap
    for _, case in ipairs {
      {{neap, "-e", exit, "-e", "print 'not reached'"}},
      {{neap, "-"}, exit},
      {{neap}, exit},
      {{neap, "-l", "process", "-e", "process.exit(5)"}},
    } do
      local result = program.run(case[1], {stdin = case[2]})
      assert.are.same({code = 5, stdout = "", stderr = ""}, result)
    end
    local result = program.run({neap, "-i"}, {stdin = "x = 1\n" .. exit .. "\nprint 'not reached'\n"})
    assert.are.equal(5, result.code)
    assert.is_nil(result.stdout:find "not reached")
  end)

  it("is no error of the program's", function()
    local result = run_main [[
      local err = select(2, asyncio.catch(process.exit, 6))
      print(err, err.code, asyncio.isinstance(err, asyncio.KeyboardInterrupt))
    ]]
    assert.are.equal("SystemExit: exit code 6\t6\ttrue\n", result.stdout)
    assert.are.equal(0, result.code)
  end)
end)
