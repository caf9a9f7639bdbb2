-- taskgroup_error_spec.lua: a task group whose children or body fail: who is
-- cancelled, and what the block raises.

local asyncio = require "asyncio"
local scopes = require "scopes"
local tasks = require "tasks"

local at_end, caught, co, is_a = tasks.at_end, tasks.caught, tasks.co, tasks.is_a
local main, started, turns = tasks.main, tasks.started, tasks.turns
local cancelling, failing, in_group = scopes.cancelling, scopes.failing, scopes.in_group
local noting, values = scopes.noting, scopes.values

describe("TaskGroup", function()
  it("TG-03 a child fails: siblings and body are cancelled, the error comes after", function()
    main(function()
      local order = {}
      local sibling
      local err = in_group(function(group)
        group:create_task(failing("boom", 2))
        sibling = group:create_task(noting(order, "sibling", 3))
        local _ <close> = at_end(function(_, e)
          is_a("CancelledError", e)
          turns(1)
          order[#order + 1] = "body"
        end)
        await(sleep(1000))
        order[#order + 1] = "never"
      end)
      assert.same({"body", "sibling"}, order)
      assert.same({"boom"}, values(err))
      assert.is_true(sibling:cancelled())
      assert.equal("ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)",
        tostring(err))
    end)
  end)

  it("TG-03 a child fails while the block waits: siblings are cancelled", function()
    main(function()
      local order = {}
      local err = in_group(function(group)
        group:create_task(noting(order, "first"))
        group:create_task(failing("boom", 3))
        group:create_task(noting(order, "second"))
      end)
      assert.same({"boom"}, values(err))
      assert.same({"first", "second"}, order)
    end)
  end)

  it("TG-03 a child that was not started is cancelled without running", function()
    main(function()
      local ran = false
      local err = in_group(function(group)
        group:create_task(failing("boom"))
        await(sleep(0))
        group:create_task(co(function() ran = true end))
        await(sleep(1000))
      end)
      assert.same({"boom"}, values(err))
      assert.is_false(ran)
    end)
  end)

  it("TG-03 the body awaits the child that fails: CancelledError there, one error", function()
    main(function()
      local inside
      local err = in_group(function(group)
        local child = group:create_task(failing("boom", 1))
        inside = caught(await, child)
        error(inside, 0)
      end)
      is_a("CancelledError", inside)
      assert.same({"boom"}, values(err))
    end)
  end)

  it("TG-03 pcall in the body does not keep it from being cancelled", function()
    main(function()
      local err = in_group(function(group)
        group:create_task(failing("boom"))
        while true do
          pcall(await, sleep(0))
        end
      end)
      assert.same({"boom"}, values(err))
    end)
  end)

  it("TG-03 an error of every type is in the group error", function()
    main(function()
      local raised = {"text", "", 5, true, false, {}, print, io.stdout,
        asyncio.Exception("boom"), asyncio.TimeoutError()}
      for _, value in ipairs(raised) do
        assert.is_true(rawequal(value, values(in_group(function(group)
          group:create_task(failing(value, 1))
        end))[1]))
      end
      local err = in_group(function(group) group:create_task(failing(nil, 1)) end)
      is_a("ExceptionGroup", err)
      assert.equal(1, #err.exceptions)
      is_a("Exception", err.exceptions[1])
      assert.is_nil(err.exceptions[1].value)
    end)
  end)

  it("TG-04 after the group error was caught the parent is clean", function()
    main(function()
      local this = asyncio.current_task()
      for _, n in ipairs{0, 1, 2} do
        is_a("ExceptionGroup", in_group(function(group)
          group:create_task(failing("boom", n))
        end))
        assert.equal(0, this:cancelling())
        await(sleep(0))
        is_a("ExceptionGroup", in_group(function(group)
          group:create_task(failing("boom", n))
          await(sleep(1000))
        end))
        assert.equal(0, this:cancelling())
        await(sleep(0.0001))
      end
      -- with pcall as well
      local ok, err = pcall(function()
        local group <close> = asyncio.TaskGroup()
        group:create_task(failing("boom"))
        await(sleep(1000))
      end)
      assert.is_false(ok)
      is_a("ExceptionGroup", err)
    end)
  end)

  it("TG-04 the body ends in the turn in which the child fails: the parent is clean", function()
    main(function()
      local err = in_group(function(group)
        local done = asyncio.Future()
        done:set_result()
        group:create_task(failing("boom"))
        turns(1) -- the child has failed; its callback is ready behind us
        await(done)
      end)
      assert.same({"boom"}, values(err))
      assert.equal(0, cancelling())
      turns(2)
    end)
  end)

  it("TG-05 several errors stand in the order in which they happened", function()
    main(function()
      local function fails_late(value, n)
        return co(function()
          caught(await, sleep(1000))
          turns(n)
          error(value, 0)
        end)
      end
      local err = in_group(function(group)
        group:create_task(fails_late("third", 4))
        group:create_task(noting({}, "left out"))
        group:create_task(failing("first", 2))
        group:create_task(fails_late("second", 1))
        await(sleep(1000))
      end)
      assert.same({"first", "second", "third"}, values(err))
      assert.equal("ExceptionGroup: unhandled errors in a TaskGroup (3 sub-exceptions)",
        tostring(err))
      -- in one turn: in the order of the turn
      assert.same({1, 2, 3}, values(in_group(function(group)
        for i = 1, 3 do group:create_task(failing(i)) end
      end)))
    end)
  end)

  it("TG-05 the body fails in its cleanup: its error is the last", function()
    main(function()
      assert.same({"child", "body"}, values(in_group(function(group)
        group:create_task(failing("child", 1))
        caught(await, sleep(1000))
        error("body", 0)
      end)))
    end)
  end)

  it("TG-05 errors of the group have their traceback", function()
    main(function()
      local err = in_group(function(group)
        group:create_task(co(function() error "boom" end))
      end)
      assert.matches("taskgroup_error_spec.lua:%d+: in async function", err.exceptions[1].traceback)
    end)
  end)

  it("TG-06 the body fails: children are cancelled, its error is inside", function()
    main(function()
      for _, n in ipairs{0, 2} do
        local order, one = {}, nil
        local err = in_group(function(group)
          one = group:create_task(noting(order, "one"))
          group:create_task(noting(order, "two"))
          turns(n)
          order[#order + 1] = "body"
          error("boom", 0)
        end)
        assert.same({"boom"}, values(err))
        assert.is_true(one:cancelled())
        assert.same(n == 0 and {"body"} or {"body", "one", "two"}, order)
        assert.equal(0, cancelling())
      end
    end)
  end)

  it("TG-06 an error of the body, of every type, also in an empty group", function()
    main(function()
      for _, value in ipairs{"text", "", 5, true, false, {}, print, io.stdout,
        asyncio.Exception("boom"), asyncio.TimeoutError()} do
        local err = in_group(function() error(value, 0) end)
        assert.is_true(rawequal(value, values(err)[1]))
        assert.equal(1, #err.exceptions)
      end
    end)
  end)

  it("TG-06 the body fails and children fail in their cleanup: the body's is the last", function()
    main(function()
      assert.same({"one", "two", "body"}, values(in_group(function(group)
        for _, name in ipairs{"one", "two"} do
          group:create_task(co(function()
            caught(await, sleep(1000))
            error(name, 0)
          end))
        end
        turns(1)
        error("body", 0)
      end)))
    end)
  end)

  it("TG-07 a child cancelled by hand: no error, siblings go on", function()
    main(function()
      local one, two
      do
        local group <close> = asyncio.TaskGroup()
        one = group:create_task(sleep(1000))
        two = group:create_task(co(function()
          turns(4)
          return 11
        end))
        turns(1)
        one:cancel()
      end
      assert.is_true(one:cancelled())
      assert.equal(11, two:result())
      assert.equal(0, cancelling())
      do -- before its first step
        local group <close> = asyncio.TaskGroup()
        one = group:create_task(sleep(1000))
        one:cancel()
      end
      assert.is_true(one:cancelled())
    end)
  end)

  it("TG-07 a child that raises CancelledError itself: no error, siblings go on", function()
    main(function()
      local two
      do
        local group <close> = asyncio.TaskGroup()
        group:create_task(failing(asyncio.CancelledError("own")))
        two = group:create_task(sleep(0.001, "value"))
      end
      assert.equal("value", two:result())
    end)
  end)

  it("TG-07 the body awaits a child cancelled by hand: siblings are cancelled, too", function()
    main(function()
      local sibling
      local err = in_group(function(group)
        local child = group:create_task(sleep(1000))
        sibling = group:create_task(sleep(1000))
        asyncio.call_soon(child.cancel, child, "by hand")
        await(child)
      end)
      is_a("CancelledError", err)
      assert.equal("by hand", err.message)
      assert.is_true(sibling:cancelled())
      assert.equal(0, cancelling())
    end)
  end)

  it("TG-09 the parent is cancelled and a child fails in its cleanup: group error", function()
    main(function()
      for _, where in ipairs{"in the body", "at the end"} do
        local parent = started(function()
          local group <close> = asyncio.TaskGroup()
          for i = 1, 3 do
            group:create_task(co(function()
              local _ <close> = at_end(function() error(i, 0) end)
              await(sleep(1000))
            end))
          end
          if where == "in the body" then await(sleep(1000)) end
        end)
        turns(1)
        parent:cancel()
        assert.same({1, 2, 3}, values(caught(await, parent)))
        assert.is_false(parent:cancelled())
      end
    end)
  end)

  it("TG-09 a child fails while the cancelled body cleans up: group error", function()
    main(function()
      for _, between in ipairs{false, true} do
        local child_fails = asyncio.Future()
        local function nested()
          local group <close> = asyncio.TaskGroup()
          group:create_task(co(function()
            await(child_fails)
            error("boom", 0)
          end))
          local _ <close> = at_end(function()
            child_fails:set_result()
            caught(await, sleep(1000)) -- cut by the group
          end)
          await(sleep(1000))
        end
        local parent = started(function()
          if between then await(create_task(co(nested))) else nested() end
        end)
        turns(2)
        parent:cancel()
        assert.same({"boom"}, values(caught(await, parent)))
      end
    end)
  end)

  it("TG-09 the body turns the cancellation into an error: group error", function()
    main(function()
      local parent = started(function()
        local _ <close> = asyncio.TaskGroup()
        caught(await, sleep(1000))
        error("weird", 0)
      end)
      parent:cancel()
      assert.same({"weird"}, values(caught(await, parent)))
    end)
  end)

  it("TG-09 group error, and the outside cancellation still strikes at the next await", function()
    main(function()
      local parent = started(function()
        is_a("ExceptionGroup", in_group(function(group)
          group:create_task(co(function()
            caught(await, sleep(1000))
            error "boom"
          end))
          await(sleep(1000))
        end))
        assert.equal(1, cancelling())
        await(sleep(0))
        return "lost"
      end)
      turns(1)
      parent:cancel()
      is_a("CancelledError", caught(await, parent))
      assert.is_true(parent:cancelled())
    end)
  end)

  it("TG-13 the body swallows the group's cancellation: group error, no request left", function()
    main(function()
      local went_on = false
      local err = in_group(function(group)
        group:create_task(failing("boom"))
        is_a("CancelledError", caught(await, sleep(1000)))
        assert.equal(1, cancelling())
        await(sleep(0))
        went_on = true
      end)
      assert.same({"boom"}, values(err))
      assert.is_true(went_on)
      assert.equal(0, cancelling())
      await(sleep(0))
    end)
  end)

  it("TG-13 a to-be-closed variable of the body raises instead: both errors", function()
    main(function()
      local err = in_group(function(group)
        local _ <close> = at_end(function() error("database", 0) end)
        group:create_task(failing("child"))
        await(sleep(1000))
      end)
      assert.same({"child", "database"}, values(err))
      assert.equal(0, cancelling())
    end)
  end)
end)
