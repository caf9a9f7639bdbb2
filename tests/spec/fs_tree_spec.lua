-- fs_tree_spec.lua: folders: list, walk, remove, tempdir.

local asyncio = require "asyncio"
local files = require "files"
local fs = require "fs"
local program = require "program"
local tasks = require "tasks"

local with_folder, fails, make, walked = files.with_folder, files.fails, files.make, files.walked

describe("fs.list", function()
  it("gives the names in a folder, sorted", function()
    with_folder(function(file, folder)
      make(file, "b a c/d .hidden B")
      assert.same({".hidden", "B", "a", "b", "c"}, await(fs.list(folder)))
      assert.same({}, await(fs.list(file("empty") .. (await(fs.mkdir(file "empty")) or ""))))
      fails("ENOENT", fs.list(file "none"))
      assert.equal(file "a", fails("ENOTDIR", fs.list(file "a")).path)
    end)
  end)

  it("gives very many", function()
    with_folder(function(file, folder)
      local n = tasks.sanitized and 500 or 2000
      local made = {}
      for i = 1, n do
        made[i] = ("%05d"):format(i)
        file(made[i], "")
      end
      assert.same(made, await(fs.list(folder)))
    end)
  end)
end)

describe("fs.walk", function()
  it("gives all that is below a folder, a folder before what is in it", function()
    with_folder(function(file, folder)
      make(file, "b/x/deep b/a a c/")
      await(fs.symlink("b", file "link"))
      files.fifo(file "pipe")
      assert.same({"a file", "b directory", "b/a file", "b/x directory", "b/x/deep file", "c directory", "link link",
        "pipe fifo"}, walked(folder))
      assert.same({}, walked(file "c"))
    end)
  end)

  it("follows links when it is told to, but never in a circle", function()
    with_folder(function(file, folder)
      make(file, "a/b/c z/f")
      await(fs.symlink("..", file "a/up"))
      await(fs.symlink("../../z", file "a/b/z"))
      await(fs.symlink("none", file "dangling"))
      assert.same({"a directory", "a/b directory", "a/b/c file", "a/b/z link", "a/b/z/f file", "a/up link",
        "dangling link", "z directory", "z/f file"}, walked(folder, {follow = true}))
    end)
  end)

  it("begins at a link", function()
    with_folder(function(file)
      make(file, "a/b")
      await(fs.symlink("a", file "link"))
      assert.same({"b file"}, walked(file "link"))
    end)
  end)

  it("goes so deep only, and leaves out what is to be skipped", function()
    with_folder(function(file, folder)
      make(file, "a/b/c d/e")
      assert.same({"a directory", "a/b directory", "d directory", "d/e file"}, walked(folder, {depth = 2}))
      assert.same(walked(folder), walked(folder, {depth = math.huge}))
      assert.same({"a directory", "d directory"}, walked(folder, {depth = 1}))
      local all, walk = {}, fs.walk(folder .. "/")
      for path in walk do
        all[#all + 1] = path
        if path == file "a" then walk:skip() end
      end
      assert.same({file "a", file "d", file "d/e"}, all)
    end)
  end)

  it("tells of folders that it cannot read, and goes on", function()
    with_folder(function(file, folder)
      make(file, "a/x b/y c/z")
      local all = {}
      for path, kind, err in fs.walk(folder) do
        all[#all + 1] = path:sub(#folder + 2) .. " " .. kind
        if err then
          assert.is_true(asyncio.isinstance(err, asyncio.OSError))
          assert.equal("ENOTDIR", err.code)
          assert.equal(file "b", err.path)
        end
        if path == file "b" and kind == "directory" then -- it becomes a link meanwhile
          await(fs.remove(path, {recursive = true}))
          await(fs.symlink("c", path))
        end
      end
      assert.same({"a directory", "a/x file", "b directory", "b error", "c directory", "c/z file"}, all)
    end)
  end)

  it("loses nothing when a step of it is cancelled", function()
    with_folder(function(file, folder)
      make(file, "a/x b/y")
      await(fs.symlink("a", file "l"))
      for _, follow in ipairs {false, true} do
        local walk, all = fs.walk(folder, {follow = follow}), {}
        repeat
          local cancelled = tasks.begun(tasks.co(function() return walk() end))
          cancelled:cancel()
          local over, path = asyncio.catch(await, cancelled)
          if not over then path = walk() end
          all[#all + 1] = path and path:sub(#folder + 2)
        until not path
        assert.equal(follow and "a a/x b b/y l l/x" or "a a/x b b/y l", table.concat(all, " "))
      end
    end)
  end)

  it("does not leave the tree by a link that takes the place of a folder above", function()
    with_folder(function(file, folder)
      make(file, "in/a/b/x out/b/precious")
      local all = {}
      for path, kind, err in fs.walk(file "in") do
        all[#all + 1] = path:sub(#folder + 2) .. " " .. (err and err.code or kind)
        if path == file "in/a/b" and not err then
          await(fs.rename(file "in/a", file "moved"))
          await(fs.symlink("../out", file "in/a"))
        end
      end
      assert.same({"in/a directory", "in/a/b directory", "in/a/b ENOENT"}, all)
    end)
  end)

  it("raises what keeps it from beginning", function()
    with_folder(function(file)
      assert.equal("ENOENT", tasks.caught(walked, file "none").code)
      assert.equal("fs.walk: a string expected as path, got nil", tasks.refused(function() fs.walk() end))
      assert.equal("fs.walk: unknown option 'max' (there are depth, follow)", tasks.refused(function()
        fs.walk("/", {max = 1})
      end))
      assert.equal("fs.walk: an integer expected as depth, got 1.5", tasks.refused(function()
        fs.walk("/", {depth = 1.5})
      end))
      assert.equal("fs.walk: depth is 0, but has to be from 1 to 9223372036854775807", tasks.refused(function()
        fs.walk("/", {depth = 0})
      end))
      assert.matches("^fs.walk: an integer expected as depth, got %-?nan$", tasks.refused(function()
        fs.walk("/", {depth = 0/0})
      end))
      assert.equal("fs.walk: an integer expected as depth, got string", tasks.refused(function()
        fs.walk("/", {depth = "1e999"})
      end))
    end)
  end)
end)

describe("fs.remove", function()
  it("removes a file, a link, an empty folder", function()
    with_folder(function(file, folder)
      make(file, "a b/")
      await(fs.symlink(".", file "link"))
      for _, name in ipairs {"a", "b", "link"} do await(fs.remove(file(name))) end
      assert.same({}, await(fs.list(folder)))
      assert.equal("unlink", fails("ENOENT", fs.remove(file "a")).syscall)
    end)
  end)

  it("removes a folder with all in it only when it is told to", function()
    with_folder(function(file, folder)
      make(file, "a/b/c/d a/b/e a/.f g")
      fails("ENOTEMPTY", fs.remove(file "a"))
      await(fs.remove(file "a//", {recursive = true}))
      assert.same({"g"}, await(fs.list(folder)))
      await(fs.remove(file "g", {recursive = true}))
      fails("ENOENT", fs.remove(file "g", {recursive = true}))
      assert.same({}, await(fs.list(folder)))
    end)
  end)

  it("follows no link out of the folder", function()
    with_folder(function(file)
      make(file, "outside/precious a/x")
      await(fs.symlink("../outside", file "a/link"))
      await(fs.symlink("outside", file "top"))
      await(fs.remove(file "a", {recursive = true}))
      await(fs.remove(file "top/", {recursive = true}))
      assert.is_false(await(fs.exists(file "a")))
      assert.same({"precious"}, await(fs.list(file "outside")))
    end)
  end)

  it("removes very deep trees, and folders with very many names", function()
    with_folder(function(file)
      local depth, path = 300, file "deep"
      await(fs.mkdir(path .. ("/d"):rep(depth), {parents = true}))
      for i = 1, 1000 do file("deep/" .. i, "") end
      await(fs.remove(path, {recursive = true}))
      assert.is_false(await(fs.exists(path)))
    end)
  end)

  it("needs few descriptors, however deep the tree is, nor does a walk need more", function()
    local folder <close> = program.folder()
    folder:write("script.lua", [[
      local fs, lfs = require "fs", require "lfs"
      local folder = ...
      for i = 1, 5000 do -- longer than any path may be; each has something beside the next
        assert(lfs.mkdir "d")
        assert(io.open(i % 2 == 0 and "a" or "z", "w")):close()
        assert(lfs.chdir "d")
      end
      lfs.chdir(folder)
      run(async(function()
        local count, longest = 0, 0
        for path, kind in fs.walk(folder .. "/d", {depth = 2500}) do
          assert(kind ~= "error", path)
          count, longest = count + 1, math.max(longest, #path - #folder)
        end
        print(count, longest)
        await(fs.remove(folder .. "/d", {recursive = true}))
        print(await(fs.exists(folder .. "/d")))
      end)())
    ]])
    local result = program.run(("ulimit -n 40; exec %s script.lua %s"):format(program.quote(program.neap), folder.path),
      {cwd = folder.path})
    assert.same({code = 0, stdout = "5000\t5002\nfalse\n", stderr = ""}, result)
  end)

  it("does not go on in a folder that is moved away meanwhile", function()
    -- the way back to a folder that was closed has to lead to the same one
    with_folder(function(file)
      await(fs.mkdir(file "other"))
      file("other/precious", "")
      local last, count = "deep" .. ("/d"):rep(200), 1000
      local err
      repeat -- a fast disk may be faster than the one who moves it
        await(fs.mkdir(file(last), {parents = true}))
        count = 2 * count
        for i = 1, count do file(last .. "/" .. i, "") end
        local removal = create_task(fs.remove(file "deep", {recursive = true}))
        while true do
          local ok, names = pcall(await, fs.list(file(last)))
          if not ok or #names < count then break end
        end
        local moved = pcall(await, fs.rename(file "deep" .. ("/d"):rep(100), file "other/moved"))
        local ok, why = pcall(await, removal)
        assert.same(moved and {"moved", "precious"} or {"precious"}, await(fs.list(file "other")))
        if moved then
          assert.same({}, await(fs.list(file "other/moved")))
          await(fs.remove(file "other/moved"))
        end
        err = not ok and why
      until err or count > 100000
      assert.equal("ENOENT", err.code)
    end)
  end)

  it("refuses what has no name", function()
    with_folder(function(file)
      make(file, "a/b")
      for _, path in ipairs {".", "..", "/", file "a/.", file "a/..", file "a/./"} do
        assert.equal(("fs.remove: '%s' has no name that could be removed"):format(path), tasks.refused(function()
          await(fs.remove(path, {recursive = true}))
        end))
      end
      assert.is_true(await(fs.exists(file "a/b")))
    end)
  end)
end)

describe("fs.tempdir", function()
  it("is a new folder, which goes at the end of its scope with all in it", function()
    with_folder(function(file, folder)
      do
        local dir <close> = await(fs.tempdir{dir = folder, prefix = "t"})
        assert.matches("^" .. folder:gsub("%p", "%%%0") .. "/t%x+$", dir.path)
        assert.equal(("<TempDir '%s'>"):format(dir.path), tostring(dir))
        assert.equal(448, await(fs.stat(dir.path)).mode)
        await(fs.mkdir(dir.path .. "/a/b", {parents = true}))
        await(fs.symlink(file("precious", ""), dir.path .. "/link"))
      end
      assert.same({"precious"}, await(fs.list(folder)))
    end)
  end)

  it("is absolute, and goes also when the process is elsewhere then", function()
    local result = program.run_script([[
      local fs, process = require "fs", require "process"
      run(async(function()
        local here = process.cwd()
        local dir <close> = await(fs.tempdir {dir = "."})
        local file, path = await(fs.tempfile {dir = "."})
        print(dir.path:match "^(.*)/%./neap%-%x+$" == here, path:match "^(.*)/%./neap%-%x+$" == here)
        process.chdir "/"
        await(file:close())
        await(dir:remove())
        print(table.concat(await(fs.list(here)), " "))
      end)())
    ]])
    assert.equal("true\ttrue\nscript.lua\n", result.stdout, result.stderr)
  end)

  it("tells in its error of no other path", function()
    with_folder(function(file)
      for _, make_one in ipairs {fs.tempdir, fs.tempfile} do
        local err = tasks.caught(await, make_one {dir = file "none"})
        assert.same({"ENOENT", file "none"}, {err.code, err.path, err.dest})
      end
    end)
  end)

  it("can be removed before, by itself or by others", function()
    with_folder(function(_, folder)
      local first <close> = await(fs.tempdir{dir = folder})
      await(first:remove())
      await(first:remove())
      assert.matches(" removed>$", tostring(first))
      local second <close> = await(fs.tempdir{dir = folder})
      await(fs.remove(second.path))
    end)
  end)

  it("goes when its task is cancelled, too", function()
    with_folder(function(_, folder)
      local task = tasks.started(function()
        local dir <close> = await(fs.tempdir{dir = folder})
        await(fs.write(dir.path .. "/a", "x"))
        await(sleep(math.huge))
      end)
      tasks.wait_until(function()
        local path = (await(fs.list(folder)))[1]
        return path and await(fs.exists(folder .. "/" .. path .. "/a"))
      end)
      task:cancel()
      tasks.turns(2)
      task:cancel() -- while it cleans up
      tasks.caught(await, task)
      tasks.wait_until(function() return #await(fs.list(folder)) == 0 end)
    end)
  end)

  it("goes where no task can wait, too", function()
    local folder <close> = program.folder()
    local function held()
      local dir <close> = run(fs.tempdir{dir = folder.path})
      program.write(dir.path .. "/a", "x")
      coroutine.yield()
    end
    do -- outside of a task
      local dir <close> = run(fs.tempdir{dir = folder.path})
      program.write(dir.path .. "/a", "x")
    end
    local co = coroutine.create(held)
    assert(coroutine.resume(co))
    assert.is_true(coroutine.close(co))
    tasks.main(function() -- in a coroutine of a task's, which is closed
      local inner = coroutine.create(function()
        local _ <close> = await(fs.tempdir{dir = folder.path})
        coroutine.yield()
      end)
      assert(coroutine.resume(inner))
      assert.equal(1, #await(fs.list(folder.path)))
      assert.is_true(coroutine.close(inner))
      assert.same({}, await(fs.list(folder.path)))
    end)
  end)

  -- The folder of a temporary one, for a program with that environment.
  local function place_of(environment)
    local result = program.run_script([[
      local fs = require "fs"
      run(async(function()
        local dir <close> = await(fs.tempdir())
        print(dir.path:match "^(.*)/neap%-%x+$")
      end)())
    ]], {env = environment})
    return result.stdout, result.stderr
  end

  it("is in /tmp when TMPDIR says nothing", function()
    local stdout, stderr = place_of {TMPDIR = "", TMP = "/no/such/folder"}
    assert.equal("/tmp\n", stdout, stderr)
  end)

  it("is where TMPDIR says", function()
    local folder <close> = program.folder()
    local stdout, stderr = place_of {TMPDIR = folder.path}
    assert.equal(folder.path .. "\n", stdout, stderr)
  end)
end)
