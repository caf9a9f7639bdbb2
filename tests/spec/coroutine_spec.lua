-- coroutine_spec.lua: coroutine objects: awaited, reused, dropped, closed
-- (CO of the behaviours; async_spec.lua has the functions that make them).

local asyncio = require "asyncio"
local program = require "program"
local tasks = require "tasks"

local caught, here, main = tasks.caught, tasks.here, tasks.main

local function is_reuse(name, reason, err)
  assert.are.equal(("cannot use coroutine '%s' again: %s; each call %s() "
    .. "makes a new one"):format(name, reason, name),
    (err:gsub("^[^\n]*coroutine_spec%.lua:%d+: ", "")))
end

describe("a coroutine object", function()
  it("has a text with its name", function()
    local result = program.run_script [[
      function async.main() end
      local fetch = async(function() end)
      local t = {get = async(function() end)}
      for _, coro in ipairs {main(), fetch(), t.get(), t:get(),
          async(function() end)(), sleep(1)} do
        print((tostring(coro):gsub("0x%x+", "0x")))
        coro:close()
      end
    ]]
    assert.are.equal("", result.stderr)
    assert.are.equal([[
<coroutine object main at 0x>
<coroutine object fetch at 0x>
<coroutine object get at 0x>
<coroutine object get at 0x>
<coroutine object <script.lua:5> at 0x>
<coroutine object sleep at 0x>
]], result.stdout)
  end)

  it("has texts that tell two of them apart", function()
    local f = async(function() end)
    local one, two = f(), f()
    assert.are_not.equal(tostring(one), tostring(two))
    assert.are.equal(tostring(one), tostring(one))
    one:close()
    two:close()
  end)

  it("keeps its metatable from scripts", function()
    local coro = async(function() end)()
    assert.is_false(getmetatable(coro))
    assert.has_error(function() setmetatable(coro, {}) end)
    coro:close()
  end)

  it("CO-03 that never suspends runs in line, in the same task", function()
    local order = {}
    main(function()
      local other = create_task(async(function()
        order[#order + 1] = "other"
      end)())
      asyncio.call_soon(function() order[#order + 1] = "callback" end)
      local me, thread = asyncio.current_task(), coroutine.running()
      local inner = async(function()
        assert.are.equal(me, asyncio.current_task())
        assert.are.equal(thread, (coroutine.running()))
        order[#order + 1] = "inner"
      end)
      local outer = async(function()
        await(inner())
        order[#order + 1] = "outer"
      end)
      await(outer())
      order[#order + 1] = "main"
      assert.are.equal(2, #asyncio.all_tasks())
      await(other)
    end)
    assert.are.same({"inner", "outer", "main", "other", "callback"}, order)
  end)

  it("CO-04 awaited again after its end is a usage error", function()
    local runs = 0
    local f = async(function() runs = runs + 1 return "value" end)
    main(function()
      local coro = f()
      assert.are.equal("value", (await(coro)))
      for _ = 1, 2 do
        local err = caught(function() await(coro) end)
        is_reuse("f", "it was already awaited", err)
      end
      is_reuse("f", "it was already awaited", caught(create_task, coro))
      is_reuse("f", "it was already awaited", caught(gather, coro))
      assert.are.equal(1, runs)
    end)
    local first = f()
    assert.are.equal("value", run(first))
    is_reuse("f", "a task runs it: await the task", caught(run, first))
    assert.are.equal(2, runs)
  end)

  it("CO-04 that failed cannot be awaited again either", function()
    local runs = 0
    local f = async(function() runs = runs + 1 error("first", 0) end)
    main(function()
      local coro = f()
      assert.are.equal("first", caught(await, coro))
      is_reuse("f", "it was already awaited", caught(await, coro))
      assert.are.equal(1, runs)
    end)
  end)

  it("CO-04 of sleep cannot be awaited again", function()
    main(function()
      for _, delay in ipairs {0, 0.001} do
        local coro = sleep(delay)
        await(coro)
        is_reuse("sleep", "it was already awaited", caught(await, coro))
      end
    end)
  end)

  it("CO-04 of sleep(0) awaited twice takes nothing from another", function()
    main(function()
      local one, two = sleep(0), sleep(0)
      await(one)
      is_reuse("sleep", "it was already awaited", caught(await, one))
      await(two)
    end)
  end)

  it("of sleep(0) closed twice takes nothing from another", function()
    main(function()
      local one, two = sleep(0), sleep(0)
      one:close()
      one:close()
      await(two)
    end)
  end)

  it("CO-05 that a task runs cannot be awaited; the task goes on", function()
    local f = async(function() await(sleep(0)) return "value" end)
    main(function()
      local coro = f()
      local task = create_task(coro)
      for _ = 1, 2 do -- before and after its first step
        is_reuse("f", "a task runs it: await the task", caught(await, coro))
        await(sleep(0))
      end
      assert.are.equal(coro, task:get_coro())
      assert.are.equal("value", (await(task)))
      is_reuse("f", "a task runs it: await the task", caught(await, coro))
    end)
  end)

  it("CO-05 that another task awaits cannot be awaited", function()
    local gate = asyncio.Future()
    local f = async(function() await(gate) return "value" end)
    main(function()
      local coro = f()
      local task = create_task(async(function() return await(coro) end)())
      await(sleep(0))
      is_reuse("f", "it was already awaited", caught(await, coro))
      gate:set_result()
      assert.are.equal("value", (await(task)))
    end)
  end)

  it("CO-05 cannot await itself", function()
    main(function()
      local coro
      local f = async(function() await(coro) end)
      coro = f()
      is_reuse("f", "it was already awaited", caught(await, coro))
    end)
  end)

  it("CO-07 is what create_task and run want, nothing else", function()
    local f = async(function() end)
    local values = {f, function() end, print, 42, "text", true, {},
      coroutine.create(print), io.stdout}
    main(function()
      local before = #asyncio.all_tasks()
      assert.has_error(function() create_task() end)
      assert.has_error(function() create_task(nil) end)
      for _, value in ipairs(values) do
        local line = here() + 1
        local err = caught(function() create_task(value) end)
        assert.are.equal(("coroutine_spec.lua:%d: create_task: a coroutine "
          .. "object expected, got "):format(line),
          err:match("(coroutine_spec.lua:%d+: .*got )"))
      end
      assert.are.equal(before, #asyncio.all_tasks())
    end)
    assert.has_error(function() run() end)
    for _, value in ipairs(values) do
      local err = caught(function() run(value) end)
      assert.matches("run: a coroutine object expected, got ", err, 1, true)
    end
  end)

  it("CO-07 says to call it when it gets the function", function()
    local f = async(function() end)
    main(function()
      assert.matches("call it, as in create_task(f())",
        caught(create_task, f), 1, true)
      assert.matches("make it an async function and call it, as in "
        .. "create_task(f())", caught(create_task, print), 1, true)
    end)
    assert.matches("call it, as in run(f())", caught(run, f), 1, true)
  end)

  it("CO-08 given to two tasks fails the second time only", function()
    local f = async(function() await(sleep(0)) return "value" end)
    main(function()
      local coro = f()
      local task = create_task(coro)
      is_reuse("f", "a task runs it: await the task",
        caught(create_task, coro))
      assert.are.equal(2, #asyncio.all_tasks())
      assert.are.equal("value", (await(task)))
    end)
  end)
end)

describe("a coroutine object dropped without await", function()
  -- Runs code as script.lua; asserts that it ends well, and what it says.
  local function says(expected, code, options)
    local result = program.run_script(code, options)
    assert.are.equal(expected, result.stderr)
    assert.are.equal(0, result.code)
    return result.stdout
  end

  it("CO-06 never runs, and is reported with its place", function()
    local stdout = says("RuntimeWarning: coroutine 'f' was never awaited\n"
      .. "  created at script.lua:2\n", [[
      local f = async(function() print("body") end)
      f()
      collectgarbage()
      print("after")
    ]])
    assert.are.equal("after\n", stdout)
  end)

  it("CO-06 is reported at the end of the program at the latest", function()
    says("RuntimeWarning: coroutine 'kept' was never awaited\n"
      .. "  created at script.lua:2\n", [[
      function async.kept() end
      global = kept()
    ]])
  end)

  it("CO-06 is reported once for each place, in tasks too", function()
    local stdout = says("RuntimeWarning: coroutine 'f' was never awaited\n"
      .. "  defined at script.lua:1\n", [[
      local f = async(function() print("body") end)
      run(async(function()
        f() f(1) f(1, 2)
        await(sleep(0))
        collectgarbage() collectgarbage()
        print("after")
      end)())
    ]])
    assert.are.equal("after\n", stdout)
  end)

  it("CO-06 is reported with the place of its creation in debug mode", function()
    says("RuntimeWarning: coroutine 'f' was never awaited\n"
      .. "  created at script.lua:3\n", [[
      local f = async(function() end)
      run(async(function()
        f(1, 2)
        await(sleep(0))
      end)(), {debug = true})
    ]])
  end)

  it("CO-06 is reported when it is a sleep, too", function()
    says("RuntimeWarning: coroutine 'sleep' was never awaited\n"
      .. "  created at script.lua:1\n", "sleep(1)")
    assert.matches("^RuntimeWarning: coroutine 'sleep' was never awaited\n",
      program.run_script("sleep(0)").stderr)
  end)

  it("CO-06 is reported also when an error ends the program", function()
    local result = program.run_script [[
      local f = async(function() end)
      f()
      error("end")
    ]]
    assert.matches("script.lua:3: end\n", result.stderr, 1, true)
    assert.matches("coroutine 'f' was never awaited\n  created at script.lua:2",
      result.stderr, 1, true)
    assert.are.equal(1, result.code)
  end)

  it("CO-06 is not reported when it was awaited or became a task", function()
    says("", [[
      local f = async(function() end)
      run(f())
      run(async(function()
        await(f())
        await(create_task(f()))
        await(gather(f(), f()))
        pcall(await, async(error)("x"))
        await(sleep(0))
        collectgarbage() collectgarbage()
      end)())
    ]])
  end)

  it("CO-06 frees its arguments", function()
    local f = async(function() end)
    local weak = setmetatable({{}}, {__mode = "v"})
    local coro = f(weak[1])
    coro:close()
    coro = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)
end)

describe("coro:close()", function()
  -- Runs code in a child whose collector has finished; gives its stderr.
  local function warnings(code)
    local result = program.run_script(code
      .. "\ncollectgarbage() collectgarbage()")
    assert.are.equal(0, result.code)
    return result.stderr
  end

  it("CO-09 of a never started one: no warning, no body", function()
    assert.are.equal("", warnings [[
      local f = async(function() print("body") end)
      f():close()
      sleep(1):close()
      sleep(0):close()
      run(async(function()
        f():close()
        sleep(1):close()
        sleep(0):close()
        await(sleep(0))
      end)())
    ]])
  end)

  it("CO-09 makes a later use a usage error", function()
    local f = async(function() end)
    local coro = f()
    coro:close()
    coro:close()
    is_reuse("f", "it was closed", caught(run, coro))
    main(function()
      is_reuse("f", "it was closed", caught(await, coro))
      is_reuse("f", "it was closed", caught(create_task, coro))
    end)
  end)

  it("returns nothing", function()
    assert.are.equal(0, select("#", async(function() end)():close()))
  end)

  it("needs a coroutine object", function()
    local coro = async(function() end)()
    local err = caught(function() coro.close({}) end)
    assert.matches("coroutine_spec%.lua:%d+: bad argument #1 to 'close' "
      .. "%(coroutine object expected, got table%)$", err)
    coro:close()
  end)

  it("does not disturb one that is done", function()
    local f = async(function() return "value" end)
    main(function()
      local coro = f()
      await(coro)
      coro:close()
      is_reuse("f", "it was already awaited", caught(await, coro))
    end)
  end)

  it("does not disturb the task that runs it", function()
    local f = async(function() await(sleep(0)) return "value" end)
    main(function()
      local coro = f()
      local task = create_task(coro)
      coro:close()
      assert.are.equal("value", (await(task)))
    end)
  end)
end)
