-- generator_end_spec.lua: how generators inside tasks end: by errors, by
-- cancellation, closed, dropped; their to-be-closed variables may await
-- (LX-03, LX-05, LX-06 of the behaviours).

local asyncio = require "asyncio"
local tasks = require "tasks"

local at_end, caught, is_a = tasks.at_end, tasks.caught, tasks.is_a
local main, turns = tasks.main, tasks.turns

-- Lets all that is ready run.
local function settle()
  turns(5)
end

describe("an error in a generator", function()
  it("goes to the one that resumes it, before and after an await", function()
    main(function()
      for _, err in ipairs {"text", 42, {}, print, false} do
        for _, suspends in ipairs {false, true} do
          local body = function()
            if suspends then
              await(sleep(0))
            end
            error(err, 0)
          end
          local co = coroutine.create(body)
          assert.are.same({false, err, n = 2},
            table.pack(coroutine.resume(co)))
          assert.are.equal("dead", coroutine.status(co))
          assert.are.same({false, "cannot resume dead coroutine"},
            {coroutine.resume(co)})
        end
      end
    end)
  end)

  it("that is nil goes there, too", function()
    main(function()
      local co = coroutine.create(function()
        await(sleep(0))
        error(nil)
      end)
      assert.are.same({false, nil, n = 2}, table.pack(coroutine.resume(co)))
      local gen = coroutine.wrap(function()
        await(sleep(0))
        error(nil)
      end)
      assert.are.same({false, nil, n = 2}, table.pack(pcall(gen)))
    end)
  end)

  it("keeps its identity through three generators", function()
    local err = {}
    main(function()
      local gen = function()
        await(sleep(0))
        error(err)
      end
      for _ = 1, 3 do
        local inner = coroutine.wrap(gen)
        gen = function()
          await(sleep(0))
          inner()
        end
      end
      assert.are.equal(err, caught(gen))
    end)
  end)

  it("LX-09 as a text gets wrap's position as outside tasks", function()
    local function fail(suspends)
      local gen = coroutine.wrap(function()
        if suspends then
          await(sleep(0))
        end
        error("text")
      end)
      gen()
    end
    local outside = caught(fail, false)
    main(function()
      assert.are.equal(outside, caught(fail, false))
      assert.are.equal(2, select(2, outside:gsub("_spec%.lua:%d+: ", "")))
      assert.are.equal(2,
        select(2, caught(fail, true):gsub("_spec%.lua:%d+: ", "")))
    end)
  end)

  it("that nobody catches fails the task", function()
    main(function()
      local err = {}
      local task = create_task(async(function()
        coroutine.wrap(function()
          await(sleep(0))
          error(err)
        end)()
      end)())
      assert.are.equal(err, caught(await, task))
      assert.are.equal(err, task:exception().value)
    end)
  end)

  it("LX-05 closes its variables, which may await, before resume returns",
  function()
    local order = {}
    main(function()
      for _, use in ipairs {"resume", "wrap"} do
        local err = {}
        local body = function()
          local a <close> = at_end(function(_, e) -- luacheck: ignore
            await(sleep(0))
            order[#order + 1] = {use, "a", e == err}
          end)
          local b <close> = at_end(function(_, e) -- luacheck: ignore
            await(sleep(0))
            order[#order + 1] = {use, "b", e == err}
          end)
          await(sleep(0))
          error(err)
        end
        if use == "resume" then
          assert.are.same({false, err},
            {coroutine.resume(coroutine.create(body))})
        else
          assert.are.equal(err, caught(coroutine.wrap(body)))
        end
        order[#order + 1] = use
      end
    end)
    assert.are.same({{"resume", "b", true}, {"resume", "a", true}, "resume",
      {"wrap", "b", true}, {"wrap", "a", true}, "wrap"}, order)
  end)

  it("in its cleanup takes the place of the first one", function()
    main(function()
      local gen = coroutine.wrap(function()
        local x <close> = at_end(function(_, e) -- luacheck: ignore
          assert.are.equal("first", e)
          await(sleep(0))
          error("second", 0)
        end)
        error("first", 0)
      end)
      assert.matches("second$", caught(gen))
    end)
  end)
end)

describe("a task cancelled while its generator awaits", function()
  it("LX-03 is cancelled through resume, wrap and pcall", function()
    local seen = {}
    main(function()
      local task = create_task(async(function()
        local inner = coroutine.create(function()
          pcall(function()
            await(asyncio.Future())
          end)
          seen[#seen + 1] = "pcall returned"
        end)
        local outer = coroutine.wrap(function()
          seen[#seen + 1] = coroutine.resume(inner)
        end)
        seen[#seen + 1] = pcall(outer)
      end)())
      settle()
      task:cancel("why")
      local ok, err = asyncio.catch(await, task)
      assert.is_false(ok)
      is_a("CancelledError", err)
      assert.are.equal("why", err.message)
      assert.is_true(task:cancelled())
    end)
    assert.are.same({}, seen)
  end)

  it("closes the variables of all generators, which may await", function()
    local order = {}
    local function note(name)
      return at_end(function(_, err)
        is_a("CancelledError", err)
        await(sleep(0))
        await(sleep(0))
        order[#order + 1] = name
      end)
    end
    main(function()
      local task = create_task(async(function()
        local t <close> = note "task" -- luacheck: ignore
        local gen = coroutine.wrap(function()
          local o <close> = note "outer" -- luacheck: ignore
          local inner = coroutine.create(function()
            local i <close> = note "inner" -- luacheck: ignore
            local j <close> = note "innermost" -- luacheck: ignore
            await(asyncio.Future())
          end)
          coroutine.resume(inner)
          order[#order + 1] = "not reached"
        end)
        gen()
      end)())
      settle()
      task:cancel()
      assert.are.same({}, order)
      asyncio.catch(await, task)
      assert.is_true(task:cancelled())
    end)
    assert.are.same({"innermost", "inner", "outer", "task"}, order)
  end)

  it("can catch it inside the generator and yield on", function()
    main(function()
      local task = create_task(async(function()
        local gen = coroutine.wrap(function()
          local ok, err = asyncio.catch(await, asyncio.Future())
          assert.is_false(ok)
          is_a("CancelledError", err)
          coroutine.yield("caught")
          await(sleep(0))
          return "end"
        end)
        return gen(), gen()
      end)())
      settle()
      task:cancel()
      assert.are.same({"caught", "end"}, {await(task)})
    end)
  end)

  it("can catch it outside the generator, which is dead then", function()
    main(function()
      local task = create_task(async(function()
        local co = coroutine.create(function() await(asyncio.Future()) end)
        local ok, err = asyncio.catch(coroutine.resume, co)
        assert.is_false(ok)
        is_a("CancelledError", err)
        assert.are.equal("dead", coroutine.status(co))
        assert.are.same({false, "cannot resume dead coroutine"},
          {coroutine.resume(co)})
        return "alive"
      end)())
      settle()
      task:cancel()
      assert.are.equal("alive", (await(task)))
    end)
  end)

  it("LX-06 at the end of run, too", function()
    local order = {}
    main(function()
      create_task(async(function()
        local gen = coroutine.wrap(function()
          local x <close> = at_end(function() -- luacheck: ignore
            await(sleep(0))
            order[#order + 1] = "generator"
          end)
          await(asyncio.Future())
        end)
        local x <close> = at_end(function() -- luacheck: ignore
          order[#order + 1] = "task"
        end)
        gen()
      end)())
      await(sleep(0))
    end)
    assert.are.same({"generator", "task"}, order)
  end)

  it("and its cleanup fails: that error comes out", function()
    main(function()
      local err = {}
      local task = create_task(async(function()
        coroutine.wrap(function()
          local x <close> = at_end(function() error(err) end) -- luacheck: ignore
          await(asyncio.Future())
        end)()
      end)())
      settle()
      task:cancel()
      assert.are.equal(err, caught(await, task))
      assert.is_false(task:cancelled())
    end)
  end)
end)

describe("coroutine.close in a task", function()
  it("closes a suspended generator's variables", function()
    local order = {}
    main(function()
      local co = coroutine.create(function()
        local x <close> = at_end(function(_, err) -- luacheck: ignore
          order[#order + 1] = {"closed", err}
        end)
        await(sleep(0))
        coroutine.yield()
      end)
      coroutine.resume(co)
      assert.are.equal("suspended", coroutine.status(co))
      assert.is_true(coroutine.close(co))
      assert.are.equal("dead", coroutine.status(co))
      assert.is_true(coroutine.close(co))
    end)
    assert.are.same({{"closed", nil}}, order)
  end)

  it("spares the loop's own, which only debug finds", function()
    main(function()
      for _, co in pairs(debug.getregistry()) do
        if type(co) == "thread" and coroutine.status(co) == "suspended" then
          assert.is_true(coroutine.close(co))
        end
      end
      assert.equal(7, await(create_task(sleep(0, 7))))
    end)
  end)

  it("LX-05 cannot await there: an error that names await", function()
    main(function()
      local co = coroutine.create(function()
        local x <close> = at_end(function() -- luacheck: ignore
          await(asyncio.Future())
        end)
        coroutine.yield()
      end)
      coroutine.resume(co)
      local ok, err = coroutine.close(co)
      assert.is_false(ok)
      assert.matches("^[^\n]*generator_end_spec%.lua:%d+: await: attempt to "
        .. "yield across a C%-call boundary", err)
      assert.are.equal("dead", coroutine.status(co))
      await(sleep(0))
    end)
  end)

  it("gives the error of one that failed, once", function()
    local err = {}
    local co = coroutine.create(function()
      await(sleep(0))
      error(err)
    end)
    main(function()
      coroutine.resume(co)
      assert.are.same({false, err}, {coroutine.close(co)})
      assert.are.same({true}, {coroutine.close(co)})
    end)
  end)

  it("LX-03 lets a CancelledError of the cleanup pass", function()
    main(function()
      local co = coroutine.create(function()
        local x <close> = at_end(function() -- luacheck: ignore
          error(asyncio.CancelledError("from close"))
        end)
        coroutine.yield()
      end)
      coroutine.resume(co)
      local ok, err = asyncio.catch(pcall, coroutine.close, co)
      assert.is_false(ok)
      is_a("CancelledError", err)
      assert.are.equal("from close", err.message)
    end)
  end)

  it("of one that has not started runs nothing", function()
    main(function()
      local co = coroutine.create(function() error("never") end)
      assert.is_true(coroutine.close(co))
      assert.are.equal("dead", coroutine.status(co))
    end)
  end)
end)

describe("a generator that is dropped", function()
  it("LX-06 while suspended is collected, as in Lua", function()
    main(function()
      local weak = setmetatable({}, {__mode = "v"})
      do
        local gen = coroutine.wrap(function()
          local value = {}
          weak[1] = value
          await(sleep(0))
          coroutine.yield()
          error(value)
        end)
        gen()
      end
      collectgarbage()
      collectgarbage()
      assert.is_nil(weak[1])
    end)
  end)

  it("is kept while it awaits: its task needs it", function()
    main(function()
      local gate = asyncio.Future()
      local task = create_task(async(function()
        return coroutine.wrap(function()
          return await(gate)
        end)()
      end)())
      await(sleep(0))
      collectgarbage()
      collectgarbage()
      gate:set_result("kept")
      assert.are.equal("kept", (await(task)))
    end)
  end)

  it("after it ended is collected, with the task's thread in use", function()
    main(function()
      local weak = setmetatable({}, {__mode = "v"})
      do
        local co = coroutine.create(function() await(sleep(0)) end)
        weak[1] = co
        coroutine.resume(co)
      end
      await(sleep(0))
      collectgarbage()
      collectgarbage()
      assert.is_nil(weak[1])
    end)
  end)
end)
