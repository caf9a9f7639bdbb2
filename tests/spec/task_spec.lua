-- task_spec.lua: tasks: their start, order, names, states and methods.
-- Done callbacks are in future_spec.lua, reports in task_report_spec.lua,
-- cancellation in cancel_spec.lua, tostring in repr_spec.lua.

local asyncio = require "asyncio"
local program = require "program"
local tasks = require "tasks"

local caught, co, is_a, main = tasks.caught, tasks.co, tasks.is_a, tasks.main
local refused = tasks.refused

describe("create_task", function()
  it("TA-01 does not start the body", function()
    main(function()
      local started = false
      local task = create_task(co(function() started = true end))
      assert.is_false(started)
      await(task)
      assert.is_true(started)
    end)
  end)

  it("TA-01 does not start it in an await that does not suspend", function()
    main(function()
      local started = false
      local task = create_task(co(function() started = true end))
      await(co(function() return 1 end))
      local future = asyncio.Future()
      future:set_result(1)
      await(future)
      assert.is_false(started)
      await(sleep(0))
      assert.is_true(started)
      await(task)
    end)
  end)

  it("TA-02 tasks start in the order of creation, then take turns", function()
    local order = {}
    local count = async(function(name)
      for i = 1, 3 do
        order[#order + 1] = name .. i
        await(sleep(0))
      end
    end)
    main(function()
      local list = {}
      for _, name in ipairs{"a", "b", "c"} do
        list[#list + 1] = create_task(count(name))
      end
      order[#order + 1] = "main"
      await(gather(list))
    end)
    assert.equal("main a1 b1 c1 a2 b2 c2 a3 b3 c3", table.concat(order, " "))
  end)

  it("TA-02 what begins in one turn is alone, however the one before ended", function()
    local order, list = {}, {}
    local function add(name, body, ...)
      list[#list + 1] = create_task(co(function(...)
        assert.equal(name, asyncio.current_task():get_name())
        order[#order + 1] = name
        return body(...)
      end, ...), {name = name})
    end
    main(function()
      add("value", function(...) return select("#", ...), ... end, nil, 2)
      add("cancelled", function() end)
      list[#list]:cancel("before")
      add("error", function() error("wrong", 0) end)
      add("handled", function() return xpcall(error, function(e) return e .. "!" end, "no") end)
      add("creates", function() add("created", function() return "late" end) end)
      list[#list + 1] = create_task(sleep(0))
      list[#list + 1] = create_task(sleep(0.001, "slept"))
      asyncio.call_soon(function() order[#order + 1] = "callback" end)
      add("close", function()
        local _ <close> = setmetatable({}, {__close = function() await(sleep(0)) end})
        error("closed", 0)
      end)
      add("many", function(...) return ... end, table.unpack({}, 1, 250))
      await(sleep(0))
      assert.same({"value", "error", "handled", "creates", "callback", "close", "many"}, order)
      await(sleep(0))
      assert.equal("created", order[8])
      local outcomes = {}
      for i, task in ipairs(list) do
        if task:cancelled() then
          outcomes[i] = "cancelled"
        else
          local got = table.pack(pcall(await, task))
          outcomes[i] = got.n .. " " .. tostring(got[1]) .. " " .. tostring(got[2])
        end
      end
      assert.same({"4 true 2", "cancelled", "2 false wrong", "3 true false", "1 true nil",
        "1 true nil", "2 true slept", "2 false closed", "251 true nil", "2 true late"}, outcomes)
    end)
  end)

  it("TA-02 tasks that create each other leave turns to the others", function()
    local over, count = false, 0
    local function again()
      count = count + 1
      if not over and count < 1000000 then create_task(co(again)) end
    end
    main(function()
      create_task(co(again))
      await(sleep(0.001))
      over = true
    end)
    assert.is_true(count < 1000000)
  end)

  it("keeps many tasks apart, some of them made by finalizers while others are made", function()
    local result = program.run_script [[
      collectgarbage("generational", 1)  -- finalizers run often
      local list, made = {}, 0
      local function make(value)
        list[value] = create_task(async(function() await(sleep(0)) return value end)())
      end
      local metatable = {__gc = function()
        made = made + 1
        make(-made)
      end}
      run(async(function()
        for i = 1, 10000 do
          setmetatable({}, metatable)
          make(i)
        end
        for value = -made, 10000 do
          assert(value == 0 or await(list[value]) == value)
        end
        print(made > 1000)
      end)())
    ]]
    assert.equal("", result.stderr)
    assert.equal("true\n", result.stdout)
  end)

  it("TA-03 a task's own tasks go behind those that are ready", function()
    local order = {}
    local node
    node = async(function(name, depth)
      order[#order + 1] = name
      if depth > 0 then
        await(gather(node(name .. "1", depth - 1), node(name .. "2", depth - 1)))
      end
    end)
    main(function() await(gather(node("a", 2), node("b", 2))) end)
    assert.equal("a b a1 a2 b1 b2 a11 a12 a21 a22 b11 b12 b21 b22",
      table.concat(order, " "))
  end)

  it("TA-03 a turn runs what was ready at its start, and nothing more", function()
    local order = {}
    main(function()
      local last
      create_task(co(function()
        order[#order + 1] = "first"
        create_task(co(function() order[#order + 1] = "its task" end))
        asyncio.call_soon(function() order[#order + 1] = "its callback" end)
      end))
      last = create_task(co(function()
        order[#order + 1] = "second"
        await(sleep(0))
        order[#order + 1] = "second again"
      end))
      await(last)
    end)
    assert.same({"first", "second", "its task", "its callback",
      "second again"}, order)
  end)

  it("TA-04 keeps a name, which the task itself sees", function()
    main(function()
      local inside
      local task = create_task(co(function()
        inside = asyncio.current_task():get_name()
        asyncio.current_task():set_name("renamed")
      end), {name = "my name"})
      assert.equal("my name", task:get_name())
      await(task)
      assert.equal("my name", inside)
      assert.equal("renamed", task:get_name())
    end)
  end)

  it("TA-04 gives default names that count up", function()
    main(function()
      local last = tonumber(asyncio.current_task():get_name():match("^Task%-(%d+)$"))
      local list = {}
      for i = 1, 3 do
        list[i] = create_task(sleep(0), i == 2 and {name = "other"} or nil)
      end
      assert.equal(("Task-%d"):format(last + 1), list[1]:get_name())
      assert.equal("other", list[2]:get_name())
      local third = tonumber(list[3]:get_name():match("^Task%-(%d+)$"))
      assert.is_true(third > last + 1)
      assert.equal(math.type(third), "integer")
      await(gather(list))
    end)
  end)

  it("TA-04 takes any value as a name, as text", function()
    main(function()
      local task = create_task(sleep(0), {name = 12})
      assert.equal("12", task:get_name())
      task:set_name(setmetatable({}, {__tostring = function() return "obj" end}))
      assert.equal("obj", task:get_name())
      task:set_name("")
      assert.equal("", task:get_name())
      await(task)
      assert.equal("", task:get_name())
    end)
  end)

  it("refuses what is no coroutine object, and says what to write", function()
    main(function()
      assert.matches("call it",
        refused(function() create_task(async(function() end)) end), 1, true)
      for _, value in ipairs{1, "text", {}, true, print, asyncio.Future()} do
        assert.matches("^create_task: ",
          refused(function() create_task(value) end))
      end
      assert.matches("^create_task: ", refused(function() create_task() end))
      assert.equal(1, #asyncio.all_tasks())
    end)
  end)

  it("refuses options that are no table", function()
    main(function()
      local coro = co(function() return "unharmed" end)
      assert.matches("^create_task: ",
        refused(function() create_task(coro, "name") end))
      assert.equal("unharmed", await(coro))
    end)
  end)

  it("is refused outside a run, with the coroutine object unharmed", function()
    local coro = co(function() return 1 end)
    assert.matches("^create_task: ", refused(function() create_task(coro) end))
    assert.equal(1, run(coro))
  end)

  it("is allowed in callbacks", function()
    main(function()
      local task
      asyncio.call_soon(function()
        task = create_task(co(function() return "value" end))
      end)
      await(sleep(0))
      assert.equal("value", await(task))
    end)
  end)
end)

describe("a task", function()
  it("TA-05 that is pending is not done, and has no outcome", function()
    main(function()
      local task = create_task(sleep(0.001))
      for _ = 1, 2 do
        assert.is_false(task:done())
        assert.is_false(task:cancelled())
        is_a("InvalidStateError", caught(task.result, task))
        is_a("InvalidStateError", caught(task.exception, task))
        await(sleep(0))
      end
      await(task)
    end)
  end)

  it("TA-06 that has finished has its results, and no exception", function()
    main(function()
      local task = create_task(co(function() return 1, nil, 3, nil end))
      await(task)
      assert.is_true(task:done())
      assert.is_false(task:cancelled())
      assert.same({1, nil, 3, nil, n = 4}, table.pack(task:result()))
      assert.is_nil(task:exception())
      local none = create_task(co(function() end))
      await(none)
      assert.equal(0, select("#", none:result()))
      assert.equal(0, select("#", await(none)))
    end)
  end)

  it("TA-06 that has failed raises its error, and exception gives it", function()
    main(function()
      local boom = asyncio.Exception("boom")
      local task = create_task(co(function() error(boom) end))
      await(sleep(0))
      assert.is_true(task:done())
      assert.is_false(task:cancelled())
      assert.equal(boom, task:exception())
      assert.equal(boom, caught(task.result, task))
      assert.equal(boom, caught(await, task))
      assert.equal(boom, task:exception())
    end)
  end)

  it("TA-06 wraps an error that is no error object, the same each time", function()
    main(function()
      for _, value in ipairs{"text", 5, {}, false} do
        local task = create_task(co(function() error(value, 0) end))
        await(sleep(0))
        local exception = task:exception()
        is_a("Exception", exception)
        assert.equal(value, exception.value)
        assert.equal("string", type(exception.traceback))
        assert.equal(exception, task:exception())
        assert.equal(value, caught(task.result, task))
        assert.equal(value, caught(await, task))
      end
      local task = create_task(co(function() error(nil) end))
      await(sleep(0))
      assert.is_nil(caught(task.result, task))
      is_a("Exception", task:exception())
      assert.is_nil(task:exception().value)
    end)
  end)

  it("TA-06 that was cancelled raises CancelledError in both", function()
    main(function()
      local task = create_task(sleep(1000))
      await(sleep(0))
      task:cancel()
      await(sleep(0))
      assert.is_true(task:done())
      assert.is_true(task:cancelled())
      is_a("CancelledError", caught(task.result, task))
      is_a("CancelledError", caught(task.exception, task))
      is_a("CancelledError", caught(await, task))
    end)
  end)

  it("TA-10 is current_task at every point of it", function()
    main(function()
      local this = asyncio.current_task()
      local seen = {}
      local check = async(function(name)
        local task = asyncio.current_task()
        assert.equal(name, task:get_name())
        for _ = 1, 3 do
          await(sleep(0))
          assert.equal(task, asyncio.current_task())
        end
        await(sleep(0.001))
        assert.equal(task, asyncio.current_task())
        -- inside an inline await, in a generator, in a cleanup
        await(co(function()
          await(sleep(0))
          assert.equal(task, asyncio.current_task())
        end))
        for value in coroutine.wrap(function()
          await(sleep(0))
          coroutine.yield(asyncio.current_task())
        end) do
          assert.equal(task, value)
        end
        seen[#seen + 1] = task
      end)
      local a = create_task(check("a"), {name = "a"})
      local b = create_task(check("b"), {name = "b"})
      assert.equal(this, asyncio.current_task())
      await(gather(a, b))
      assert.equal(this, asyncio.current_task())
      assert.same({a, b}, seen)
    end)
  end)

  it("TA-10 outside tasks current_task is nil", function()
    assert.is_nil(asyncio.current_task())
    main(function()
      local inside = {}
      local function note() inside[#inside + 1] = asyncio.current_task() or "nil" end
      asyncio.call_soon(note)
      asyncio.call_later(0, note)
      local future = asyncio.Future()
      future:add_done_callback(note)
      future:set_result()
      await(sleep(0.001))
      assert.same({"nil", "nil", "nil"}, inside)
    end)
    assert.is_nil(asyncio.current_task())
  end)

  it("TA-11 is in all_tasks until it has ended, main included", function()
    assert.same({}, asyncio.all_tasks())
    main(function()
      local this = asyncio.current_task()
      local a = create_task(sleep(0.001))
      local b = create_task(sleep(1000))
      local c = create_task(co(function() end))
      assert.same({this, a, b, c}, asyncio.all_tasks())
      await(c)
      assert.same({this, a, b}, asyncio.all_tasks())
      await(a)
      assert.same({this, b}, asyncio.all_tasks())
      assert.is_true(a:done())
      b:cancel()
      assert.same({this, b}, asyncio.all_tasks())
      caught(await, b)
      assert.same({this}, asyncio.all_tasks())
      local d
      asyncio.call_soon(function() d = create_task(sleep(0)) end)
      await(sleep(0))
      assert.same({this, d}, asyncio.all_tasks())
      await(d)
      table.remove(asyncio.all_tasks()) -- a list of the caller's own
      assert.same({this}, asyncio.all_tasks())
    end)
    assert.same({}, asyncio.all_tasks())
  end)

  it("TA-13 that nobody refers to lives on", function()
    local done = {}
    main(function()
      for i = 1, 10 do
        create_task(co(function()
          await(sleep(0))
          await(sleep(0.001))
          local future = asyncio.Future()
          asyncio.call_later(0.001, function() future:set_result(i) end)
          local value = await(future)
          done[#done + 1] = value
        end))
      end
      for _ = 1, 10 do
        collectgarbage()
        await(sleep(0.001))
      end
      while #done < 10 do await(sleep(0)) end
    end)
    assert.same({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, done)
  end)

  it("TA-13 that nobody refers to lives on while it waits for a future", function()
    local woken
    main(function()
      local future = asyncio.Future()
      create_task(co(function() woken = await(future) end))
      await(sleep(0))
      collectgarbage()
      collectgarbage()
      future:set_result("woken")
      await(sleep(0))
    end)
    assert.equal("woken", woken)
  end)

  it("TA-13 that has ended can be collected", function()
    local weak = setmetatable({}, {__mode = "k"})
    main(function()
      for _ = 1, 10 do
        weak[create_task(co(function() return {} end))] = true
      end
      await(sleep(0))
      await(sleep(0))
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
    end)
  end)

  it("TA-18 takes no result or error from outside", function()
    main(function()
      local task = create_task(co(function() return "own" end))
      assert.matches("^set_result: ", refused(function() task:set_result(1) end))
      assert.matches("^set_exception: ",
        refused(function() task:set_exception("x") end))
      assert.equal("own", await(task))
      refused(function() task:set_result(1) end)
      assert.equal("own", task:result())
    end)
  end)

  it("gives its coroutine object", function()
    main(function()
      local coro = co(function() end)
      local task = create_task(coro)
      assert.equal(coro, task:get_coro())
      await(task)
      assert.equal(coro, task:get_coro())
    end)
  end)

  it("has methods that take tasks only", function()
    main(function()
      local coro = co(function() end)
      local task = create_task(co(function() end))
      for _, name in ipairs{"cancel", "cancelled", "cancelling", "uncancel",
        "done", "result", "exception", "get_name", "get_coro", "get_stack"} do
        for _, value in ipairs{{}, io.stdout, 1, coro} do
          assert.is_false((pcall(task[name], value)), name)
        end
        assert.is_false((pcall(task[name])), name)
      end
      for _, name in ipairs{"cancelling", "uncancel", "get_name", "get_stack"} do
        assert.is_nil(asyncio.Future()[name])
        assert.is_false((pcall(task[name], asyncio.Future())), name)
      end
      assert.is_false((pcall(task.set_name, task)))
      await(coro)
      await(task)
    end)
  end)

  it("has no fields to set, and no others to read", function()
    main(function()
      local task = create_task(co(function() end))
      assert.is_false((pcall(function() task.field = 1 end)))
      assert.is_nil(task.no_such_method)
      assert.equal("userdata", type(task))
      await(task)
    end)
  end)
end)
