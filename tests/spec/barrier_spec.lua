-- barrier_spec.lua: Barrier.

local asyncio = require "asyncio"
local tasks = require "tasks"

local caught, co, is_a, main = tasks.caught, tasks.co, tasks.is_a, tasks.main
local refused, started, turns = tasks.refused, tasks.started, tasks.turns

-- A task that waits at the barrier; its result is its place.
local function party(barrier)
  return create_task(barrier:wait())
end

local function parties(barrier, n)
  local list = {}
  for i = 1, n do list[i] = party(barrier) end
  turns(1)
  return list
end

-- Asserts that the tasks, awaited, have all places from 0 to n - 1.
local function all_places(list)
  local seen = {}
  for _, place in ipairs(await(gather(list))) do seen[place] = true end
  for i = 0, #list - 1 do assert.is_true(seen[i], "nobody has place " .. i) end
end

local function all_broken(list)
  for _, task in ipairs(list) do is_a("BrokenBarrierError", caught(await, task)) end
end

describe("a barrier", function()
  it("BA-01 lets all go on together, each with another number", function()
    main(function()
      local barrier, passed = asyncio.Barrier(4), 0
      local list = {}
      for i = 1, 4 do
        list[i] = create_task(co(function()
          local place = await(barrier:wait())
          passed = passed + 1
          return place
        end))
        turns(3)
        assert.equal(i < 4 and 0 or 4, passed)
      end
      all_places(list)
      assert.equal("<Barrier filling waiters=0/4>", tostring(barrier))
    end)
  end)

  it("BA-01 the numbers are in the order of coming", function()
    main(function()
      local barrier = asyncio.Barrier(3)
      local list = parties(barrier, 3)
      for i = 1, 3 do assert.equal(i - 1, await(list[i])) end
    end)
  end)

  it("BA-01 of one party stops nobody", function()
    main(function()
      local barrier, ran = asyncio.Barrier(1), false
      asyncio.call_soon(function() ran = true end)
      for _ = 1, 5 do assert.equal(0, await(barrier:wait())) end
      assert.is_false(ran)
    end)
  end)

  it("BA-01 counts those who wait", function()
    main(function()
      local barrier = asyncio.Barrier(3)
      assert.equal(3, barrier:parties())
      assert.equal(0, barrier:n_waiting())
      assert.is_false(barrier:broken())
      local a = parties(barrier, 2)
      assert.equal(2, barrier:n_waiting())
      assert.equal("<Barrier filling waiters=2/3>", tostring(barrier))
      local last = await(barrier:wait())
      assert.equal(2, last)
      assert.equal(0, barrier:n_waiting())
      assert.equal("<Barrier draining waiters=0/3>", tostring(barrier))
      await(gather(a))
      assert.equal(0, barrier:n_waiting())
      assert.equal("<Barrier filling waiters=0/3>", tostring(barrier))
      assert.is_false(getmetatable(barrier))
    end)
  end)

  it("BA-02 is good for many rounds", function()
    main(function()
      local barrier, rounds, list = asyncio.Barrier(3), {}, {}
      for i = 1, 3 do
        list[i] = create_task(co(function()
          for round = 1, 10 do
            turns((i * round) % 4)
            rounds[round] = (rounds[round] or 0) + 1
            await(barrier:wait())
            assert.equal(3, rounds[round])
          end
        end))
      end
      await(gather(list))
      assert.equal(0, barrier:n_waiting())
    end)
  end)

  it("BA-02 holds back who comes while the others are leaving", function()
    main(function()
      local barrier = asyncio.Barrier(3)
      local list = parties(barrier, 2)
      await(barrier:wait())
      assert.equal("<Barrier draining waiters=0/3>", tostring(barrier))
      local fast = create_task(co(function()
        local first = await(barrier:wait())
        return first
      end))
      turns(4)
      all_places({list[1], list[2], create_task(co(function() return 2 end))})
      assert.is_false(fast:done())
      assert.equal(1, barrier:n_waiting())
      local more = parties(barrier, 2)
      all_places({fast, more[1], more[2]})
    end)
  end)

  it("BA-02 takes n times its number of tasks at once, in whole rounds", function()
    main(function()
      local barrier = asyncio.Barrier(4)
      local list = parties(barrier, 4 * 5 + 1)
      turns(20)
      local places, waiting = {}, {}
      for _, task in ipairs(list) do
        if task:done() then
          local place = task:result()
          places[place] = (places[place] or 0) + 1
        else
          waiting[#waiting + 1] = task
        end
      end
      assert.same({[0] = 5, 5, 5, 5}, places)
      assert.equal(1, #waiting)
      assert.equal(1, barrier:n_waiting())
      waiting[1]:cancel()
      turns(1)
    end)
  end)

  it("BA-03 a cancelled waiter counts no more, and the barrier is not broken", function()
    main(function()
      local barrier = asyncio.Barrier(3)
      local list = parties(barrier, 2)
      list[1]:cancel()
      is_a("CancelledError", caught(await, list[1]))
      turns(2)
      assert.is_false(barrier:broken())
      assert.equal(1, barrier:n_waiting())
      local more = parties(barrier, 2)
      turns(3)
      assert.is_true(list[2]:done() and more[1]:done() and more[2]:done())
      assert.equal("<Barrier filling waiters=0/3>", tostring(barrier))
    end)
  end)

  it("BA-03 all of them are cancelled", function()
    main(function()
      local barrier = asyncio.Barrier(3)
      local list = parties(barrier, 2)
      list[1]:cancel()
      list[2]:cancel()
      turns(4)
      assert.is_true(list[1]:cancelled() and list[2]:cancelled())
      assert.equal("<Barrier filling waiters=0/3>", tostring(barrier))
      all_places(parties(barrier, 3))
    end)
  end)

  it("BA-03 one is cancelled when the last has come: the others go on", function()
    main(function()
      local barrier = asyncio.Barrier(3)
      local list = parties(barrier, 2)
      assert.equal(2, await(barrier:wait()))
      list[1]:cancel()
      is_a("CancelledError", caught(await, list[1]))
      assert.equal(1, await(list[2]))
      assert.equal("<Barrier filling waiters=0/3>", tostring(barrier))
      all_places(parties(barrier, 3))
    end)
  end)

  it("BA-03 one is cancelled that is held back for the next round", function()
    main(function()
      local barrier = asyncio.Barrier(2)
      local first = parties(barrier, 1)[1]
      await(barrier:wait())
      local held = party(barrier)
      local other = party(barrier)
      held:cancel()
      assert.equal(0, await(first))
      turns(2)
      assert.is_true(held:cancelled())
      assert.equal(1, barrier:n_waiting())
      all_places({other, party(barrier)})
    end)
  end)

  it("BA-03 survives any mixture of parties and cancellations", function()
    main(function()
      local random = tasks.random(5)
      local barrier, list = asyncio.Barrier(3), {}
      for i = 1, 300 do
        list[i] = party(barrier)
        if random(2) == 1 then turns(random(3)) end
        if random(3) == 1 then list[random(i)]:cancel() end
      end
      turns(400)
      local waiting = 0
      for i = 1, 300 do
        if not list[i]:done() then waiting = waiting + 1 end
      end
      assert.equal(waiting, barrier:n_waiting())
      assert.is_true(waiting < 3)
      for _ = 1, 3 - waiting do party(barrier) end
      turns(10)
      for i = 1, 300 do assert.is_true(list[i]:done()) end
      turns(1)
      for _, task in ipairs(asyncio.all_tasks()) do
        if task ~= asyncio.current_task() then task:cancel() end
      end
      turns(2)
      assert.equal("<Barrier filling waiters=0/3>", tostring(barrier))
    end)
  end)

  it("BA-04 reset sends those away who wait, and it is usable at once", function()
    main(function()
      local barrier = asyncio.Barrier(3)
      local list = parties(barrier, 2)
      await(barrier:reset())
      local more = parties(barrier, 3)
      all_broken(list)
      all_places(more)
      assert.is_false(barrier:broken())
      assert.equal("<Barrier filling waiters=0/3>", tostring(barrier))
    end)
  end)

  it("BA-04 reset without waiters changes nothing", function()
    main(function()
      local barrier = asyncio.Barrier(2)
      await(barrier:reset())
      assert.equal("<Barrier filling waiters=0/2>", tostring(barrier))
      all_places(parties(barrier, 2))
    end)
  end)

  it("BA-04 reset while the barrier is draining sends away who has not left", function()
    main(function()
      local barrier = asyncio.Barrier(3)
      local list = parties(barrier, 2)
      assert.equal(2, await(barrier:wait()))
      await(barrier:reset())
      all_broken(list)
      assert.equal("<Barrier filling waiters=0/3>", tostring(barrier))
      all_places(parties(barrier, 3))
    end)
  end)

  it("BA-04 reset with some who are held back: they make the next round", function()
    main(function()
      local barrier = asyncio.Barrier(2)
      local list = parties(barrier, 1)
      await(barrier:wait())
      local reset = create_task(barrier:reset())
      local more = {party(barrier), party(barrier)}
      all_places(more)
      await(reset)
      assert.is_true(list[1]:done())
      asyncio.catch(await, list[1])
      assert.is_false(barrier:broken())
    end)
  end)

  it("BA-05 abort sends away who waits, and who comes, until reset", function()
    main(function()
      local barrier = asyncio.Barrier(3)
      local list = parties(barrier, 2)
      await(barrier:abort())
      assert.is_true(barrier:broken())
      all_broken(list)
      assert.equal("<Barrier broken waiters=0/3>", tostring(barrier))
      assert.equal(0, barrier:n_waiting())
      local ran = false
      asyncio.call_soon(function() ran = true end)
      is_a("BrokenBarrierError", caught(await, barrier:wait()))
      assert.is_false(ran)
      assert.equal(0, barrier:n_waiting())
      await(barrier:reset())
      assert.is_false(barrier:broken())
      all_places(parties(barrier, 3))
    end)
  end)

  it("BA-05 a party that fails may abort for all", function()
    main(function()
      local barrier = asyncio.Barrier(3)
      local list = parties(barrier, 1)
      list[2] = create_task(co(function()
        local ok = pcall(error, "bad")
        if not ok then await(barrier:abort()) end
        await(barrier:wait())
      end))
      all_broken(list)
      assert.is_true(barrier:broken())
    end)
  end)

  it("BA-05 abort while the barrier is draining", function()
    main(function()
      local barrier = asyncio.Barrier(3)
      local list = parties(barrier, 2)
      assert.equal(2, await(barrier:wait()))
      local held = party(barrier)
      await(barrier:abort())
      list[3] = held
      all_broken(list)
      assert.is_true(barrier:broken())
      await(barrier:reset())
      all_places(parties(barrier, 3))
    end)
  end)

  it("BA-05 the error is an Exception, which pcall catches", function()
    main(function()
      local barrier = asyncio.Barrier(2)
      await(barrier:abort())
      local ok, err = pcall(await, barrier:wait())
      assert.is_false(ok)
      is_a("Exception", err)
      assert.matches("^BrokenBarrierError: ", tostring(err))
    end)
  end)

  it("wants a whole number of parties, at least 1", function()
    for _, value in ipairs {0, -1, 1.5, math.huge, "2", {}, true} do
      assert.equal("Barrier: a whole number of parties expected, at least 1",
        refused(function() asyncio.Barrier(value) end))
    end
    refused(function() asyncio.Barrier() end)
    assert.equal(2, asyncio.Barrier(2.0):parties())
  end)

  it("refuses a call with a dot, and says what to write", function()
    local barrier = asyncio.Barrier(2)
    for _, name in ipairs {"parties", "n_waiting", "broken"} do
      assert.equal(("Barrier.%s: a Barrier expected, got a nil; write barrier:%s()")
        :format(name, name), refused(function() barrier[name]() end))
    end
    main(function()
      for _, name in ipairs {"wait", "reset", "abort"} do
        assert.equal(("Barrier.%s: a Barrier expected, got a nil; write barrier:%s()")
          :format(name, name), refused(function() await(barrier[name]()) end))
      end
    end)
  end)

  it("with too few parties is a deadlock that run names, and lives on", function()
    local barrier = asyncio.Barrier(2)
    assert.matches("deadlock", tostring(caught(main, function() await(barrier:wait()) end)))
    assert.equal("<Barrier filling waiters=0/2>", tostring(barrier))
    main(function() parties(barrier, 1) end)
    assert.equal("<Barrier filling waiters=0/2>", tostring(barrier))
    main(function() all_places(parties(barrier, 2)) end)
  end)

  it("costs each of many parties the same", function()
    tasks.assert_linear(function(n)
      main(function()
        local barrier, list = asyncio.Barrier(n), {}
        for i = 1, n do list[i] = party(barrier) end
        turns(1)
        for i = 1, n, 2 do
          asyncio.catch(await, list[i])
        end
        for i = 2, n, 2 do await(list[i]) end
        assert.equal(0, barrier:n_waiting())
      end)
    end)
  end)

  it("keeps nothing of those who came and went", function()
    main(function()
      local barrier = asyncio.Barrier(3)
      local stays = started(function() await(barrier:wait()) end)
      local function passers()
        for _ = 1, 300 do
          local task = party(barrier)
          turns(1)
          task:cancel()
          turns(3)
        end
      end
      tasks.assert_no_growth(10000, passers, 3)
      assert.equal(1, barrier:n_waiting())
      stays:cancel()
      asyncio.catch(await, stays)
    end)
  end)
end)
