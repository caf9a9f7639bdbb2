-- fs_file_spec.lua: open files: formats, positions, order, the end.

local asyncio = require "asyncio"
local files = require "files"
local fs = require "fs"
local program = require "program"
local stream = require "stream"
local tasks = require "tasks"

local with_folder, fails = files.with_folder, files.fails

describe("file:read", function()
  it("gives what Lua's io gives, format by format", function()
    local texts = {"", "\n", "one", "one\ntwo\n", "\n\nx", "a\0b\nc", "12 0x1F\n-3.5e2abc", "  +7", "0x", "1e", ".5.",
      "nan", "- 5", "1e+5e", ("9"):rep(300), ("x"):rep(70000) .. "\n" .. ("y"):rep(70000), "\r\n1"}
    local formats = {{}, {"l"}, {"L"}, {"a"}, {"n"}, {0}, {1}, {5}, {100000}, {"l", "l"}, {"L", "L", "a"}, {"a", "a"},
      {"n", "n", "n"}, {"n", "l"}, {"l", "n"}, {2, "l", "a"}, {0, 0}, {"a", "l"}, {"a", 0}, {"*l", "*a"},
      {"n", 1, "a"}}
    with_folder(function(file)
      for _, text in ipairs(texts) do
        local path = file("text", text)
        for _, list in ipairs(formats) do
          local theirs <close> = assert(io.open(path))
          local ours <close> = await(fs.open(path))
          assert.same(table.pack(theirs:read(table.unpack(list))), table.pack(await(ours:read(table.unpack(list)))),
            ("%q by %s"):format(text:sub(1, 40), table.concat(list, ", ")))
        end
      end
    end)
  end)

  it("goes on at the end when the file grows", function()
    with_folder(function(file)
      local f <close> = await(fs.open(file("log", "one\n")))
      assert.equal("one", await(f:read()))
      assert.is_nil(await(f:read()))
      await(fs.append(file "log", "two\n"))
      assert.equal("two", await(f:read()))
    end)
  end)

  it("refuses formats that are none", function()
    with_folder(function(file)
      local f <close> = await(fs.open(file("a", "")))
      local function message(...)
        local coro = f:read(...)
        return tasks.refused(function() await(coro) end)
      end
      assert.equal([[File.read: "l", "L", "a", "n" or a number of bytes expected, got x]], message "x")
      assert.equal([[File.read: "l", "L", "a", "n" or a number of bytes expected, got nil]], message(nil))
      assert.equal("File.read: number of bytes is -1, but has to be from 0 to 4611686018427387904", message(-1))
      assert.equal("File.read: 9 formats, but there can be 8", message(1, 1, 1, 1, 1, 1, 1, 1, 1))
    end)
  end)

  it("refuses lines that are longer than the limit, which can be read in parts", function()
    with_folder(function(file)
      local f <close> = await(fs.open(file("long", ("x"):rep(1000) .. "\nshort\n"), "r", {limit = 100}))
      local err = tasks.caught(await, f:read())
      assert.is_true(asyncio.isinstance(err, stream.LimitOverrunError))
      assert.equal(("LimitOverrunError: File.read: a line of '%s' is longer than the limit, 100 bytes"):format(
        file "long"), tostring(err))
      assert.equal(0, await(f:seek()))
      assert.equal(("x"):rep(1000), await(f:read(1000)))
      assert.equal("\n", await(f:read("L")))
      assert.equal("short", await(f:read()))
    end)
  end)

  it("has a limit of a megabyte for lines that nobody has set", function()
    with_folder(function(file)
      local most = 1 << 20
      local f <close> = await(fs.open(file("long", ("x"):rep(most) .. "\n" .. ("y"):rep(most + 1))))
      assert.equal(most, #await(f:read()))
      assert.equal(most, tasks.caught(await, f:read()).limit)
    end)
  end)

  it("reads long lines and whole files in pieces of any size", function()
    with_folder(function(file)
      local text = (("z"):rep(300000) .. "\n"):rep(5)
      local f <close> = await(fs.open(file("text", text)))
      local count = 0
      for line in f:lines("L") do
        assert.equal(300001, #line)
        count = count + 1
      end
      assert.equal(5, count)
      await(f:seek("set", 7))
      assert.equal(text:sub(8), await(f:read("a")))
    end)
  end)
end)

describe("file:lines", function()
  it("gives the values of the formats", function()
    with_folder(function(file)
      local f <close> = await(fs.open(file("pairs", "1 one\n2 two\n")))
      local all = {}
      for number, name in f:lines("n", "l") do all[#all + 1] = number .. name end
      assert.same({"1 one", "2 two"}, all)
    end)
  end)

  it("gives lines, the last of which needs no newline", function()
    with_folder(function(file)
      local f <close> = await(fs.open(file("text", "a\n\nb")))
      local all = {}
      for line in f:lines() do all[#all + 1] = line end
      assert.same({"a", "", "b"}, all)
    end)
  end)

  it("refuses at once what it cannot read by", function()
    with_folder(function(file)
      local f <close> = await(fs.open(file("text", "")))
      assert.equal([[File.read: "l", "L", "a", "n" or a number of bytes expected, got q]], tasks.refused(function()
        f:lines("q")
      end))
    end)
  end)
end)

describe("file:write", function()
  it("writes strings and numbers, and gives the file", function()
    with_folder(function(file)
      local f <close> = await(fs.open(file "a", "w"))
      assert.equal(f, await(f:write("a", 1, 2.5, "\0")))
      await(f:write())
      assert.equal("a12.5\0", program.read(file "a"))
      assert.equal("File.write: a string expected as data, got nil", tasks.refused(function()
        await(f:write("x", nil))
      end))
    end)
  end)

  it("writes where reading has come to", function()
    with_folder(function(file)
      local f <close> = await(fs.open(file("a", "one\ntwo\nsix\n"), "r+"))
      assert.equal("one", await(f:read()))
      await(f:write("TWO"))
      assert.equal("\nsix\n", await(f:read("a")))
      assert.equal("one\nTWO\nsix\n", program.read(file "a"))
    end)
  end)

  it("keeps the order of calls, whoever makes them", function()
    with_folder(function(file)
      local f <close> = await(fs.open(file "a", "w"))
      local list, expected = {}, {}
      for i = 1, 200 do
        list[i] = f:write(i, "\n")
        expected[i] = i .. "\n"
      end
      await(gather(list))
      assert.equal(table.concat(expected), program.read(file "a"))
    end)
  end)

  it("appends in mode a, wherever it reads", function()
    with_folder(function(file)
      local f <close> = await(fs.open(file("a", "1"), "a+"))
      assert.equal("1", await(f:read("a")))
      await(f:seek("set", 0))
      await(f:write("2"))
      assert.equal("12", program.read(file "a"))
    end)
  end)
end)

describe("fs.open", function()
  it("has the modes of io.open, and x", function()
    with_folder(function(file)
      local path = file("a", "old")
      fails("EEXIST", fs.open(path, "wx"))
      fails("EEXIST", fs.open(path, "ax"))
      fails("ENOENT", fs.open(file "none", "r+"))
      do local _ <close> = await(fs.open(path, "rb")) end
      do local f <close> = await(fs.open(path, "r+b")) await(f:write("O")) end
      assert.equal("Old", program.read(path))
      do local f <close> = await(fs.open(path, "w+")) await(f:write("new")) await(f:seek("set", 1))
        assert.equal("ew", await(f:read("a"))) end
      do local f <close> = await(fs.open(file "b", "wbx", {mode = "600"})) await(f:write("b")) end
      assert.equal(384, await(fs.stat(file "b")).mode)
      for _, mode in ipairs {"", "x", "rw", "rx", "r++", "wbb", "+r", "w ", "m"} do
        assert.equal(("fs.open: no mode '%s' (there are r, w, a; r+, w+, a+; wx, ax)"):format(mode),
          tasks.refused(function() await(fs.open(path, mode)) end))
      end
    end)
  end)

  it("leaves reading what is open for writing to the system", function()
    with_folder(function(file)
      local f <close> = await(fs.open(file "a", "w"))
      fails("EBADF", f:read())
      local g <close> = await(fs.open(file "a"))
      fails("EBADF", g:write("x"))
    end)
  end)
end)

describe("a file", function()
  it("has positions beyond 4 GiB", function()
    with_folder(function(file)
      local far = 5 << 30
      local f <close> = await(fs.open(file "sparse", "w+"))
      assert.equal(far, await(f:seek("set", far)))
      await(f:write("far\n", "away\n"))
      assert.equal(far + 9, await(f:stat()).size)
      assert.equal(far, await(f:seek("cur", -9)))
      assert.equal("far", await(f:read()))
      assert.equal(far + 4, await(f:seek()))
      assert.equal(far + 4, await(f:seek("end", -5)))
      assert.equal("away\n", await(f:read("a")))
      await(f:truncate(far + 1))
      assert.equal(far + 1, await(fs.stat(file "sparse")).size)
      assert.equal(far - 1, await(f:seek("set", far - 1)))
      assert.equal("\0f", await(f:read(9)))
    end)
  end)

  it("is cut at its position, or at a size", function()
    with_folder(function(file)
      local f <close> = await(fs.open(file("a", "one\ntwo\n"), "r+"))
      await(f:read())
      await(f:truncate())
      assert.equal("one\n", program.read(file "a"))
      await(f:truncate(6))
      assert.equal("one\n\0\0", program.read(file "a"))
      await(f:sync())
    end)
  end)

  it("seeks as io does, and refuses the rest", function()
    with_folder(function(file)
      local f <close> = await(fs.open(file("a", "0123456789")))
      assert.equal("01", await(f:read(2)))
      assert.equal(2, await(f:seek()))
      assert.equal(4, await(f:seek("cur", 2)))
      assert.equal("45", await(f:read(2)))
      assert.equal(10, await(f:seek("end")))
      assert.equal(0, await(f:seek("set")))
      assert.equal("0", await(f:read(1)))
      fails("EINVAL", f:seek("set", -1))
      assert.equal("1", await(f:read(1)))
      assert.equal([[File.seek: "set", "cur" or "end" expected as whence, got 'begin']], tasks.refused(function()
        await(f:seek("begin"))
      end))
    end)
  end)

  it("says what it is", function()
    with_folder(function(file)
      local f = await(fs.open(file("a", "")))
      assert.equal(("<File '%s'>"):format(file "a"), tostring(f))
      await(f:close())
      assert.equal(("<File '%s' closed>"):format(file "a"), tostring(f))
    end)
  end)

  it("that is closed is refused, but for closing it again", function()
    with_folder(function(file)
      local f = await(fs.open(file("a", "")))
      await(f:close())
      await(f:close())
      for _, name in ipairs {"read", "write", "seek", "stat", "sync", "truncate"} do
        assert.equal(("File.%s: the file is closed"):format(name), tasks.refused(function()
          await(f[name](f))
        end))
      end
      assert.equal("File.lines: the file is closed", tasks.refused(function() f:lines() end))
      assert.equal("File.read: a File expected, got table; write file:read()", tasks.refused(function()
        await(f.read({}))
      end))
    end)
  end)

  it("is closed at the end of its scope, and by the collector", function()
    with_folder(function(file)
      local path = file("a", "")
      do
        local _ <close> = await(fs.open(path))
        assert.equal(1, files.open_on(path))
      end
      assert.equal(0, files.open_on(path))
      await(fs.open(path))
      collectgarbage()
      collectgarbage()
      assert.equal(0, files.open_on(path))
    end)
  end)

  it("closes when what was begun before is done", function()
    with_folder(function(file)
      local f = await(fs.open(file "a", "w"))
      local list = {}
      for i = 1, 20 do list[i] = create_task(f:write(i, " ")) end
      tasks.turns()
      await(f:close())
      await(gather(list))
      assert.equal(0, files.open_on(file "a"))
      assert.matches("^1 2 3 .* 20 $", program.read(file "a"))
    end)
  end)

  it("that leaves its scope while others write is closed behind them", function()
    with_folder(function(file)
      local list = {}
      do
        local f <close> = await(fs.open(file "a", "w"))
        for i = 1, 20 do list[i] = create_task(f:write(i, " ")) end
        tasks.turns()
      end
      await(gather(list))
      assert.equal(0, files.open_on(file "a"))
      assert.matches("^1 2 3 .* 20 $", program.read(file "a"))
    end)
  end)
end)

describe("fs.tempfile", function()
  it("is a new file, which goes with its File", function()
    with_folder(function(_, folder)
      local path
      do
        local f <close>, its_path = await(fs.tempfile{dir = folder, prefix = "test-"})
        path = its_path
        assert.matches("/test%-%x+$", path)
        await(f:write("text"))
        await(f:seek("set"))
        assert.equal("text", await(f:read()))
        assert.equal(384, await(fs.stat(path)).mode)
      end
      assert.is_false(await(fs.exists(path)))
      local f = await(fs.tempfile{dir = folder})
      await(f:close())
      assert.same({}, await(fs.list(folder)))
    end)
  end)

  it("needs a folder that is there", function()
    tasks.main(function()
      fails("ENOENT", fs.tempfile{dir = "/none"})
      assert.equal("fs.tempfile: a '/' in prefix", tasks.refused(function()
        await(fs.tempfile{prefix = "a/b"})
      end))
      assert.equal("fs.tempdir: unknown option 'suffix' (there are dir, prefix)", tasks.refused(function()
        await(fs.tempdir{suffix = "a/b"})
      end))
    end)
  end)
end)
