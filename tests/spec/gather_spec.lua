-- gather_spec.lua: gather: results, errors, its forms, misuse.
-- Its cancellation is in gather_cancel_spec.lua.

local asyncio = require "asyncio"
local program = require "program"
local tasks = require "tasks"

local caught, co, is_a, main = tasks.caught, tasks.co, tasks.is_a, tasks.main
local refused, turns = tasks.refused, tasks.turns

-- Gives `value` after so many turns.
local after = async(function(n, value)
  turns(n)
  return value
end)

-- Raises `err` after so many turns.
local fail_after = async(function(n, err)
  turns(n)
  error(err, 0)
end)

describe("gather", function()
  it("GA-01 gives the results in argument order", function()
    main(function()
      local list = await(gather(after(3, "a"), after(1, "b"), after(0, "c"),
        after(2, "d")))
      assert.same({"a", "b", "c", "d", n = 4}, list)
    end)
  end)

  it("GA-01 nil keeps its place, and n its length", function()
    main(function()
      assert.same({nil, "b", nil, n = 3},
        await(gather(after(0), after(1, "b"), after(0, nil))))
      assert.same({n = 2}, await(gather(after(0), after(0))))
      assert.same({false, n = 1}, await(gather(after(0, false))))
    end)
  end)

  it("GA-01 keeps the first result of each child", function()
    main(function()
      local several = async(function(...) return ... end)
      assert.same({1, nil, 7, n = 3},
        await(gather(several(1, 2, 3), several(), several(7, 8))))
      assert.same({n = 1}, await(gather(several(nil, 2))))
    end)
  end)

  it("GA-01 takes tasks, futures, gathers and objects with __await", function()
    main(function()
      local future = asyncio.Future()
      asyncio.call_soon(future.set_result, future, "future")
      local object = setmetatable({}, {__await = function()
        return after(1, "object")
      end})
      local done = asyncio.Future()
      done:set_result("done")
      local list = await(gather(create_task(after(1, "task")), future, object,
        done, gather(after(0, "inner")), sleep(0, "sleep")))
      assert.same({"task", "future", "object", "done", {"inner", n = 1}, "sleep",
        n = 6}, list)
    end)
  end)

  it("GA-01 gives each await of it the same results", function()
    main(function()
      local all = gather(after(0, "a"), after(1, "b"))
      local first, second = await(all), await(all)
      assert.same({"a", "b", n = 2}, first)
      assert.equal(first, second)
      assert.equal(first, all:result())
      assert.is_nil(all:exception())
    end)
  end)

  it("GA-02 without arguments is finished at once, with an empty list", function()
    main(function()
      for _, all in ipairs{gather(), gather{}, gather{return_exceptions = true}} do
        assert.is_true(all:done())
        assert.same({n = 0}, await(all))
        assert.is_false(all:cancel())
      end
    end)
  end)

  it("GA-03 raises the first error at once", function()
    main(function()
      local boom = {}
      local slow = create_task(sleep(1000))
      local err = caught(await, gather(slow, fail_after(2, boom), after(1, "x")))
      assert.equal(boom, err)
      assert.is_false(slow:done())
      slow:cancel()
    end)
  end)

  it("GA-03 raises the error that comes first, not the first argument's", function()
    main(function()
      assert.equal("early", caught(await,
        gather(fail_after(3, "late"), fail_after(1, "early"))))
      assert.equal("first", caught(await,
        gather(fail_after(1, "first"), fail_after(1, "second"))))
    end)
  end)

  it("GA-03 raises errors of any type, unchanged", function()
    main(function()
      for _, value in ipairs{"text", 1, {}, true, false, print,
        asyncio.TimeoutError("slow")} do
        assert.equal(value, caught(await, gather(after(1), fail_after(0, value))))
      end
      assert.is_nil(caught(await, gather(fail_after(0, nil))))
    end)
  end)

  it("GA-03 raises the same error at each await", function()
    main(function()
      local boom = {}
      local all = gather(fail_after(0, boom), after(1))
      assert.equal(boom, caught(await, all))
      assert.equal(boom, caught(await, all))
      assert.equal(boom, caught(all.result, all))
    end)
  end)

  it("GA-04 siblings of a failed child go on to their end", function()
    main(function()
      local order = {}
      local sibling = async(function(name, n)
        await(after(n))
        order[#order + 1] = name
      end)
      local a = create_task(sibling("a", 4))
      assert.equal("boom", caught(await,
        gather(a, fail_after(0, "boom"), sibling("b", 6))))
      assert.same({}, order)
      turns(8)
      assert.same({"a", "b"}, order)
      assert.is_false(a:cancelled())
    end)
  end)

  it("GA-04 drops later errors in silence", function()
    local result = program.run_script([[
      local fail_after = async(function(turns, err)
        for _ = 1, turns do await(sleep(0)) end
        error(err, 0)
      end)
      run(async(function()
        print(pcall(await, gather(fail_after(0, "first"), fail_after(0, "second"),
          fail_after(3, "third"))))
        for _ = 1, 5 do await(sleep(0)) end
        collectgarbage()
        collectgarbage()
      end)())]])
    assert.same({code = 0, stdout = "false\tfirst\n", stderr = ""}, result)
  end)

  it("GA-05 with return_exceptions puts errors in their places", function()
    main(function()
      local timeout = asyncio.TimeoutError("slow")
      local list = await(gather{after(2, "a"), fail_after(1, timeout),
        fail_after(0, "text"), after(0), return_exceptions = true})
      assert.equal(4, list.n)
      assert.equal("a", list[1])
      assert.equal(timeout, list[2])
      is_a("Exception", list[3])
      assert.equal("text", list[3].value)
      assert.equal("string", type(list[3].traceback))
      assert.is_nil(list[4])
    end)
  end)

  it("GA-05 with return_exceptions puts cancellations in their places", function()
    main(function()
      local task = create_task(sleep(1000))
      asyncio.call_soon(function() task:cancel("why") end)
      local future = asyncio.Future()
      future:cancel()
      local list = await(gather{task, after(3, "b"), future,
        fail_after(0, asyncio.CancelledError("raised")), return_exceptions = true})
      assert.equal(4, list.n)
      is_a("CancelledError", list[1])
      assert.equal("why", list[1].message)
      assert.equal("b", list[2])
      is_a("CancelledError", list[3])
      is_a("CancelledError", list[4])
      assert.equal("raised", list[4].message)
    end)
  end)

  it("GA-05 gives the same wrapper as the task's exception", function()
    main(function()
      local task = create_task(fail_after(0, "text"))
      local list = await(gather{task, return_exceptions = true})
      assert.equal(task:exception(), list[1])
    end)
  end)

  it("GA-10 the same awaitable twice runs once, its value in both places", function()
    main(function()
      local ran = 0
      local coro = co(function()
        ran = ran + 1
        await(sleep(0))
        return ran
      end)
      local task = create_task(after(1, "task"))
      local list = await(gather(coro, task, coro, task, coro))
      assert.same({1, "task", 1, "task", 1, n = 5}, list)
      assert.equal(1, ran)
      local future = asyncio.Future()
      future:set_result("f")
      assert.same({"f", "f", n = 2}, await(gather(future, future)))
      local pending = create_task(after(1, "p"))
      assert.same({"p", "p", n = 2}, await(gather{pending, pending}))
    end)
  end)

  it("GA-10 the same sleep twice is given in both places", function()
    main(function()
      local coro = sleep(0.0001, "x")
      assert.same({"x", "x", n = 2}, await(gather(coro, coro)))
    end)
  end)

  it("GA-10 the same failing one twice raises once", function()
    main(function()
      local coro = fail_after(1, "boom")
      assert.equal("boom", caught(await, gather(coro, coro)))
      coro = fail_after(1, asyncio.Exception("boom"))
      local list = await(gather{coro, coro, return_exceptions = true})
      assert.equal(list[1], list[2])
      is_a("Exception", list[1])
    end)
  end)

  it("GA-11 in a gather gives lists in a list", function()
    main(function()
      local list = await(gather(gather(after(1, "a"), after(0, "b")), after(2, "c"),
        gather(), gather(gather(after(0, "d")))))
      assert.same({{"a", "b", n = 2}, "c", {n = 0}, {{"d", n = 1}, n = 1}, n = 4},
        list)
    end)
  end)

  it("GA-11 an inner error comes out of the outer one", function()
    main(function()
      local boom = {}
      assert.equal(boom, caught(await,
        gather(after(5), gather(after(5), gather(fail_after(1, boom))))))
    end)
  end)

  it("GA-12 starts the children before it is awaited", function()
    main(function()
      local order = {}
      local child = async(function(name)
        order[#order + 1] = name
        await(sleep(0))
        order[#order + 1] = name .. " again"
      end)
      local all = gather(child("a"), child("b"))
      assert.same({}, order)
      await(sleep(0))
      assert.same({"a", "b"}, order)
      await(sleep(0))
      await(sleep(0))
      assert.is_true(all:done())
      assert.same({"a", "b", "a again", "b again"}, order)
      await(all)
    end)
  end)

  it("GA-12 goes on when nobody awaits it", function()
    main(function()
      local ran = 0
      local child = async(function()
        await(sleep(0))
        ran = ran + 1
      end)
      gather(child(), child())
      collectgarbage()
      for _ = 1, 4 do
        await(sleep(0))
        collectgarbage()
      end
      assert.equal(2, ran)
    end)
  end)

  it("GA-15 one argument that is no awaitable is a usage error", function()
    main(function()
      local started = false
      local coro = co(function() started = true end)
      for _, value in ipairs{1, "text", {}, true, print, io.stdout} do
        assert.matches("^gather: argument 2: an awaitable expected, got ",
          refused(function() gather(coro, value) end))
        assert.matches("^gather: argument 2: an awaitable expected, got ",
          refused(function() gather{coro, value} end))
      end
      assert.matches("argument 3",
        refused(function() gather(coro, coro, nil, coro) end))
      assert.matches("call it",
        refused(function() gather(coro, async(function() end)) end), 1, true)
      await(sleep(0))
      assert.is_false(started)
      -- the coroutine object is not lost
      await(coro)
      assert.is_true(started)
    end)
  end)

  it("GA-15 a coroutine object that has run is refused", function()
    main(function()
      local used = after(0, 1)
      await(used)
      assert.matches("again", refused(function() gather(used) end))
      local owned = after(0, 1)
      local task = create_task(owned)
      assert.matches("again", refused(function() gather(owned) end))
      assert.equal(1, await(task))
    end)
  end)

  it("GA-15 one single argument that is no table is checked, too", function()
    main(function()
      for _, value in ipairs{1, "text", true, print} do
        assert.matches("^gather: argument 1", refused(function() gather(value) end))
      end
      assert.matches("^gather: argument 1", refused(function() gather(nil) end))
    end)
  end)

  it("needs a running loop", function()
    local coro = co(function() return "unharmed" end)
    assert.matches("^gather: no running event loop",
      refused(function() gather(coro) end))
    assert.equal("unharmed", run(coro))
  end)

  it("cannot be settled from outside", function()
    main(function()
      local all = gather(after(1, "a"))
      assert.matches("^set_result: ", refused(function() all:set_result(1) end))
      assert.matches("^set_exception: ",
        refused(function() all:set_exception("x") end))
      assert.same({"a", n = 1}, await(all))
    end)
  end)

  it("takes a list by one table, an object by __await", function()
    main(function()
      assert.same({1, 2, n = 2}, await(gather{after(1, 1), after(0, 2)}))
      local object = setmetatable({1, 2}, {__await = function()
        return after(0, "object")
      end})
      assert.same({"object", n = 1}, await(gather(object)))
    end)
  end)

  it("takes lists of many thousands, as a list and as arguments", function()
    main(function()
      local list = {}
      for i = 1, 20000 do list[i] = after(i % 3, i) end
      local got = await(gather(list))
      assert.equal(20000, got.n)
      for i = 1, 20000 do assert(got[i] == i) end
      list = {}
      for i = 1, 5000 do list[i] = after(0, i) end
      got = await(gather(table.unpack(list)))
      assert.equal(5000, got.n)
      assert.equal(5000, got[5000])
    end)
  end)

  it("is awaited by many, and by a later one", function()
    main(function()
      local all = gather(after(2, "a"))
      local waiters = {}
      for i = 1, 5 do
        waiters[i] = create_task(co(function() return await(all)[1] end))
      end
      assert.same({"a", "a", "a", "a", "a", n = 5}, await(gather(waiters)))
      assert.equal("a", await(all)[1])
    end)
  end)
end)
