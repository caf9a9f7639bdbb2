-- call_spec.lua: call_soon, call_later, their handles, and asyncio.time.

local asyncio = require "asyncio"
local tasks = require "tasks"

local co, main, refused, wait_until = tasks.co, tasks.main, tasks.refused, tasks.wait_until

describe("call_soon", function()
  it("calls in the next turn, in the order of the calls", function()
    main(function()
      local order = {}
      local function note(name) order[#order + 1] = name end
      asyncio.call_soon(note, "a")
      asyncio.call_soon(note, "b")
      asyncio.call_soon(note, "c")
      assert.same({}, order)
      await(sleep(0))
      assert.same({"a", "b", "c"}, order)
      await(sleep(0))
      assert.same({"a", "b", "c"}, order)
    end)
  end)

  it("calls among the tasks' steps, first in first out", function()
    main(function()
      local order = {}
      local function note(name) order[#order + 1] = name end
      asyncio.call_soon(note, "callback 1")
      create_task(co(note, "task 1"))
      asyncio.call_soon(note, "callback 2")
      create_task(co(note, "task 2"))
      await(sleep(0))
      assert.same({"callback 1", "task 1", "callback 2", "task 2"}, order)
    end)
  end)

  it("from a callback calls in the turn after that", function()
    main(function()
      local order = {}
      asyncio.call_soon(function()
        asyncio.call_soon(function() order[#order + 1] = "inner" end)
        order[#order + 1] = "outer"
      end)
      await(sleep(0))
      assert.same({"outer"}, order)
      await(sleep(0))
      assert.same({"outer", "inner"}, order)
    end)
  end)

  it("hands on all arguments, nil too", function()
    main(function()
      local got = {}
      local function note(...) got[#got + 1] = table.pack(...) end
      asyncio.call_soon(note)
      asyncio.call_soon(note, nil)
      asyncio.call_soon(note, nil, 1, nil)
      asyncio.call_soon(note, table.unpack({}, 1, 100))
      await(sleep(0))
      assert.same({{n = 0}, {n = 1}, {nil, 1, nil, n = 3}, {n = 100}}, got)
    end)
  end)

  it("calls again for each call", function()
    main(function()
      local count = 0
      local function fn() count = count + 1 end
      for _ = 1, 1000 do asyncio.call_soon(fn) end
      await(sleep(0))
      assert.equal(1000, count)
    end)
  end)

  it("wakes what the callback settles", function()
    main(function()
      local future = asyncio.Future()
      asyncio.call_soon(future.set_result, future, "value")
      assert.equal("value", await(future))
    end)
  end)

  it("keeps its function and arguments alive until then, and no longer", function()
    main(function()
      local weak = setmetatable({}, {__mode = "k"})
      local function schedule()
        local argument = {}
        local function fn(a) weak[a] = "called" end
        weak[fn], weak[argument] = true, true
        asyncio.call_soon(fn, argument)
      end
      schedule()
      collectgarbage()
      collectgarbage()
      local n = 0
      for _ in pairs(weak) do n = n + 1 end
      assert.equal(2, n)
      await(sleep(0))
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
    end)
  end)

  it("takes functions only, and says what to write for async ones", function()
    main(function()
      local fn = async(function() end)
      assert.matches("create_task", refused(function() asyncio.call_soon(fn) end))
      local coro = co(function() end)
      assert.matches("create_task", refused(function() asyncio.call_soon(coro) end))
      await(coro)
      for _, value in ipairs{1, "text", {}, true} do
        assert.is_false((pcall(asyncio.call_soon, value)))
      end
      assert.is_false((pcall(asyncio.call_soon)))
    end)
  end)

  it("needs a running loop", function()
    assert.matches("^call_soon: no running event loop", refused(function()
      asyncio.call_soon(print)
    end))
    assert.matches("^call_later: no running event loop", refused(function()
      asyncio.call_later(0, print)
    end))
  end)
end)

describe("call_later", function()
  it("calls in the order of the deadlines", function()
    main(function()
      local order = {}
      local function note(name) order[#order + 1] = name end
      asyncio.call_later(0.006, note, "c")
      asyncio.call_later(0.002, note, "a")
      asyncio.call_later(0.004, note, "b")
      wait_until(function() return #order == 3 end)
      assert.same({"a", "b", "c"}, order)
    end)
  end)

  it("calls in the order of the calls when the delays are equal", function()
    main(function()
      local order, expected = {}, {}
      for i = 1, 100 do
        asyncio.call_later(0.002, function() order[#order + 1] = i end)
        expected[i] = i
      end
      wait_until(function() return #order == 100 end)
      assert.same(expected, order)
    end)
  end)

  it("calls not before its time", function()
    main(function()
      for _, delay in ipairs{0.0001, 0.001, 0.0035, 0.01} do
        local future = asyncio.Future()
        local start = asyncio.time()
        asyncio.call_later(delay, function() future:set_result(asyncio.time()) end)
        assert.is_true(await(future) - start >= delay)
      end
    end)
  end)

  it("with 0 calls in the next turn, behind what is ready", function()
    main(function()
      local order = {}
      local function note(name) order[#order + 1] = name end
      asyncio.call_later(0, note, "later 1")
      asyncio.call_soon(note, "soon")
      asyncio.call_later(0, note, "later 2")
      assert.same({}, order)
      await(sleep(0))
      await(sleep(0))
      assert.same({"soon", "later 1", "later 2"}, order)
    end)
  end)

  it("with negative delays calls at once, the earliest deadline first", function()
    main(function()
      local order = {}
      local function note(name) order[#order + 1] = name end
      asyncio.call_later(-1, note, "a")
      asyncio.call_later(-2, note, "b")
      await(sleep(0))
      await(sleep(0))
      assert.same({"b", "a"}, order)
    end)
  end)

  it("hands on all arguments, nil too", function()
    main(function()
      local got
      asyncio.call_later(0, function(...) got = table.pack(...) end, nil, "x", nil)
      await(sleep(0))
      await(sleep(0))
      assert.same({nil, "x", nil, n = 3}, got)
    end)
  end)

  it("does not keep run from ending", function()
    main(function()
      asyncio.call_later(3600, print, "not printed")
    end)
  end)

  it("takes delays of any size, but no NaN", function()
    main(function()
      for _, delay in ipairs{math.huge, 1e300, 1 << 62, math.maxinteger} do
        local handle = asyncio.call_later(delay, error, "too early")
        await(sleep(0))
        handle:cancel()
      end
      local called = 0
      local function fn() called = called + 1 end
      for _, delay in ipairs{-math.huge, -1e300, math.mininteger, -0.0} do
        asyncio.call_later(delay, fn)
      end
      await(sleep(0))
      await(sleep(0))
      assert.equal(4, called)
      assert.matches("NaN", refused(function() asyncio.call_later(0 / 0, fn) end))
    end)
  end)

  it("takes a number and a function", function()
    main(function()
      assert.is_false((pcall(asyncio.call_later)))
      assert.is_false((pcall(asyncio.call_later, 1)))
      assert.is_false((pcall(asyncio.call_later, 1, 2)))
      assert.is_false((pcall(asyncio.call_later, print, 1)))
      assert.is_false((pcall(asyncio.call_later, {}, print)))
      assert.matches("create_task", refused(function()
        asyncio.call_later(0, async(function() end))
      end))
      await(sleep(0))
    end)
  end)
end)

describe("a handle", function()
  it("cancels what has not been called", function()
    main(function()
      local called = {}
      local function note(name) called[#called + 1] = name end
      local soon = asyncio.call_soon(note, "soon")
      local other = asyncio.call_soon(note, "other")
      local later = asyncio.call_later(0.001, note, "later")
      local zero = asyncio.call_later(0, note, "zero")
      for _, handle in ipairs{soon, later, zero} do
        assert.is_false(handle:cancelled())
        assert.equal(0, select("#", handle:cancel()))
        assert.is_true(handle:cancelled())
        handle:cancel()
        assert.is_true(handle:cancelled())
      end
      await(sleep(0.003))
      assert.same({"other"}, called)
      assert.is_false(other:cancelled())
    end)
  end)

  it("is not cancelled by being called", function()
    main(function()
      local handle = asyncio.call_soon(function() end)
      await(sleep(0))
      assert.is_false(handle:cancelled())
      handle:cancel()
      await(sleep(0))
    end)
  end)

  it("may be cancelled by a callback of the same turn, or by its own", function()
    main(function()
      local called = {}
      local first, second
      first = asyncio.call_soon(function()
        called[#called + 1] = "first"
        first:cancel()
        second:cancel()
      end)
      second = asyncio.call_soon(function() called[#called + 1] = "second" end)
      await(sleep(0))
      await(sleep(0))
      assert.same({"first"}, called)
    end)
  end)

  it("that is cancelled stops its timer at once", function()
    main(function()
      local handles = {}
      for i = 1, 1000 do
        handles[i] = asyncio.call_later(3600 + i, print)
      end
      collectgarbage()
      local before = collectgarbage("count")
      local weak = setmetatable({}, {__mode = "v"})
      for i, handle in ipairs(handles) do
        handle:cancel()
        weak[i] = handle
      end
      handles = nil
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
      assert.is_true(collectgarbage("count") < before)
      assert.is_nil(handles)
    end)
  end)

  it("that is cancelled in any order leaves the others' order", function()
    main(function()
      local order, handles = {}, {}
      for i = 1, 50 do
        -- 7 and 50 have no common factor: every place once; apart by more
        -- than the loop that sets them takes
        local at = i * 7 % 50
        handles[at] = asyncio.call_later(0.001 + at / 1e3, function()
          order[#order + 1] = at
        end)
      end
      local expected = {}
      for at = 0, 49 do
        if at % 3 == 1 then
          handles[at]:cancel()
        else
          expected[#expected + 1] = at
        end
      end
      wait_until(function() return #order == #expected end)
      assert.same(expected, order)
    end)
  end)

  it("of one run may be cancelled in another", function()
    local handle
    main(function() handle = asyncio.call_later(3600, print) end)
    main(function() handle:cancel() end)
    handle:cancel()
    assert.is_true(handle:cancelled())
  end)

  it("cannot be awaited", function()
    main(function()
      local handle = asyncio.call_soon(function() end)
      assert.matches("^await: an awaitable", refused(function() await(handle) end))
      await(sleep(0))
    end)
  end)
end)

describe("asyncio.time", function()
  it("is a float of seconds that never goes back", function()
    local last = asyncio.time()
    assert.equal("float", math.type(last))
    for _ = 1, 1000 do
      local now = asyncio.time()
      assert.is_true(now >= last)
      last = now
    end
  end)

  it("goes on in a run, and while a task sleeps", function()
    local before = asyncio.time()
    local inside, after = main(function()
      local start = asyncio.time()
      await(sleep(0.002))
      return start, asyncio.time()
    end)
    assert.is_true(inside >= before)
    assert.is_true(after - inside >= 0.002)
    assert.is_true(asyncio.time() >= after)
  end)
end)
