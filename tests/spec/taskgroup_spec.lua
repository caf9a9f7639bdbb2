-- taskgroup_spec.lua: asyncio.TaskGroup: what its block waits for, what it
-- takes, one in the other. What it raises: taskgroup_error_spec.lua; how it ends
-- before its time: taskgroup_cancel_spec.lua; misuse and size:
-- taskgroup_misuse_spec.lua.

local asyncio = require "asyncio"
local program = require "program"
local scopes = require "scopes"
local tasks = require "tasks"

local caught, co, is_a, main = tasks.caught, tasks.co, tasks.is_a, tasks.main
local refused, started, turns = tasks.refused, tasks.started, tasks.turns
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

  it("TG-11 refuses a task when its last child has ended, though the block waits still", function()
    local result = program.run_script [[
      local asyncio = require "asyncio"
      run(async(function()
        local group <close> = asyncio.TaskGroup()
        group:create_task(sleep(0)):add_done_callback(function()
          print(pcall(group.create_task, group, sleep(0)))
        end)
      end)())]]
    assert.are.same({code = 0, stderr = "",
      stdout = "false\tTaskGroup.create_task: the group is finished\n"}, result)
  end)
end)
