-- process_end_spec.lua: how children end: by themselves, with their block,
-- their task, and the VM; and what goes wrong on the way.

local asyncio = require "asyncio"
local process = require "process"
local program = require "program"

-- Runs f as a task; gives its results.
local function task(f) return run(async(f)()) end

-- Whether there is such a process (a zombie is one, too).
local function exists(pid)
  local ok, err = pcall(process.kill, pid, "CONT")
  if not ok then assert.are.equal("ESRCH", err.code) end
  return ok
end

-- Whether it runs. (Who collects what a child has started is not for Neap.)
local function runs(pid)
  local file = io.open(("/proc/%d/stat"):format(pid))
  local state = file and file:read("a"):match "%) (%a)"
  if file then file:close() end
  return state ~= nil and state ~= "Z"
end

-- Waits for the first line of a file, and gives the number there.
local function number_in(path)
  while true do
    local file <close> = io.open(path)
    local line = file and file:read "L"
    if line and line:find "\n" then return tonumber(line) end
    await(sleep(0.005))
  end
end

-- A program that says "ready", and then does not care for TERM.
local STUBBORN = {"sh", "-c", "trap '' TERM; echo ready; read line", stdin = "pipe", stdout = "pipe"}

local function spawn(options, more)
  for key, value in pairs(options) do more[key] = value end
  return process.spawn(more)
end

-- Runs a script in a folder; gives its result, and the number in the file pid.
local function run_script(code, limit)
  local folder <close> = program.folder()
  folder:write("script.lua", "local process, asyncio = require 'process', require 'asyncio'\n" .. code)
  local result = program.run(("%s exec %s script.lua"):format(limit or "", program.quote(program.neap)),
    {cwd = folder.path})
  local file = io.open(folder:file "pid")
  local pid = file and tonumber(file:read "l")
  if file then file:close() end
  return result, pid
end

describe("a child", function()
  it("ends with its block", function()
    task(function()
      local child
      do
        local scope <close> = process.spawn {"sleep", "100"}
        child = scope
        assert.is_true(exists(child.pid))
      end
      assert.are.same({nil, "TERM"}, {child:poll()})
      assert.is_false(exists(child.pid))
    end)
  end)

  it("is asked to end, and has time for it", function()
    task(function()
      local child <close> = process.spawn {"sh", "-c", "trap 'echo bye; exit 7' TERM; echo ready; read line",
        stdin = "pipe", stdout = "pipe"}
      assert.are.equal("ready", await(child.stdout:read "l"))
      local text = create_task(child.stdout:read "a")
      await(sleep(0))
      assert.are.equal(7, await(child:stop()))
      assert.are.equal("bye\n", await(text))
      assert.is_true(child.stdin:is_closed() and child.stdout:is_closed())
    end)
  end)

  it("that ignores TERM is killed after the grace", function()
    task(function()
      local child = spawn(STUBBORN, {grace = 0.02})
      assert.are.equal("ready", await(child.stdout:read "l"))
      assert.are.same({nil, "KILL"}, {await(child:stop())})
      child = spawn(STUBBORN, {})
      assert.are.equal("ready", await(child.stdout:read "l"))
      assert.is_true(child:terminate())
      await(sleep(0.01))
      assert.are.same({nil, "KILL"}, {await(child:stop(0))})
    end)
  end)

  it("goes on when the grace is none", function()
    task(function()
      local child <close> = process.spawn {"sleep", 100}
      for _, grace in ipairs {-1, 0 / 0, "1"} do
        local ok, err = pcall(function() await(child:stop(grace)) end)
        assert.is_false(ok)
        assert.matches("grace", err)
      end
      assert.is_true(child:terminate())
      assert.are.same({nil, "TERM"}, {await(child:wait())})
    end)
  end)

  it("is killed at once when the task is cancelled once more", function()
    task(function()
      local child = spawn(STUBBORN, {grace = 1000})
      assert.are.equal("ready", await(child.stdout:read "l"))
      local holder = create_task(async(function()
        local _ <close> = child
        await(sleep(1000))
      end)())
      await(sleep(0))
      holder:cancel()
      await(sleep(0.02))
      assert.is_nil(child:poll())
      holder:cancel()
      assert.are.same({nil, "KILL"}, {await(child:wait())})
      asyncio.catch(await, holder)
      assert.is_true(holder:cancelled())
      assert.is_true(child.stdout:is_closed())
    end)
  end)

  it("outside a task is killed with its block", function()
    local pid
    do
      local child <close> = process.spawn {"sleep", "100"}
      pid = child.pid
    end
    task(function()
      while exists(pid) do await(sleep(0.001)) end
    end)
  end)

  it("that nobody waits for leaves no zombie", function()
    task(function()
      local pids = {}
      for i = 1, 20 do pids[i] = process.spawn({"true"}).pid end
      collectgarbage()
      collectgarbage()
      for _, pid in ipairs(pids) do
        while exists(pid) do await(sleep(0.001)) end
      end
    end)
  end)

  it("gets a signal by its name, and by its pid", function()
    task(function()
      for _, name in ipairs {"HUP", "SIGINT", "KILL"} do
        local child <close> = process.spawn {"sleep", "100"}
        assert.is_true(child:kill(name))
        assert.are.same({nil, (name:gsub("^SIG", ""))}, {await(child:wait())})
        assert.is_false(child:kill(name))
      end
      local child <close> = process.spawn {"sleep", "100"}
      process.kill(child.pid, "USR1")
      assert.are.same({nil, "USR1"}, {await(child:wait())})
    end)
  end)
end)

describe("process.run", function()
  it("ends the program when it is cancelled, at whichever await", function()
    local folder <close> = program.folder()
    task(function()
      for turns = 0, 12 do
        local path = folder:file("pid" .. turns)
        local running = create_task(process.run {"sh", "-c", "echo $$ >" .. path .. "; exec sleep 100",
          input = ("x"):rep(1000000)})
        for _ = 1, turns do await(sleep(0.002)) end
        running:cancel()
        asyncio.catch(await, running)
        assert.is_true(running:cancelled())
        local file <close> = io.open(path)
        local pid = file and tonumber(file:read "l")
        if pid then assert.is_false(exists(pid)) end
      end
    end)
  end)

  it("ends it after the timeout", function()
    task(function()
      local start = asyncio.time()
      local ok, err = pcall(await, process.run {"sleep", "100", timeout = 0.05})
      assert.is_false(ok)
      assert.is_true(asyncio.isinstance(err, asyncio.TimeoutError))
      assert.is_true(asyncio.time() - start < 50)
      assert.are.equal("ok\n", await(process.run {"echo", "ok", timeout = 50}).stdout)
    end)
  end)

  it("ends it when it writes too much", function()
    task(function()
      local ok, err = pcall(await, process.run {"yes", limit = 100})
      assert.is_false(ok)
      assert.matches("than the limit, 100 bytes$", err.message)
    end)
  end)

  it("fails where there are no descriptors left, and leaks none", function()
    local result = run_script([[
      run(async(function()
        await(process.run {"true"})
        local files = {}
        while true do
          local file = io.open "/dev/null"
          if not file then break end
          files[#files + 1] = file
        end
        for left = 0, 12 do
          local ok, err = pcall(await, process.run {"true", input = "x"})
          if ok then print(left > 3) break end
          assert(err.code == "EMFILE", err)
          table.remove(files):close()
        end
        for _, file in ipairs(files) do file:close() end
        collectgarbage()
        local function count()
          local n = 0
          for _ in require("lfs").dir "/proc/self/fd" do n = n + 1 end
          return n
        end
        local before = count()
        for _ = 1, 5 do pcall(await, process.run {"no-such-program", input = "x"}) end
        print(count() <= before) -- fewer: one that was closing then
      end)())
    ]], "ulimit -n 60;")
    assert.are.same({code = 0, stdout = "true\ntrue\n", stderr = ""}, result)
  end)
end)

describe("what a child has started", function()
  -- Commands that write the number of a program of theirs to the file $1.
  local PATIENT <const> = "sleep 100 & echo $! >$1; wait"
  local function inner(code) return ("sh -c '%s; while :; do sleep 0.02; done' sh $1 & wait"):format(code) end
  local STUBBORN_ONE <const> = inner [[trap "" TERM; echo $$ >$1]]
  local TIDY <const> = inner [[trap "sleep 0.05; echo bye >$1; exit" TERM; echo $$ >$1]]

  it("ends with run, after its timeout and when it is cancelled", function()
    local folder <close> = program.folder()
    task(function()
      local path = folder:file "timeout"
      local ok, err = pcall(await, process.shell(PATIENT, {path, timeout = 0.3}))
      assert.is_false(ok)
      assert.is_true(asyncio.isinstance(err, asyncio.TimeoutError))
      assert.is_false(runs(number_in(path)))
      for _, command in ipairs {PATIENT, STUBBORN_ONE, "sleep 100 & echo $! >$1; exit"} do
        path = folder:file "cancelled"
        local running = create_task(process.shell(command, {path, grace = 0.05}))
        local pid = number_in(path)
        running:cancel()
        asyncio.catch(await, running)
        assert.is_true(running:cancelled())
        while runs(pid) do await(sleep(0.001)) end -- KILL takes a moment
        os.remove(path)
      end
    end)
  end)

  it("has the time that the child has", function()
    local folder <close> = program.folder()
    task(function()
      local path = folder:file "pid"
      local running = create_task(process.shell(TIDY, {path}))
      local pid = number_in(path)
      running:cancel()
      asyncio.catch(await, running)
      assert.is_false(runs(pid))
      assert.are.equal("bye\n", program.read(path))
    end)
  end)

  it("is killed when the task is cancelled once more", function()
    local folder <close> = program.folder()
    task(function()
      local path = folder:file "pid"
      local running = create_task(process.shell(STUBBORN_ONE, {path, grace = 1000}))
      local pid = number_in(path)
      running:cancel()
      await(sleep(0.05))
      assert.is_true(runs(pid))
      running:cancel()
      asyncio.catch(await, running)
      while runs(pid) do await(sleep(0.001)) end
    end)
  end)

  it("may stay when the child has ended by itself", function()
    task(function()
      local result = await(process.shell("sleep 100 >/dev/null 2>&1 & echo $!"))
      local pid = tonumber(result.stdout)
      assert.is_true(runs(pid))
      process.kill(pid, "KILL")
    end)
  end)

  it("is left alone when it is to be", function()
    local folder <close> = program.folder()
    task(function()
      for name, options in pairs {none = {group = false}, inherited = {stdin = "inherit"}} do
        options[1], options.timeout = folder:file(name), 0.3
        pcall(await, process.shell(PATIENT, options))
        local pid = number_in(folder:file(name))
        assert.is_true(runs(pid))
        process.kill(pid, "KILL")
      end
    end)
  end)

  it("belongs to a child that leads a group", function()
    local folder <close> = program.folder()
    task(function()
      local path = folder:file "pid"
      local child
      do
        local scope <close> = process.spawn {PATIENT, path, shell = true, group = true}
        child = scope
        assert.is_true(runs(number_in(path)))
      end
      assert.is_false(runs(number_in(path)))
      assert.is_false(child:kill())
      os.remove(path)
      child = process.spawn {"sleep 100 & echo $! >$1", path, shell = true, group = true}
      assert.are.equal(0, await(child:wait()))
      local pid = number_in(path)
      assert.is_true(runs(pid))
      assert.is_true(child:terminate())
      while runs(pid) do await(sleep(0.001)) end
      assert.matches("group: a boolean expected", select(2, pcall(process.spawn, {"true", group = 1})))
    end)
  end)

  it("is not taken for the group of others that gets its number", function()
    local last = io.open("/proc/sys/kernel/ns_last_pid", "r+")
    if not last then
      pending "nobody lets us choose numbers of processes"
      return
    end
    last:close()
    local folder <close> = program.folder()
    task(function()
      -- the one that is left behind is collected by a shell that has left the group
      local child = process.spawn {
        [[(sleep 100 & echo $! >$1; exec setsid sh -c 'echo $$ >$0; while :; do sleep 0.01; done' $2) &]],
        folder:file "left", folder:file "holder", shell = true, group = true}
      assert.are.equal(0, await(child:wait()))
      local holder = number_in(folder:file "holder")
      process.kill(number_in(folder:file "left"), "KILL")
      while pcall(process.kill, -child.pid, 0) do await(sleep(0.001)) end
      process.kill(holder, "KILL")
      local other
      for _ = 1, 1000 do -- others may be faster
        local file <close> = assert(io.open("/proc/sys/kernel/ns_last_pid", "w"))
        file:write(child.pid - 1)
        file:close()
        other = process.spawn {"sleep", "100", group = true}
        if other.pid == child.pid then break end
        await(other:stop(0))
      end
      assert.are.equal(child.pid, other.pid)
      assert.is_false(child:kill())
      await(child:stop())
      assert.is_true(other:terminate())
      assert.are.same({nil, "TERM"}, {await(other:wait())})
    end)
  end)

  it("ends with the VM, stubborn or not", function()
    for _, command in ipairs {PATIENT, STUBBORN_ONE} do
      local result, pid = run_script(([[
        process.spawn {%q, "pid", shell = true, group = true}
        run(async(function()
          while not io.open "pid" or io.open("pid"):read "l" == nil do await(sleep(0.01)) end
        end)())
      ]]):format(command))
      assert.are.same({code = 0, stdout = "", stderr = ""}, result)
      task(function()
        while runs(pid) do await(sleep(0.001)) end
      end)
    end
  end)
end)

describe("much output", function()
  it("is kept as far as the limit goes", function()
    local result = run_script [[
      run(async(function()
        local function head(options)
          options[1], options[2], options[3], options[4] = "head", "-c", 100000000, "/dev/zero"
          return process.run(options)
        end
        local result = await(head {limit = 100000000})
        print(#result.stdout, result.code)
        result = nil
        local ok, err = pcall(await, head {})
        print(ok, asyncio.isinstance(err, require "stream".LimitOverrunError), err.limit == 64 << 20)
      end)())
    ]]
    assert.are.same({code = 0, stdout = "100000000\t0\nfalse\ttrue\ttrue\n", stderr = ""}, result)
  end)

  it("streams through a pipe with flat memory", function()
    local result = run_script [[
      run(async(function()
        local child <close> = process.spawn {"head", "-c", "100000000", "/dev/zero", stdout = "pipe"}
        local total, most = 0, 0
        while true do
          local data = await(child.stdout:read())
          if data == nil then break end
          total = total + #data
          most = math.max(most, collectgarbage "count")
        end
        print(total, await(child:wait()))
        assert(most < 10000, most)
      end)())
    ]]
    assert.are.same({code = 0, stdout = "100000000\t0\n", stderr = ""}, result)
  end)

  it("waits where nobody reads it", function()
    task(function()
      local child <close> = process.spawn {"sh", "-c", "head -c 1000000 /dev/zero; echo done >&2",
        stdout = "pipe", stderr = "pipe"}
      local done = create_task(child.stderr:read "l")
      await(sleep(0.05))
      assert.is_false(done:done())
      assert.are.equal(1000000, #await(child.stdout:read "a"))
      assert.are.equal("done", await(done))
    end)
  end)
end)

describe("a closed standard input", function()
  it("is an EPIPE, and not the end of the program", function()
    task(function()
      local child <close> = process.spawn {"true", stdin = "pipe"}
      await(child:wait())
      local ok, err = pcall(await, child.stdin:write "x")
      assert.is_false(ok)
      assert.is_true(asyncio.isinstance(err, asyncio.OSError))
      assert.are.equal("EPIPE", err.code)
    end)
  end)
end)

describe("the end of the VM", function()
  it("is that of its children, who are asked first", function()
    local result, pid = run_script [[
      local child = process.spawn {"sh", "-c", "trap 'echo bye; exit' TERM; echo $$ >pid; echo ready; read line",
        stdin = "pipe", stdout = "pipe", stderr = "inherit"}
      run(async(function() print(await(child.stdout:read "l")) end)())
    ]]
    assert.are.same({code = 0, stdout = "ready\n", stderr = ""}, result)
    assert.is_false(exists(pid))
  end)

  it("kills those who do not go", function()
    local result, pid = run_script [[
      local child = process.spawn {"sh", "-c", "trap '' TERM; echo $$ >pid; echo ready; while :; do sleep 0.1; done",
        stdout = "pipe"}
      run(async(function() print(await(child.stdout:read "l")) end)())
    ]]
    assert.are.same({code = 0, stdout = "ready\n", stderr = ""}, result)
    assert.is_false(exists(pid))
  end)

  it("leaves those who are detached", function()
    local result, pid = run_script [[
      local child = process.spawn {"sh", "-c", "echo $$ >pid; echo ready; exec sleep 100", stdout = "pipe",
        stdin = "null", stderr = "null", detached = true}
      run(async(function() print(await(child.stdout:read "l")) end)())
    ]]
    assert.are.same({code = 0, stdout = "ready\n", stderr = ""}, result)
    assert.is_true(exists(pid))
    process.kill(pid, "KILL")
  end)

  it("by Ctrl-C ends what tasks run", function()
    local result, pid = run_script(([[
      run(async(function()
        create_task(process.shell "echo $$ >pid; exec sleep 100")
        while not io.open "pid" or io.open("pid"):read "l" == nil do await(sleep(0.01)) end
        %s
        await(sleep(100))
      end)())
    ]]):format(program.INTERRUPT))
    assert.are.equal(130, result.code, result.stderr)
    assert.is_false(exists(pid))
  end)
end)

describe("a finalizer at the end of the VM", function()
  it("begins nothing that the loop would have to end", function()
    -- Lua calls no finalizer of what is made then
    local result = program.run_script [[
      local fs, net, process = require "fs", require "net", require "process"
      local function try(...) print(select(2, pcall(...))) end
      LAST = setmetatable({}, {__gc = function()
        try(fs.watch, "/")
        try(process.spawn, {"true"})
        try(function() return process.stdin end)
        try(run, async(function() await(net.listen("127.0.0.1", 0, print)) end)())
      end})
    ]]
    assert.are.same({
      code = 0,
      stdout = "OSError: watch '/': operation canceled (ECANCELED)\nthe VM is closed\nthe VM is closed\n"
        .. "the VM is closed\n",
      stderr = "",
    }, {code = result.code, stdout = result.stdout:gsub("%[process.lua%]:%d+: ", ""), stderr = result.stderr})
  end)
end)
