-- gather_cancel_spec.lua: gather and cancellation, of the one that awaits
-- it, of the gather itself, of its children.

local asyncio = require "asyncio"

local function co(fn, ...)
  return async(fn)(...)
end

local function main(fn, ...)
  return run(co(fn, ...))
end

local function is_a(class, value)
  assert.is_true(asyncio.isinstance(value, asyncio[class]),
    ("%s expected, got %s"):format(class, tostring(value)))
end

local function caught(...)
  local result = table.pack(asyncio.catch(...))
  assert.is_false(result[1])
  return result[2]
end

local function turns(n)
  for _ = 1, n do await(sleep(0)) end
end

-- A task that notes in `order` when it is cancelled, and cleans up for so
-- many turns, after which it notes that, too.
local function sleeper(order, name, cleanup)
  return create_task(co(function()
    local _ <close> = setmetatable({}, {__close = function()
      order[#order + 1] = name
      if cleanup then
        turns(cleanup)
        order[#order + 1] = name .. " clean"
      end
    end})
    await(sleep(1000))
  end))
end

-- A task that refuses to be cancelled, and gives a value.
local function stubborn(value)
  return create_task(co(function()
    asyncio.catch(await, sleep(1000))
    turns(6)
    return value
  end))
end

describe("gather", function()
  it("GA-06 cancels its children in argument order with its awaiter", function()
    main(function()
      local order = {}
      local c, a, b = sleeper(order, "c"), sleeper(order, "a"), sleeper(order, "b")
      local done = create_task(co(function() return "done" end))
      local awaiter = create_task(co(function() await(gather(a, done, b, c)) end))
      turns(2)
      assert.is_true(awaiter:cancel("message"))
      turns(1)
      assert.equal("a b c", table.concat(order, " "))
      local err = caught(await, awaiter)
      is_a("CancelledError", err)
      assert.equal("message", err.message)
      assert.is_true(awaiter:cancelled())
      for _, task in ipairs{a, b, c} do assert.is_true(task:cancelled()) end
      assert.equal("done", done:result())
    end)
  end)

  -- The order of events when an awaiter is cancelled whose two children
  -- clean up for 6 and for 2 turns.
  local function cancel_awaiter(return_exceptions)
    local order = {}
    main(function()
      local a, b = sleeper(order, "a", 6), sleeper(order, "b", 2)
      local awaiter = create_task(co(function()
        local err = caught(await,
          gather{a, b, return_exceptions = return_exceptions})
        order[#order + 1] = "awaiter"
        error(err, 0)
      end))
      turns(2)
      awaiter:cancel()
      caught(await, awaiter)
      assert.is_true(awaiter:cancelled())
      caught(await, a)
    end)
    return table.concat(order, ", ")
  end

  it("GA-06 with return_exceptions goes on when all children have ended", function()
    assert.equal("a, b, b clean, a clean, awaiter", cancel_awaiter(true))
  end)

  it("GA-06 without, goes on when the first has ended as cancelled", function()
    assert.equal("a, b, b clean, awaiter, a clean", cancel_awaiter(false))
  end)

  it("GA-06 cancels gathers in gathers", function()
    main(function()
      local order = {}
      local a, b, c = sleeper(order, "a"), sleeper(order, "b", 2), sleeper(order, "c")
      local awaiter = create_task(co(function()
        await(gather(a, gather(b, gather(c))))
      end))
      turns(2)
      awaiter:cancel()
      is_a("CancelledError", caught(await, awaiter))
      assert.same({"a", "b", "c", "b clean"}, order)
    end)
  end)

  it("GA-06 cancels plain futures", function()
    main(function()
      local future = asyncio.Future()
      local awaiter = create_task(co(function() await(gather(future)) end))
      turns(2)
      awaiter:cancel()
      assert.is_true(future:cancelled())
      is_a("CancelledError", caught(await, awaiter))
    end)
  end)

  it("GA-06 cancelled itself does the same, and raises CancelledError", function()
    main(function()
      local order = {}
      local a, b = sleeper(order, "a", 1), sleeper(order, "b")
      local all = gather(a, b)
      turns(1)
      assert.is_true(all:cancel())
      assert.is_false(all:done())
      is_a("CancelledError", caught(await, all))
      assert.is_true(all:done())
      assert.is_true(a:cancelled() and b:cancelled())
      assert.is_false(all:cancel())
    end)
  end)

  it("GA-06 cancels children that have not started: they never run", function()
    main(function()
      local ran = false
      local all = gather(co(function() ran = true end), co(function() ran = true end))
      all:cancel()
      is_a("CancelledError", caught(await, all))
      assert.is_false(ran)
    end)
  end)

  it("GA-07 one child cancelled by someone else: CancelledError", function()
    main(function()
      local order = {}
      local a, b = sleeper(order, "a"), sleeper(order, "b")
      local awaiter = create_task(co(function()
        local err = caught(await, gather(a, b))
        is_a("CancelledError", err)
        assert.equal("why", err.message)
        assert.equal(0, asyncio.current_task():cancelling())
        return "goes on"
      end))
      turns(2)
      a:cancel("why")
      assert.equal("goes on", await(awaiter))
      assert.is_false(awaiter:cancelled())
      assert.is_false(b:done())
      b:cancel()
      turns(1)
      assert.is_true(b:cancelled())
    end)
  end)

  it("GA-07 a child that raises CancelledError by itself is no other", function()
    main(function()
      local sibling = create_task(sleep(1000))
      is_a("CancelledError", caught(await, gather(sibling,
        co(function() error(asyncio.CancelledError()) end))))
      assert.is_false(sibling:done())
      sibling:cancel()
      turns(1)
    end)
  end)

  it("GA-08 with return_exceptions CancelledError still comes out", function()
    main(function()
      local order = {}
      local a, b = sleeper(order, "a"), sleeper(order, "b")
      local failing = create_task(co(function() error("boom", 0) end))
      local awaiter = create_task(co(function()
        return await(gather{a, failing, b, return_exceptions = true})
      end))
      turns(2)
      awaiter:cancel()
      is_a("CancelledError", caught(await, awaiter))
      assert.is_true(awaiter:cancelled())
      assert.is_true(a:cancelled() and b:cancelled())
      pcall(failing.result, failing)
    end)
  end)

  it("GA-09 children refuse: CancelledError when all have ended", function()
    main(function()
      local a, b = stubborn("a"), stubborn("b")
      local awaiter = create_task(co(function() return await(gather(a, b)) end))
      turns(2)
      awaiter:cancel()
      turns(2)
      assert.is_false(awaiter:done())
      is_a("CancelledError", caught(await, awaiter))
      assert.is_true(awaiter:cancelled())
      assert.equal("a", a:result())
      assert.equal("b", b:result())
    end)
  end)

  it("GA-09 one child refuses, another is cancelled: its CancelledError", function()
    main(function()
      local order = {}
      local a, b = stubborn("a"), sleeper(order, "b")
      local all = gather(a, b)
      turns(1)
      all:cancel()
      is_a("CancelledError", caught(await, all))
      -- without return_exceptions the first one that ends cancelled is enough
      assert.is_false(a:done())
      assert.equal("a", await(a))
    end)
  end)

  it("GA-09 with return_exceptions it waits for all, too", function()
    main(function()
      local order = {}
      local a, b = stubborn("a"), sleeper(order, "b")
      local all = gather{a, b, return_exceptions = true}
      turns(1)
      all:cancel()
      is_a("CancelledError", caught(await, all))
      assert.is_true(a:done())
      assert.is_true(b:cancelled())
    end)
  end)

  it("GA-09 a child's cleanup fails: its error comes out", function()
    main(function()
      local failing = create_task(co(function()
        local _ <close> = setmetatable({}, {__close = function()
          error("failed cleanup", 0)
        end})
        await(sleep(1000))
      end))
      local awaiter = create_task(co(function() await(gather(failing)) end))
      turns(2)
      awaiter:cancel()
      assert.equal("failed cleanup", caught(await, awaiter))
      assert.is_false(awaiter:cancelled())
    end)
  end)

  it("GA-13 cancel after all children are done: too late", function()
    main(function()
      local a, b = asyncio.Future(), asyncio.Future()
      local all = gather(a, b)
      a:set_result(1)
      b:set_result(2)
      -- the children are done, the gather is not: its turn has not come
      assert.is_false(all:done())
      assert.is_false(all:cancel())
      assert.same({1, 2, n = 2}, await(all))
    end)
  end)

  it("GA-13 cancel of its awaiter after all children are done strikes", function()
    main(function()
      local a = asyncio.Future()
      local all = gather(a)
      local awaiter = create_task(co(function()
        local err = caught(await, all)
        is_a("CancelledError", err)
        error(err, 0)
      end))
      turns(1)
      a:set_result(1)
      assert.is_true(awaiter:cancel())
      is_a("CancelledError", caught(await, awaiter))
      assert.is_true(awaiter:cancelled())
      assert.same({1, n = 1}, all:result())
    end)
  end)

  it("GA-14 cancel after it failed with a child's error: refused", function()
    main(function()
      local order = {}
      local sibling = sleeper(order, "sibling")
      local failing = asyncio.Future()
      local all = gather(failing, sibling)
      turns(1)
      failing:set_exception("boom")
      turns(1)
      assert.is_true(all:done())
      assert.is_false(all:cancel())
      turns(2)
      assert.is_false(sibling:done())
      assert.same({}, order)
      assert.equal("boom", caught(await, all))
      sibling:cancel()
      turns(1)
    end)
  end)

  it("GA-16 a shielded child is not touched", function()
    main(function()
      local order = {}
      local inner = sleeper(order, "inner")
      local other = sleeper(order, "other")
      local all = gather(asyncio.shield(inner), other)
      turns(1)
      all:cancel()
      is_a("CancelledError", caught(await, all))
      assert.is_false(inner:done())
      assert.is_true(other:cancelled())
      assert.same({"other"}, order)
      inner:cancel()
      turns(1)
    end)
  end)

  it("with one child in two gathers is cancelled once, and ends both", function()
    main(function()
      local order = {}
      local child = sleeper(order, "child")
      local one, two = gather(child), gather{child, return_exceptions = true}
      turns(1)
      one:cancel("by one")
      is_a("CancelledError", caught(await, one))
      local list = await(two)
      is_a("CancelledError", list[1])
      assert.equal("by one", list[1].message)
      assert.same({"child"}, order)
    end)
  end)

  it("with the same child twice cancels it once", function()
    main(function()
      local requests
      local child = create_task(co(function()
        local err = caught(await, sleep(1000))
        requests = asyncio.current_task():cancelling()
        error(err, 0)
      end))
      local all = gather(child, child)
      turns(1)
      all:cancel()
      is_a("CancelledError", caught(await, all))
      assert.is_true(child:cancelled())
      assert.is_true(requests >= 1)
    end)
  end)
end)
