-- process_spec.lua: the module `process`: programs that are run, and those
-- that are started. Their end: process_end_spec.lua.

local asyncio = require "asyncio"
local process = require "process"
local program = require "program"

-- Runs f as a task; gives its results.
local function task(f) return run(async(f)()) end

-- The error of await(process.run(options)).
local function failure(options)
  return task(function() return select(2, pcall(await, process.run(options))) end)
end

local function message(options) return tostring(failure(options)) end

describe("process.run", function()
  it("gives the output and the exit code", function()
    task(function()
      local result = await(process.run {"sh", "-c", "echo out; echo err >&2; exit 3"})
      assert.are.same({code = 3, stdout = "out\n", stderr = "err\n"}, result)
    end)
  end)

  it("gives the signal that has ended it", function()
    task(function()
      local result = await(process.run {"sh", "-c", "kill -USR1 $$"})
      assert.are.same({signal = "USR1", stdout = "", stderr = ""}, result)
    end)
  end)

  it("hands arguments over as they are", function()
    task(function()
      local odd = {"", " a  b ", "$HOME", "*", "'", "\"", "\n", "\xff", 5, 1.5}
      local result = await(process.run {"printf", "[%s]", table.unpack(odd)})
      assert.are.equal("[" .. table.concat(odd, "][") .. "]", result.stdout)
    end)
  end)

  it("writes the input, of any length, and ends it", function()
    task(function()
      for _, input in ipairs {"", "abc", ("x"):rep(1000003)} do
        local result = await(process.run {"cat", input = input})
        assert.is_true(result.stdout == input)
        assert.are.equal(0, result.code)
      end
    end)
  end)

  it("does not mind a program that reads no input", function()
    task(function()
      assert.are.equal(0, await(process.run {"true", input = ("x"):rep(1000000)}).code)
    end)
  end)

  it("gives an empty standard input without any", function()
    task(function() assert.are.equal("", await(process.run {"cat"}).stdout) end)
  end)

  it("runs in a folder", function()
    task(function() assert.are.equal("/\n", await(process.run {"pwd", cwd = "/"}).stdout) end)
  end)

  it("gives an environment, and no other variables", function()
    task(function()
      local result = await(process.run {"/usr/bin/env", env = {ONE = "1", TWO = 2, EMPTY = ""}})
      local lines = {}
      for line in result.stdout:gmatch "[^\n]+" do lines[#lines + 1] = line end
      table.sort(lines)
      assert.are.same({"EMPTY=", "ONE=1", "TWO=2"}, lines)
    end)
  end)

  it("uses a shell only when it is told", function()
    task(function()
      assert.are.equal("$((1 + 1))\n", await(process.run {"echo", "$((1 + 1))"}).stdout)
      assert.are.equal("2\n", await(process.run {"echo $((1 + 1))", shell = true}).stdout)
      assert.are.equal("a b\n", await(process.run {"echo $2 $1", "b", "a", shell = true}).stdout)
      assert.are.equal("2\n", await(process.shell "echo $((1 + 1))").stdout)
      assert.are.equal("/\n", await(process.shell("pwd", {cwd = "/"})).stdout)
    end)
  end)

  it("raises ProcessError with check", function()
    task(function() assert.are.equal(0, await(process.run {"true", check = true}).code) end)
    local err = failure {"sh", "-c", "echo out; echo one >&2; echo two >&2; exit 3", check = true}
    assert.is_true(asyncio.isinstance(err, process.ProcessError))
    assert.are.equal("ProcessError: 'sh' failed: exit code 3: two", tostring(err))
    assert.are.same({3, "out\n", "one\ntwo\n", "sh"}, {err.code, err.stdout, err.stderr, err.command})
    -- lines however long, in linear time
    err = failure {"head -c 300000 /dev/zero >&2; echo >&2; echo bad >&2; echo >&2; false", shell = true, check = true}
    assert.matches(": exit code 1: bad$", tostring(err))
    assert.matches(": exit code 1$", tostring(failure {"echo >&2; false", shell = true, check = true}))
    err = failure {"kill -KILL $$", shell = true, check = true}
    assert.are.equal("ProcessError: 'kill -KILL $$' failed: signal KILL", tostring(err))
    assert.are.same({nil, "KILL"}, {err.code, err.signal})
  end)

  it("can put both outputs into one, and let them go elsewhere", function()
    task(function()
      local result = await(process.run {"sh", "-c", "echo a; echo b >&2; echo c", stderr = "stdout"})
      assert.are.same({code = 0, stdout = "a\nb\nc\n"}, result)
      result = await(process.run {"sh", "-c", "echo a; echo b >&2", stdout = "null", stderr = "null"})
      assert.are.same({code = 0}, result)
    end)
  end)

  it("refuses more output than the limit, by name", function()
    task(function()
      assert.are.equal(1000, #await(process.run {"head", "-c1000", "/dev/zero", limit = 1000}).stdout)
    end)
    assert.are.equal("LimitOverrunError: run: 'head' wrote more to stdout than the limit, 1000 bytes",
      message {"head", "-c1001", "/dev/zero", limit = 1000})
    assert.are.equal("LimitOverrunError: run: 'yes >&2' wrote more to stderr than the limit, 70000 bytes",
      message {"yes >&2", shell = true, limit = 70000})
    assert.matches("wrote more to stdout than the limit, 67108864 bytes$", message {"head", "-c100000000", "/dev/zero"})
  end)

  it("says what the system says", function()
    local err = failure {"no-such-program"}
    assert.is_true(asyncio.isinstance(err, asyncio.OSError))
    assert.are.same({"ENOENT", "spawn", "no-such-program"}, {err.code, err.syscall, err.path})
    assert.are.equal("EACCES", failure {"/"}.code)
    for _, cwd in ipairs {"/no/such/folder", "/dev/null"} do
      err = failure {"true", cwd = cwd}
      assert.are.same({cwd == "/dev/null" and "ENOTDIR" or "ENOENT", "chdir", cwd}, {err.code, err.syscall, err.path})
    end
    err = failure {"true", stdin = "/no/such/file"}
    assert.are.same({"ENOENT", "open", "/no/such/file"}, {err.code, err.syscall, err.path})
  end)

  it("says how it is used", function()
    for _, case in ipairs {
      {"run: a program expected at %[1%]$", {}},
      {"run: a table expected, got a string; write run{\"program\", \"argument\"}$", "ls"},
      {"unknown option 'pwd' of run %(there are check, ", {"ls", pwd = "/"}},
      {"unknown option '3' of run", {"ls", [3] = "x"}},
      {"run: a string expected as argument 1, got a table$", {"ls", {}}},
      {"run: a string expected as the command, got a number$", {5, shell = true}},
      {"a zero byte in an argument$", {"ls", "a\0b"}},
      {"a zero byte in cwd$", {"ls", cwd = "a\0b"}},
      {"env: a variable cannot be called 'A=B'$", {"ls", env = {["A=B"] = "1"}}},
      {"env: a variable cannot be called '1'$", {"ls", env = {"A=1"}}},
      {"env: a string expected as A, got a boolean$", {"ls", env = {A = true}}},
      {"env: a table expected, got a string$", {"ls", env = "A=1"}},
      {"input: a string expected, got a number$", {"ls", input = 5}},
      {"run: input and stdin exclude each other$", {"ls", input = "x", stdin = "null"}},
      {"run: nobody would write to the pipe; give input$", {"ls", stdin = "pipe"}},
      {"stdout: \"pipe\", \"inherit\", \"null\", a path or a file expected, got number$", {"ls", stdout = 1}},
      {"run: a string expected as argument 1, got nil$", {"ls", nil, "x"}},
      {"run: a string expected as the program, got a boolean$", {true}},
      {"timeout: a number expected, got a string$", {"ls", timeout = "1"}},
      {"timeout is no number %(NaN%)$", {"ls", timeout = 0 / 0}},
      {"limit cannot be 0$", {"ls", limit = 0}},
      {"limit: an integer expected, got 1.5$", {"ls", limit = 1.5}},
      {"limit is 1099511627777, but cannot be above 1099511627776$", {"ls", limit = (1 << 40) + 1}},
      {"grace: a number expected, got a string$", {"ls", grace = "1"}},
      {"grace cannot be %-1$", {"ls", grace = -1}},
      {"grace cannot be %-?nan$", {"ls", grace = 0 / 0}},
    } do
      local text = message(case[2])
      assert.matches(case[1], text)
      assert.matches("^tests/spec/process_spec.lua:%d+: process: ", text)
    end
  end)

  it("is lazy", function()
    local folder <close> = program.folder()
    task(function()
      local coro = process.run {"touch", folder:file "made"}
      await(sleep(0.01))
      assert.is_nil(io.open(folder:file "made"))
      await(coro)
      assert.is_truthy(io.open(folder:file "made")):close()
    end)
  end)
end)

describe("process.spawn", function()
  it("starts a program with pipes", function()
    task(function()
      local child <close> = process.spawn {"cat", stdin = "pipe", stdout = "pipe"}
      assert.is_nil(child.stderr)
      assert.are.equal(("<Process %d 'cat' running>"):format(child.pid), tostring(child))
      assert.is_nil(child:poll())
      for i = 1, 10 do
        await(child.stdin:write(i .. "\n"))
        assert.are.equal(tostring(i), await(child.stdout:read "l"))
      end
      child.stdin:close()
      assert.is_nil(await(child.stdout:read()))
      assert.are.equal(0, await(child:wait()))
      assert.are.equal(0, await(child:wait()))
      assert.are.equal(0, child:poll())
      assert.are.equal(("<Process %d 'cat' ended: exit code 0>"):format(child.pid), tostring(child))
      assert.is_false(child:kill())
    end)
  end)

  it("gives the program's own standard streams otherwise", function()
    local result = program.run_script([[
      local process = require "process"
      run(async(function() await(process.spawn{"sh", "-c", "cat; echo err >&2"}:wait()) end)())
    ]], {stdin = "in"})
    assert.are.same({code = 0, stdout = "in", stderr = "err\n"}, result)
  end)

  it("reads and writes files: by path, Lua's own, appending", function()
    local folder <close> = program.folder()
    local input, output = folder:write("in", "b\na\n"), folder:file "out"
    task(function()
      assert.are.equal(0, await(process.spawn {"sort", stdin = input, stdout = output}:wait()))
      assert.are.equal("a\nb\n", program.read(output))
      local file <close> = io.open(output, "a")
      file:write "c\n"
      await(process.spawn {"sh", "-c", "echo d; echo e >&2", stdout = file, stderr = "stdout"}:wait())
      assert.are.equal("a\nb\nc\nd\ne\n", program.read(output))
      do
        local opened <close> = await(require "fs".open(output, "a"))
        await(opened:write "f\n")
        await(process.spawn {"echo", "g", stdout = opened}:wait())
      end
      assert.are.equal("a\nb\nc\nd\ne\nf\ng\n", program.read(output))
      local closed = io.open(output)
      closed:close()
      assert.has_error(function() process.spawn {"cat", stdin = closed} end)
    end)
  end)

  it("takes an object that has a descriptor", function()
    task(function()
      local file <close> = assert(io.tmpfile())
      file:write "text"
      file:seek "set"
      local object = setmetatable({}, {__index = {fileno = function() return 2 end}})
      assert.are.same({code = 0, stdout = "text"}, await(process.run {"cat", stdin = file, stderr = object}))
    end)
  end)

  it("connects programs: a pipeline", function()
    task(function()
      local first <close> = process.spawn {"printf", "b\\na\\nb\\n", stdout = "pipe"}
      local second <close> = process.spawn {"sort", stdin = first.stdout, stdout = "pipe"}
      local third = await(process.run {"uniq", "-c", stdin = second.stdout})
      assert.are.equal("1 a 2 b", third.stdout:gsub("%s+", " "):match "^ ?(.-) ?$")
      assert.are.same({0, 0}, {await(first:wait()), await(second:wait())})
      assert.is_true(first.stdout:is_closed())
    end)
  end)

  it("gives no stream away that was read from", function()
    task(function()
      local child <close> = process.spawn {"printf", "one\\ntwo\\n", stdout = "pipe"}
      await(child.stdout:read "l")
      local ok, err = pcall(process.spawn, {"cat", stdin = child.stdout})
      assert.is_false(ok)
      assert.matches("this stream cannot be given to a child", err)
      assert.are.equal("two", await(child.stdout:read "l"))
      child.stdout:close()
      ok, err = pcall(process.spawn, {"cat", stdin = child.stdout})
      assert.is_false(ok)
      assert.matches("closed", err)
    end)
  end)

  it("makes real pipes, which can be opened again", function()
    task(function()
      local result = await(process.run {"cat", "/dev/stdin", input = "through\n"})
      assert.are.same({code = 0, stdout = "through\n", stderr = ""}, result)
    end)
  end)

  it("gives no descriptor but the three", function()
    task(function()
      local file <close> = io.open "/dev/null" -- not closed by exec, as Lua opens it
      local result = await(process.run {"sh", "-c", "for fd in /proc/self/fd/*; do echo ${fd##*/}; done"})
      -- the shell has /proc/self/fd itself open while it reads it
      assert.matches("^0\n1\n2\n3?\n?$", result.stdout)
      assert.is_nil(file:read())
    end)
  end)

  it("leaves the descriptors of the program as they were", function()
    local result = program.run([[exec 7</dev/null; exec ]] .. program.quote(program.neap) .. [[ -e '
      local process = require "process"
      run(async(function() await(process.run {"true"}) end)())
      os.execute "test -e /proc/self/fd/7 && echo inherited"']])
    assert.are.same({code = 0, stdout = "inherited\n", stderr = ""}, result)
  end)

  it("leaves programs that are started the usual SIGPIPE", function()
    task(function()
      assert.are.equal("y\n", await(process.shell("yes | head -n 1")).stdout)
      assert.are.equal("", await(process.shell("yes | head -n 1")).stderr)
    end)
    assert.are.equal("141\n", program.run("{ yes; echo $? >&2; } | head -n 1").stderr) -- by os.execute
  end)

  it("runs many at once", function()
    task(function()
      local all = {}
      for i = 1, 60 do all[i] = process.run {"echo", i} end
      for i, result in ipairs(await(gather(all))) do assert.are.equal(i .. "\n", result.stdout) end
    end)
  end)

  it("lets several tasks wait", function()
    task(function()
      local child <close> = process.spawn {"cat", stdin = "pipe"}
      local waiting = {}
      for i = 1, 3 do waiting[i] = create_task(child:wait()) end
      await(sleep(0))
      waiting[2]:cancel()
      await(sleep(0))
      child:kill "INT"
      for _, i in ipairs {1, 3} do assert.are.same({nil, "INT"}, {await(waiting[i])}) end
      assert.is_true(waiting[2]:cancelled())
    end)
  end)

  it("is no deadlock while somebody waits, and no reason to wait", function()
    local start = asyncio.time()
    task(function()
      await(process.spawn {"sleep", "0.05"}:wait())
      process.spawn({"sleep", "20"})
    end)
    assert.is_true(asyncio.time() - start < 15)
  end)

  it("says how it is used", function()
    local function text(...) return select(2, pcall(...)) end
    assert.matches("unknown option 'input' of spawn", text(process.spawn, {"cat", input = "x"}))
    local child <close> = process.spawn {"cat", stdin = "pipe"}
    assert.matches("Process.wait: a process expected, got nil; write process:wait%(%)$",
      text(function() task(function() await(child.wait()) end) end))
    assert.matches("kill: no signal is called 'NOPE'", text(child.kill, child, "NOPE"))
  end)
end)
