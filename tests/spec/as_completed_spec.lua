-- as_completed_spec.lua: asyncio.as_completed.

local asyncio = require "asyncio"
local program = require "program"
local tasks = require "tasks"

local as_completed = asyncio.as_completed
local caught, co, is_a, main = tasks.caught, tasks.co, tasks.is_a, tasks.main
local refused, turns = tasks.refused, tasks.turns
local MANY = tasks.MANY

-- n futures.
local function futures(n)
  local list = {}
  for i = 1, n do list[i] = asyncio.Future() end
  return list
end

-- What an iterator gives, to its end.
local function all_of(...)
  local list = {}
  for task in ... do list[#list + 1] = task end
  return list
end

describe("as_completed", function()
  it("AC-01 gives results in the order of completion", function()
    main(function()
      local results = {}
      for task in as_completed{sleep(0.004, "b"), sleep(0.001, "a"), sleep(0, "c")} do
        results[#results + 1] = await(task)
      end
      assert.same({"c", "a", "b"}, results)
    end)
  end)

  it("AC-01 gives what was done before, in the order of the list", function()
    main(function()
      local list = futures(3)
      for i = 3, 1, -1 do list[i]:set_result(i) end
      assert.same(list, all_of(as_completed(list)))
    end)
  end)

  it("AC-01 gives each as soon as it is done", function()
    main(function()
      local list, order = futures(3), {}
      local loop = create_task(co(function()
        for task in as_completed(list) do order[#order + 1] = await(task) end
      end))
      turns()
      for _, i in ipairs{2, 3, 1} do
        list[i]:set_result(i)
        turns(2)
        assert.equal(i, order[#order])
      end
      await(loop)
      assert.same({2, 3, 1}, order)
    end)
  end)

  it("AC-02 lets one that fails raise at its place, and goes on", function()
    main(function()
      local order = {}
      for task in as_completed{sleep(0, 1), co(error, "boom"), sleep(0.001, 3)} do
        local ok, value = pcall(await, task)
        order[#order + 1] = ("%s %s"):format(ok, value)
      end
      table.sort(order, function(a, b) return a > b end)
      assert.same({"true 3", "true 1", "false boom"}, order)
    end)
  end)

  it("AC-02 gives one that was cancelled, which raises CancelledError", function()
    main(function()
      local task = create_task(sleep(10))
      task:cancel()
      for given in as_completed{task} do
        assert.equal(task, given)
        is_a("CancelledError", caught(await, given))
      end
    end)
  end)

  it("AC-03 gives, at the timeout, a TimeoutError for each that is missing", function()
    main(function()
      local slow, other, done = create_task(sleep(10)), asyncio.Future(), asyncio.Future()
      local values = {}
      done:set_result(1)
      for task in as_completed({slow, done, other}, {timeout = 0}) do
        local ok, value = pcall(await, task)
        if not ok then is_a("TimeoutError", value) end
        values[#values + 1] = ok and value or "late"
      end
      assert.same({1, "late", "late"}, values)
      assert.is_false(slow:done())
      assert.equal(0, slow:cancelling())
      assert.is_false(other:done())
      other:set_result()
    end)
  end)

  it("AC-03 gives what has ended before the timeout, however late it is asked", function()
    main(function()
      local list, got = futures(2), {}
      local iterator = as_completed(list, {timeout = 0.001})
      list[1]:set_result(1)
      await(sleep(0.005))
      list[2]:set_result(2)
      for task in iterator do got[#got + 1] = (pcall(await, task)) end
      assert.same({true, false}, got)
    end)
  end)

  it("AC-03 lets what ends in the turn of the timeout, too late, make no more", function()
    main(function()
      local list = futures(2)
      asyncio.call_later(0.001, list[1].set_result, list[1])
      local iterator, got = as_completed(list, {timeout = 0.001}), {}
      local deadline = asyncio.time() + 0.005
      while asyncio.time() < deadline do end -- both timers are due together
      for task in iterator do got[#got + 1] = task end
      assert.equal(2, #got)
      turns(2)
      assert.is_nil((iterator()))
    end)
  end)

  it("AC-03 says nothing of a TimeoutError that nobody looks at", function()
    local result = program.run({program.neap, "-e", [[
      local asyncio = require "asyncio"
      run(async(function()
        local count = 0
        for task in asyncio.as_completed({asyncio.Future(), asyncio.Future()}, {timeout = 0}) do
          assert(task:done())
          count = count + 1
        end
        print(count)
      end)())
    ]]})
    assert.same({"2\n", ""}, {result.stdout, result.stderr})
  end)

  it("AC-03 takes its timer back when all have ended: a deadlock is seen", function()
    local err = caught(main, function()
      local iterator = as_completed({sleep(0), sleep(0)}, {timeout = 3600})
      for task in iterator do await(task) end
      await(asyncio.Future())
    end)
    assert.matches("deadlock", err)
  end)

  it("AC-04 gives duplicates once", function()
    main(function()
      local runs = 0
      local coro = co(function() runs = runs + 1 end)
      local object = setmetatable({}, {__await = function() return sleep(0) end})
      local task, future = create_task(sleep(0)), asyncio.Future()
      future:set_result()
      local given = all_of(as_completed{coro, task, coro, future, object, task, object, future})
      assert.equal(4, #given)
      assert.equal(1, runs)
    end)
  end)

  it("AC-05 goes on when the loop is left and entered again", function()
    main(function()
      local list = futures(4)
      for i = 1, 4 do list[i]:set_result(i) end
      local iterator, got = as_completed(list), {}
      for task in iterator do
        got[#got + 1] = await(task)
        if #got == 2 then break end
      end
      for task in iterator do got[#got + 1] = await(task) end
      assert.same({1, 2, 3, 4}, got)
      assert.is_nil((iterator()))
      assert.is_nil((iterator()))
    end)
  end)

  it("AC-05 goes on when its loop was cancelled while it waited", function()
    main(function()
      local list = futures(2)
      local iterator = as_completed(list)
      local loop = create_task(co(function() all_of(iterator) end))
      turns(2)
      loop:cancel()
      is_a("CancelledError", caught(await, loop))
      list[2]:set_result()
      list[1]:set_result()
      assert.same({list[2], list[1]}, all_of(iterator))
    end)
  end)

  it("AC-05 loses none when its loop is cancelled with one on the way", function()
    main(function()
      local list = futures(1)
      local iterator = as_completed(list)
      local loop = create_task(co(function() all_of(iterator) end))
      turns(2)
      list[1]:set_result()
      turns()
      loop:cancel()
      is_a("CancelledError", caught(await, loop))
      assert.same(list, all_of(iterator))
    end)
  end)

  it("AC-07 gives the given tasks themselves", function()
    main(function()
      local a, b, future = create_task(sleep(0.001)), create_task(sleep(0)), asyncio.Future()
      local all = gather(sleep(0))
      asyncio.call_later(0.003, future.set_result, future)
      local seen = {}
      for task in as_completed{a, b, future, all} do
        assert.is_true(task:done())
        seen[task] = true
      end
      assert.same({[a] = true, [b] = true, [future] = true, [all] = true}, seen)
    end)
  end)

  it("AC-07 gives a coroutine object as its task", function()
    main(function()
      for task in as_completed{sleep(0, "value")} do
        assert.matches("^<Task finished", tostring(task))
        assert.equal("value", task:result())
      end
    end)
  end)

  it("starts coroutine objects when it is called, not when it is iterated", function()
    main(function()
      local order = {}
      local iterator = as_completed{
        co(function() order[#order + 1] = "first" end),
        co(function() order[#order + 1] = "second" end),
      }
      assert.same({}, order)
      turns()
      assert.same({"first", "second"}, order)
      assert.equal(2, #all_of(iterator))
    end)
  end)

  it("gives nothing for an empty list", function()
    main(function()
      assert.same({}, all_of(as_completed{}))
      assert.same({}, all_of(as_completed({}, {timeout = 1})))
    end)
  end)

  it("shares what it gives among the tasks that iterate it", function()
    main(function()
      local list, seen = futures(3), {}
      local iterator = as_completed(list)
      local loops = {}
      for i = 1, 4 do
        loops[i] = create_task(co(function()
          for task in iterator do
            assert.is_nil(seen[task])
            seen[task] = true
          end
        end))
      end
      turns(2)
      for i = 1, 3 do list[i]:set_result() end
      await(gather(loops))
      for i = 1, 3 do assert.is_true(seen[list[i]]) end
    end)
  end)

  it("lets go of its tasks when a loop over it is left", function()
    main(function()
      local future, done = asyncio.Future(), asyncio.Future()
      done:set_result()
      tasks.assert_no_growth(20000, function()
        for i = 1, 1000 do
          pcall(function()
            for task in as_completed({future, done}, {timeout = 3600}) do
              if i % 2 == 0 then error("left") end
              if task:done() then break end
            end
          end)
        end
      end)
      assert.is_false(future:done())
    end)
  end)

  it("leaves no timer when a loop over it is left: a deadlock is seen", function()
    local err = caught(main, function()
      for task in as_completed({sleep(0), asyncio.Future()}, {timeout = 3600}) do
        if task:done() then break end
      end
      await(asyncio.Future())
    end)
    assert.matches("deadlock", err)
  end)

  it("refuses what cannot be awaited, and starts nothing then", function()
    main(function()
      local ran = false
      local coro = co(function() ran = true end)
      for _, value in ipairs{1, "text", print, true, {}, async(print),
          asyncio.call_soon(function() end)} do
        assert.matches("^as_completed: item 2 of the list: an awaitable .* expected, got a ",
          refused(function() as_completed{coro, value} end))
      end
      turns(2)
      assert.is_false(ran)
      await(coro)
    end)
  end)

  it("refuses what is no list", function()
    main(function()
      local coro, task = sleep(0), create_task(sleep(0))
      assert.matches("^as_completed: a list expected, got a coroutine object: write as_completed{",
        refused(function() as_completed(coro) end))
      assert.matches("got a Task or Future", refused(function() as_completed(task) end))
      assert.matches("got a number", refused(function() as_completed(1, 2) end))
      assert.matches("got nil", refused(function() as_completed() end))
      await(coro)
    end)
  end)

  it("refuses options that it does not know, or of a wrong kind", function()
    main(function()
      local function with(options)
        return refused(function() as_completed({}, options) end)
      end
      assert.equal("as_completed: unknown option 'return_when'", with{return_when = 1})
      assert.matches("^as_completed: a table of options .* got a number", with(5))
      assert.matches("timeout: a number of seconds expected, got a table", with{timeout = {}})
      assert.matches("NaN", with{timeout = 0 / 0})
    end)
  end)

  it("refuses to be iterated outside a task", function()
    main(function()
      local iterator = as_completed{sleep(0)}
      local message
      asyncio.call_soon(function() message = refused(function() iterator() end) end)
      turns(3)
      assert.matches("^as_completed: its loop is outside a task", message)
      assert.equal(1, #all_of(iterator))
    end)
  end)

  it("is linear in the number of tasks", function()
    main(function()
      local list = {}
      for i = 1, MANY do list[i] = sleep(0, i) end
      local sum = 0
      for task in as_completed(list) do sum = sum + await(task) end
      assert.equal(MANY * (MANY + 1) // 2, sum)
      local count = 0
      for _ in as_completed(futures(MANY), {timeout = 0}) do count = count + 1 end
      assert.equal(MANY, count)
    end)
  end)
end)
