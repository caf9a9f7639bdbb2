-- task_report_spec.lua: what is reported of tasks: errors that nobody
-- looks at, callbacks that fail, tracebacks, the stack of a suspended task.

local asyncio = require "asyncio"
local program = require "program"
local tasks = require "tasks"

local co, main = tasks.co, tasks.main

-- Runs `body` as an async function main; what is on stderr. Tasks that
-- ended are collected when it says `collect()`.
local function reports(body)
  local result = program.run_script([[
    local asyncio = require "asyncio"
    local function collect()
      for _ = 1, 3 do
        await(sleep(0))
        collectgarbage()
      end
    end
    local fail = async(function(err) error(err or "boom", 0) end)
    local main = async(function() ]] .. body .. [[ end)
    collect, fail = collect, fail -- used, or not
    print(run(main()))]])
  assert.equal(0, result.code, result.stderr)
  return result.stderr, result.stdout
end

local function count(text, what)
  local n, from = 0, 1
  while true do
    local _, last = text:find(what, from, true)
    if not last then
      return n
    end
    n, from = n + 1, last + 1
  end
end

local NEVER = "Task exception was never retrieved"

describe("the error of a task that nobody looks at", function()
  it("TA-12 is reported once, when the task is collected", function()
    local err, out = reports([[
      create_task(fail())
      collect()
      io.stderr:write("end of main\n")
      return "value"]])
    assert.equal("value\n", out)
    assert.equal(1, count(err, NEVER))
    assert.equal(1, count(err, "future: <Task finished name='Task-2'"))
    assert.matches("boom.*\nend of main\n$", err)
  end)

  it("TA-12 is reported at the end when the task lives until then", function()
    local err, out = reports([[
      held = create_task(fail())
      collect()
      io.stderr:write("end of main\n")
      return "value"]])
    assert.equal("value\n", out)
    assert.equal(1, count(err, NEVER))
    assert.matches("^end of main\n.*boom", err)
  end)

  it("TA-12 is reported with the line that raised it", function()
    local result = program.run_script([[
local function deeper()
  error("deep down")
end
local inner = async(function()
  deeper() -- line 5
  return 1
end)
local outer = async(function()
  await(inner()) -- line 9
  return 1
end)
run(async(function()
  create_task(outer()) -- line 13
  await(sleep(0))
end)())]])
    local text = result.stderr
    assert.matches(NEVER, text, 1, true)
    local _, at = text:find("script.lua:2: deep down", 1, true)
    assert.is_number(at, text)
    for _, line in ipairs{2, 5, 9, 13} do
      local _, last = text:find(("script.lua:%d:"):format(line), at, true)
      if line == 13 then
        _, last = text:find("created at script.lua:13", at, true)
      end
      assert.is_number(last, ("line %d is not shown in its place:\n%s"):format(line, text))
      at = last
    end
    assert.is_nil(text:find("[neap]", 1, true))
  end)

  it("TA-12 stops nothing, whatever its type", function()
    local err, out = reports([[
      local bad = setmetatable({}, {__tostring = function() error("no text") end})
      local odd = setmetatable({}, {__tostring = function() return 5 end})
      for _, value in ipairs{"text", 1.5, {}, true, print, bad, odd,
        coroutine.create(print), io.stdout, asyncio.TimeoutError("slow")} do
        create_task(fail(value))
      end
      create_task(async(function() error() end)())
      collect()
      return "value"]])
    assert.equal("value\n", out)
    assert.equal(11, count(err, NEVER))
    assert.equal(1, count(err, "TimeoutError: slow"))
  end)

  it("TA-12 is reported for a plain future, too", function()
    local err = reports([[
      asyncio.Future():set_exception("boom")
      collect()]])
    assert.equal(1, count(err, "Future exception was never retrieved"))
    assert.equal(1, count(err, "exception='boom'"))
  end)

  it("TA-12 is not reported of a task that was cancelled", function()
    assert.equal("", (reports([[
      create_task(sleep(1000)):cancel()
      local task = create_task(sleep(1000))
      await(sleep(0))
      task:cancel()
      create_task(fail(asyncio.CancelledError()))
      collect()]])))
  end)

  it("TA-14 is seen when exception or result was asked for", function()
    assert.equal("", (reports([[
      local a, b = create_task(fail()), create_task(fail())
      await(sleep(0))
      a:exception()
      pcall(b.result, b)
      a, b = nil, nil
      collect()]])))
  end)

  it("TA-14 is seen when somebody awaited it", function()
    assert.equal("", (reports([[
      pcall(await, create_task(fail()))
      local task = create_task(fail())
      create_task(async(function() pcall(await, task) end)())
      collect()]])))
  end)

  it("TA-14 is seen when gather took it, also too late to matter", function()
    assert.equal("", (reports([[
      pcall(await, gather(fail(), fail(), fail()))
      await(gather{fail(), return_exceptions = true})
      collect()]])))
  end)

  it("TA-14 is seen by a gather, whose own error nobody looks at", function()
    local err = reports([[
      gather(fail(), fail())
      collect()]])
    assert.equal(0, count(err, NEVER))
    assert.equal(1, count(err, "exception was never retrieved"))
  end)

  it("TA-14 is not seen by done, cancelled, tostring or a done callback", function()
    local err = reports([[
      local task = create_task(fail())
      task:add_done_callback(function(t) t:done() t:cancelled() tostring(t) end)
      task = nil
      collect()]])
    assert.equal(1, count(err, NEVER))
  end)

  it("TA-14 awaiting a failed task passes the error on to the awaiter", function()
    local err = reports([[
      local inner = create_task(fail())
      create_task(async(function() await(inner) end)(), {name = "outer"})
      collect()]])
    assert.equal(1, count(err, NEVER))
    assert.matches("name='outer'", err, 1, true)
  end)

  it("TA-15 is seen when the failed task is cancelled", function()
    assert.equal("", (reports([[
      local task = create_task(fail())
      await(sleep(0))
      print(task:cancel())
      task = nil
      collect()]])))
  end)

  it("TA-15 is reported when a cancelled task fails after that", function()
    local err = reports([[
      local task = create_task(async(function()
        asyncio.catch(await, sleep(1000))
        error("failed cleanup", 0)
      end)())
      await(sleep(0))
      task:cancel()
      task = nil
      collect()]])
    assert.equal(1, count(err, NEVER))
    assert.equal(1, count(err, "exception='failed cleanup'"))
  end)

  it("TA-15 a main that nobody awaits is not reported: run raises it", function()
    local result = program.run_script([[
      print(pcall(run, async(function() error("boom", 0) end)()))
      print(pcall(run, async(function() await(sleep(0)) error("bang", 0) end)()))]])
    assert.same({code = 0, stdout = "false\tboom\nfalse\tbang\n", stderr = ""},
      result)
  end)
end)

describe("a callback that fails", function()
  it("TA-09 is reported, and all else goes on", function()
    local err, out = reports([[
      local order = {}
      local task = create_task(async(function() await(sleep(0)) return "value" end)())
      task:add_done_callback(function() order[#order + 1] = "first" end)
      task:add_done_callback(function() error("callback fails", 0) end)
      task:add_done_callback(function() order[#order + 1] = "third" end)
      local value = await(task)
      order[#order + 1] = value
      await(sleep(0))
      return table.concat(order, " ")]])
    assert.equal("first third value\n", out)
    assert.equal(1, count(err, "Exception in callback"))
    assert.equal(1, count(err, "callback fails"))
    assert.equal(1, count(err, "handle: <Handle"))
  end)

  it("TA-09 is reported for call_soon and call_later, with its line", function()
    local result = program.run_script([[
local asyncio = require "asyncio"
local function helper() error("boom") end
local function callback()
  helper() -- line 4
end
print(run(async(function()
  asyncio.call_soon(callback)
  asyncio.call_later(0, callback)
  for _ = 1, 3 do await(sleep(0)) end
  return "value"
end)()))]])
    assert.equal("value\n", result.stdout)
    assert.equal(2, count(result.stderr, "Exception in callback"))
    assert.equal(2, count(result.stderr, "script.lua:2: boom"))
    assert.equal(2, count(result.stderr, "script.lua:4: in "))
  end)

  it("TA-09 may fail with any value, also with CancelledError", function()
    local err, out = reports([[
      local bad = setmetatable({}, {__tostring = function() error("no text") end})
      for _, value in ipairs{"text", 1, {}, true, print, bad,
        asyncio.CancelledError("not for tasks"), asyncio.Exception("mine")} do
        asyncio.call_soon(error, value, 0)
      end
      asyncio.call_soon(error)
      await(sleep(0))
      return "value"]])
    assert.equal("value\n", out)
    assert.equal(9, count(err, "Exception in callback"))
    assert.equal(1, count(err, "CancelledError: not for tasks"))
    assert.equal(1, count(err, "Exception: mine"))
  end)

  it("TA-09 may fail by awaiting, with a message that says so", function()
    local err, out = reports([[
      asyncio.call_soon(function() await(sleep(0)) end)
      asyncio.call_soon(await, async(function() end)())
      await(sleep(0))
      return "value"]])
    assert.equal("value\n", out)
    assert.equal(2, count(err, "await outside a task"))
  end)

  it("TA-09 with KeyboardInterrupt ends run", function()
    local result = program.run_script([[
      local asyncio = require "asyncio"
      local ok, err = asyncio.catch(run, async(function()
        asyncio.call_soon(function() error(asyncio.KeyboardInterrupt()) end)
        await(sleep(30))
      end)())
      print(ok, tostring(err))
      ok, err = asyncio.catch(run, async(function()
        create_task(async(function() error(asyncio.KeyboardInterrupt()) end)())
        await(sleep(30))
      end)())
      print(ok, tostring(err))]])
    assert.same({code = 0, stderr = "",
      stdout = "false\tKeyboardInterrupt\nfalse\tKeyboardInterrupt\n"}, result)
  end)
end)

describe("the traceback of a task", function()
  it("TA-19 stays with its error and shows the task's own lines", function()
    main(function()
      local task = create_task(co(function()
        await(co(function()
          await(sleep(0))
          error("boom")
        end))
        return 1
      end), {name = "failing"})
      pcall(await, task)
      local traceback = task:exception().traceback
      local _, n = traceback:gsub("task_report_spec%.lua:%d+: in ", "")
      assert.is_true(n >= 2, traceback)
      assert.matches("failing", traceback, 1, true)
      assert.is_nil(traceback:find("[neap]", 1, true))
      assert.equal(traceback, task:exception().traceback)
    end)
  end)

  it("TA-19 stays with an error object, too", function()
    main(function()
      local boom = asyncio.TimeoutError("boom")
      local task = create_task(co(function() error(boom) end))
      pcall(await, task)
      assert.matches("task_report_spec%.lua:%d+: in ", task:exception().traceback)
    end)
  end)
end)

describe("get_stack", function()
  local function lines(text)
    local list = {}
    for line in text:gmatch("task_report_spec%.lua:(%d+): in") do
      list[#list + 1] = tonumber(line)
    end
    return list
  end

  local function here()
    return debug.getinfo(2, "l").currentline
  end

  it("TA-20 shows the whole await chain, innermost first", function()
    main(function()
      local at = {}
      local inner = async(function()
        at[1] = here() + 1
        await(sleep(1000))
        return 1
      end)
      local middle = async(function()
        at[2] = here() + 1
        await(inner())
        return 1
      end)
      local task = create_task(co(function()
        at[3] = here() + 1
        await(middle())
        return 1
      end))
      await(sleep(0))
      local text = task:get_stack()
      assert.same(at, lines(text), text)
      assert.matches("^stack traceback:\n", text)
      task:cancel()
    end)
  end)

  it("TA-20 shows who returns what it awaits", function()
    main(function()
      local at = {}
      local inner = async(function()
        at[1] = here() + 1
        return await(sleep(1000))
      end)
      local task = create_task(co(function()
        at[2] = here() + 1
        return await(inner())
      end))
      await(sleep(0))
      local text = task:get_stack()
      assert.same(at, lines(text), text)
      task:cancel()
    end)
  end)

  it("TA-20 names the method of a lock or semaphore that waits", function()
    main(function()
      for name, object in pairs {Lock = asyncio.Lock(), Semaphore = asyncio.Semaphore(1)} do
        await(object:acquire())
        local task = create_task(co(function() return (await(object:acquire())) end))
        local direct = create_task(object:acquire())
        await(sleep(0))
        assert.matches(("in async function '%s.acquire'\n[^\n]*task_report_spec"):format(name),
          task:get_stack())
        assert.matches(("coro=<%s.acquire%%(%%)>"):format(name), tostring(direct))
      end
    end)
  end)

  it("TA-20 has no lines before the first step and after the last", function()
    main(function()
      local task = create_task(co(function() end))
      assert.same({}, lines(task:get_stack()))
      await(task)
      assert.same({}, lines(task:get_stack()))
    end)
  end)

  it("TA-20 shows a task its own stack, up to the call", function()
    main(function()
      local at = here() + 1
      local text = asyncio.current_task():get_stack()
      assert.same({at}, lines(text), text)
      assert.is_nil(text:find("[C]", 1, true), text)
    end)
  end)

  it("TA-20 shows a task its own stack from inside nested generators", function()
    main(function()
      local at, text = {}, nil
      local inner = coroutine.wrap(function()
        at[1], text = here(), asyncio.current_task():get_stack()
      end)
      local outer = coroutine.wrap(function()
        at[2] = here() + 1
        inner()
      end)
      at[3] = here() + 1
      outer()
      assert.same(at, lines(text), text)
    end)
  end)

  it("TA-20 shows the nested generators in which a task awaits", function()
    main(function()
      local at = {}
      local task = create_task(co(function()
        local inner = coroutine.create(function()
          coroutine.yield()
          at[1] = here() + 1
          await(sleep(1000))
        end)
        coroutine.resume(inner)
        local outer = coroutine.wrap(function()
          at[2] = here() + 1
          coroutine.resume(inner)
        end)
        at[3] = here() + 1
        outer()
      end))
      await(sleep(0))
      local text = task:get_stack()
      assert.same(at, lines(text), text)
      task:cancel()
      await(sleep(0))
      assert.equal("stack traceback:", task:get_stack())
    end)
  end)

  it("TA-20 shows a task of a plain sleep as an empty stack", function()
    main(function()
      local task = create_task(sleep(1000))
      await(sleep(0))
      assert.equal("stack traceback:", task:get_stack())
    end)
  end)
end)
