-- await_depth_spec.lua: chains of awaits, to 100,000 levels (SC-01, SC-02,
-- LX-01 of the behaviours).

local asyncio = require "asyncio"
local program = require "program"
local tasks = require "tasks"

local at_end, caught, main, nested = tasks.at_end, tasks.caught, tasks.main, tasks.nested

describe("a chain of awaits", function()
  local DEPTH = 100000

  it("SC-01 of 500 levels gives values and errors", function()
    main(function()
      local f = nested(500, function(x) await(sleep(0)) return x, nil end)
      assert.are.same({7, n = 2}, table.pack(await(f(7))))
      local err = {}
      local g = nested(500, function() await(sleep(0)) error(err) end)
      assert.are.equal(err, caught(await, g()))
    end)
  end)

  it("SC-02 of 500 levels is cancelled with each cleanup run once", function()
    local order = {}
    local level
    level = async(function(n)
      local guard <close> = at_end(function() -- luacheck: ignore
        order[#order + 1] = n
      end)
      if n == 0 then
        await(asyncio.Future())
      end
      await(level(n - 1))
    end)
    main(function()
      local task = create_task(level(500))
      await(sleep(0))
      task:cancel()
      assert.is_true(asyncio.isinstance(select(2, asyncio.catch(await, task)),
        asyncio.CancelledError))
      assert.is_true(task:cancelled())
    end)
    assert.are.equal(501, #order)
    for i = 0, 500 do
      assert.are.equal(i, order[i + 1])
    end
  end)

  it("LX-01 of 100,000 levels gives its value", function()
    local sum
    sum = async(function(n)
      if n == 0 then
        return 0
      end
      return 1 + await(sum(n - 1))
    end)
    assert.are.equal(DEPTH, run(sum(DEPTH)))
  end)

  it("LX-01 of 100,000 levels suspends at its end", function()
    local sum, task
    sum = async(function(n)
      if n == 0 then
        assert.are.equal(task, asyncio.current_task())
        return await(sleep(0, 0))
      end
      return 1 + await(sum(n - 1))
    end)
    main(function()
      task = create_task(sum(DEPTH))
      await(sleep(0))
      assert.matches("\n\t%.%.%.\t%(skipping %d+ levels%)", task:get_stack())
      assert.are.equal(DEPTH, (await(task)))
    end)
  end)

  it("LX-01 of 20,000 levels shows its outer end as the task's place",
  function()
    local sum = nested(20000, function() await(sleep(0)) end)
    main(function()
      local task = create_task(async(function() await(sum()) end)())
      await(sleep(0))
      local line = debug.getinfo(1, "l").currentline - 2
      assert.matches("running at [^\n]*await_depth_spec%.lua:" .. line .. ">",
        tostring(task))
      await(task)
    end)
  end)

  it("LX-01 of 100,000 levels gives its error", function()
    local down
    down = async(function(n)
      if n == 0 then
        await(sleep(0))
        error("at the end", 0)
      end
      return 1, await(down(n - 1))
    end)
    local ok, err = pcall(run, down(DEPTH))
    assert.is_false(ok)
    assert.are.equal("at the end", err)
  end)

  it("LX-01 of 100,000 levels can be cancelled", function()
    local down
    down = async(function(n)
      if n == 0 then
        await(asyncio.Future())
      end
      return 1, await(down(n - 1))
    end)
    main(function()
      local task = create_task(down(DEPTH))
      await(sleep(0))
      task:cancel()
      asyncio.catch(await, task)
      assert.is_true(task:cancelled())
    end)
  end)

  it("LX-01 of 3000 levels in an xpcall each can be cancelled", function()
    local handled = 0
    local down
    down = async(function(n)
      if n == 0 then
        await(asyncio.Future())
      end
      xpcall(function() await(down(n - 1)) end, function() handled = handled + 1 end)
      error("not reached")
    end)
    main(function()
      local task = create_task(down(3000))
      await(sleep(0))
      task:cancel()
      asyncio.catch(await, task)
      assert.is_true(task:cancelled())
      assert.are.equal(0, handled)
    end)
  end)

  it("LX-01 of 150 levels goes through a generator at each", function()
    local down
    down = async(function(n)
      if n == 0 then
        await(sleep(0))
        return 0
      end
      return 1 + coroutine.wrap(function() return await(down(n - 1)) end)()
    end)
    main(function()
      assert.are.equal(150, (await(down(150))))
    end)
  end)

  it("LX-01 of 100 levels stands in a callback that cannot suspend", function()
    local sum
    sum = async(function(n)
      return n == 0 and 0 or 1 + await(sum(n - 1))
    end)
    main(function()
      local got
      table.sort({1, 2}, function()
        got = await(sum(100))
        return false
      end)
      assert.are.equal(100, got)
    end)
  end)

  it("LX-01 of 1000 levels works after many that ended in an error", function()
    local fails = async(function() error("no", 0) end)
    local f = nested(1000, function(x) return x end)
    main(function()
      for _ = 1, 100 do
        assert.are.equal("no", caught(await, fails()))
      end
      assert.are.equal(7, (await(f(7))))
    end)
  end)

  it("LX-01 of 100,000 levels that are awaits of await gives its value, and in a callback that "
    .. "cannot suspend is a stack overflow", function()
    -- in a child: most of the second chain's coroutine objects are never awaited, in truth
    local result = program.run_script [[
      local again = require "asyncio".async(await, "again")
      local value = async(function() return "value" end)
      local function chain()
        local coro = value()
        for _ = 1, 100000 do coro = again(coro) end
        return coro
      end
      run(async(function()
        print(await(chain()))
        print(pcall(string.gsub, "x", "x", function() return await(chain()) end))
        print(await(sleep(0, "alive")))
      end)())
    ]]
    assert.matches("^value\nfalse\t[^\n]*C stack overflow\nalive\n$", result.stdout)
    assert.are.equal(0, result.code)
  end)

  it("an error of an awaited C function is the same after many others", function()
    local fails = async(math.ult, "fails")
    local function failure() return caught(function() await(fails()) end) end
    main(function()
      local first = failure()
      for _ = 1, 40 do
        assert.are.equal(first, failure())
      end
    end)
  end)

  it("LX-01 without end is a stack overflow; the task goes on", function()
    -- in a child: the last coroutine object made is never awaited, in truth
    local result = program.run_script [[
      local down
      down = async(function() return 1, await(down()) end)
      run(async(function()
        print(pcall(await, down()))
        print(await(sleep(0, "alive")))
      end)())
    ]]
    assert.matches("^false\t[^\n]*stack overflow\nalive\n$", result.stdout)
    assert.are.equal(0, result.code)
  end)
end)

describe("a recursion without end in a task", function()
  it("is a stack overflow with its position; the task goes on", function()
    local function deep()
      return 1 + deep()
    end
    main(function()
      assert.matches("^[^\n]*await_depth_spec%.lua:%d+: stack overflow$",
        caught(deep))
      await(sleep(0))
      local task = create_task(async(deep)())
      assert.matches("await_depth_spec%.lua:%d+: stack overflow$",
        caught(await, task))
      assert.are.equal("alive", (await(sleep(0, "alive"))))
    end)
  end)

  it("through C is a C stack overflow; the task goes on", function()
    local function deep()
      return (string.gsub("x", "x", deep))
    end
    main(function()
      for _ = 1, 3 do
        assert.matches("C stack overflow", caught(deep), 1, true)
        await(sleep(0))
      end
      assert.matches("C stack overflow",
        caught(await, create_task(async(deep)())), 1, true)
      assert.are.equal("alive", (await(sleep(0, "alive"))))
    end)
  end)

  it("in its cleanup ends it", function()
    local function deep()
      return 1 + deep()
    end
    main(function()
      local task = create_task(async(function()
        local x <close> = at_end(deep) -- luacheck: ignore
        await(sleep(0))
      end)())
      assert.matches("stack overflow", caught(await, task), 1, true)
      assert.are.equal("alive", (await(sleep(0, "alive"))))
    end)
  end)
end)
