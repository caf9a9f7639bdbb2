-- fs_fault_spec.lua: full disks, too many files, permissions, tasks that are
-- cancelled, and the end of the program while work is under way.

local asyncio = require "asyncio"
local files = require "files"
local fs = require "fs"
local program = require "program"
local tasks = require "tasks"

local with_folder, fails = files.with_folder, files.fails

-- Runs a script after a command of the shell that sets a limit; it gets a
-- folder as `folder`. It must print nothing to stderr.
local function run_limited(limit, code)
  local folder <close> = program.folder()
  folder:write("script.lua", ([[
    local asyncio = require "asyncio"
    local fs = require "fs"
    local folder = ...
    local function fails(code, awaitable)
      local ok, err = asyncio.catch(await, awaitable)
      assert(not ok and asyncio.isinstance(err, asyncio.OSError) and err.code == code, tostring(err))
      return err
    end
    run(async(function()
      %s
    end)())
  ]]):format(code))
  local result = program.run(("%s\nexec %s script.lua %s"):format(limit, program.quote(program.neap), folder.path),
    {cwd = folder.path})
  assert.equal("", result.stderr)
  assert.equal(0, result.code)
  return result.stdout
end

describe("a full disk", function()
  it("is an error of write, append, copy and of files", function()
    with_folder(function(file)
      assert.equal("write", fails("ENOSPC", fs.write("/dev/full", "x")).syscall)
      fails("ENOSPC", fs.append("/dev/full", "x"))
      fails("EINVAL", fs.copy(file("a", "x"), "/dev/full"))
      local f <close> = await(fs.open("/dev/full", "w"))
      fails("ENOSPC", f:write("x"))
      fails("ENOSPC", f:write(("x"):rep(1000000)))
    end)
  end)

  it("leaves no half of a file behind where nothing was before", function()
    run_limited("trap '' XFSZ; ulimit -f 64", [[
      local large = ("x"):rep(1000000)
      await(fs.write(folder .. "/old", "old"))
      fails("EFBIG", fs.write(folder .. "/old", large, {atomic = true}))
      assert(await(fs.read(folder .. "/old")) == "old")
      fails("EFBIG", fs.write(folder .. "/half", large))
      local half = await(fs.stat(folder .. "/half")).size
      assert(half > 0 and half < #large) -- not atomic
      fails("EFBIG", fs.append(folder .. "/half", large))
      local f <close> = await(fs.open(folder .. "/half", "r+"))
      await(f:seek("end"))
      fails("EFBIG", f:write(large))
      fails("EFBIG", f:truncate(#large))
      fails("EFBIG", fs.copy("/proc/self/exe", folder .. "/copy"))
      assert(table.concat(await(fs.list(folder)), " ") == "half old script.lua")
    ]])
  end)

  it("a program that dies in an atomic write leaves the old file, and one whose name tells why", function()
    local folder <close> = program.folder()
    folder:write("config", "old")
    local result = program.run(("ulimit -f 64; exec %s -e %s"):format(program.quote(program.neap), program.quote [[
      local fs = require "fs"
      run(fs.write("config", ("x"):rep(1000000), {atomic = true})) -- SIGXFSZ ends it
    ]]), {cwd = folder.path})
    assert.not_equal(0, result.code)
    tasks.main(function()
      local names = await(fs.list(folder.path))
      assert.equal(2, #names)
      assert.matches("^%.neap%-config%-%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x$", names[1])
      assert.equal("old", program.read(folder:file "config"))
      local long = ("n"):rep(255) -- as long as a name may be
      await(fs.write(folder:file(long), "new", {atomic = true}))
      assert.equal("new", program.read(folder:file(long)))
    end)
  end)

  it("is noticed on a file system that is full", function()
    local folder <close> = program.folder()
    local mount = ("mount -t tmpfs -o size=64k tmpfs %s 2>/dev/null"):format(folder.path)
    if not os.execute(mount) then return pending "needs to mount a tmpfs" end
    local _ <close> = tasks.at_end(function() os.execute("umount " .. folder.path) end)
    tasks.main(function()
      local path = folder:file "a"
      await(fs.write(path, "old"))
      fails("ENOSPC", fs.write(path, ("x"):rep(100000), {atomic = true}))
      assert.equal("old", await(fs.read(path)))
      fails("ENOSPC", fs.copy("/proc/self/exe", folder:file "copy"))
      assert.same({"a"}, await(fs.list(folder.path)))
      local large <close> = program.folder()
      large:write("b", ("x"):rep(100000))
      await(fs.write(folder:file "b", "old"))
      fails("ENOSPC", fs.copy(large.path, folder.path, {recursive = true}))
      assert.same({"a", "b"}, await(fs.list(folder.path)))
      assert.equal("old", await(fs.read(folder:file "b"))) -- what is there is whole
      await(fs.remove(folder:file "b"))
      await(fs.write(path, ("x"):rep(60000)))
    end)
  end)
end)

describe("without threads", function()
  it("functions say EAGAIN, where libuv would abort", function()
    local limited = "setpriv --reuid=65533 --regid=65533 --clear-groups prlimit --nproc=1 "
    if not files.is_root or not os.execute(limited .. "true 2>/dev/null") then
      return pending "needs the superuser, setpriv and prlimit"
    end
    local result = program.run("exec " .. limited .. program.quote(program.neap) .. " -", {stdin = [[
      local fs, net = require "fs", require "net"
      run(async(function()
        print(pcall(await, fs.stat "/"))
        print(pcall(await, net.resolve "localhost"))
      end)())
    ]], env = {ASAN_OPTIONS = "detect_leaks=0"}}) -- which would need a thread, too
    assert.same({code = 0, stdout = "false\tOSError: pthread_create: resource temporarily unavailable (EAGAIN)\n"
      .. "false\tOSError: getaddrinfo 'localhost': resource temporarily unavailable (EAGAIN)\n", stderr = ""}, result)
  end)
end)

describe("without descriptors", function()
  it("each function says EMFILE, and goes on when there are some again", function()
    run_limited("ulimit -n 30", [[
      await(fs.write(folder .. "/a", "text"))
      await(fs.mkdir(folder .. "/b/c", {parents = true}))
      local dir <close> = await(fs.tempdir {dir = folder})
      await(fs.mkdir(dir.path .. "/x"))
      local open = {}
      while true do
        local ok, f = asyncio.catch(await, fs.open("/dev/null"))
        if not ok then assert(f.code == "EMFILE") break end
        table.insert(open, f)
      end
      fails("EMFILE", fs.read(folder .. "/a"))
      fails("EMFILE", fs.write(folder .. "/a", "x"))
      fails("EMFILE", fs.write(folder .. "/a", "x", {atomic = true}))
      fails("EMFILE", fs.list(folder))
      fails("EMFILE", fs.copy(folder .. "/a", folder .. "/d"))
      fails("EMFILE", fs.tempfile())
      fails("EMFILE", fs.remove(folder .. "/b", {recursive = true}))
      fails("EMFILE", dir:remove())
      assert(not pcall(fs.walk(folder)))
      assert(not pcall(fs.watch, folder))
      assert(await(fs.exists(folder .. "/a")))
      for _, f in ipairs(open) do await(f:close()) end
      assert(await(fs.read(folder .. "/a")) == "text")
      await(fs.remove(folder .. "/b", {recursive = true}))
      await(dir:remove())
      assert(table.concat(await(fs.list(folder)), " ") == "a script.lua")
    ]])
  end)
end)

describe("without permission", function()
  it("functions say EACCES", function()
    local user = ""
    if files.is_root then -- to whom permissions mean nothing
      user = "exec setpriv --reuid=65534 --regid=65534 --clear-groups "
      if not os.execute(user .. program.quote(program.neap) .. " -e '' 2>/dev/null") then
        return pending "needs another user than the superuser"
      end
    end
    local result = program.run({"sh", "-c", user .. program.quote(program.neap) .. " -"}, {stdin = [[
      local asyncio = require "asyncio"
      local fs = require "fs"
      local function fails(awaitable)
        local ok, err = asyncio.catch(await, awaitable)
        print(not ok and err.code, not ok and err.syscall)
      end
      run(async(function()
        local dir <close> = await(fs.tempdir())
        local a, b = dir.path .. "/a", dir.path .. "/b"
        await(fs.write(a, "x", {mode = 0}))
        await(fs.mkdir(b))
        await(fs.touch(b .. "/x"))
        await(fs.chmod(b, 0))
        fails(fs.read(a))
        fails(fs.write(a, "y"))
        fails(fs.list(b))
        fails(fs.exists(b .. "/x"))
        fails(fs.remove(b, {recursive = true}))
        for path, kind in fs.walk(dir.path) do print(path:sub(#dir.path + 2), kind) end
        await(fs.chmod(b, "400")) -- the names may be read
        for path, kind in fs.walk(dir.path) do print(path:sub(#dir.path + 2), kind) end
        await(fs.chmod(b, "500"))
        fails(fs.write(b .. "/x", "y", {atomic = true}))
        await(fs.chmod(b, "700"))
        await(fs.mkdir(b .. "/closed/empty", {parents = true}))
        await(fs.chmod(b .. "/closed/empty", 0))
        await(fs.remove(b .. "/closed", {recursive = true})) -- empty folders need not be read
        print(table.concat(await(fs.list(b)), " "))
      end)())
    ]]})
    assert.equal("", result.stderr)
    assert.equal("EACCES open\nEACCES open\nEACCES open\nEACCES stat\nEACCES openat\na file\nb directory\nb error\n"
      .. "a file\nb directory\nb/x file\nEACCES open\nx\n", (result.stdout:gsub("\t", " ")))
  end)

  it("nobody writes to /proc", function()
    tasks.main(function()
      local err = tasks.caught(await, fs.write("/proc/version", "x"))
      assert.is_true(err.code == "EACCES" or err.code == "EIO" or err.code == "EPERM", tostring(err))
    end)
  end)
end)

-- Runs fn() in a task, cancels it after so many turns, and waits for its end.
local function cancelled_after(turns, fn)
  local task = create_task(tasks.co(fn))
  tasks.turns(turns)
  task:cancel()
  asyncio.catch(await, task)
end

describe("cancelling", function()
  it("at any moment leaks neither descriptors nor files", function()
    with_folder(function(file, folder)
      file("a", ("text\n"):rep(100))
      local function all()
        local f <close> = await(fs.open(file "a"))
        await(f:read())
        await(f:seek("end", -3))
        await(f:read("a"))
        local t <close> = await(fs.tempfile{dir = folder})
        await(t:write("x"))
        local dir <close> = await(fs.tempdir{dir = folder})
        await(fs.write(dir.path .. "/b", "y", {atomic = true}))
        await(fs.copy(file "a", dir.path .. "/c"))
        for _ in fs.walk(dir.path) do await(fs.list(folder)) end
        await(f:close())
      end
      for turns = 0, 30 do
        cancelled_after(turns, all)
        cancelled_after(100 * turns, all)
      end
      tasks.wait_until(function() return #await(fs.list(folder)) == 1 end)
      tasks.wait_until(function() return files.open_on(file "a") == 0 end)
    end)
  end)

  it("a read loses no bytes", function()
    with_folder(function(file)
      local text = {}
      for i = 1, 30000 do text[i] = i .. "\n" end
      local f <close> = await(fs.open(file("numbers", table.concat(text))))
      local n, cancels = 0, 0
      while n < #text do
        local task = create_task(f:read())
        tasks.turns(1 + n % 2)
        if n % 3 == 0 and task:cancel() then asyncio.catch(await, task) end
        n = n + 1
        if task:cancelled() then
          cancels = cancels + 1
          assert.equal(tostring(n), await(f:read()))
        else
          assert.equal(tostring(n), await(task))
        end
      end
      assert.is_nil(await(f:read()))
      assert.is_true(cancels > 0)
    end)
  end)

  it("who waits for a named pipe works at once, and others go on", function()
    with_folder(function(file)
      local pipe = files.fifo(file "pipe")
      local f <close> = await(fs.open(pipe))
      local list = {}
      for i = 1, 8 do list[i] = tasks.started(function() return await(f:read()) end) end
      for i = 1, 8 do list[i + 8] = tasks.started(function() return await(fs.read(pipe)) end) end
      for _, task in ipairs(list) do
        task:cancel()
        tasks.is_a("CancelledError", tasks.caught(await, task))
      end
      local reader = create_task(f:read())
      await(fs.write(pipe, "line\n"))
      assert.equal("line", await(reader))
    end)
  end)

  it("closing a file closes it all the same", function()
    with_folder(function(file)
      local f = await(fs.open(file("a", "")))
      local task = create_task(f:close())
      tasks.turns()
      task:cancel()
      asyncio.catch(await, task)
      tasks.wait_until(function() return files.open_on(file "a") == 0 end)
    end)
  end)
end)

describe("named pipes", function()
  it("take no threads while they are waited for", function()
    with_folder(function(file)
      local read, write = {}, {}
      for i = 1, 6 do -- more than there are threads
        local pipe = files.fifo(file("read" .. i))
        read[i] = tasks.started(function() return await(fs.read(pipe)) end)
        pipe = files.fifo(file("write" .. i))
        local f = await(fs.open(pipe, "r+"))
        read[i + 6] = tasks.started(function() return await(f:read()) end)
        local full = await(fs.open(files.fifo(file("full" .. i)), "r+"))
        write[i] = tasks.started(function()
          local _ <close> = full
          return await(full:write(("x"):rep(1 << 21)))
        end)
      end
      tasks.turns(50)
      for i = 1, 6 do
        assert.is_false(read[i]:done() or read[i + 6]:done() or write[i]:done())
        await(fs.write(file("write" .. i), "line " .. i .. "\n"))
        assert.equal("line " .. i, await(read[i + 6]))
        await(fs.write(file("read" .. i), "text " .. i))
        assert.equal("text " .. i, await(read[i]))
        write[i]:cancel()
        asyncio.catch(await, write[i])
      end
    end)
  end)

  it("are written to as the reader takes it, and without a reader there is an error", function()
    with_folder(function(file)
      local pipe = files.fifo(file "pipe")
      assert.equal("open", fails("ENXIO", fs.open(pipe, "w")).syscall)
      local reader = await(fs.open(pipe))
      local writer <close> = await(fs.open(pipe, "w"))
      local text = ("x"):rep(1000000)
      local task = create_task(writer:write(text))
      assert.equal(text, await(reader:read(#text)))
      await(task)
      fails("ESPIPE", reader:seek("set", 0))
      await(reader:close())
      fails("EPIPE", writer:write("x"))
    end)
  end)
end)

describe("the end of a run", function()
  it("does not wait for what its tasks have begun", function()
    local folder <close> = program.folder()
    local pipe = files.fifo(folder:file "pipe")
    for _ = 1, 5 do
      tasks.main(function()
        create_task(fs.read(pipe))
        create_task(fs.list("/"))
        tasks.turns(3)
      end)
    end
    assert.equal("", tasks.main(function() return await(fs.read("/dev/null")) end))
  end)

  it("of the program waits for none who would wait for ever", function()
    local folder <close> = program.folder()
    local pipe = files.fifo(folder:file "pipe")
    local result = program.run_script(([[
      local fs = require "fs"
      run(async(function()
        for _ = 1, 8 do create_task(fs.read(%q)) end
        f = await(fs.open(%q))
        create_task(f:read())
        fs.watch("/")
        await(sleep(0.01))
        print "end"
      end)())
    ]]):format(pipe, pipe))
    assert.equal("end\n", result.stdout)
    assert.equal("", result.stderr)
    assert.equal(0, result.code)
  end)
end)
