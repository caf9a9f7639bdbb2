-- taskgroup_spec.lua: asyncio.TaskGroup: what its block waits for, what it
-- raises, what it takes. How it ends before its time:
-- taskgroup_cancel_spec.lua; misuse and size: taskgroup_misuse_spec.lua.

local asyncio = require "asyncio"
local program = require "program"
local scopes = require "scopes"
local tasks = require "tasks"

local at_end, caught, co, is_a = tasks.at_end, tasks.caught, tasks.co, tasks.is_a
local main, refused, started, turns = tasks.main, tasks.refused, tasks.started, tasks.turns
local cancelling, failing, in_group = scopes.cancelling, scopes.failing, scopes.in_group
local noting, values = scopes.noting, scopes.values

describe("TaskGroup", function()
  it("TG-01 the end of the block waits for all children", function()
    main(function()
      local one, two
      do
        local group <close> = asyncio.TaskGroup()
        one = group:create_task(sleep(0.001, 42))
        two = group:create_task(co(function()
          turns(5)
          return 11, nil, 12
        end))
        assert.is_false(one:done())
      end
      assert.is_true(one:done() and two:done())
      assert.equal(42, one:result())
      assert.same({11, nil, 12, n = 3}, table.pack(two:result()))
    end)
  end)

  it("TG-01 also for those that children, or other tasks, add meanwhile", function()
    main(function()
      local order = {}
      local outsider
      do
        local group <close> = asyncio.TaskGroup()
        local function tree(depth)
          await(sleep(0))
          if depth > 0 then
            group:create_task(co(tree, depth - 1))
            group:create_task(co(tree, depth - 1))
          end
          order[#order + 1] = depth
        end
        group:create_task(co(tree, 4))
        outsider = create_task(co(function()
          turns(3)
          group:create_task(sleep(0.001, "added"))
          order[#order + 1] = "outsider"
        end))
      end
      assert.is_true(outsider:done())
      assert.equal(32, #order)
    end)
  end)

  it("TG-01 body and children take turns in the order of creation", function()
    main(function()
      local order = {}
      do
        local group <close> = asyncio.TaskGroup()
        for i = 1, 3 do
          group:create_task(co(function()
            for _ = 1, 2 do
              order[#order + 1] = i
              await(sleep(0))
            end
          end))
        end
        order[#order + 1] = "body"
        await(sleep(0))
        order[#order + 1] = "body"
      end
      assert.same({"body", 1, 2, 3, "body", 1, 2, 3}, order)
    end)
  end)

  it("TG-01 results of the block go out after the children have ended", function()
    main(function()
      local ended = false
      local function with_group()
        local group <close> = asyncio.TaskGroup()
        group:create_task(co(function()
          turns(3)
          ended = true
        end))
        return 1, nil, 3, nil
      end
      assert.same({1, nil, 3, nil, n = 4}, table.pack(with_group()))
      assert.is_true(ended)
    end)
  end)

  it("TG-02 an empty group is fine and needs no suspension", function()
    main(function()
      local ran = false
      asyncio.call_soon(function() ran = true end)
      for _ = 1, 3 do
        local _ <close> = asyncio.TaskGroup()
      end
      assert.is_false(ran)
      await(sleep(0))
      do -- one whose children have ended, likewise
        local group <close> = asyncio.TaskGroup()
        group:create_task(co(function() end))
        turns(3)
        ran = false
        asyncio.call_soon(function() ran = true end)
      end
      assert.is_false(ran)
    end)
  end)

  it("TG-02 an empty group passes on what strikes its body", function()
    main(function()
      local task = started(function()
        local _ <close> = asyncio.TaskGroup()
        await(sleep(1000))
      end)
      task:cancel("real")
      assert.equal("real", caught(await, task).message)
      assert.is_true(task:cancelled())
    end)
  end)

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
      assert.matches("taskgroup_spec.lua:%d+: in async function", err.exceptions[1].traceback)
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

  it("TG-10 nested: the inner group error is a group in a group", function()
    main(function()
      local err = in_group(function(outer)
        outer:create_task(sleep(1000))
        local inner <close> = asyncio.TaskGroup()
        inner:create_task(failing("boom", 1))
      end)
      is_a("ExceptionGroup", err)
      assert.equal(1, #err.exceptions)
      assert.same({"boom"}, values(err.exceptions[1]))
      assert.equal(0, cancelling())
    end)
  end)

  it("TG-10 nested: an outer failure cancels the inner group cleanly", function()
    main(function()
      for _, wait_in_body in ipairs{true, false} do
        local order = {}
        local err = in_group(function(outer)
          outer:create_task(failing("boom", 2))
          outer:create_task(noting(order, "outer"))
          local inner_err = in_group(function(inner)
            inner:create_task(noting(order, "inner"))
            if wait_in_body then await(sleep(1000)) end
          end)
          is_a("CancelledError", inner_err)
          order[#order + 1] = "between"
          error(inner_err, 0)
        end)
        assert.same({"boom"}, values(err))
        -- the outer's child was cancelled first, then the parent
        assert.same({"outer", "inner", "between"}, order)
        assert.equal(0, cancelling())
      end
    end)
  end)

  it("TG-10 nested: cancelled, children of the inner fail: a group in a group", function()
    main(function()
      for _, outer_child in ipairs{false, true} do
        local parent = started(function()
          local outer <close> = asyncio.TaskGroup()
          if outer_child then outer:create_task(sleep(1000)) end
          local inner <close> = asyncio.TaskGroup()
          for i = 1, 5 do
            inner:create_task(co(function()
              caught(await, sleep(1000))
              error(i, 0)
            end))
          end
          await(sleep(1000))
        end)
        turns(1)
        parent:cancel()
        local err = caught(await, parent)
        is_a("ExceptionGroup", err)
        assert.equal(1, #err.exceptions)
        assert.same({1, 2, 3, 4, 5}, values(err.exceptions[1]))
      end
    end)
  end)

  it("TG-10 nested in a child: the group of the child is cancelled with it", function()
    main(function()
      local order = {}
      local err = in_group(function(outer)
        outer:create_task(co(function()
          local inner <close> = asyncio.TaskGroup()
          inner:create_task(noting(order, "grandchild"))
        end))
        outer:create_task(failing("boom", 3))
      end)
      assert.same({"boom"}, values(err))
      assert.same({"grandchild"}, order)
    end)
  end)

  it("TG-11 create_task after the end: usage error; the coroutine is closed", function()
    local result = program.run_script([[
      local asyncio = require "asyncio"
      local never = async(function() print "started" end)
      run(async(function()
        local group
        do
          local g <close> = asyncio.TaskGroup()
          group = g
        end
        print(pcall(function()
          local task = group:create_task(never())
          return task
        end))
        await(sleep(0))
        collectgarbage()
      end)())
      collectgarbage()
    ]])
    assert.same({stderr = "", code = 0,
      stdout = "false\tscript.lua:10: TaskGroup.create_task: the group is finished\n"}, result)
  end)

  it("TG-11 create_task after an end by error or cancellation: the same", function()
    main(function()
      local group
      for _, value in ipairs{"boom", asyncio.CancelledError()} do
        in_group(function(g)
          group = g
          error(value, 0)
        end)
        assert.matches("finished", refused(function()
          local task = group:create_task(sleep(0))
          return task
        end))
      end
    end)
  end)

  it("TG-12 create_task while the group is shutting down: usage error, closed", function()
    local result = program.run_script([[
      local asyncio = require "asyncio"
      local never = async(function() print "started" end)
      run(async(function()
        local ok, err = pcall(function()
          local group <close> = asyncio.TaskGroup()
          group:create_task(async(function()
            asyncio.catch(await, sleep(1000))
            print(pcall(function()
              local task = group:create_task(never())
              return task
            end))
          end)())
          group:create_task(async(function() error("boom", 0) end)())
        end)
        print(ok, err, err.exceptions[1].value)
        collectgarbage()
      end)())
    ]])
    assert.same({stderr = "", code = 0,
      stdout = "false\tscript.lua:9: TaskGroup.create_task: the group is shutting down\n"
      .. "false\tExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)\tboom\n"},
      result)
  end)

  it("TG-12 children that make children stop when one fails", function()
    main(function()
      local heads = 0
      local err = in_group(function(group)
        local function hydra()
          heads = heads + 1
          await(sleep(0))
          group:create_task(co(hydra))
          group:create_task(co(hydra))
        end
        group:create_task(co(hydra))
        group:create_task(co(function()
          while heads < 100 do await(sleep(0)) end
          error("hercules", 0)
        end))
      end)
      assert.same({"hercules"}, values(err))
      assert.is_true(heads >= 100)
      assert.equal(1, #asyncio.all_tasks())
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
