-- fs_watch_spec.lua: watching files and folders.

local asyncio = require "asyncio"
local files = require "files"
local fs = require "fs"
local program = require "program"
local tasks = require "tasks"

local with_folder = files.with_folder

-- Reads events until one is of that kind and name.
local function until_event(watcher, kind, name)
  repeat
    local its_kind, its_name = await(asyncio.wait_for(watcher:next(), 30))
  until its_kind == kind and its_name == name
end

describe("fs.watch", function()
  it("tells what happens in a folder", function()
    with_folder(function(file, folder)
      local watcher <close> = fs.watch(folder)
      await(fs.write(file "a\n\xff", "x"))
      until_event(watcher, "rename", "a\n\xff")
      until_event(watcher, "change", "a\n\xff")
      await(fs.rename(file "a\n\xff", file "b"))
      until_event(watcher, "rename", "b")
      await(fs.chmod(file "b", "600"))
      until_event(watcher, "change", "b")
      await(fs.remove(file "b"))
      until_event(watcher, "rename", "b")
    end)
  end)

  it("tells what happens to a file", function()
    with_folder(function(file)
      local watcher <close> = fs.watch(file("a", ""))
      assert.equal(("<Watcher '%s'>"):format(file "a"), tostring(watcher))
      await(fs.append(file "a", "x"))
      until_event(watcher, "change", "a")
      await(fs.remove(file "a"))
      until_event(watcher, "rename", "a")
    end)
  end)

  it("is an iterator, which the loop closes", function()
    with_folder(function(file, folder)
      local task = tasks.started(function()
        for kind, name in fs.watch(folder) do
          if name == "stop" then return kind end
        end
      end)
      for i = 1, 5 do await(fs.write(file(i), "x")) end
      await(fs.write(file "stop", "x"))
      assert.equal("rename", await(task))
      local watcher, _, _, closed = fs.watch(folder)
      assert.equal(watcher, closed)
      watcher:close()
    end)
  end)

  it("waits without keeping others from running, and can be cancelled", function()
    with_folder(function(file, folder)
      local watcher <close> = fs.watch(folder)
      local task = create_task(watcher:next())
      tasks.turns(3)
      task:cancel()
      tasks.is_a("CancelledError", tasks.caught(await, task))
      await(fs.write(file "a", ""))
      until_event(watcher, "rename", "a")
    end)
  end)

  it("ends for who waits when it is closed", function()
    with_folder(function(_, folder)
      local watcher = fs.watch(folder)
      local task = create_task(watcher:next())
      tasks.turns(3)
      watcher:close()
      watcher:close()
      assert.is_nil(await(task))
      assert.is_nil(await(watcher:next()))
      assert.equal(("<Watcher '%s' closed>"):format(folder), tostring(watcher))
    end)
  end)

  it("says so, too, when the kernel has lost some of any watcher", function()
    local queue = program.capture "cat /proc/sys/fs/inotify/max_queued_events 2>/dev/null"
    if not queue or tonumber(queue) > 16384 then
      return pending "needs a queue of no more than 16384 events"
    end
    with_folder(function(file)
      for _, name in ipairs {"a", "b"} do await(fs.mkdir(file(name))) end
      local watchers = {fs.watch(file "a", {limit = 1000000}), (fs.watch(file "b"))}
      for i = 1, 9000 do -- two events each
        program.write(file "a/" .. i, "x")
      end
      program.write(file "b/lost", "")
      for _, watcher in ipairs(watchers) do
        local kind
        repeat kind = await(watcher:next()) until kind == "overflow"
        watcher:close()
      end
    end)
  end)

  it("keeps so many events, and then says that there were more", function()
    with_folder(function(file, folder)
      local watcher <close> = fs.watch(folder, {limit = 3})
      local other <close> = fs.watch(folder)
      for i = 1, 10 do await(fs.mkdir(file(i))) end
      until_event(other, "rename", "10")
      for i = 1, 3 do assert.same({"rename", tostring(i)}, {await(watcher:next())}) end
      assert.same({"overflow", n = 1}, table.pack(await(watcher:next())))
      await(fs.mkdir(file "next"))
      until_event(watcher, "rename", "next")
    end)
  end)

  it("says an event that comes again and again once", function()
    with_folder(function(file, folder)
      local path = file("a", "")
      local watcher <close> = fs.watch(folder)
      for _ = 1, 10 do await(fs.append(path, "x")) end
      await(fs.mkdir(file "end"))
      assert.same({"change", "a"}, {await(watcher:next())})
      assert.same({"rename", "end"}, {await(watcher:next())})
    end)
  end)

  it("refuses a second task, what is not there, and what is no Watcher", function()
    with_folder(function(file, folder)
      local watcher <close> = fs.watch(folder)
      local task = tasks.started(function() return await(watcher:next()) end)
      assert.equal("Watcher.next: another task waits for its events", tasks.refused(function()
        await(watcher:next())
      end))
      task:cancel()
      asyncio.catch(await, task)
      local err = tasks.caught(fs.watch, file "none")
      assert.equal("ENOENT", err.code)
      assert.equal("watch", err.syscall)
      assert.equal(file "none", err.path)
      assert.equal("Watcher.close: a Watcher expected, got no value; write watcher:close()", tasks.refused(function()
        watcher.close()
      end))
    end)
  end)

  it("that nobody waits for keeps no program alive", function()
    local result = program.run_script [[
      local fs = require "fs"
      w = fs.watch("/")
      local ok, err = pcall(run, async(function()
        local never = require "asyncio".Future()
        await(never)
      end)())
      print(err:match "deadlock")
    ]]
    assert.equal("deadlock\n", result.stdout, result.stderr)
  end)
end)
