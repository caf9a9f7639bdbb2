-- taskgroup_misuse_spec.lua: asyncio.TaskGroup used wrongly, in odd places,
-- and with very many children.

local asyncio = require "asyncio"
local program = require "program"
local scopes = require "scopes"
local tasks = require "tasks"

local at_end, caught, co, is_a = tasks.at_end, tasks.caught, tasks.co, tasks.is_a
local main, refused, started, turns = tasks.main, tasks.refused, tasks.started, tasks.turns
local cancelling, failing, in_group = scopes.cancelling, scopes.failing, scopes.in_group
local noting, values = scopes.noting, scopes.values

-- Asserts that a list is 1, 2 ... n.
local function assert_counts(list, n)
  assert.equal(n, #list)
  local ordered = true
  for i = 1, n do ordered = ordered and list[i] == i end
  assert.is_true(ordered)
end

describe("TaskGroup", function()
  it("gives a child its name and the options of create_task", function()
    main(function()
      local group <close> = asyncio.TaskGroup()
      local child = group:create_task(sleep(0, "value"), {name = "yolo"})
      assert.equal("yolo", child:get_name())
      assert.equal("value", await(child))
    end)
  end)

  it("tells its state by tostring", function()
    main(function()
      local group
      local err = caught(function()
        local g <close> = asyncio.TaskGroup()
        group = g
        assert.matches("^<TaskGroup", tostring(g))
        assert.not_matches("tasks", tostring(g))
        g:create_task(noting({}, "child", 5))
        g:create_task(failing("boom"))
        assert.matches("tasks=2", tostring(g))
        assert.not_matches("cancelling", tostring(g))
        caught(await, sleep(1000))
        assert.matches("tasks=1 errors=1 cancelling", tostring(g))
      end)
      is_a("ExceptionGroup", err)
      assert.not_matches("tasks", tostring(group))
      assert.matches("^<TaskGroup.*>$", tostring(group))
      assert.not_equal("<TaskGroup>", tostring(group))
    end)
  end)

  it("create_task of what is no coroutine object is a usage error at the caller", function()
    main(function()
      local group <close> = asyncio.TaskGroup()
      for _, wrong in ipairs{5, "text", true, false, {}, print, async(print), asyncio.Future()} do
        assert.matches("create_task: ", refused(function()
          local task = group:create_task(wrong)
          return task
        end))
      end
      local used = co(function() end)
      await(used)
      assert.matches("again", refused(function()
        local task = group:create_task(used)
        return task
      end))
      assert.matches("create_task: ", refused(function()
        local task = group:create_task()
        return task
      end))
      assert.equal(1, #asyncio.all_tasks())
    end)
  end)

  it("a method called with a dot is a usage error at the caller", function()
    main(function()
      local group <close> = asyncio.TaskGroup()
      local create, cancel = group.create_task, group.cancel
      assert.matches("group:create_task", refused(function()
        local task = create(5)
        return task
      end))
      assert.matches("group:cancel", refused(function()
        local nothing = cancel()
        return nothing
      end))
      assert.matches("group:cancel", refused(function()
        local nothing = cancel(asyncio.Future())
        return nothing
      end))
    end)
  end)

  it("a refused child leaves the group as it was", function()
    main(function()
      local child
      do
        local group <close> = asyncio.TaskGroup()
        child = group:create_task(sleep(0, "value"))
        pcall(group.create_task, group, 5)
      end
      assert.equal("value", child:result())
    end)
  end)

  it("in a generator that is run to its end: the generator's consumer waits", function()
    main(function()
      local order = {}
      for item in coroutine.wrap(function()
        local group <close> = asyncio.TaskGroup()
        group:create_task(co(function()
          turns(3)
          order[#order + 1] = "child"
        end))
        coroutine.yield "item"
      end) do
        order[#order + 1] = item
      end
      order[#order + 1] = "after"
      assert.same({"item", "child", "after"}, order)
    end)
  end)

  it("in a generator that is closed, where it cannot wait: an error; no child lives on", function()
    main(function()
      local order, child = {}, nil
      local generator = coroutine.create(function()
        local group <close> = asyncio.TaskGroup()
        child = group:create_task(noting(order, "child"))
        coroutine.yield()
      end)
      assert(coroutine.resume(generator))
      turns(1)
      local ok, err = coroutine.close(generator)
      assert.is_false(ok)
      assert.matches("await", err)
      turns(2)
      assert.is_true(child:cancelled())
      assert.same({"child"}, order)
    end)
  end)

  it("in a generator whose children have ended: coroutine.close is fine", function()
    main(function()
      local generator = coroutine.create(function()
        local group <close> = asyncio.TaskGroup()
        group:create_task(co(function() end))
        coroutine.yield()
      end)
      assert(coroutine.resume(generator))
      turns(2)
      assert.is_true(coroutine.close(generator))
    end)
  end)

  it("in a generator that is closed: a child's error strikes nobody and is reported", function()
    local result = program.run_script([[
      local asyncio = require "asyncio"
      run(async(function()
        local generator = coroutine.create(function()
          local group <close> = asyncio.TaskGroup()
          group:create_task(async(function()
            for _ = 1, 2 do asyncio.catch(await, sleep(0)) end
            error("boom", 0)
          end)())
          coroutine.yield()
        end)
        coroutine.resume(generator)
        await(sleep(0))
        print((coroutine.close(generator)))
        for _ = 1, 5 do await(sleep(0)) end
        print(asyncio.current_task():cancelling())
      end)())
      collectgarbage()
    ]])
    assert.equal("false\n0\n", result.stdout)
    assert.matches("boom", result.stderr)
    assert.equal(0, result.code)
  end)

  it("in a generator that fails: its consumer gets the group error", function()
    main(function()
      local order = {}
      local generator = coroutine.wrap(function()
        local group <close> = asyncio.TaskGroup()
        group:create_task(noting(order, "child"))
        coroutine.yield()
        error("boom", 0)
      end)
      generator()
      turns(1)
      assert.same({"boom"}, values(caught(generator)))
      assert.same({"child"}, order)
    end)
  end)

  it("left by another task: that one waits for the children", function()
    main(function()
      local order, group = {}, nil
      local maker = started(function()
        group = asyncio.TaskGroup()
        group:create_task(co(function()
          turns(6)
          order[#order + 1] = "child"
        end))
        await(sleep(0.05))
        return "undisturbed"
      end)
      await(create_task(co(function()
        local _ <close> = group
      end)))
      order[#order + 1] = "left"
      assert.same({"child", "left"}, order)
      assert.equal("undisturbed", await(maker))
    end)
  end)

  it("never left: its children run on, and an error in one is reported", function()
    local result = program.run_script([[
      local asyncio = require "asyncio"
      run(async(function()
        await(create_task(async(function()
          local group = asyncio.TaskGroup() -- <close> forgotten
          group:create_task(async(function()
            for _ = 1, 3 do await(sleep(0)) end
            print "child"
            error("boom", 0)
          end)())
        end)()))
        for _ = 1, 5 do await(sleep(0)) end
        print "main"
      end)())
      collectgarbage()
    ]])
    assert.equal("child\nmain\n", result.stdout)
    assert.matches("boom", result.stderr)
    assert.equal(0, result.code)
  end)

  it("an error of a variable in the block: in the group error, children cancelled", function()
    main(function()
      local order = {}
      assert.same({"cleanup"}, values(in_group(function(group)
        local _ <close> = at_end(function()
          order[#order + 1] = "cleanup"
          error("cleanup", 0)
        end)
        group:create_task(noting(order, "child"))
        await(sleep(0))
      end)))
      assert.same({"cleanup", "child"}, order)
    end)
  end)

  it("variables around the group are closed after its children have ended", function()
    main(function()
      local order = {}
      is_a("ExceptionGroup", caught(function()
        local _ <close> = at_end(function(_, err)
          is_a("ExceptionGroup", err)
          order[#order + 1] = "outside"
        end)
        local group <close> = asyncio.TaskGroup()
        group:create_task(noting(order, "child", 2))
        turns(1)
        error "boom"
      end))
      assert.same({"child", "outside"}, order)
    end)
  end)

  it("break, goto and return wait for the children", function()
    main(function()
      local ended = 0
      local function child()
        turns(2)
        ended = ended + 1
      end
      for i = 1, 2 do
        local group <close> = asyncio.TaskGroup()
        group:create_task(co(child))
        if i == 2 then break end
      end
      assert.equal(2, ended)
      do
        local group <close> = asyncio.TaskGroup()
        group:create_task(co(child))
        goto out
      end
      ::out::
      assert.equal(3, ended)
    end)
  end)

  it("a child that awaits its parent: a deadlock is reported, also when cancelled", function()
    for _, cancel in ipairs{"", "parent:cancel()"} do
      local result = program.run_script(([[
        local asyncio = require "asyncio"
        run(async(function()
          local parent
          parent = create_task(async(function()
            local group <close> = asyncio.TaskGroup()
            group:create_task(async(function() await(parent) end)())
          end)(), {name = "parent"})
          for _ = 1, 3 do await(sleep(0)) end
          %s
          await(parent)
        end)())
      ]]):format(cancel), {timeout = 30})
      assert.equal(1, result.code)
      assert.matches("deadlock", result.stderr)
      assert.matches("'parent'", result.stderr, 1, true)
    end
  end)

  it("a child that cancels its parent and ends", function()
    main(function()
      local parent
      parent = create_task(co(function()
        local group <close> = asyncio.TaskGroup()
        group:create_task(co(function() parent:cancel("by child") end))
      end))
      assert.equal("by child", caught(await, parent).message)
      assert.is_true(parent:cancelled())
    end)
  end)

  it("the same error object raised by child and body stands twice", function()
    main(function()
      local boom = asyncio.Exception("boom")
      local err = in_group(function(group)
        group:create_task(failing(boom))
        caught(await, sleep(1000))
        error(boom)
      end)
      assert.equal(2, #err.exceptions)
      assert.equal(boom, err.exceptions[1])
      assert.equal(boom, err.exceptions[2])
    end)
  end)

  it("a hundred nested ones: an outer failure ends them all, the body's error comes out", function()
    main(function()
      local depth, ended = 100, 0
      local function nested(n)
        local group <close> = asyncio.TaskGroup()
        group:create_task(co(function()
          local _ <close> = at_end(function() ended = ended + 1 end)
          await(sleep(1000))
        end))
        if n > 1 then nested(n - 1) else await(sleep(1000)) end
      end
      assert.same({"boom"}, values(in_group(function(group)
        group:create_task(failing("boom", 2))
        nested(depth)
      end)))
      assert.equal(depth, ended)
      assert.equal(0, cancelling())
    end)
  end)

  it("a hundred nested ones that all fail: a group in a group, a hundred deep", function()
    main(function()
      local function nested(n)
        local _ <close> = asyncio.TaskGroup()
        if n == 1 then error("innermost", 0) end
        nested(n - 1)
      end
      local err = caught(nested, 100)
      for _ = 1, 99 do
        is_a("ExceptionGroup", err)
        assert.equal(1, #err.exceptions)
        err = err.exceptions[1]
      end
      assert.same({"innermost"}, values(err))
    end)
  end)

  it("ten thousand children: all are waited for", function()
    main(function()
      local ended = 0
      do
        local group <close> = asyncio.TaskGroup()
        for i = 1, 10000 do
          group:create_task(co(function()
            turns(i % 5)
            ended = ended + 1
          end))
        end
      end
      assert.equal(10000, ended)
    end)
  end)

  it("ten thousand children, one fails: the others end once, in order", function()
    main(function()
      local order = {}
      assert.same({"boom"}, values(in_group(function(group)
        for i = 1, 10000 do
          group:create_task(noting(order, i))
          if i == 5000 then group:create_task(failing("boom", 1)) end
        end
      end)))
      assert_counts(order, 10000)
    end)
  end)

  it("ten thousand children that all fail: ten thousand errors, in order", function()
    main(function()
      local list = values(in_group(function(group)
        for i = 1, 10000 do group:create_task(failing(i)) end
      end))
      assert_counts(list, 10000)
    end)
  end)

  it("ten thousand children one after the other in one group: nothing is kept of them", function()
    main(function()
      local group <close> = asyncio.TaskGroup()
      local function storm(n)
        for i = 1, n do
          group:create_task(co(function() end))
          if i % 100 == 0 then turns(3) end
        end
      end
      storm(1000)
      tasks.assert_no_growth(50000, function() storm(10000) end, 1, 0)
      assert.not_matches("tasks=", tostring(group))
    end)
  end)

  it("a thousand groups at once, cancelled at once", function()
    main(function()
      local ended, parents = 0, {}
      for i = 1, 1000 do
        parents[i] = create_task(co(function()
          local group <close> = asyncio.TaskGroup()
          for _ = 1, 3 do
            group:create_task(co(function()
              local _ <close> = at_end(function() ended = ended + 1 end)
              await(sleep(1000))
            end))
          end
        end))
      end
      turns(3)
      for _, parent in ipairs(parents) do parent:cancel() end
      for _, parent in ipairs(parents) do is_a("CancelledError", caught(await, parent)) end
      assert.equal(3000, ended)
    end)
  end)

  it("a storm of cancels at parent, children and group: everything ends once", function()
    main(function()
      local ended, children = 0, {}
      local group
      local parent = started(function()
        local g <close> = asyncio.TaskGroup()
        group = g
        for i = 1, 50 do
          children[i] = g:create_task(co(function()
            local _ <close> = at_end(function()
              ended = ended + 1
              asyncio.catch(turns, 3)
            end)
            await(sleep(1000))
          end))
        end
        await(sleep(1000))
      end)
      turns(1)
      for _ = 1, 10 do
        for _, child in ipairs(children) do child:cancel() end
        group:cancel()
        parent:cancel()
        turns(1)
      end
      is_a("CancelledError", caught(await, parent))
      assert.equal(50, ended)
      for _, child in ipairs(children) do assert.is_true(child:done()) end
    end)
  end)

  it("is not retained after its block, nor are its children and errors", function()
    main(function()
      local weak = setmetatable({}, {__mode = "k"})
      local function storm()
        for _ = 1, 200 do
          pcall(function()
            local group <close> = asyncio.TaskGroup()
            weak[group] = true
            weak[group:create_task(sleep(1000))] = true
            weak[group:create_task(failing("boom"))] = true
          end)
        end
      end
      storm()
      turns(2)
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
    end)
  end)

  it("is not retained by a child that has ended", function()
    main(function()
      local weak, child = setmetatable({}, {__mode = "k"}), nil
      pcall(function()
        local group <close> = asyncio.TaskGroup()
        weak[group] = true
        child = group:create_task(co(function() return 1 end))
      end)
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
      assert.equal(1, child:result())
    end)
  end)

  it("loses the children that end with the run, in whichever turn", function()
    for rounds = 0, 3 do
      for child_rounds = 0, 3 do
        local group
        main(function()
          group = asyncio.TaskGroup() -- never left
          for _ = 1, 3 do group:create_task(co(turns, child_rounds)) end
          turns(rounds)
        end)
        collectgarbage()
        assert.equal("<TaskGroup>", tostring(group))
      end
    end
  end)

  it("at the end of run: main fails with a group open in a task; all is cleaned up", function()
    local order = {}
    assert.equal("main", caught(main, function()
      started(function()
        local _ <close> = at_end(function() order[#order + 1] = "parent" end)
        local group <close> = asyncio.TaskGroup()
        group:create_task(noting(order, "child", 2))
      end)
      turns(1)
      error("main", 0)
    end))
    assert.same({"child", "parent"}, order)
  end)

  it("a child that never ends: a deadlock is reported, and told by name", function()
    local err = caught(main, function()
      local group <close> = asyncio.TaskGroup()
      group:create_task(co(function() await(asyncio.Future()) end), {name = "stuck"})
    end)
    assert.matches("deadlock", tostring(err))
    assert.matches("'stuck'", tostring(err), 1, true)
  end)
end)
