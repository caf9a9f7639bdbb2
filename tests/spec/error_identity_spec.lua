-- error_identity_spec.lua: errors of every Lua type keep their identity on
-- every way out of a task (LX-09 of the behaviours); those with nobody to
-- go to are reported.

local asyncio = require "asyncio"
local program = require "program"
local tasks = require "tasks"

local at_end, caught, main = tasks.at_end, tasks.caught, tasks.main

-- Asserts that fn(...) raises exactly `wanted`.
local function raises(wanted, fn, ...)
  assert.is_true(rawequal(wanted, caught(fn, ...)))
end

-- Calls fn with an error value of each type.
local function each_value(fn)
  for _, value in ipairs {"text", "", "a:1: b", 42, 0.5, -0.0, math.huge,
      true, false, {}, setmetatable({}, {__eq = function() return true end}),
      print, function() end, coroutine.create(print), io.stdout,
      asyncio.Exception, asyncio.Exception("object"),
      asyncio.ExceptionGroup("several", {}), asyncio.Future()} do
    fn(value)
  end
  fn(nil)
end

-- An async function that raises value, after a turn when `suspends`.
local function fails(value, suspends)
  return async(function()
    if suspends then
      await(sleep(0))
    end
    error(value, 0)
  end)
end

describe("LX-09 an error of any type", function()
  it("LX-09 comes out of await unchanged", function()
    main(function()
      each_value(function(value)
        for _, suspends in ipairs {false, true} do
          local f = fails(value, suspends)
          raises(value, await, f())
          local outer = async(function()
            return 1, await(f())
          end)
          raises(value, await, outer())
          local task = create_task(f())
          raises(value, await, task)
          raises(value, await, task)
          raises(value, task.result, task)
          raises(value, await, create_task(async(function()
            await(task)
          end)()))
        end
      end)
    end)
  end)

  it("LX-09 comes out of gather unchanged", function()
    main(function()
      each_value(function(value)
        for _, suspends in ipairs {false, true} do
          local f = fails(value, suspends)
          raises(value, await, gather(f()))
          raises(value, await, gather(sleep(0), f(), sleep(0)))
          raises(value, await, gather(gather(f())))
        end
      end)
    end)
  end)

  it("LX-09 comes out of run unchanged", function()
    each_value(function(value)
      for _, suspends in ipairs {false, true} do
        raises(value, run, fails(value, suspends)())
        raises(value, run, async(function()
          await(create_task(fails(value, suspends)()))
        end)())
        raises(value, run, async(function()
          await(gather(fails(value, suspends)()))
        end)())
      end
    end)
  end)

  it("LX-09 comes out of a generator unchanged", function()
    main(function()
      each_value(function(value)
        for _, suspends in ipairs {false, true} do
          local f = fails(value, suspends)
          local body = function() await(f()) end
          local result = table.pack(
            coroutine.resume(coroutine.create(body)))
          assert.are.equal(2, result.n)
          assert.is_false(result[1])
          assert.is_true(rawequal(value, result[2]))
          if type(value) ~= "string" then -- wrap adds a position, as in Lua
            raises(value, coroutine.wrap(body))
          end
        end
      end)
    end)
  end)

  it("LX-09 comes out of xpcall as its handler gives it", function()
    main(function()
      each_value(function(value)
        local f = fails(value, true)
        local seen = {}
        raises(value, function()
          local ok, err = xpcall(await, function(err)
            seen = {err, n = 1}
            return err
          end, f())
          assert.is_false(ok)
          error(err, 0)
        end)
        assert.are.equal(1, seen.n)
        assert.is_true(rawequal(value, seen[1]))
      end)
    end)
  end)

  it("LX-09 comes out of to-be-closed variables unchanged", function()
    main(function()
      each_value(function(value)
        local given
        local f = async(function()
          local _ <close> = at_end(function(_, err)
            await(sleep(0))
            given = {err, n = 1}
            error(err, 0)
          end)
          await(sleep(0))
          error(value, 0)
        end)
        raises(value, await, f())
        assert.is_true(given.n == 1 and rawequal(value, given[1]))
        raises(value, await, create_task(f()))
      end)
    end)
  end)

  it("LX-09 of a to-be-closed variable itself ends the task", function()
    main(function()
      each_value(function(value)
        local f = async(function()
          local _ <close> = at_end(function()
            await(sleep(0))
            error(value, 0)
          end)
          await(sleep(0))
        end)
        raises(value, await, f())
        raises(value, await, create_task(f()))
      end)
    end)
  end)
end)

describe("a text raised as an error", function()
  it("LX-09 gets its position once, however far it goes", function()
    local function position(err)
      assert.matches("^[^\n]*error_identity_spec%.lua:%d+: text$", err)
      assert.are.equal(1, select(2, err:gsub("error_identity_spec", "")))
    end
    local level
    level = async(function(n)
      if n == 0 then
        error("text")
      end
      await(n % 2 == 0 and level(n - 1) or create_task(level(n - 1)))
    end)
    position(select(2, pcall(run, level(6))))
    position(select(2, pcall(run, async(function()
      await(gather(level(2)))
    end)())))
  end)

  it("of Lua itself has the position of its line", function()
    local line = debug.getinfo(1, "l").currentline + 2
    local f = async(function(x)
      return x.field
    end)
    local err = select(2, pcall(run, f()))
    assert.matches("error_identity_spec.lua:" .. line .. ": attempt to index "
      .. "a nil value (local 'x')", err, 1, true)
  end)
end)

describe("a CancelledError raised by a task", function()
  local function ends_cancelled(fn)
    main(function()
      local task = create_task(async(fn)())
      local ok, err = asyncio.catch(await, task)
      assert.is_false(ok)
      assert.is_true(asyncio.isinstance(err, asyncio.CancelledError))
      assert.is_true(task:cancelled())
    end)
  end

  it("ends it as cancelled, new, raised again, or of a subclass", function()
    ends_cancelled(function() error(asyncio.CancelledError("new")) end)
    ends_cancelled(function()
      await(sleep(0))
      error(asyncio.CancelledError:subclass("Mine")())
    end)
    ends_cancelled(function()
      local me = asyncio.current_task()
      asyncio.call_soon(me.cancel, me)
      local ok, err = asyncio.catch(await, sleep(1000))
      assert.is_false(ok)
      error(err)
    end)
  end)

  it("is what await of it raises", function()
    main(function()
      local object = asyncio.CancelledError("mine")
      raises(object, await, create_task(fails(object, true)()))
      raises(object, await, fails(object, true)())
      raises(object, await, gather(fails(object, true)()))
    end)
    local object = asyncio.CancelledError("mine")
    raises(object, run, fails(object, true)())
  end)
end)

describe("a KeyboardInterrupt raised by hand", function()
  it("comes out of run from the main task", function()
    local object = asyncio.KeyboardInterrupt("mine")
    raises(object, run, fails(object, true)())
  end)

  it("comes out of run from any task, after all cleanup", function()
    local order = {}
    local object = asyncio.KeyboardInterrupt("mine")
    raises(object, run, async(function()
      local _ <close> = at_end(function()
        await(sleep(0))
        order[#order + 1] = "main"
      end)
      create_task(fails(object, true)())
      await(sleep(1000))
    end)())
    assert.are.same({"main"}, order)
  end)

  it("comes out of run from a callback", function()
    local object = asyncio.KeyboardInterrupt("mine")
    raises(object, run, async(function()
      asyncio.call_soon(error, object)
      await(sleep(1000))
    end)())
  end)
end)

describe("errors of every type with nobody to go to", function()
  -- Lua code that gives a list of error values, and the count of them.
  local VALUES = [[
    local VALUES = table.pack("text", 42, true, {}, print,
      coroutine.create(print), io.stdout,
      setmetatable({}, {__tostring = function() return "speaks" end}),
      setmetatable({}, {__tostring = function() error("mute") end}),
      setmetatable({}, {__tostring = function() return 42 end}),
      setmetatable({}, {__name = "Mine"}),
      require "asyncio".TimeoutError("slow"), nil)
  ]]
  local TEXTS = {"text", "42", "(error object is a boolean value)",
    "(error object is a table value)", "(error object is a function value)",
    "(error object is a thread value)", "file (0x", "speaks",
    "(error object is a table value; its __tostring fails)",
    "(error object is a table value; its __tostring fails)",
    "(error object is a table value)", "TimeoutError: slow",
    "(error object is a nil value)"}

  -- Asserts that stderr has a report with each of TEXTS, in order.
  local function is_reported(title, result)
    assert.are.equal(0, result.code)
    assert.are.equal("end\n", result.stdout)
    local at = 1
    for _, text in ipairs(TEXTS) do
      local _, last = result.stderr:find(title, at, true)
      assert.is_truthy(last, "no report of " .. text)
      local first = result.stderr:find("\n" .. text, last, true)
      assert.is_truthy(first, "no " .. text .. " in " .. result.stderr)
      at = last
    end
    assert.are.equal(#TEXTS,
      select(2, result.stderr:gsub(title, "")))
  end

  it("are reported for callbacks, which stop nothing", function()
    for _, schedule in ipairs {"asyncio.call_soon(error, VALUES[i])",
        "asyncio.call_later(0, error, VALUES[i])", [[
        local value = VALUES[i]
        local f = asyncio.Future()
        f:add_done_callback(function() error(value, 0) end)
        f:set_result()]]} do
      is_reported("Exception in callback", program.run_script(VALUES .. [[
        local asyncio = require "asyncio"
        run(async(function()
          for i = 1, VALUES.n do ]] .. schedule .. [[ end
          await(sleep(0.001))
          await(sleep(0))
        end)())
        print("end")
      ]]))
    end
  end)

  it("are reported for tasks, which stop nothing", function()
    is_reported("Task exception was never retrieved",
      program.run_script(VALUES .. [[
        local fail = async(error)
        run(async(function()
          for i = 1, VALUES.n do
            create_task(fail(VALUES[i], 0))
            await(sleep(0))
            await(sleep(0))
            collectgarbage() collectgarbage()
          end
        end)())
        print("end")
      ]]))
  end)

  it("end the program with their text", function()
    for i = 1, #TEXTS do
      local result = program.run_script(VALUES
        .. "run(async(function() await(sleep(0)) error(VALUES[" .. i
        .. "], 0) end)())")
      assert.are.equal(1, result.code)
      local text = program.neap .. ": " .. TEXTS[i]
      assert.are.equal(text, result.stderr:sub(1, #text))
    end
  end)

  it("in a __gc called in a task are warnings", function()
    local result = program.run_script(VALUES .. [[
      warn("@on")
      run(async(function()
        for i = 1, VALUES.n do
          local value = VALUES[i]
          setmetatable({}, {__gc = function() error(value, 0) end})
          collectgarbage()
          await(sleep(0))
        end
      end)())
      print("end")
    ]])
    assert.are.equal("end\n", result.stdout)
    assert.are.equal(0, result.code)
    assert.are.equal(#TEXTS,
      select(2, result.stderr:gsub("Lua warning: error in __gc", "")))
  end)
end)
