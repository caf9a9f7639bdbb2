-- future_spec.lua: plain futures, and the done callbacks of all futures.

local asyncio = require "asyncio"
local tasks = require "tasks"

local caught, co, is_a, main = tasks.caught, tasks.co, tasks.is_a, tasks.main
local refused, turns = tasks.refused, tasks.turns

describe("a future", function()
  it("is pending at first, without an outcome", function()
    main(function()
      local future = asyncio.Future()
      assert.is_false(future:done())
      assert.is_false(future:cancelled())
      is_a("InvalidStateError", caught(future.result, future))
      is_a("InvalidStateError", caught(future.exception, future))
    end)
  end)

  it("has the results it is given, none and nil too", function()
    main(function()
      for _, results in ipairs{{n = 0}, {n = 1}, {7, n = 1}, {nil, 2, nil, n = 3}} do
        local future = asyncio.Future()
        future:set_result(table.unpack(results, 1, results.n))
        assert.is_true(future:done())
        assert.is_false(future:cancelled())
        assert.same(results, table.pack(future:result()))
        assert.same(results, table.pack(await(future)))
        assert.same(results, table.pack(await(future)))
        assert.is_nil(future:exception())
      end
    end)
  end)

  it("wakes its waiters in the order in which they came, in a later turn", function()
    main(function()
      local order = {}
      local future = asyncio.Future()
      local list = {}
      for i = 1, 5 do
        list[i] = create_task(co(function()
          local a, b = await(future)
          order[#order + 1] = ("%d:%s%s"):format(i, a, b)
        end))
      end
      await(sleep(0))
      future:set_result("x", "y")
      order[#order + 1] = "set"
      await(gather(list))
      assert.equal("set 1:xy 2:xy 3:xy 4:xy 5:xy", table.concat(order, " "))
    end)
  end)

  it("wakes them behind what is ready already", function()
    main(function()
      local order = {}
      local future = asyncio.Future()
      create_task(co(function()
        await(future)
        order[#order + 1] = "waiter"
      end))
      await(sleep(0))
      asyncio.call_soon(function() order[#order + 1] = "ready before" end)
      future:set_result()
      asyncio.call_soon(function() order[#order + 1] = "ready after" end)
      await(sleep(0))
      await(sleep(0))
      assert.same({"ready before", "waiter", "ready after"}, order)
    end)
  end)

  it("raises the exception it is given, the same each time", function()
    main(function()
      for _, value in ipairs{asyncio.Exception("boom"), "text", {}, 5, false} do
        local future = asyncio.Future()
        future:set_exception(value)
        assert.is_true(future:done())
        assert.is_false(future:cancelled())
        assert.equal(value, caught(await, future))
        assert.equal(value, caught(await, future))
        assert.equal(value, caught(future.result, future))
        local exception = future:exception()
        if asyncio.isinstance(value, asyncio.Exception) then
          assert.equal(value, exception)
        else
          is_a("Exception", exception)
          assert.equal(value, exception.value)
          assert.equal(exception, future:exception())
        end
      end
      local future = asyncio.Future()
      future:set_exception(nil)
      assert.is_nil(caught(await, future))
    end)
  end)

  it("makes an exception of a class that it is given", function()
    main(function()
      local future = asyncio.Future()
      future:set_exception(asyncio.TimeoutError)
      is_a("TimeoutError", future:exception())
      assert.equal(future:exception(), caught(await, future))
    end)
  end)

  it("raises it in a task that waits for it", function()
    main(function()
      local future = asyncio.Future()
      local boom = {}
      local task = create_task(co(function()
        return caught(await, future)
      end))
      await(sleep(0))
      future:set_exception(boom)
      assert.equal(boom, await(task))
    end)
  end)

  it("settles once", function()
    main(function()
      local future = asyncio.Future()
      future:set_result(1)
      is_a("InvalidStateError", caught(future.set_result, future, 2))
      is_a("InvalidStateError", caught(future.set_exception, future, "x"))
      assert.is_false(future:cancel())
      assert.equal(1, future:result())

      future = asyncio.Future()
      future:set_exception("first")
      is_a("InvalidStateError", caught(future.set_result, future, 2))
      is_a("InvalidStateError", caught(future.set_exception, future, "x"))
      assert.is_false(future:cancel())
      assert.equal("first", caught(future.result, future))

      future = asyncio.Future()
      assert.is_true(future:cancel())
      is_a("InvalidStateError", caught(future.set_result, future, 2))
      is_a("InvalidStateError", caught(future.set_exception, future, "x"))
      assert.is_false(future:cancel())
      assert.is_true(future:cancelled())
    end)
  end)

  it("that is cancelled raises CancelledError with the message", function()
    main(function()
      local future = asyncio.Future()
      local message = {}
      local task = create_task(co(function()
        return caught(await, future)
      end))
      await(sleep(0))
      assert.is_true(future:cancel(message))
      assert.is_true(future:done())
      assert.is_true(future:cancelled())
      local err = await(task)
      is_a("CancelledError", err)
      assert.equal(message, err.message)
      assert.is_false(task:cancelled())
      is_a("CancelledError", caught(future.result, future))
      is_a("CancelledError", caught(future.exception, future))
      is_a("CancelledError", caught(await, future))
    end)
  end)

  it("can be made, settled and asked outside a run", function()
    local future = asyncio.Future()
    future:set_result("early")
    assert.equal("early", future:result())
    assert.equal("early", main(function() return await(future) end))
    assert.matches("^await outside a task", refused(function()
      await(future)
    end))
  end)

  it("is refused by run and create_task: it is no coroutine object", function()
    main(function()
      assert.matches("^create_task: ", refused(function()
        create_task(asyncio.Future())
      end))
    end)
  end)

  it("may be settled by what it wakes, by callbacks and timers", function()
    main(function()
      local first, second = asyncio.Future(), asyncio.Future()
      first:add_done_callback(function(f) second:set_result(f:result() + 1) end)
      asyncio.call_later(0.001, function() first:set_result(1) end)
      assert.equal(2, await(second))
    end)
  end)

  it("is collected with its waiters and callbacks when it is dropped", function()
    local weak = setmetatable({}, {__mode = "k"})
    main(function()
      local future = asyncio.Future()
      local held = {}
      weak[future], weak[held] = true, true
      future:add_done_callback(function() return held end)
    end)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)
end)

describe("a done callback", function()
  it("TA-07 gets the future, once, in a later turn than the last step", function()
    main(function()
      local calls, order = {}, {}
      local task = create_task(co(function()
        await(sleep(0))
        order[#order + 1] = "last step"
      end))
      task:add_done_callback(function(...)
        order[#order + 1] = "callback"
        calls[#calls + 1] = table.pack(...)
      end)
      create_task(co(function()
        await(sleep(0))
        order[#order + 1] = "same turn"
      end))
      turns(6)
      assert.same({"last step", "same turn", "callback"}, order)
      assert.equal(1, #calls)
      assert.equal(1, calls[1].n)
      assert.equal(task, calls[1][1])
    end)
  end)

  it("TA-07 is called in the order of registration, mixed with waiters", function()
    for _, kind in ipairs{"result", "error", "cancel"} do
      main(function()
        local order = {}
        local future = asyncio.Future()
        local task = create_task(co(function() return await(future) end))
        local function add(name)
          task:add_done_callback(function() order[#order + 1] = name end)
        end
        local function wait(name)
          create_task(co(function()
            asyncio.catch(await, task)
            order[#order + 1] = name
          end))
          await(sleep(0))
        end
        add "callback 1"
        wait "waiter 1"
        add "callback 2"
        add "callback 3"
        wait "waiter 2"
        if kind == "result" then
          future:set_result()
        elseif kind == "error" then
          future:set_exception("boom")
        else
          task:cancel()
        end
        turns(3)
        assert.same({"callback 1", "waiter 1", "callback 2", "callback 3",
          "waiter 2"}, order)
      end)
    end
  end)

  it("TA-08 added to a finished task is called in the next turn", function()
    main(function()
      local called = 0
      local task = create_task(co(function() end))
      await(task)
      task:add_done_callback(function(t)
        assert.equal(task, t)
        called = called + 1
      end)
      assert.equal(0, called)
      await(co(function() end))
      assert.equal(0, called)
      await(sleep(0))
      assert.equal(1, called)
      await(sleep(0))
      assert.equal(1, called)
    end)
  end)

  it("TA-08 added by a done callback is called in the next turn", function()
    main(function()
      local order = {}
      local future = asyncio.Future()
      future:add_done_callback(function()
        future:add_done_callback(function() order[#order + 1] = "added" end)
        order[#order + 1] = "first"
      end)
      future:add_done_callback(function() order[#order + 1] = "second" end)
      future:set_result()
      await(sleep(0))
      assert.same({"first", "second"}, order)
      await(sleep(0))
      assert.same({"first", "second", "added"}, order)
    end)
  end)

  it("TA-09 that fails hinders neither task nor loop", function()
    -- what is reported of it: task_report_spec.lua
    main(function()
      local future = asyncio.Future()
      local called = false
      future:add_done_callback(function()
        local err = caught(error, "inside")
        called = err
      end)
      future:set_result("value")
      assert.equal("value", await(future))
      await(sleep(0))
      assert.equal("inside", called)
    end)
  end)

  it("TA-16 is removed as often as it was added", function()
    main(function()
      local calls = {}
      local function one() calls[#calls + 1] = "one" end
      local function two() calls[#calls + 1] = "two" end
      local function three() calls[#calls + 1] = "three" end
      local future = asyncio.Future()
      for _, fn in ipairs{one, two, one, three, one} do
        future:add_done_callback(fn)
      end
      assert.equal(3, future:remove_done_callback(one))
      assert.equal(0, future:remove_done_callback(one))
      assert.equal(0, future:remove_done_callback(print))
      future:set_result()
      await(sleep(0))
      assert.same({"two", "three"}, calls)
      assert.equal(0, future:remove_done_callback(two))
    end)
  end)

  it("TA-16 is removed from between waiters, who keep their order", function()
    main(function()
      local order = {}
      local future = asyncio.Future()
      local function callback() order[#order + 1] = "callback" end
      local function wait(name)
        create_task(co(function()
          await(future)
          order[#order + 1] = name
        end))
        await(sleep(0))
      end
      future:add_done_callback(callback)
      wait "a"
      future:add_done_callback(callback)
      wait "b"
      future:add_done_callback(callback)
      assert.equal(3, future:remove_done_callback(callback))
      wait "c"
      future:add_done_callback(callback)
      future:set_result()
      await(sleep(0))
      assert.same({"a", "b", "c", "callback"}, order)
    end)
  end)

  it("TA-16 removed while callbacks run is too late, and harmless", function()
    main(function()
      local calls = {}
      local future = asyncio.Future()
      local function last() calls[#calls + 1] = "last" end
      future:add_done_callback(function(f)
        calls[#calls + 1] = f:remove_done_callback(last)
      end)
      future:add_done_callback(last)
      future:set_result()
      assert.equal(0, future:remove_done_callback(last))
      await(sleep(0))
      assert.same({0, "last"}, calls)
    end)
  end)

  it("TA-16 removed from a list that is emptied and filled again", function()
    main(function()
      local calls = {}
      local function fn() calls[#calls + 1] = true end
      local future = asyncio.Future()
      for _ = 1, 100 do
        for _ = 1, 10 do future:add_done_callback(fn) end
        assert.equal(10, future:remove_done_callback(fn))
      end
      future:add_done_callback(fn)
      future:set_result()
      await(sleep(0))
      assert.equal(1, #calls)
    end)
  end)

  it("cannot be an async function: it could not await", function()
    main(function()
      local future = asyncio.Future()
      assert.matches("^add_done_callback: ", refused(function()
        future:add_done_callback(async(function() end))
      end))
      future:set_result()
      assert.matches("^add_done_callback: ", refused(function()
        future:add_done_callback(async(function() end))
      end))
    end)
  end)

  it("must be a function", function()
    main(function()
      local future = asyncio.Future()
      for _, value in ipairs{1, "text", {}, true, future} do
        assert.is_false((pcall(future.add_done_callback, future, value)))
      end
      assert.is_false((pcall(future.add_done_callback, future)))
    end)
  end)

  it("of a gather is called like any other", function()
    main(function()
      local got
      local all = gather(sleep(0, "a"), sleep(0, "b"))
      all:add_done_callback(function(f) got = f end)
      local list = await(all)
      assert.same({"a", "b", n = 2}, list)
      await(sleep(0))
      assert.equal(all, got)
    end)
  end)
end)
