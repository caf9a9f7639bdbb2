-- wait_spec.lua: asyncio.wait.

local asyncio = require "asyncio"
local program = require "program"
local tasks = require "tasks"

local wait = asyncio.wait
local caught, co, is_a, main = tasks.caught, tasks.co, tasks.is_a, tasks.main
local refused, turns = tasks.refused, tasks.turns
local MANY = tasks.MANY

-- A task that ends when its future is settled, and the future.
local function controlled()
  local future = asyncio.Future()
  return create_task(co(function() return await(future) end)), future
end

-- Fails unless the lists are `done` and `pending`.
local function expect(done, pending, got_done, got_pending)
  assert.same({#done, #pending}, {#got_done, #got_pending})
  for i, task in ipairs(done) do assert.equal(task, got_done[i]) end
  for i, task in ipairs(pending) do assert.equal(task, got_pending[i]) end
end

describe("wait", function()
  it("WA-01 waits until all are done", function()
    main(function()
      local a, b = create_task(sleep(0.002, 42)), create_task(sleep(0.001, 84))
      expect({a, b}, {}, await(wait{a, b}))
      assert.equal(42, a:result())
      assert.equal(84, b:result())
      expect({a, b}, {}, await(wait({a, b}, {return_when = asyncio.ALL_COMPLETED})))
    end)
  end)

  it("WA-01 takes futures, gathers and shields too", function()
    main(function()
      local future = asyncio.Future()
      local all, shielded = gather(sleep(0)), asyncio.shield(sleep(0))
      asyncio.call_soon(future.set_result, future, 1)
      expect({future, all, shielded}, {}, await(wait{future, all, shielded}))
    end)
  end)

  it("WA-01 raises none of their errors", function()
    main(function()
      local ok, fails, cancelled = create_task(sleep(0)), create_task(co(error, "boom")),
        create_task(sleep(10))
      cancelled:cancel()
      expect({ok, fails, cancelled}, {}, await(wait{ok, fails, cancelled}))
      assert.equal("boom", caught(await, fails))
      assert.is_true(cancelled:cancelled())
    end)
  end)

  it("WA-02 FIRST_COMPLETED returns when one has ended", function()
    main(function()
      local slow, quick = create_task(sleep(10)), create_task(sleep(0.001))
      expect({quick}, {slow}, await(wait({slow, quick}, {return_when = asyncio.FIRST_COMPLETED})))
    end)
  end)

  it("WA-02 FIRST_COMPLETED returns when one has failed or was cancelled", function()
    for _, how in ipairs{"fail", "cancel"} do
      main(function()
        local a, b = controlled()
        local other = create_task(sleep(10))
        turns()
        if how == "fail" then b:set_exception("boom") else a:cancel() end
        expect({a}, {other}, await(wait({other, a}, {return_when = asyncio.FIRST_COMPLETED})))
        caught(a.result, a)
      end)
    end
  end)

  it("WA-02 counts all as done that are done by then", function()
    main(function()
      local a, fa = controlled()
      local b, fb = controlled()
      local c = controlled()
      local waiter = create_task(wait({a, b, c}, {return_when = asyncio.FIRST_COMPLETED}))
      turns(2)
      fa:set_result()
      fb:set_result()
      expect({a, b}, {c}, await(waiter))
    end)
  end)

  it("WA-03 FIRST_EXCEPTION returns at the first error", function()
    main(function()
      local slow, fails = create_task(sleep(10)), create_task(co(function()
        await(sleep(0.001))
        error("boom", 0)
      end))
      local quick = create_task(sleep(0))
      local done, pending = await(wait({slow, fails, quick},
        {return_when = asyncio.FIRST_EXCEPTION}))
      expect({fails, quick}, {slow}, done, pending)
    end)
  end)

  it("WA-03 FIRST_EXCEPTION takes a nil that is raised for an error", function()
    main(function()
      local slow, fails = create_task(sleep(10)), create_task(co(error, nil))
      expect({fails}, {slow},
        await(wait({slow, fails}, {return_when = asyncio.FIRST_EXCEPTION})))
    end)
  end)

  it("WA-03 FIRST_EXCEPTION returns at once for an error of before", function()
    main(function()
      local slow, fails = create_task(sleep(10)), create_task(co(error, "boom"))
      caught(await, fails)
      expect({fails}, {slow},
        await(wait({slow, fails}, {return_when = asyncio.FIRST_EXCEPTION})))
    end)
  end)

  it("WA-03 FIRST_EXCEPTION does not count a cancellation", function()
    main(function()
      local a, b = create_task(sleep(10)), create_task(sleep(0.001))
      turns()
      a:cancel()
      expect({a, b}, {}, await(wait({a, b}, {return_when = asyncio.FIRST_EXCEPTION})))
    end)
  end)

  it("WA-03 FIRST_EXCEPTION waits for all when none fails", function()
    main(function()
      local a, b = create_task(sleep(0)), create_task(sleep(0.001))
      expect({a, b}, {}, await(wait({a, b}, {return_when = asyncio.FIRST_EXCEPTION})))
    end)
  end)

  it("WA-04 ends at the timeout, without an error, and cancels none", function()
    main(function()
      local quick, slow = create_task(sleep(0)), create_task(sleep(10))
      for _, timeout in ipairs{0.001, 0, -1} do
        await(sleep(0.001))
        expect({quick}, {slow}, await(wait({slow, quick}, {timeout = timeout})))
        assert.is_false(slow:done())
        assert.equal(0, slow:cancelling())
      end
    end)
  end)

  it("WA-04 does not wait for the timeout when all are done", function()
    main(function()
      local task = create_task(sleep(0))
      local start = asyncio.time()
      expect({task}, {}, await(wait({task}, {timeout = 3600})))
      assert.is_true(asyncio.time() - start < 1800)
    end)
  end)

  it("WA-04 leaves no timer: a deadlock after it is seen", function()
    local err = caught(main, function()
      await(wait({create_task(sleep(0))}, {timeout = 3600}))
      await(asyncio.Future())
    end)
    assert.matches("deadlock", err)
  end)

  it("WA-05 ends with CancelledError when it is cancelled; the tasks live", function()
    main(function()
      local a, fa = controlled()
      local b, fb = controlled()
      local waiter = create_task(wait({a, b}, {timeout = 10}))
      turns(2)
      waiter:cancel("enough")
      local err = caught(await, waiter)
      is_a("CancelledError", err)
      assert.equal("enough", err.message)
      assert.is_false(a:done() or b:done())
      assert.equal(0, a:cancelling() + b:cancelling())
      fa:set_result(1)
      fb:set_result(2)
      assert.same({1, 2, n = 2}, await(gather(a, b)))
    end)
  end)

  it("WA-05 is cancelled even when all are done, if it has not run since", function()
    main(function()
      local a, fa = controlled()
      local waiter = create_task(wait{a})
      turns(2)
      fa:set_result()
      turns(2)
      assert.is_false(waiter:done())
      waiter:cancel()
      is_a("CancelledError", caught(await, waiter))
    end)
  end)

  it("WA-06 refuses an empty list, and what is no list", function()
    main(function()
      assert.equal("wait: the list is empty: there is nothing to wait for",
        refused(function() await(wait{}) end))
      local task = create_task(sleep(0))
      assert.matches("^wait: a list expected, got a Task or Future: write wait{...}",
        refused(function() await(wait(task)) end))
      for _, value in ipairs{1, "text", print, true} do
        assert.matches("^wait: a list expected, got a " .. type(value),
          refused(function() await(wait(value)) end))
      end
      assert.matches("^wait: a list expected, got nil", refused(function() await(wait()) end))
    end)
  end)

  it("WA-07 refuses coroutine objects, which would not be known again", function()
    main(function()
      local coro = sleep(0)
      assert.matches("^wait: item 2 of the list: a Task or Future .* got a coroutine object$",
        refused(function() await(wait{create_task(sleep(0)), coro}) end))
      await(coro) -- is unharmed
      local object = setmetatable({}, {__await = function() return sleep(0) end})
      for _, value in ipairs{1, "text", print, true, {}, object, async(print)} do
        assert.matches("^wait: item 1 of the list: a Task or Future .* got a " .. type(value),
          refused(function() await(wait{value}) end))
      end
    end)
  end)

  it("WA-08 counts a task that comes twice once", function()
    main(function()
      local a, b = create_task(sleep(0)), create_task(sleep(0.001))
      expect({b, a}, {}, await(wait{b, a, b, b, a}))
      local slow = create_task(sleep(10))
      expect({a}, {slow}, await(wait({slow, a, slow}, {return_when = asyncio.FIRST_COMPLETED})))
    end)
  end)

  it("WA-09 gives both lists in the order of the arguments", function()
    main(function()
      local all, ends, done, pending = {}, {}, {}, {}
      for i = 1, 20 do all[i], ends[i] = controlled() end
      local waiter = create_task(wait(all, {timeout = 0.01}))
      turns()
      for i = 20, 1, -3 do ends[i]:set_result() end
      for i = 1, 20 do
        local part = (20 - i) % 3 == 0 and done or pending
        part[#part + 1] = all[i]
      end
      expect(done, pending, await(waiter))
    end)
  end)

  it("refuses options that it does not know, or of a wrong kind", function()
    main(function()
      local list = {create_task(sleep(0))}
      local function with(options)
        return refused(function() await(wait(list, options)) end)
      end
      assert.equal("wait: unknown option 'time_out'", with{time_out = 1})
      assert.equal("wait: unknown option '1'", with{5})
      assert.matches("^wait: a table of options such as {timeout=1.5} expected, got a number",
        with(5))
      assert.matches("timeout: a number of seconds expected, got a string", with{timeout = "1"})
      assert.equal("wait: the option timeout is not a number (NaN)", with{timeout = 0 / 0})
      for _, value in ipairs{"first_completed", 1, false} do
        assert.matches("^wait: the option return_when: asyncio.ALL_COMPLETED.* got "
          .. tostring(value), with{return_when = value})
      end
      await(wait(list, {}))
    end)
  end)

  it("does nothing before it is awaited, and may be a task", function()
    main(function()
      local slow = create_task(sleep(10))
      local waiting = wait({slow}, {timeout = 0})
      turns(2)
      expect({}, {slow}, await(create_task(waiting)))
    end)
  end)

  it("does not see what is put into the list while it waits", function()
    main(function()
      local a, fa = controlled()
      local list = {a}
      local waiter = create_task(wait(list))
      turns(2)
      list[1], list[2] = create_task(sleep(10)), "rubbish"
      fa:set_result()
      expect({a}, {}, await(waiter))
    end)
  end)

  it("leaves no callback when it has ended, whatever way", function()
    main(function()
      local future = asyncio.Future()
      tasks.assert_no_growth(20000, function()
        for i = 1, 999 do
          local other = asyncio.Future()
          local waiter = create_task(wait({future, other}, {
            timeout = i % 3 == 0 and 0 or nil,
            return_when = asyncio.FIRST_COMPLETED,
          }))
          turns()
          if i % 3 == 1 then other:set_result() elseif i % 3 == 2 then waiter:cancel() end
          asyncio.catch(await, waiter)
        end
      end)
      assert.is_false(future:done())
    end)
  end)

  it("reports nothing when more end than it waits for", function()
    local result = program.run({program.neap, "-e", [[
      local asyncio = require "asyncio"
      run(async(function()
        local first, second = asyncio.Future(), asyncio.Future()
        asyncio.call_soon(function() first:set_result() second:set_result() end)
        local done = await(asyncio.wait({first, second}, {
          return_when = asyncio.FIRST_COMPLETED, timeout = 3600,
        }))
        print(#done)
        await(sleep(0))
      end)())
    ]]})
    assert.same({"2\n", ""}, {result.stdout, result.stderr})
  end)

  it("lets several wait for the same tasks", function()
    main(function()
      local a, fa = controlled()
      local one = create_task(wait{a})
      local two = create_task(wait({a}, {return_when = asyncio.FIRST_COMPLETED}))
      local three = create_task(wait{a})
      turns(2)
      two:cancel()
      turns()
      fa:set_result()
      expect({a}, {}, await(one))
      expect({a}, {}, await(three))
      assert.is_true(two:cancelled())
    end)
  end)

  it("is linear in the number of tasks", function()
    main(function()
      local all = {}
      for i = 1, MANY do all[i] = create_task(sleep(0)) end
      local done, pending = await(wait(all))
      assert.equal(MANY, #done)
      assert.equal(0, #pending)
      for i = 1, MANY do all[i] = asyncio.Future() end
      done, pending = await(wait(all, {timeout = 0}))
      assert.equal(0, #done)
      assert.equal(MANY, #pending)
    end)
  end)
end)
