-- await_spec.lua: await: what it takes, what it gives, who wakes up when
-- (AW of the behaviours). await_depth_spec.lua has the deep chains.

local asyncio = require "asyncio"
local program = require "program"
local tasks = require "tasks"

local at_end, caught, main, nested = tasks.at_end, tasks.caught, tasks.main, tasks.nested

describe("await", function()
  it("AW-01 gives a value through many levels unchanged", function()
    main(function()
      local object = {}
      for _, n in ipairs {0, 1, 2, 50, 500} do
        local f = nested(n, function(x)
          await(sleep(0))
          return x
        end)
        assert.are.equal(object, (await(f(object))))
      end
    end)
  end)

  it("AW-01 gives all results, nil ones too", function()
    main(function()
      for _, suspends in ipairs {false, true} do
        local f = nested(3, function(...)
          if suspends then
            await(sleep(0))
          end
          return ...
        end)
        assert.are.equal(0, select("#", await(f())))
        assert.are.same({n = 1}, table.pack(await(f(nil))))
        assert.are.same({1, nil, 3, n = 4},
          table.pack(await(f(1, nil, 3, nil))))
        assert.are.same({n = 3}, table.pack(await(f(nil, nil, nil))))
      end
    end)
  end)

  it("AW-01 gives as many results as there are", function()
    main(function()
      local f = async(table.unpack)
      for _, n in ipairs {2, 250, 256, 1000, 10000} do
        local list = {}
        for i = 1, n do
          list[i] = i
        end
        for _, aw in ipairs {f(list), create_task(f(list))} do
          local results = {await(aw)}
          assert.are.equal(n, #results)
          assert.are.equal(n, results[n])
        end
      end
    end)
  end)

  it("AW-02 raises the same error many levels up, after all cleanup", function()
    local object, order = {}, {}
    local level
    level = async(function(n)
      local guard <close> = at_end(function(_, err) -- luacheck: ignore
        assert.are.equal(object, err)
        await(sleep(0))
        order[#order + 1] = n
      end)
      if n == 0 then
        await(sleep(0))
        error(object)
      end
      await(level(n - 1))
    end)
    main(function()
      local ok, err = pcall(await, level(5))
      assert.is_false(ok)
      assert.are.equal(object, err)
      assert.are.same({0, 1, 2, 3, 4, 5}, order)
    end)
  end)

  it("AW-02 adds no position to an error of several levels", function()
    main(function()
      local f = nested(5, function() error("text", 0) end)
      assert.are.equal("text", caught(await, f()))
      local g = nested(5, function() await(sleep(0)) error("here") end)
      local err = caught(await, g())
      assert.matches("^[^\n]*await_spec%.lua:%d+: here$", err)
      assert.are.equal(1, select(2, err:gsub("await_spec%.lua:", "")))
    end)
  end)

  it("AW-03 of what is no awaitable is a usage error; the task goes on",
  function()
    local values = {42, 1.5, "text", true, {}, print, function() end,
      async(function() end), coroutine.create(print), io.stdout}
    local value = main(function()
      local handle = asyncio.call_soon(function() end)
      values[#values + 1] = handle
      for i = 0, #values do
        local err = caught(function() await(values[i]) end)
        assert.matches("^[^\n]*await_spec%.lua:%d+: await: an awaitable "
          .. "[^\n]*expected, got ", err)
      end
      assert.matches(" got nil$", caught(function() await() end))
      await(sleep(0))
      return "alive"
    end)
    assert.are.equal("alive", value)
  end)

  it("AW-03 says to call it when it gets an async function", function()
    main(function()
      assert.matches("call it, as in await(f())",
        caught(await, async(function() end)), 1, true)
    end)
  end)

  it("AW-04 of a task several times gives the value each time", function()
    local runs = 0
    main(function()
      local object = {}
      local task = create_task(async(function()
        runs = runs + 1
        await(sleep(0))
        return object, nil, "third", nil
      end)())
      for _ = 1, 3 do
        assert.are.same({object, nil, "third", n = 4},
          table.pack(await(task)))
        assert.are.equal(object, (await(task)))
      end
      assert.are.equal(1, runs)
    end)
  end)

  it("AW-04 of a task by several tasks gives each the value", function()
    local runs = 0
    main(function()
      local task = create_task(async(function()
        runs = runs + 1
        await(sleep(0))
        return "value"
      end)())
      local wait = async(function() return await(task) end)
      local list = await(gather(wait(), wait(), wait(), task))
      assert.are.same({"value", "value", "value", "value", n = 4}, list)
      assert.are.equal(1, runs)
    end)
  end)

  it("AW-05 of a failed task several times raises the same error", function()
    main(function()
      for _, err in ipairs {{}, "text", 42, print, true} do
        local task = create_task(async(function()
          await(sleep(0))
          error(err, 0)
        end)())
        for _ = 1, 3 do
          assert.are.equal(err, caught(await, task))
        end
        local wait = async(function() await(task) end)
        local other = create_task(wait())
        assert.are.equal(err, caught(await, other))
      end
    end)
  end)

  it("AW-06 of a finished task gives up no turn", function()
    local order = {}
    main(function()
      local good = create_task(async(function() return "value" end)())
      local bad = create_task(async(function() error("bad", 0) end)())
      await(sleep(0))
      assert.is_true(good:done() and bad:done())
      asyncio.call_soon(function() order[#order + 1] = "other" end)
      assert.are.equal("value", (await(good)))
      assert.are.equal("bad", caught(await, bad))
      local future = asyncio.Future()
      future:set_result(1, 2)
      assert.are.same({1, 2}, {await(future)})
      order[#order + 1] = "main"
      await(sleep(0))
    end)
    assert.are.same({"main", "other"}, order)
  end)

  it("AW-07 of one task by several wakes them in order", function()
    local order = {}
    main(function()
      local gate = asyncio.Future()
      local wait = async(function(name)
        assert.are.equal("open", (await(gate)))
        order[#order + 1] = name
      end)
      local list = {}
      for i = 1, 10 do
        list[i] = create_task(wait(i))
      end
      await(sleep(0))
      gate:set_result("open")
      assert.are.same({}, order)
      await(gather(list))
      assert.are.same({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, order)
    end)
  end)

  it("AW-07 wakes them in the order in which they began to wait", function()
    local order = {}
    main(function()
      local task = create_task(async(function()
        for _ = 1, 5 do
          await(sleep(0))
        end
      end)())
      local wait = async(function(turns)
        for _ = 1, turns do
          await(sleep(0))
        end
        await(task)
        order[#order + 1] = turns
      end)
      await(gather(wait(3), wait(1), wait(2), wait(0)))
    end)
    assert.are.same({0, 1, 2, 3}, order)
  end)

  it("AW-08 of itself is a usage error, no deadlock", function()
    main(function()
      local task
      task = create_task(async(function()
        local err = caught(function() await(task) end)
        assert.matches("^[^\n]*await_spec%.lua:%d+: Task cannot await on "
          .. "itself$", err)
        await(sleep(0))
        return "alive"
      end)())
      assert.are.equal("alive", (await(task)))
      assert.matches("Task cannot await on itself",
        caught(await, asyncio.current_task()))
    end)
  end)

  it("AW-09 outside any task is a usage error that names run()", function()
    local f = async(function() end)
    local coro = f()
    local function awaits()
      await(coro)
    end
    local wanted = "^[^\n]*await_spec%.lua:%d+: await outside a task: write "
      .. "an async function and start it with run%(main%(%)%)$"
    assert.matches(wanted, caught(awaits))
    assert.matches(wanted, caught(coroutine.wrap(awaits))) -- position twice
    main(function()
      local seen = {}
      asyncio.call_soon(function() seen.soon = caught(awaits) end)
      asyncio.call_later(0, function() seen.later = caught(awaits) end)
      local task = create_task(f())
      task:add_done_callback(function() seen.done = caught(awaits) end)
      await(sleep(0.001))
      await(sleep(0))
      for _, name in ipairs {"soon", "later", "done"} do
        assert.matches(wanted, seen[name])
      end
    end)
    coro:close()
  end)

  it("AW-09 outside a task leaves the coroutine object unused", function()
    local coro = async(function() return "value" end)()
    caught(await, coro)
    assert.are.equal("value", run(coro))
  end)
end)

describe("await of an object with __await", function()
  -- An awaitable table: awaiting it is awaiting what get() gives.
  local function awaitable(get)
    return setmetatable({}, {__await = get})
  end

  it("awaits what that gives", function()
    main(function()
      local object
      object = awaitable(function(self, ...)
        assert.are.equal(object, self)
        assert.are.equal(0, select("#", ...))
        return async(function() await(sleep(0)) return 1, nil, 3 end)()
      end)
      for _ = 1, 2 do
        assert.are.same({1, nil, 3, n = 3}, table.pack(await(object)))
      end
      local future = asyncio.Future()
      asyncio.call_soon(future.set_result, future, "set")
      assert.are.equal("set", (await(awaitable(function()
        return future
      end))))
    end)
  end)

  it("takes one that gives another one", function()
    main(function()
      local object = awaitable(function() return sleep(0, "inner") end)
      for _ = 1, 50 do
        local inner = object
        object = awaitable(function() return inner end)
      end
      assert.are.equal("inner", (await(object)))
      local endless
      endless = awaitable(function() return endless end)
      assert.matches("await_spec%.lua:%d+: await: __await gives objects with "
        .. "__await endlessly$", caught(function() await(endless) end))
    end)
  end)

  it("raises the error of __await itself", function()
    main(function()
      local err = {}
      assert.are.equal(err, caught(await, awaitable(function()
        error(err)
      end)))
    end)
  end)

  it("is a usage error when that is no awaitable", function()
    main(function()
      for _, value in ipairs {1, "text", {}, print} do
        local object = awaitable(function() return value end)
        assert.matches("await_spec%.lua:%d+: await: an awaitable [^\n]*got ",
          caught(function() await(object) end))
      end
      assert.matches("got nil", caught(await, awaitable(function() end)))
    end)
  end)

  it("finds it in a userdata's metatable and in a string's", function()
    local meta = getmetatable("")
    finally(function() meta.__await = nil end)
    meta.__await = function(text) return sleep(0, "awaited " .. text) end
    main(function()
      assert.are.equal("awaited text", (await("text")))
    end)
  end)
end)

describe("await in a ring of tasks", function()
  it("AW-10 of two that await each other is a deadlock", function()
    local result = program.run_script([[
      local a, b
      function async.main()
        a = create_task(async(function() await(b) end)(), {name = "a"})
        b = create_task(async(function() await(a) end)(), {name = "b"})
        await(a)
      end
      run(main())
    ]], {timeout = 10})
    assert.are.equal(1, result.code)
    assert.matches("script.lua:7: deadlock: ", result.stderr, 1, true)
    assert.matches("\n\t<Task pending name='a' coro=[^\n]*wait_for=<Task "
      .. "pending name='b' ", result.stderr)
    assert.matches("\n\t<Task pending name='b' coro=[^\n]*wait_for=<Task "
      .. "pending name='a' ", result.stderr)
  end)

  it("AW-10 can be cancelled", function()
    local result = program.run_script([[
      run(require("asyncio").catch and async(function()
        local tasks = {}
        for i = 1, 3 do
          tasks[i] = create_task(async(function()
            await(tasks[i % 3 + 1])
          end)())
        end
        await(sleep(0))
        tasks[1]:cancel()
        for i = 1, 3 do
          require("asyncio").catch(await, tasks[i])
          print(tasks[i]:cancelled())
        end
      end)())
    ]], {timeout = 10})
    assert.are.equal("true\ntrue\ntrue\n", result.stdout)
    assert.are.equal(0, result.code)
  end)
end)
