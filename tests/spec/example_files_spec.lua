-- example_files_spec.lua: the programs of scripts/examples that work on
-- files.

local asyncio = require "asyncio"
local files = require "files"
local fs = require "fs"
local program = require "program"
local tasks = require "tasks"

-- Runs a program with arguments, in the folder.
local function example(folder, name, ...)
  return program.run({program.neap, program.capture "pwd" .. "/scripts/examples/" .. name .. ".lua", ...},
    {cwd = folder})
end

local function sorted(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  table.sort(lines)
  return lines
end

-- Runs fn(until_printed) while a program runs in the folder, and then ends it;
-- until_printed(text) waits until that is all that it has printed.
local function beside(name, arguments, file, folder, fn)
  local printed = file("printed", "")
  local command = ("cd %s && exec timeout 60 %s %s/scripts/examples/%s.lua %s >%s 2>&1 & echo $!"):format(folder,
    program.quote(program.neap), program.capture "pwd", name, arguments, printed)
  local pid = program.capture(command)
  local _ <close> = tasks.at_end(function() os.execute("kill " .. pid) end)
  fn(function(expected)
    tasks.wait_until(function() return await(fs.read(printed)) == expected end)
  end)
end

describe("grep.lua", function()
  it("prints the lines that match, of all files below the paths", function()
    local folder <close> = program.folder()
    assert(os.execute(("mkdir -p %s/a/b"):format(folder.path)))
    for i = 1, 100 do folder:write("a/" .. i, ("line\n"):rep(i) .. "needle " .. i .. "\nline\n") end
    folder:write("a/b/last", "no newline: needle x")
    folder:write("a/binary", "needle 1\0")
    local result = example(folder.path, "grep", "needle %d0$", "a")
    local expected = {}
    for i = 10, 90, 10 do expected[#expected + 1] = ("a/%d:%d:needle %d"):format(i, i + 1, i) end
    assert.same(expected, sorted(result.stdout))
    assert.equal(0, result.code)
    result = example(folder.path, "grep", "needle [x7]$", "a/b/last", "a/7")
    assert.same({"a/7:8:needle 7", "a/b/last:1:no newline: needle x"}, sorted(result.stdout))
  end)

  it("exits as grep does", function()
    local folder <close> = program.folder()
    folder:write("a", "x\n")
    assert.equal(1, example(folder.path, "grep", "y", "a").code)
    assert.equal(2, example(folder.path, "grep", "y").code)
    local result = example(folder.path, "grep", "x", "none", "a")
    assert.equal(2, result.code)
    assert.equal("a:1:x\n", result.stdout)
    assert.equal("grep.lua: OSError: stat 'none': no such file or directory (ENOENT)\n", result.stderr)
  end)
end)

describe("tail.lua", function()
  -- Runs fn(log, until_printed) while the program follows the file `log`.
  local function tailing(arguments, text, fn)
    files.with_folder(function(file, folder)
      local log = file("log", text)
      beside("tail", arguments .. " log", file, folder, function(until_printed)
        fn(log, until_printed)
      end)
    end)
  end

  it("prints the last lines, and then what is appended", function()
    local long = ("x"):rep(5000)
    tailing("-n 3", ("old\n"):rep(3000) .. "1\n" .. long .. "\n3\n", function(log, until_printed)
      until_printed("1\n" .. long .. "\n3\n")
      await(fs.append(log, "4\npart"))
      until_printed("1\n" .. long .. "\n3\n4\npart")
      await(fs.append(log, " of a line\n"))
      until_printed("1\n" .. long .. "\n3\n4\npart of a line\n")
    end)
  end)

  it("goes on with a file that takes the name, or that was cut", function()
    tailing("", "a\nb", function(log, until_printed)
      until_printed "a\nb"
      await(fs.rename(log, log .. ".1"))
      await(fs.write(log, "new\n", {atomic = true}))
      until_printed "a\nbnew\n"
      await(fs.write(log, "x\n"))
      until_printed "a\nbnew\nx\n"
    end)
  end)

  it("says that a folder is none that it can follow", function()
    local result = example(".", "tail", "/tmp")
    assert.same({code = 1, stdout = "", stderr = "tail.lua: '/tmp' is no file\n"}, result)
  end)

  it("says how it is called", function()
    assert.equal(2, example(".", "tail").code)
    assert.equal(2, example(".", "tail", "-n", "x", "log").code)
  end)
end)

describe("rerun.lua", function()
  it("ends what the command has started, too", function()
    files.with_folder(function(file, folder)
      await(fs.mkdir(file "src"))
      local fifo <close> = await(fs.open(files.fifo(file "fifo"), "r+"))
      local held <close> = await(fs.open(files.fifo(file "held")))
      beside("rerun", [[src -- sh -c 'echo go >fifo; sleep 60 >held; echo end']], file, folder, function()
        assert.equal("go", await(fifo:read()))
        local over = create_task(held:read "a") -- when nobody can write there any more
        await(fs.rename(file("outside", ""), file "src/new"))
        assert.equal("", await(asyncio.wait_for(over, 20)))
      end)
    end)
  end)

  it("runs the command at each change, and ends what still runs", function()
    files.with_folder(function(file, folder)
      await(fs.mkdir(file "src/sub", {parents = true}))
      await(fs.mkdir(file "src/.hidden"))
      file("src/sub/a", "one")
      beside("rerun", [[src -- sh -c 'cat src/sub/*; echo; [ -e src/wait ] && exec sleep 60']], file, folder,
        function(until_printed)
          local expected = ""
          local function expect(text)
            expected = expected .. text
            until_printed(expected)
          end
          -- by a rename, which is one event however slow the machine is
          local function appear(name, text) await(fs.rename(file("outside", text), file(name))) end
          expect "one\nrerun.lua: ended with 1\n"
          appear("src/.hidden/x", "")
          appear("src/sub/b", " two")
          expect "one two\nrerun.lua: ended with 1\n"
          appear("src/wait", "")
          expect "one two\n"
          await(fs.remove(file "src/wait"))
          expect "one two\nrerun.lua: ended with 1\n"
          await(fs.mkdir(file "src/new"))
          expect "one two\nrerun.lua: ended with 1\n"
          appear("src/new/c", "")
          expect "one two\nrerun.lua: ended with 1\n"
        end)
    end)
  end)

  it("says how it is called", function()
    assert.equal(2, example(".", "rerun", "src").code)
    assert.equal(2, example(".", "rerun", "--", "true").code)
  end)
end)
