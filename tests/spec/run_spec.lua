-- run_spec.lua: run(coro): its outcome, and what it does with the tasks
-- that main leaves behind. Ctrl-C and the end of the process are in
-- run_process_spec.lua.

local asyncio = require "asyncio"
local program = require "program"
local tasks = require "tasks"

local at_end, caught, co, main = tasks.at_end, tasks.caught, tasks.co, tasks.main

describe("run", function()
  it("RU-01 gives the value of main", function()
    assert.equal(42, main(function() return 42 end))
    local value = {}
    assert.equal(value, main(function()
      await(sleep(0))
      return value
    end))
  end)

  it("RU-01 gives all results of main, none and nil too", function()
    assert.same({n = 0}, table.pack(main(function() end)))
    assert.same({n = 0}, table.pack(main(function() await(sleep(0)) end)))
    assert.same({n = 1}, table.pack(main(function() return nil end)))
    assert.same({nil, 1, nil, n = 3},
      table.pack(main(function() return nil, 1, nil end)))
    assert.same({false, n = 1}, table.pack(main(function() return false end)))
    local many = main(function()
      return {table.unpack({}, 1, 200)}, select("#", table.unpack({}, 1, 200))
    end)
    assert.same({}, many)
  end)

  it("RU-01 gives thousands of results", function()
    local list = {}
    for i = 1, 10000 do list[i] = i end
    local got = table.pack(main(function() return table.unpack(list) end))
    assert.equal(10000, got.n)
    assert.equal(1, got[1])
    assert.equal(10000, got[10000])
  end)

  it("RU-02 raises main's error, whatever its type", function()
    local object = setmetatable({}, {__tostring = function() error("no") end})
    local values = {"a text", 1, 1.5, true, false, {}, object, print,
      coroutine.create(print), io.stdout}
    for _, value in ipairs(values) do
      assert.equal(value, caught(main, function() error(value, 0) end))
      assert.equal(value, caught(main, function()
        await(sleep(0))
        error(value, 0)
      end))
    end
    assert.is_nil(caught(main, function() error() end))
    assert.is_nil(caught(main, function()
      await(sleep(0))
      error(nil)
    end))
  end)

  it("RU-02 adds one position to a message, that of the error", function()
    local message = caught(main, function() error("boom") end)
    assert.matches("^[^:]*run_spec%.lua:%d+: boom$", message)
    message = caught(main, function()
      await(sleep(0))
      return (1).field
    end)
    assert.matches("^[^:]*run_spec%.lua:%d+: attempt to index a number value",
      message)
  end)

  it("RU-03 cancels the tasks left over and waits for their cleanup", function()
    local order = {}
    local left = async(function(name)
      local _ <close> = at_end(function()
        order[#order + 1] = name .. " cleans up"
        await(sleep(0.001))
        order[#order + 1] = name .. " is done"
      end)
      await(sleep(1000))
    end)
    local value = main(function()
      create_task(left("one"))
      create_task(left("two"))
      await(sleep(0))
      order[#order + 1] = "main returns"
      return "value"
    end)
    order[#order + 1] = "run returns"
    assert.equal("value", value)
    assert.same({"main returns", "one cleans up", "two cleans up",
      "one is done", "two is done", "run returns"}, order)
  end)

  it("RU-03 raises CancelledError in the tasks left over", function()
    local seen, task
    main(function()
      task = create_task(co(function()
        seen = select(2, asyncio.catch(await, sleep(1000)))
        error(seen, 0)
      end))
      await(sleep(0))
    end)
    assert.is_true(asyncio.isinstance(seen, asyncio.CancelledError))
    assert.is_true(task:done())
    assert.is_true(task:cancelled())
  end)

  it("RU-03 starts what main created, in a last turn, and nothing more", function()
    local order = {}
    local first, second
    main(function()
      first = create_task(co(function()
        order[#order + 1] = "started"
        second = create_task(co(function() order[#order + 1] = "never" end))
        await(sleep(0))
        order[#order + 1] = "never"
      end))
    end)
    assert.same({"started"}, order)
    assert.is_true(first:cancelled())
    assert.is_true(second:cancelled())
  end)

  it("RU-03 cancels what waits for futures, tasks and gathers", function()
    local list = {}
    main(function()
      local future = asyncio.Future()
      list[1] = create_task(co(function() await(future) end))
      list[2] = create_task(co(function() await(list[1]) end))
      list[3] = create_task(co(function()
        await(gather(list[1], list[2], sleep(1000)))
      end))
      await(sleep(0))
      await(sleep(0))
    end)
    for i = 1, 3 do
      assert.is_true(list[i]:cancelled(), "task " .. i)
    end
  end)

  it("RU-03 leaves timers and callbacks of call_later behind", function()
    local called = false
    main(function()
      asyncio.call_later(0.001, function() called = true end)
      asyncio.call_later(3600, function() called = true end)
    end)
    main(function() await(sleep(0.005)) end)
    assert.is_false(called)
  end)

  it("RU-03 calls the callbacks of the tasks left over", function()
    local log = {}
    main(function()
      for i = 1, 3 do
        local task = create_task(sleep(60))
        task:add_done_callback(function(t)
          log[#log + 1] = i
          assert.is_true(t:cancelled())
          if i == 2 then create_task(co(function() log[#log + 1] = "a new one" end)) end
        end)
      end
      await(sleep(0))
    end)
    assert.same({1, 2, 3}, log)
  end)

  it("RU-04 cancels the tasks left over before main's error comes out", function()
    local order = {}
    local boom = {}
    local err = caught(function()
      main(function()
        create_task(co(function()
          local _ <close> = at_end(function()
            await(sleep(0))
            order[#order + 1] = "cleaned up"
          end)
          await(sleep(1000))
        end))
        await(sleep(0))
        order[#order + 1] = "main fails"
        error(boom)
      end)
    end)
    order[#order + 1] = "error is out"
    assert.equal(boom, err)
    assert.same({"main fails", "cleaned up", "error is out"}, order)
  end)

  it("RU-05 waits for a task that swallows the cancellation", function()
    local order = {}
    local task
    main(function()
      task = create_task(co(function()
        asyncio.catch(await, sleep(1000))
        for _ = 1, 3 do await(sleep(0.001)) end
        order[#order + 1] = "ends by itself"
        return "value"
      end))
      await(sleep(0))
    end)
    order[#order + 1] = "run returns"
    assert.same({"ends by itself", "run returns"}, order)
    assert.is_false(task:cancelled())
    assert.equal("value", task:result())
  end)

  it("RU-06 reports a task left over that fails in its cleanup", function()
    local result = program.run_script([[
      local left = async(function()
        local _ <close> = setmetatable({}, {__close = function()
          error("cleanup fails", 0)
        end})
        await(sleep(1000))
      end)
      print(run(async(function()
        create_task(left(), {name = "the leftover"})
        await(sleep(0))
        return "the value"
      end)()))]])
    assert.equal("the value\n", result.stdout)
    assert.equal(0, result.code)
    local text, count = result.stderr:gsub("cleanup fails", "%0")
    assert.matches("^unhandled exception during shutdown\n", text)
    assert.matches("the leftover", text, 1, true)
    assert.is_true(count >= 1)
    assert.is_nil(text:find("never retrieved", 1, true))
  end)

  it("RU-07 inside a running loop is a usage error at once", function()
    local other = co(function() end)
    local after
    main(function()
      local ok, err = pcall(run, other)
      assert.is_false(ok)
      assert.matches("^run: ", err)
      assert.matches("await", err)
      ok, err = pcall(function() run(other) end)
      assert.is_false(ok)
      assert.matches("^[^:]*run_spec%.lua:%d+: run: ", err)
      -- and the running loop goes on
      local task = create_task(co(function() return "alive" end))
      after = await(task)
    end)
    assert.equal("alive", after)
    -- it was not taken
    assert.is_nil(run(other))
  end)

  it("RU-07 inside a callback is a usage error, too", function()
    local ok, err
    local other = co(function() end)
    main(function()
      asyncio.call_soon(function() ok, err = pcall(run, other) end)
      await(sleep(0))
    end)
    other:close()
    assert.is_false(ok)
    assert.matches("^run: ", err)
  end)

  it("RU-08 raises CancelledError when main is cancelled", function()
    local err = caught(main, function()
      asyncio.current_task():cancel("enough")
      await(sleep(1000))
    end)
    assert.is_true(asyncio.isinstance(err, asyncio.CancelledError))
    assert.equal("enough", err.message)
    err = caught(main, function() error(asyncio.CancelledError()) end)
    assert.is_true(asyncio.isinstance(err, asyncio.CancelledError))
  end)

  it("RU-08 cancels the tasks left over when main is cancelled", function()
    local task
    caught(main, function()
      task = create_task(sleep(1000))
      await(sleep(0))
      asyncio.current_task():cancel()
      await(sleep(1000))
    end)
    assert.is_true(task:cancelled())
  end)

  it("RU-09 works several times, and nothing carries over", function()
    local called = 0
    for i = 1, 5 do
      assert.equal(i, main(function()
        assert.equal(1, #asyncio.all_tasks())
        create_task(sleep(1000))
        asyncio.call_later(1000, function() called = called + 1 end)
        asyncio.call_soon(function() called = called + 1 end)
        await(sleep(0))
        return i
      end))
      assert.same({}, caught(main, function() error({}) end))
      assert.same({}, asyncio.all_tasks())
      assert.is_nil(asyncio.current_task())
    end
    assert.equal(5, called)
  end)

  it("RU-09 drops the callbacks that are still scheduled at the end", function()
    local count = 0
    local function again()
      count = count + 1
      asyncio.call_soon(again)
    end
    main(function() again() end)
    local before = count
    main(tasks.turns, 5)
    assert.equal(before, count)
  end)

  it("RU-09 keeps futures and tasks of one run for the next", function()
    local future, task
    main(function()
      future = asyncio.Future()
      future:set_result("old", "results")
      task = create_task(co(function() return 7 end))
      await(task)
    end)
    main(function()
      assert.same({"old", "results"}, {await(future)})
      assert.equal(7, await(task))
    end)
  end)

  it("RU-14 abandons a task that comes back in each round", function()
    local result = program.run_script([[
      local begun = 0
      local function start()
        local task = create_task(async(function() begun = begun + 1 await(sleep(60)) end)())
        task:add_done_callback(start)
      end
      run(async(function() start() await(sleep(0)) end)())
      print(begun)
    ]])
    assert.equal("1\n", result.stdout)
    assert.equal(0, result.code)
    assert.matches("Task was destroyed but it is pending!\ntask: <Task pending name='Task%-102'", result.stderr)
  end)

  it("RU-14 cancels in rounds until no task is left", function()
    local order = {}
    local function left(depth)
      return co(function()
        local _ <close> = at_end(function()
          order[#order + 1] = depth
          if depth < 5 then
            create_task(left(depth + 1))
            await(sleep(0))
          end
        end)
        await(sleep(1000))
      end)
    end
    main(function()
      create_task(left(1))
      await(sleep(0))
    end)
    assert.same({1, 2, 3, 4, 5}, order)
    assert.same({}, asyncio.all_tasks())
  end)

  it("RU-15 closes the variables that tasks left over hold open", function()
    local closed = {}
    main(function()
      create_task(co(function()
        local _ <close> = at_end(function() closed[#closed + 1] = "outer" end)
        await(co(function()
          local _ <close> = at_end(function() closed[#closed + 1] = "inner" end)
          for _ in function() return await(sleep(1000)) or 1 end, nil, nil,
            at_end(function() closed[#closed + 1] = "loop" end) do
            closed[#closed + 1] = "never"
          end
        end))
      end))
      await(sleep(0))
    end)
    assert.same({"loop", "inner", "outer"}, closed)
  end)

  it("RU-16 never asks for the text of main's result", function()
    local value = setmetatable({}, {
      __tostring = function() error("asked for its text") end,
      __name = 5,
    })
    assert.equal(value, (main(function() return value end)))
    assert.is_true(rawequal(value, caught(main, function() error(value) end)))
  end)
end)

describe("run with wrong arguments", function()
  local function refused(...)
    local arguments = table.pack(...)
    local ok, err = pcall(function()
      run(table.unpack(arguments, 1, arguments.n))
    end)
    assert.is_false(ok)
    assert.matches("^[^:]*run_spec%.lua:%d+: run: ", err)
    return err
  end

  it("says to call the function it was given", function()
    assert.matches("call it", refused(async(function() end)), 1, true)
  end)

  it("takes nothing but a coroutine object", function()
    for _, value in ipairs{1, "main", true, {}, io.stdout, print} do
      refused(value)
    end
    refused()
    refused(nil)
    refused(asyncio.Future())
  end)

  it("takes nothing but a table of options", function()
    local coro = co(function() end)
    refused(coro, true)
    refused(coro, "debug")
    run(coro)
  end)

  it("refuses a coroutine object that has run", function()
    local coro = co(function() end)
    run(coro)
    local ok, err = pcall(function() run(coro) end)
    assert.is_false(ok)
    assert.matches("run_spec%.lua:%d+: ", err)
    assert.matches("again", err)
  end)

  it("takes a sleep as main", function()
    assert.equal("result", run(sleep(0.001, "result")))
    assert.is_nil(run(sleep(0)))
  end)
end)
