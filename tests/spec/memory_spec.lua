-- memory_spec.lua: memory ends. Each program runs under a limit of address
-- space and asks for more than that; it must end with an error, or go on
-- when it catches it, and neither crash nor hang.

local program = require "program"
local tasks = require "tasks"

-- KB of address space; 4000 are needed to start. At the limit each try for
-- memory costs Lua a collection of all of it: more takes minutes.
local LIMIT = 14000
local TIMEOUT = 60

local sanitized = tasks.sanitized

local HEADER = [[
local asyncio = require "asyncio"
local function forever() while true do await(sleep(1000)) end end
forever = async(forever)
]]

-- Runs a script under the limit.
local function limited(code)
  local folder <close> = program.folder()
  folder:write("script.lua", HEADER .. code)
  return program.run(("ulimit -v %d && exec %s script.lua"):format(LIMIT,
    program.quote(program.neap)), {cwd = folder.path, timeout = TIMEOUT})
end

-- The program ends with the error that memory has ended.
local function ends(name, code)
  it(name .. ": run raises the error", function()
    if sanitized then
      return pending "a sanitizer's address space cannot be limited"
    end
    local result = limited(code)
    assert.is_nil(result.signal, result.stderr)
    assert.matches("not enough memory", result.stderr)
    assert.equal(1, result.code)
  end)
end

-- The program prints what it is expected to, and ends well.
local function goes_on(name, expected, code)
  it(name, function()
    if sanitized then
      return pending "a sanitizer's address space cannot be limited"
    end
    local result = limited(code)
    assert.is_nil(result.signal, result.stderr)
    assert.equal(expected, result.stdout, result.stderr)
    assert.equal(0, result.code)
  end)
end

describe("memory ends", function()
  ends("while tasks are made that have not started", [[
    run(async(function()
      while true do create_task(forever()) end
    end)())]])

  ends("while tasks are made that sleep", [[
    run(async(function()
      while true do
        for _ = 1, 100 do create_task(forever()) end
        await(sleep(0))
      end
    end)())]])

  -- A task that fails for lack of memory leaves some to main: who makes
  -- tasks must look at them to notice.
  ends("while tasks are made that wait for futures", [[
    local wait = async(function() await(asyncio.Future()) end)
    run(async(function()
      local task
      repeat
        for _ = 1, 100 do task = create_task(wait()) end
        await(sleep(0))
      until task:done()
      task:result()
    end)())]])

  ends("while each task makes one more and awaits it", [[
    local fork
    fork = async(function()
      await(create_task(fork()))
      return 1
    end)
    run(fork())]])

  ends("in a gather of ever more", [[
    run(async(function()
      local n = 100
      while true do
        local list = {}
        for i = 1, n do list[i] = forever() end
        local all = gather(list)
        for _ = 1, 3 do await(sleep(0)) end
        n = n * 2
        if all:done() then all:result() end
      end
    end)())]])

  ends("while a gather grows out of gathers", [[
    run(async(function()
      local all = gather(create_task(sleep(1000)))
      while true do all = gather(all, all) end
    end)())]])

  ends("while callbacks are scheduled", [[
    run(async(function()
      while true do asyncio.call_soon(print, 1, 2, 3) end
    end)())]])

  ends("while timers are started", [[
    run(async(function()
      while true do asyncio.call_later(1000, print, 1, 2, 3) end
    end)())]])

  ends("while done callbacks are added", [[
    run(async(function()
      local future = asyncio.Future()
      while true do future:add_done_callback(print) end
    end)())]])

  ends("while coroutine objects are made and kept", [[
    run(async(function()
      local list = {}
      while true do
        list[#list + 1] = forever(1, 2, 3)
        list[#list + 1] = sleep(1)
      end
    end)())]])

  ends("while one task's own data grows, others wait", [[
    run(async(function()
      for _ = 1, 1000 do create_task(forever()) end
      await(sleep(0))
      local text = "x"
      while true do text = text .. text end
    end)())]])

  ends("outside of run", [[
    local list = {}
    while true do list[#list + 1] = forever() end]])

  goes_on("and a task that catches the error goes on", "false\ttrue\n1000\nend\n", [[
    print(run(async(function()
      local reserve = string.rep("x", 4000000)
      local ok, err = pcall(function()
        while true do create_task(forever()) end
      end)
      reserve = #reserve > 0 and nil
      collectgarbage()
      print(ok, err:find("not enough memory", 1, true) ~= nil)
      for _, task in ipairs(asyncio.all_tasks()) do
        if task ~= asyncio.current_task() then task:cancel() end
      end
      await(sleep(0))
      await(sleep(0))
      collectgarbage()
      local child = async(function(i)
        await(sleep(0))
        return i
      end)
      local list = {}
      for i = 1, 1000 do list[i] = child(i) end
      print(await(gather(list))[1000])
      return "end"
    end)()))]])

  goes_on("and a program that catches run's error runs again", "true\nfine\n", [[
    local ok, err = pcall(run, async(function()
      while true do
        for _ = 1, 100 do create_task(forever()) end
        await(sleep(0))
      end
    end)())
    print(not ok and err:find("not enough memory", 1, true) ~= nil)
    collectgarbage()
    collectgarbage()
    print(run(async(function()
      local tasks = {}
      for i = 1, 1000 do tasks[i] = create_task(sleep(0.001)) end
      await(gather(tasks))
      return "fine"
    end)()))]])

  goes_on("again and again", "ok\n", [[
    for _ = 1, 3 do
      local ok, err = pcall(run, async(function()
        while true do
          for _ = 1, 1000 do create_task(forever()) end
          await(sleep(0))
        end
      end)())
      assert(not ok and err:find("not enough memory", 1, true), err)
      collectgarbage()
      collectgarbage()
    end
    print("ok")]])

  goes_on("and no task is run twice, lost, or left", "true\ttrue\t0\n", [[
    local begun, ended = 0, 0
    local child = async(function()
      local _ <close> = setmetatable({}, {__close = function() ended = ended + 1 end})
      begun = begun + 1 -- not before: memory can end in that line
      await(sleep(1000))
    end)
    local ok, err = pcall(run, async(function()
      while true do
        for _ = 1, 500 do create_task(child()) end
        await(sleep(0))
      end
    end)())
    collectgarbage()
    -- where no memory is left to cancel the tasks, run abandons all of them
    print(ok == false and tostring(err):find("not enough memory", 1, true) ~= nil,
      ended == 0 or begun - ended >= 0 and begun - ended <= begun // 100, #asyncio.all_tasks())]])
end)
