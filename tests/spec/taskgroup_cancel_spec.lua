-- taskgroup_cancel_spec.lua: a task group that is cancelled from outside, by
-- a timeout, by cancel(), by Ctrl-C.

local asyncio = require "asyncio"
local program = require "program"
local scopes = require "scopes"
local tasks = require "tasks"

local at_end, caught, co, is_a = tasks.at_end, tasks.caught, tasks.co, tasks.is_a
local main, refused, started, turns = tasks.main, tasks.refused, tasks.started, tasks.turns
local cancelling, failing, in_group = scopes.cancelling, scopes.failing, scopes.in_group
local noting, values = scopes.noting, scopes.values

describe("TaskGroup", function()
  it("TG-08 the parent is cancelled: children are cancelled, CancelledError bare", function()
    main(function()
      for _, where in ipairs{"in the body", "at the end"} do
        local order = {}
        local parent = started(function()
          local group <close> = asyncio.TaskGroup()
          for i = 1, 5 do group:create_task(noting(order, i, 6 - i)) end
          if where == "in the body" then
            local _ <close> = at_end(function() order[#order + 1] = "body" end)
            await(sleep(1000))
          end
        end)
        turns(1)
        assert.is_false(parent:done())
        parent:cancel("real")
        local err = caught(await, parent)
        is_a("CancelledError", err)
        assert.equal("real", err.message)
        assert.is_true(parent:cancelled())
        assert.equal(1, parent:cancelling())
        assert.same(where == "in the body" and {"body", 5, 4, 3, 2, 1} or {5, 4, 3, 2, 1}, order)
      end
    end)
  end)

  it("TG-08 the parent is cancelled before its children have started", function()
    main(function()
      local ran = 0
      local parent = create_task(co(function()
        local group <close> = asyncio.TaskGroup()
        for _ = 1, 3 do group:create_task(co(function() ran = ran + 1 end)) end
        asyncio.current_task():cancel()
        await(sleep(0))
      end))
      is_a("CancelledError", caught(await, parent))
      -- they took their step in the turn in which the request was delivered
      assert.equal(3, ran)
      parent = create_task(co(function()
        local group <close> = asyncio.TaskGroup()
        for _ = 1, 3 do group:create_task(co(function() ran = ran + 1 end)) end
        error(asyncio.CancelledError())
      end))
      is_a("CancelledError", caught(await, parent))
      assert.equal(3, ran)
    end)
  end)

  it("TG-14 a timeout around a group: children are waited for, TimeoutError", function()
    main(function()
      for _, wait_in_body in ipairs{true, false} do
        local order = {}
        local err = caught(function()
          local _ <close> = asyncio.timeout(0.001)
          local group <close> = asyncio.TaskGroup()
          group:create_task(noting(order, "one", 3))
          group:create_task(noting(order, "two"))
          if wait_in_body then await(sleep(1000)) end
        end)
        is_a("TimeoutError", err)
        assert.same({"two", "one"}, order)
        assert.equal(0, cancelling())
      end
    end)
  end)

  it("TG-14 a timeout around a group whose child fails in its cleanup: group error", function()
    main(function()
      local err = caught(function()
        local _ <close> = asyncio.timeout(0.001)
        local group <close> = asyncio.TaskGroup()
        group:create_task(co(function()
          local _ <close> = at_end(function() error("crash", 0) end)
          await(sleep(1000))
        end))
        await(sleep(1000))
      end)
      assert.same({"crash"}, values(err))
      assert.equal(0, cancelling())
    end)
  end)

  it("TG-14 a timeout in a child is the child's error", function()
    main(function()
      local err = in_group(function(group)
        group:create_task(asyncio.wait_for(sleep(1000), 0.001))
      end)
      is_a("TimeoutError", values(err)[1])
      -- and one inside the block is the body's
      err = in_group(function(group)
        group:create_task(sleep(1000))
        local _ <close> = asyncio.timeout(0.001)
        await(sleep(1000))
      end)
      is_a("TimeoutError", values(err)[1])
      assert.equal(0, cancelling())
    end)
  end)

  it("TG-15 inner group error handled, outer failing too: the next await is struck", function()
    main(function()
      local reached = false
      local outer_err = in_group(function(outer)
        local inner_err = in_group(function(inner)
          inner:create_task(failing("inner"))
          outer:create_task(failing("outer"))
        end)
        assert.same({"inner"}, values(inner_err))
        assert.equal(1, cancelling())
        await(sleep(0))
        reached = true
      end)
      assert.same({"outer"}, values(outer_err))
      assert.is_false(reached)
      assert.equal(0, cancelling())
      await(sleep(0))
    end)
  end)

  it("TG-16 a child fails and the parent is cancelled in the same turn", function()
    main(function()
      local inner_err, reached
      local parent
      parent = create_task(co(function()
        inner_err = in_group(function(group)
          group:create_task(co(function()
            await(sleep(0))
            parent:cancel("outside")
            error("boom", 0)
          end))
          await(sleep(1000))
        end)
        assert.equal(1, cancelling())
        await(sleep(0))
        reached = true
      end))
      is_a("CancelledError", caught(await, parent))
      assert.is_true(parent:cancelled())
      assert.same({"boom"}, values(inner_err))
      assert.is_nil(reached)
    end)
  end)

  it("TG-16 the cancellation comes after the failure, while children clean up", function()
    main(function()
      local inner_err
      local parent = started(function()
        inner_err = in_group(function(group)
          group:create_task(failing("boom"))
          group:create_task(noting({}, "slow", 6))
          await(sleep(1000))
        end)
        assert.equal(1, cancelling())
        await(sleep(0))
        error "not struck"
      end)
      turns(3)
      parent:cancel("outside")
      is_a("CancelledError", caught(await, parent))
      assert.same({"boom"}, values(inner_err))
    end)
  end)

  it("TG-17 the parent is cancelled again and again: it waits until children ended", function()
    main(function()
      local order = {}
      local parent = started(function()
        local group <close> = asyncio.TaskGroup()
        group:create_task(co(function()
          for i = 1, 20 do
            asyncio.catch(await, sleep(0.0005))
            if i == 20 then order[#order + 1] = "child" end
          end
        end))
      end)
      while #order == 0 do
        assert.is_false(parent:done())
        parent:cancel()
        await(sleep(0))
      end
      is_a("CancelledError", caught(await, parent))
      assert.is_true(parent:cancelled())
    end)
  end)

  it("TG-17 the children are cancelled by the first one alone", function()
    main(function()
      local child
      local parent = started(function()
        local group <close> = asyncio.TaskGroup()
        child = group:create_task(co(function()
          caught(await, sleep(1000))
          turns(5)
          return asyncio.current_task():cancelling()
        end))
        await(sleep(1000))
      end)
      turns(1)
      for _ = 1, 5 do
        parent:cancel()
        turns(1)
      end
      caught(await, parent)
      assert.equal(1, child:result())
      assert.equal(5, parent:cancelling())
    end)
  end)

  it("TG-18 entered twice: usage error where it is left the second time", function()
    main(function()
      local group
      assert.matches("TaskGroup", refused(function()
        local g <close> = asyncio.TaskGroup()
        group = g
        do
          local _ <close> = g
        end
      end))
      assert.matches("TaskGroup", refused(function()
        local _ <close> = group
      end))
      local boom = {}
      assert.equal(boom, caught(function()
        local _ <close> = group
        error(boom)
      end))
      assert.equal(0, cancelling())
    end)
  end)

  it("TG-18 outside a task: usage error at the caller", function()
    local line
    local function use()
      line = debug.getinfo(1, "l").currentline + 1
      local group <close> = asyncio.TaskGroup()
      return group
    end
    local err = caught(use)
    assert.matches(":" .. line .. ": TaskGroup: ", err, 1, true)
    assert.matches("task", err)
    main(function()
      local result = asyncio.Future()
      asyncio.call_soon(function() result:set_result(caught(use)) end)
      assert.matches(":" .. line .. ": TaskGroup: ", await(result), 1, true)
    end)
  end)

  it("TG-19 cancel: children stop, the block ends without error", function()
    main(function()
      local order, one = {}
      do
        local group <close> = asyncio.TaskGroup()
        one = group:create_task(noting(order, "one"))
        group:create_task(noting(order, "two"))
        turns(1)
        assert.equal(0, select("#", group:cancel()))
        group:cancel() -- once is enough
        assert.equal(0, cancelling())
        await(sleep(0)) -- the body is not interrupted
        order[#order + 1] = "body"
      end
      assert.same({"one", "two", "body"}, order)
      assert.is_true(one:cancelled())
      assert.equal(0, cancelling())
      await(sleep(0))
    end)
  end)

  it("TG-19 cancel by a child, by another task, by a callback, while the block waits", function()
    main(function()
      for _, by in ipairs{"child", "task", "callback"} do
        local order = {}
        do
          local group <close> = asyncio.TaskGroup()
          group:create_task(noting(order, "one", 2))
          if by == "child" then
            group:create_task(co(function()
              turns(1)
              group:cancel()
            end))
          elseif by == "task" then
            create_task(co(function() group:cancel() end))
          else
            asyncio.call_later(0.001, group.cancel, group)
          end
          group:create_task(noting(order, "two"))
        end
        -- a child that has not started does not run
        assert.same(by == "task" and {"one"} or {"two", "one"}, order, by)
        assert.equal(0, cancelling())
      end
    end)
  end)

  it("TG-19 cancel, then a child fails in its cleanup: group error", function()
    main(function()
      assert.same({"boom"}, values(in_group(function(group)
        group:create_task(co(function()
          caught(await, sleep(1000))
          error("boom", 0)
        end))
        turns(1)
        group:cancel()
      end)))
      assert.equal(0, cancelling())
    end)
  end)

  it("TG-19 cancel, then a child fails while the body goes on: the body is struck", function()
    main(function()
      assert.same({"boom"}, values(in_group(function(group)
        group:create_task(co(function()
          caught(await, sleep(1000))
          error("boom", 0)
        end))
        turns(1)
        group:cancel()
        await(asyncio.Future()) -- nobody else would wake it
      end)))
      assert.equal(0, cancelling())
    end)
  end)

  it("TG-19 cancel, then the body fails: group error with its error", function()
    main(function()
      assert.same({"body"}, values(in_group(function(group)
        group:create_task(sleep(1000))
        group:cancel()
        error("body", 0)
      end)))
    end)
  end)

  it("TG-19 create_task after cancel: usage error, closed", function()
    main(function()
      local group <close> = asyncio.TaskGroup()
      group:cancel()
      assert.matches("shutting down", refused(function()
        local task = group:create_task(sleep(0))
        return task
      end))
    end)
  end)

  it("TG-19 cancel of a group that has ended does nothing", function()
    main(function()
      local group
      do
        local g <close> = asyncio.TaskGroup()
        group = g
      end
      group:cancel()
      assert.equal(0, cancelling())
      await(sleep(0))
    end)
  end)

  it("TG-20 cancel of the group, then an outside cancellation: it is not lost", function()
    main(function()
      for _, where in ipairs{"body", "end"} do
        local parent = started(function()
          local group <close> = asyncio.TaskGroup()
          group:create_task(noting({}, "slow", 6))
          await(sleep(0))
          group:cancel()
          if where == "body" then await(sleep(1000)) end
        end)
        turns(2)
        parent:cancel("outside")
        local err = caught(await, parent)
        is_a("CancelledError", err)
        assert.equal("outside", err.message)
        assert.is_true(parent:cancelled())
      end
    end)
  end)

  it("TG-20 an outside cancellation is pending, then cancel of the group", function()
    main(function()
      local parent, group
      parent = started(function()
        local g <close> = asyncio.TaskGroup()
        group = g
        g:create_task(noting({}, "slow", 3))
      end)
      turns(1)
      parent:cancel("outside")
      group:cancel()
      assert.equal("outside", caught(await, parent).message)
      -- of the task itself, which does not suspend any more
      parent = create_task(co(function()
        local g <close> = asyncio.TaskGroup()
        asyncio.current_task():cancel("own")
        g:cancel()
      end))
      assert.equal("own", caught(await, parent).message)
      assert.is_true(parent:cancelled())
    end)
  end)

  it("TG-21 siblings are cancelled in the order of their creation", function()
    main(function()
      for _, why in ipairs{"child", "body", "cancel", "outside"} do
        local order, expected = {}, {}
        local parent = started(function()
          local group <close> = asyncio.TaskGroup()
          for i = 1, 50 do
            group:create_task(noting(order, i))
            if i % 3 == 0 then group:create_task(co(function() end)) end -- ends early
            if why == "child" and i == 25 then group:create_task(failing("boom", 3)) end
            expected[i] = i
          end
          turns(1)
          if why == "body" then error "boom" end
          if why == "cancel" then group:cancel() end
        end)
        turns(2)
        if why == "outside" then parent:cancel() end
        asyncio.catch(await, parent)
        assert.same(expected, order, why)
      end
    end)
  end)

  it("TG-22 KeyboardInterrupt from the body comes out bare, after the children", function()
    main(function()
      local order = {}
      local ctrl = asyncio.KeyboardInterrupt("ctrl")
      local err = in_group(function(group)
        group:create_task(noting(order, "child", 3))
        turns(1)
        error(ctrl)
      end)
      assert.equal(ctrl, err)
      assert.same({"child"}, order)
    end)
  end)

  it("TG-22 KeyboardInterrupt from the body wins over a child's error", function()
    main(function()
      local ctrl = asyncio.KeyboardInterrupt("ctrl")
      local task = create_task(co(function()
        local err = in_group(function(group)
          group:create_task(failing("boom"))
          caught(await, sleep(1000))
          error(ctrl)
        end)
        assert.equal(ctrl, err)
        return "end"
      end))
      assert.equal("end", await(task))
    end)
  end)

  it("TG-22 Ctrl-C while the block waits: children clean up, then run raises", function()
    local result = program.run_script(([[
      local asyncio = require "asyncio"
      print(asyncio.catch(run, async(function()
        local group <close> = asyncio.TaskGroup()
        group:create_task(async(function()
          local _ <close> = setmetatable({}, {__close = function()
            for _ = 1, 3 do await(sleep(0)) end
            print "child cleaned up"
          end})
          await(sleep(1000))
        end)())
        group:create_task(async(function()
          await(sleep(0))
          %s
        end)())
      end)()))
    ]]):format(program.INTERRUPT), {timeout = 30})
    assert.same({stdout = "child cleaned up\nfalse\tKeyboardInterrupt\n", stderr = "", code = 0},
      result)
  end)

  it("TG-22 KeyboardInterrupt from a child ends the run; siblings clean up", function()
    local order = {}
    local ctrl = asyncio.KeyboardInterrupt("ctrl")
    assert.equal(ctrl, caught(main, function()
      local group <close> = asyncio.TaskGroup()
      group:create_task(noting(order, "sibling", 2))
      group:create_task(failing(ctrl, 2))
    end))
    assert.same({"sibling"}, order)
  end)
end)
