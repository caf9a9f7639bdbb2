-- fs_copy_spec.lua: copies of files, and of folders with all in them.

local asyncio = require "asyncio"
local files = require "files"
local fs = require "fs"
local process = require "process"
local program = require "program"
local tasks = require "tasks"

local with_folder, fails, make, walked = files.with_folder, files.fails, files.make, files.walked

describe("fs.copy", function()
  it("copies bytes and permissions", function()
    with_folder(function(file)
      local text = ("0123456789abcdef"):rep(100000)
      file("from", text)
      await(fs.chmod(file "from", "750"))
      await(fs.copy(file "from", file "to"))
      assert.equal(text, program.read(file "to"))
      assert.equal(tonumber("750", 8), await(fs.stat(file "to")).mode)
      file("empty", "")
      await(fs.copy(file "empty", file "to"))
      assert.equal("", program.read(file "to"))
    end)
  end)

  it("gives no one the rights of the owner but who had them", function()
    with_folder(function(file)
      file("own", "")
      await(fs.chmod(file "own", "6755"))
      await(fs.copy(file "own", file "copy"))
      assert.equal(tonumber("6755", 8), await(fs.stat(file "copy")).mode)
      if not files.is_root then return end -- nor has anyone else a file for us
      await(process.run {"chown", "65534", file("foreign", ""), check = true})
      await(fs.chmod(file "foreign", "6755"))
      await(fs.copy(file "foreign", file "copy"))
      assert.equal(tonumber("755", 8), await(fs.stat(file "copy")).mode)
    end)
  end)

  it("copies from /proc", function()
    with_folder(function(file)
      await(fs.copy("/proc/self/status", file "status"))
      assert.matches("^Name:", program.read(file "status"))
    end)
  end)

  it("overwrites unless it is told not to, and never itself", function()
    with_folder(function(file)
      file("a", "1")
      file("b", "2")
      fails("EEXIST", fs.copy(file "a", file "b", {overwrite = false}))
      assert.equal("2", program.read(file "b"))
      await(fs.link(file "a", file "same"))
      fails("EINVAL", fs.copy(file "a", file "same"))
      assert.equal("1", program.read(file "a"))
    end)
  end)

  it("copies no folder and no device, and then makes nothing", function()
    with_folder(function(file, folder)
      fails("EISDIR", fs.copy(folder, file "x"))
      fails("EINVAL", fs.copy("/dev/zero", file "x"))
      fails("ENOENT", fs.copy(file "none", file "x"))
      assert.equal(file "none/x", fails("ENOENT", fs.copy(file("a", ""), file "none/x")).path)
      assert.same({"a"}, await(fs.list(folder)))
    end)
  end)
end)

-- Permissions, as the shell writes them.
local function mode(path) return ("%o"):format(await(fs.lstat(path)).mode) end

describe("fs.copy, recursive", function()
  it("copies a folder with all in it, links as links, permissions", function()
    with_folder(function(file)
      make(file, "from/a/b/c from/empty/ from/d from/\xffodd\xfe/x precious")
      program.write(file "from/two\nlines", "odd")
      await(fs.symlink("../precious", file "from/link"))
      await(fs.symlink("a/b", file "from/a link"))
      await(fs.symlink("nowhere", file "from/dangling"))
      await(fs.chmod(file "from/d", "4751"))
      await(fs.chmod(file "from/a/b", "700"))
      await(fs.chmod(file "from/a", "555"))
      await(fs.chmod(file "from", "2750"))
      await(fs.copy(file "from//", file "to", {recursive = true}))
      assert.same(walked(file "from"), walked(file "to"))
      for path, kind in fs.walk(file "from") do
        local copy = file "to" .. path:sub(#file "from" + 1)
        if kind == "link" then
          assert.equal(await(fs.readlink(path)), await(fs.readlink(copy)))
        else
          assert.equal(mode(path), mode(copy))
          if kind == "file" then assert.equal(program.read(path), program.read(copy)) end
        end
      end
      assert.equal("2750", mode(file "to"))
      await(fs.copy(file "precious", file "single", {recursive = true})) -- as without
      assert.equal("precious", program.read(file "single"))
    end)
  end)

  it("follows a link to the folder itself", function()
    with_folder(function(file)
      make(file, "a/b")
      await(fs.symlink("a", file "link"))
      await(fs.copy(file "link", file "to", {recursive = true}))
      assert.same({"b file"}, walked(file "to"))
      assert.equal("directory", await(fs.lstat(file "to")).type)
    end)
  end)

  it("refuses to copy a folder into itself, and makes nothing", function()
    with_folder(function(file, folder)
      make(file, "a/b/c")
      await(fs.symlink("a/b", file "way"))
      for _, to in ipairs {"a", "a/new", "a/b", "a/b/new", "way/new", "a/../a/new"} do
        local err = fails("EINVAL", fs.copy(file "a", file(to), {recursive = true}))
        assert.same({"copy", file "a", file(to)}, {err.syscall, err.path, err.dest})
      end
      assert.same({"a directory", "a/b directory", "a/b/c file", "way link"}, walked(folder))
      await(fs.copy(file "a", file "ab", {recursive = true})) -- beside it
      await(fs.copy(file "a/b", file "a", {recursive = true})) -- and upwards
      assert.same({"b directory", "b/c file", "c file"}, walked(file "a"))
    end)
  end)

  it("puts things into a folder that is there, unless it is told not to", function()
    with_folder(function(file)
      make(file, "a/same a/sub/new a/name a/linked linked to/same to/sub/old to/name")
      make(file, "outside")
      await(fs.link(file "linked", file "to/linked")) -- is replaced, too
      program.write(file "to/same", "other, and longer")
      await(fs.symlink("name", file "a/link"))
      program.write(file "to/link", "a file")
      await(fs.remove(file "to/name"))
      await(fs.symlink("../outside", file "to/name")) -- is replaced, and not written through
      fails("EEXIST", fs.copy(file "a", file "to", {recursive = true, overwrite = false}))
      assert.equal("other, and longer", program.read(file "to/same"))
      await(fs.copy(file "a", file "to", {recursive = true}))
      assert.equal("linked", program.read(file "linked"))
      assert.same({"link link", "linked file", "name file", "same file", "sub directory", "sub/new file",
        "sub/old file"},
        walked(file "to"))
      assert.equal("a/same", program.read(file "to/same"))
      assert.equal("a/name", program.read(file "to/name"))
      assert.equal("outside", program.read(file "outside"))
    end)
  end)

  it("exchanges no folder for something else, nor the other way round", function()
    with_folder(function(file)
      local function copy(from, to) return fs.copy(file(from), file(to), {recursive = true}) end
      make(file, "a/x/y b/x c/x/y d/ out/y/z")
      await(fs.symlink("y", file "d/x"))
      await(fs.symlink("../out", file "d/y"))
      assert.equal(file "b/x", fails("EEXIST", copy("a", "b")).dest) -- a folder, a file
      fails("EISDIR", copy("b", "c"))
      fails("EEXIST", copy("a", "d")) -- a link
      fails("EISDIR", copy("d", "c"))
      fails("EEXIST", copy("a", "b/x"))
      await(fs.symlink("none", file "dangling"))
      fails("EEXIST", copy("a", "dangling"))
      assert.same({"y directory", "y/z file"}, walked(file "out"))
      fails("ENOENT", copy("none", "new"))
      fails("ENOENT", copy("a", "none/new"))
    end)
  end)

  it("stops at what cannot be copied, and says which", function()
    with_folder(function(file)
      make(file, "a/1 a/3")
      files.fifo(file "a/2")
      local err = fails("EINVAL", fs.copy(file "a", file "to", {recursive = true}))
      assert.same({file "a/2", file "to/2"}, {err.path, err.dest})
      assert.same({"1 file"}, walked(file "to")) -- what was copied before
    end)
  end)

  -- Copies a/x with its `count` files to b/x, and meanwhile exchanges the folder
  -- `which` of these for a link to `out`; gives the error, if that was in time.
  local function exchanged(file, which, count)
    make(file, "a/x/ out/")
    for i = 1, count do
      file("a/x/" .. i, "inside")
      if which == "a" then file("out/" .. i, "outside") end
    end
    local copy = create_task(fs.copy(file "a", file "b", {recursive = true}))
    tasks.wait_until(function() return await(fs.exists(file "b/x/1")) end)
    await(fs.rename(file(which .. "/x"), file "moved"))
    await(fs.symlink("../out", file(which .. "/x")))
    local _, err = pcall(await, copy)
    return err
  end

  it("leaves neither tree, though names are exchanged meanwhile", function()
    local function with_either(which, fn)
      local count, err = 100, nil
      repeat -- a fast disk may be faster than the one who exchanges
        count = 2 * count
        with_folder(function(file)
          err = exchanged(file, which, count)
          fn(file)
        end)
      until err or count > 100000
      assert.equal("ENOENT", err.code)
    end
    with_either("b", function(file)
      assert.same({}, walked(file "out"))
    end)
    with_either("a", function(file)
      for _, name in ipairs(await(fs.list(file "b/x"))) do
        assert.equal("inside", program.read(file("b/x/" .. name)))
      end
    end)
  end)

  it("copies however deep it is", function()
    local result = program.run_script [[
      local fs, lfs = require "fs", require "lfs"
      local folder, name = lfs.currentdir(), ("d"):rep(250)
      for _ = 1, 20 do -- longer than any path may be
        assert(lfs.mkdir(name))
        assert(lfs.chdir(name))
      end
      assert(io.open("deepest", "w")):close()
      lfs.chdir(folder)
      run(async(function()
        await(fs.copy(folder .. "/" .. name, folder .. "/copy", {recursive = true}))
        local last
        for path, kind in fs.walk(folder .. "/copy") do last = path:sub(#folder + 2) .. " " .. kind end
        print(last == "copy" .. ("/" .. name):rep(19) .. "/deepest file")
        await(fs.remove(folder .. "/" .. name, {recursive = true}))
        await(fs.remove(folder .. "/copy", {recursive = true}))
      end)())
    ]]
    assert.same({code = 0, stdout = "true\n", stderr = ""}, result)
  end)

  it("that is cancelled leaves whole files, and goes on no more", function()
    with_folder(function(file)
      local text = ("x"):rep(100000)
      for i = 1, 50 do make(file, ("from/%02d/"):format(i)) file(("from/%02d/f"):format(i), text) end
      local copy = create_task(fs.copy(file "from", file "to", {recursive = true}))
      tasks.wait_until(function() return await(fs.exists(file "to/10/f")) end)
      copy:cancel()
      asyncio.catch(await, copy)
      assert.is_true(copy:cancelled())
      local before
      tasks.wait_until(function() -- what it was at in a thread has an end
        local now = table.concat(walked(file "to"), " ")
        if now == before then return true end
        before = now
        await(sleep(0.01))
      end)
      local found = walked(file "to")
      assert.is_true(#found < 100)
      for _, entry in ipairs(found) do
        local path = entry:match "^(.*) file$"
        if path then assert.equal(#text, #program.read(file("to/" .. path))) end
      end
      await(fs.copy(file "from", file "to", {recursive = true}))
      assert.same(walked(file "from"), walked(file "to"))
    end)
  end)

  it("refuses options that there are not", function()
    tasks.main(function()
      assert.equal("fs.copy: unknown option 'deep' (there are overwrite, recursive)", tasks.refused(function()
        await(fs.copy("/a", "/b", {deep = true}))
      end))
      assert.equal("fs.copy: a boolean expected as recursive, got number", tasks.refused(function()
        await(fs.copy("/a", "/b", {recursive = 1}))
      end))
    end)
  end)
end)
