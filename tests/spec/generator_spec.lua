-- generator_spec.lua: coroutines of the user's own (generators) inside
-- tasks: await in them suspends the task, yield in them does not (LX-08 of
-- the behaviours). generator_end_spec.lua has how they end.

local asyncio = require "asyncio"
local tasks = require "tasks"

local caught, main = tasks.caught, tasks.main

-- Starts a task that counts its turns in a table until it is stopped.
local function ticker()
  local ticks = {n = 0, stop = false}
  ticks.task = create_task(async(function()
    while not ticks.stop do
      ticks.n = ticks.n + 1
      await(sleep(0))
    end
  end)())
  return ticks
end

local function end_ticker(ticks)
  ticks.stop = true
  await(ticks.task)
end

describe("await inside a generator", function()
  it("LX-08 of coroutine.wrap suspends the task, not the generator",
  function()
    main(function()
      local ticks = ticker()
      local me = asyncio.current_task()
      local gen = coroutine.wrap(function(a)
        assert.are.equal("first", a)
        await(sleep(0))
        assert.are.equal(me, asyncio.current_task())
        local b = coroutine.yield(1, nil)
        assert.are.equal("second", b)
        await(sleep(0))
        return "end", nil
      end)
      local n = ticks.n
      assert.are.same({1, nil, n = 2}, table.pack(gen("first")))
      assert.is_true(ticks.n > n)
      n = ticks.n
      assert.are.same({"end", nil, n = 2}, table.pack(gen("second")))
      assert.is_true(ticks.n > n)
      end_ticker(ticks)
    end)
  end)

  it("LX-08 of coroutine.resume suspends the task, not the generator",
  function()
    main(function()
      local ticks = ticker()
      local co = coroutine.create(function(...)
        await(sleep(0))
        local n = select("#", coroutine.yield(...))
        await(sleep(0))
        return n
      end)
      local n = ticks.n
      assert.are.same({true, 1, nil, 3, n = 4},
        table.pack(coroutine.resume(co, 1, nil, 3)))
      assert.is_true(ticks.n > n)
      assert.are.equal("suspended", coroutine.status(co))
      assert.are.same({true, 4, n = 2},
        table.pack(coroutine.resume(co, nil, nil, nil, nil)))
      assert.are.equal("dead", coroutine.status(co))
      assert.are.same({false, "cannot resume dead coroutine"},
        {coroutine.resume(co)})
      end_ticker(ticks)
    end)
  end)

  it("LX-08 nested three deep suspends the task", function()
    local order = {}
    main(function()
      local ticks = ticker()
      local innermost = coroutine.wrap(function()
        for i = 1, 2 do
          await(sleep(0))
          order[#order + 1] = "inner " .. i
          coroutine.yield(i)
        end
      end)
      local middle = coroutine.wrap(function()
        for _ = 1, 2 do
          local i = innermost()
          await(sleep(0))
          order[#order + 1] = "middle " .. i
          coroutine.yield(i * 10)
        end
      end)
      local outer = coroutine.create(function()
        for _ = 1, 2 do
          local i = middle()
          await(sleep(0))
          order[#order + 1] = "outer " .. i
          coroutine.yield(i * 10)
        end
      end)
      local n = ticks.n
      assert.are.same({true, 100}, {coroutine.resume(outer)})
      assert.are.equal(n + 3, ticks.n)
      assert.are.same({true, 200}, {coroutine.resume(outer)})
      assert.are.equal(n + 6, ticks.n)
      end_ticker(ticks)
    end)
    assert.are.same({"inner 1", "middle 1", "outer 10",
      "inner 2", "middle 2", "outer 20"}, order)
  end)

  it("LX-08 nested 90 deep suspends the task", function()
    main(function()
      local ticks = ticker()
      local gen = function()
        await(sleep(0))
        coroutine.yield(0)
        await(sleep(0))
        coroutine.yield("end")
      end
      gen = coroutine.wrap(gen)
      for _ = 1, 90 do
        local inner = gen
        gen = coroutine.wrap(function()
          coroutine.yield(1 + inner())
          return inner()
        end)
      end
      local n = ticks.n
      assert.are.equal(90, gen())
      assert.are.equal(n + 1, ticks.n)
      assert.are.equal("end", gen())
      assert.are.equal(n + 2, ticks.n)
      end_ticker(ticks)
    end)
  end)

  it("nested too deep is an error as in Lua; the task goes on", function()
    main(function()
      local function nest(n)
        coroutine.wrap(function()
          if n < 10 then
            await(sleep(0))
          end
          nest(n + 1)
        end)()
      end
      assert.matches("C stack overflow", caught(nest, 1), 1, true)
      assert.are.equal("alive", (await(sleep(0, "alive"))))
    end)
  end)

  it("LX-08 alternates with yield in any order", function()
    local plan = "yaayyyaayaaaayyay"
    main(function()
      local ticks = ticker()
      local gen = coroutine.wrap(function()
        for i = 1, #plan do
          if plan:sub(i, i) == "y" then
            assert.are.equal("in " .. i, (coroutine.yield("out " .. i)))
          else
            assert.are.equal(i, (await(sleep(0, i))))
          end
        end
        return "end"
      end)
      local value = gen()
      for i = 2, #plan do
        if plan:sub(i - 1, i - 1) == "y" then
          assert.are.equal("out " .. i - 1, value)
          local n, waits = ticks.n, #plan:match("^a*", i)
          value = gen("in " .. i - 1)
          assert.are.equal(n + waits, ticks.n)
        end
      end
      assert.are.equal("out " .. #plan, value)
      assert.are.equal("end", gen("in " .. #plan))
      end_ticker(ticks)
    end)
  end)

  it("LX-08 works in a generic for", function()
    local count = function(n)
      return coroutine.wrap(function()
        for i = 1, n do
          await(sleep(0))
          coroutine.yield(i, i * i)
        end
      end)
    end
    main(function()
      local sum = 0
      for i, square in count(5) do
        assert.are.equal(i * i, square)
        for j in count(2) do
          sum = sum + i * j
        end
      end
      assert.are.equal(45, sum)
    end)
  end)

  it("LX-08 works in a recursive generator", function()
    local function permutations(list, n)
      if n <= 1 then
        await(sleep(0))
        coroutine.yield(table.concat(list))
        return
      end
      for i = 1, n do
        list[n], list[i] = list[i], list[n]
        permutations(list, n - 1)
        list[n], list[i] = list[i], list[n]
      end
    end
    main(function()
      local found = {}
      for p in coroutine.wrap(function()
        permutations({"a", "b", "c"}, 3)
      end) do
        found[#found + 1] = p
      end
      assert.are.same({"bca", "cba", "cab", "acb", "bac", "abc"}, found)
    end)
  end)

  it("LX-08 inside pcall and xpcall in and around it", function()
    main(function()
      local gen = coroutine.wrap(function()
        local ok, a = pcall(function()
          await(sleep(0))
          return coroutine.yield("one")
        end)
        local ok2, b = xpcall(function()
          await(sleep(0))
          error({coroutine.yield("two")})
        end, function(err)
          return err[1]
        end)
        await(sleep(0))
        return ok, a, ok2, b
      end)
      assert.are.same({true, "one"}, {pcall(gen)})
      assert.are.same({true, "two"}, {xpcall(gen, debug.traceback, "a")})
      assert.are.same({true, true, "a", false, "b"}, {pcall(gen, "b")})
    end)
  end)

  it("lets values of futures and tasks through", function()
    main(function()
      local task = create_task(async(function()
        await(sleep(0))
        return 1, nil, 3
      end)())
      local gen = coroutine.wrap(function()
        coroutine.yield(table.pack(await(task)))
        coroutine.yield(await(gather(task, sleep(0, "slept"))))
        coroutine.yield(pcall(await, create_task(async(error)("bad"))))
      end)
      assert.are.same({1, nil, 3, n = 3}, gen())
      assert.are.same({1, "slept", n = 2}, gen())
      assert.are.same({false, "bad"}, {gen()})
    end)
  end)

  it("works beside 100 tasks that do the same", function()
    local sums = {}
    local f = async(function(id)
      local gen = coroutine.wrap(function()
        for i = 1, 5 do
          await(sleep(0))
          coroutine.yield(i * id)
        end
      end)
      local sum = 0
      for x in gen do
        sum = sum + x
        await(sleep(0))
      end
      sums[id] = sum
    end)
    main(function()
      local all = {}
      for id = 1, 100 do
        all[id] = f(id)
      end
      await(gather(all))
    end)
    for id = 1, 100 do
      assert.are.equal(15 * id, sums[id])
    end
  end)

  it("may start tasks, but not run()", function()
    main(function()
      local gen = coroutine.wrap(function()
        local task = create_task(async(function() return "value" end)())
        coroutine.yield((await(task)))
        local coro = sleep(1)
        coroutine.yield(caught(run, coro))
        coro:close()
      end)
      assert.are.equal("value", gen())
      assert.matches("run: the event loop is running already", gen(), 1, true)
      assert.is_nil(gen())
    end)
  end)
end)

describe("yield in a task", function()
  it("LX-08 inside an async function reaches the generator's consumer",
  function()
    main(function()
      local each = async(function(list)
        for _, x in ipairs(list) do
          await(sleep(0))
          coroutine.yield(x)
        end
        return "done"
      end)
      local gen = coroutine.wrap(function()
        coroutine.yield((await(each {1, 2})))
        return (await(each {3}))
      end)
      assert.are.same({1, 2, "done", 3, "done"},
        {gen(), gen(), gen(), gen(), gen()})
    end)
  end)

  it("LX-08 outside any generator is a usage error; the task goes on",
  function()
    main(function()
      local err = caught(function() coroutine.yield(1) end)
      assert.matches("^[^\n]*generator_spec%.lua:%d+: attempt to yield from a "
        .. "task: [^\n]*await%(sleep%(0%)%)", err)
      await(sleep(0))
      assert.matches("attempt to yield from a task",
        caught(await, create_task(async(coroutine.yield)())))
    end)
  end)

  it("is known to coroutine.isyieldable and running", function()
    main(function()
      local thread, is_main = coroutine.running()
      assert.is_false(is_main)
      coroutine.wrap(function()
        assert.is_true(coroutine.isyieldable())
        local own = coroutine.running()
        assert.are_not.equal(thread, own)
        await(sleep(0))
        assert.are.equal(own, (coroutine.running()))
        assert.are.equal("normal", coroutine.status(thread))
        assert.are.equal("running", coroutine.status(own))
      end)()
      assert.are.equal(thread, (coroutine.running()))
    end)
  end)
end)

describe("a generator used in several places", function()
  it("created outside works in a task", function()
    local gen = coroutine.wrap(function()
      for i = 1, 3 do
        await(sleep(0))
        coroutine.yield(i)
      end
    end)
    main(function()
      assert.are.equal(1, gen())
      assert.are.equal(2, gen())
    end)
    main(function()
      assert.are.equal(3, gen())
      assert.is_nil(gen())
    end)
  end)

  it("started outside goes on in a task", function()
    local co = coroutine.create(function()
      coroutine.yield("outside")
      await(sleep(0))
      coroutine.yield("inside")
      return await(sleep(0, "end"))
    end)
    assert.are.same({true, "outside"}, {coroutine.resume(co)})
    main(function()
      assert.are.same({true, "inside"}, {coroutine.resume(co)})
      assert.are.same({true, "end"}, {coroutine.resume(co)})
    end)
  end)

  it("started in a task goes on outside, but cannot await there", function()
    local co = coroutine.create(function()
      await(sleep(0))
      coroutine.yield("inside")
      coroutine.yield("outside")
      await(asyncio.Future())
    end)
    main(function()
      assert.are.same({true, "inside"}, {coroutine.resume(co)})
    end)
    assert.are.same({true, "outside"}, {coroutine.resume(co)})
    local ok, err = coroutine.resume(co)
    assert.is_false(ok)
    assert.matches("await outside a task", err, 1, true)
    assert.are.equal("dead", coroutine.status(co))
  end)

  it("handed from task to task awaits for the one that resumes it", function()
    main(function()
      local gen = coroutine.wrap(function()
        while true do
          await(sleep(0))
          coroutine.yield(asyncio.current_task():get_name())
        end
      end)
      local use = async(function() return gen() end)
      for _, name in ipairs {"a", "b", "a", "c"} do
        assert.are.equal(name, (await(create_task(use(), {name = name}))))
      end
    end)
  end)

  it("that awaits cannot be resumed by another task; nothing breaks",
  function()
    main(function()
      local gate = asyncio.Future()
      local co = coroutine.create(function()
        await(gate)
        coroutine.yield("one")
        return "two"
      end)
      local task = create_task(async(function()
        return coroutine.resume(co)
      end)())
      await(sleep(0))
      for _ = 1, 3 do
        assert.are.same({false, "cannot resume non-suspended coroutine"},
          {coroutine.resume(co, "x")})
        assert.are.equal("normal", coroutine.status(co))
        assert.matches("generator_spec%.lua:%d+: cannot close a normal "
          .. "coroutine$", caught(function() coroutine.close(co) end))
        await(sleep(0))
      end
      gate:set_result()
      assert.are.same({true, "one"}, {await(task)})
      assert.are.equal("suspended", coroutine.status(co))
      assert.are.same({true, "two"}, {coroutine.resume(co)})
    end)
  end)

  it("of coroutine.wrap that awaits cannot be called by another task",
  function()
    main(function()
      local gate = asyncio.Future()
      local gen = coroutine.wrap(function()
        await(gate)
        return "value"
      end)
      local task = create_task(async(function() return gen() end)())
      await(sleep(0))
      local err = caught(function() gen() end)
      assert.matches("generator_spec%.lua:%d+: cannot resume non%-suspended "
        .. "coroutine$", err)
      gate:set_result()
      assert.are.equal("value", (await(task)))
    end)
  end)

  it("cannot resume or close what resumes it, nor itself", function()
    main(function()
      local task_thread = coroutine.running()
      local co
      co = coroutine.create(function()
        await(sleep(0))
        for _, thread in ipairs {task_thread, co} do
          assert.are.same({false, "cannot resume non-suspended coroutine"},
            {coroutine.resume(thread)})
          assert.matches("cannot close a %a+ coroutine",
            caught(coroutine.close, thread))
        end
        return "end"
      end)
      assert.are.same({true, "end"}, {coroutine.resume(co)})
    end)
  end)
end)
