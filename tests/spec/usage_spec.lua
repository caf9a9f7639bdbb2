-- usage_spec.lua: every misuse of the API has a message of its own, with the
-- position of the caller, that tells what to write instead.

local asyncio = require "asyncio"

local f = async(function() end)

-- What the misuses may name.
local ENV = setmetatable({asyncio = asyncio, f = f}, {__index = _G})

-- Runs the statement as line 3 of a chunk "use.lua"; gives its error.
local function misuse(statement)
  local chunk = assert(load("\n\n" .. statement, "=use.lua", "t", ENV))
  local ok, err = asyncio.catch(chunk)
  assert.is_false(ok, statement .. " is no error")
  return err
end

-- Asserts the messages of a list {statement, message, ...}.
local function check(list)
  for i = 1, #list, 2 do
    local err = misuse(list[i])
    assert.are.equal(list[i] .. " -> use.lua:3: " .. list[i + 1],
      list[i] .. " -> " .. tostring(err))
  end
end

-- The same in a task, which is not harmed.
local function check_in_task(list)
  run(async(function()
    local tasks = #asyncio.all_tasks()
    check(list)
    assert.are.equal(tasks, #asyncio.all_tasks())
    assert.are.equal("alive", (await(sleep(0, "alive"))))
  end)())
end

-- The messages for what is no function to call back.
local function not_callbacks(call)
  local prefix, name = call:match("^(.*%f[%w_]([%w_]+)%(.-)$")
  local index = prefix:find(",") and 2 or 1
  local function bad(got)
    return ("bad argument #%d to '%s' (function expected, got %s)"):format(
      index, name, got)
  end
  local function async_code(got)
    return ("%s: a plain function expected, got %s: for async code write "
      .. "create_task(f())"):format(name, got)
  end
  return {
    call .. "5)", bad "number",
    call .. "'x')", bad "string",
    call .. "{})", bad "table",
    call .. "nil)", bad "nil",
    call .. "f)", async_code "an async function",
    "local c = f() c:close() " .. call .. "c)",
      async_code "a coroutine object",
  }
end

describe("misuse of async", function()
  it("says how async functions are written", function()
    local way = "; write async(function() ... end)"
    check {
      "async()", "async: a function expected, got nil" .. way,
      "async(nil)", "async: a function expected, got nil" .. way,
      "async(5)", "async: a function expected, got a number" .. way,
      "async('main')", "async: a function expected, got a string" .. way,
      "async({})", "async: a function expected, got a table" .. way,
      "async(f)", "async: the function is an async function already",
      "local c = f() c:close() async(c)",
        "async: a function expected, got a coroutine object" .. way,
    }
  end)

  it("as function async.name() says how that is written", function()
    check {
      "async.x = 5",
        "async: a function expected, got a number; write function "
        .. "async.name() ... end",
      "async.x = nil",
        "async: a function expected, got nil; write function "
        .. "async.name() ... end",
      "async.x = f", "async: the function is an async function already",
      "async[5] = print", "async: a name expected, got a number; write "
        .. "function async.name() ... end",
    }
    assert.is_nil(rawget(_G, "x"))
  end)
end)

describe("misuse of run", function()
  it("says what to give it", function()
    local expected = "run: a coroutine object expected, got "
    check {
      "run()", expected .. "nil",
      "run(nil)", expected .. "nil",
      "run(5)", expected .. "a number",
      "run('main')", expected .. "a string",
      "run({})", expected .. "a table",
      "run(f)", expected .. "an async function: call it, as in run(f())",
      "run(print)", expected .. "a function: make it an async function and "
        .. "call it, as in run(f())",
      "run(function() end)", expected .. "a function: make it an async "
        .. "function and call it, as in run(f())",
      "run(asyncio.Future())", expected .. "a Future: await it instead",
      "local c = f() c:close() run(c, true)", "run: a table of options such "
        .. "as {debug=true} expected, got a boolean",
    }
  end)

  it("inside a running loop says what to write there", function()
    check_in_task {
      "local c = f() c:close() run(c)", "run: the event loop is running "
        .. "already: use await(coro) or create_task(coro) inside it",
      "run(f)", "run: the event loop is running already: use await(coro) or "
        .. "create_task(coro) inside it",
    }
  end)

  it("RU-07 inside a running loop leaves its coroutine object unused",
  function()
    local coro = async(function() return "value" end)()
    run(async(function()
      assert.is_false(pcall(run, coro))
      assert.are.equal("value", (await(coro)))
    end)())
  end)

  it("with a coroutine object that was used says how to get a new one",
  function()
    check {
      "local c = f() run(c) run(c)", "cannot use coroutine 'f' again: a task "
        .. "runs it: await the task; each call f() makes a new one",
      "local c = f() c:close() run(c)", "cannot use coroutine 'f' again: it "
        .. "was closed; each call f() makes a new one",
    }
  end)
end)

describe("misuse of create_task", function()
  it("says what to give it", function()
    local expected = "create_task: a coroutine object expected, got "
    check_in_task {
      "create_task()", expected .. "no value",
      "create_task(nil)", expected .. "nil",
      "create_task(5)", expected .. "a number",
      "create_task({})", expected .. "a table",
      "create_task(f)",
        expected .. "an async function: call it, as in create_task(f())",
      "create_task(print)", expected .. "a function: make it an async "
        .. "function and call it, as in create_task(f())",
      "create_task(asyncio.Future())",
        expected .. "a Future: await it instead",
      "create_task(asyncio.current_task())",
        expected .. "a Task: await it instead",
      "local c = f() c:close() create_task(c, 'name')", "create_task: a "
        .. "table of options such as {name=\"...\"} expected, got a string",
    }
  end)

  it("outside a running loop says where to call it", function()
    check {
      "local c = f() c:close() create_task(c)", "create_task: no running "
        .. "event loop: call it in an async function that run() started",
    }
    local coro = async(function() return "value" end)()
    assert.is_false(pcall(create_task, coro))
    assert.are.equal("value", run(coro))
  end)

  it("with a coroutine object that was used says how to get a new one",
  function()
    run(async(function()
      check {
        "local c = f() create_task(c) create_task(c)", "cannot use "
          .. "coroutine 'f' again: a task runs it: await the task; each "
          .. "call f() makes a new one",
        "local c = f() await(c) create_task(c)", "cannot use coroutine 'f' "
          .. "again: it was already awaited; each call f() makes a new one",
      }
    end)())
  end)
end)

describe("misuse of await", function()
  it("says what to give it", function()
    local expected = "await: an awaitable (coroutine object, Task or Future) "
      .. "expected, got "
    check_in_task {
      "await()", expected .. "nil",
      "await(nil)", expected .. "nil",
      "await(5)", expected .. "a number",
      "await('x')", expected .. "a string",
      "await({})", expected .. "a table",
      "await(print)", expected .. "a function: only async functions can be "
        .. "awaited, as in await(f())",
      "await(f)", "await: an awaitable expected, got an async function: call "
        .. "it, as in await(f())",
      "await(asyncio.call_soon(function() end))", expected .. "a Handle",
      "await(coroutine.create(print))", expected .. "a thread",
      "await(asyncio.current_task())", "Task cannot await on itself",
      "await(setmetatable({}, {__await = function() return 5 end}))",
        expected .. "a number",
    }
  end)

  it("outside a task says how to start one", function()
    check {
      "local c = f() c:close() await(c)", "await outside a task: write an "
        .. "async function and start it with run(main())",
      "await(5)", "await outside a task: write an async function and start "
        .. "it with run(main())",
    }
  end)

  it("with a coroutine object that was used says how to get a new one",
  function()
    check_in_task {
      "local c = f() await(c) await(c)", "cannot use coroutine 'f' again: it "
        .. "was already awaited; each call f() makes a new one",
      "local c = sleep(0) await(c) await(c)", "cannot use coroutine 'sleep' "
        .. "again: it was already awaited; each call sleep() makes a new one",
      "local c = f() c:close() await(c)", "cannot use coroutine 'f' again: "
        .. "it was closed; each call f() makes a new one",
    }
  end)
end)

describe("misuse of gather", function()
  it("says which argument is wrong", function()
    local expected = "an awaitable expected, got "
    check_in_task {
      "gather(5)", "gather: argument 1: " .. expected .. "a number",
      "gather(nil)", "gather: argument 1: " .. expected .. "nil",
      "gather(asyncio.Future(), 'x')",
        "gather: argument 2: " .. expected .. "a string",
      "gather({asyncio.Future(), true})",
        "gather: argument 2: " .. expected .. "a boolean",
      "gather({}, {})", "gather: argument 1: " .. expected .. "a table",
      "gather(f)", "gather: argument 1: " .. expected .. "an async function: "
        .. "call it, as in gather(f(), g())",
      "gather{asyncio.Future(), f}", "gather: argument 2: " .. expected
        .. "an async function: call it, as in gather(f(), g())",
    }
  end)

  it("says for a plain function what to make of it", function()
    run(async(function()
      local err = misuse "gather(print)"
      assert.matches("^use.lua:3: gather: argument 1: [^\n]*got a function: "
        .. "[^\n]*async function", err)
    end)())
  end)

  it("GA-15 starts nothing and keeps the coroutine objects", function()
    run(async(function()
      local coro = async(function() return "value" end)()
      assert.is_false(pcall(gather, coro, 5))
      assert.are.equal(1, #asyncio.all_tasks())
      assert.are.equal("value", (await(coro)))
    end)())
  end)

  it("outside a running loop says where to call it", function()
    check {"gather()", "gather: no running event loop: call it in an async "
      .. "function that run() started"}
  end)
end)

describe("misuse of sleep", function()
  it("says that it wants seconds", function()
    check {
      "sleep()", "bad argument #1 to 'sleep' (number expected, got no value)",
      "sleep(nil)", "bad argument #1 to 'sleep' (number expected, got nil)",
      "sleep('soon')",
        "bad argument #1 to 'sleep' (number expected, got string)",
      "sleep({})", "bad argument #1 to 'sleep' (number expected, got table)",
      "sleep(0/0)", "sleep: the delay is not a number (NaN)",
      "sleep(0/0, 'result')", "sleep: the delay is not a number (NaN)",
    }
  end)
end)

describe("misuse of call_soon and call_later", function()
  it("says that they want a plain function", function()
    check_in_task(not_callbacks "asyncio.call_soon(")
    check_in_task(not_callbacks "asyncio.call_later(1, ")
    check_in_task {
      "asyncio.call_soon()",
        "bad argument #1 to 'call_soon' (function expected, got no value)",
      "asyncio.call_later(1)",
        "bad argument #2 to 'call_later' (function expected, got no value)",
    }
  end)

  it("says that call_later wants seconds first", function()
    check_in_task {
      "asyncio.call_later()",
        "bad argument #1 to 'call_later' (number expected, got no value)",
      "asyncio.call_later(print, 1)",
        "bad argument #1 to 'call_later' (number expected, got function)",
      "asyncio.call_later(0/0, print)",
        "call_later: the delay is not a number (NaN)",
    }
  end)

  it("outside a running loop says where to call them", function()
    local where = ": no running event loop: call it in an async function "
      .. "that run() started"
    check {
      "asyncio.call_soon(print)", "call_soon" .. where,
      "asyncio.call_later(1, print)", "call_later" .. where,
    }
  end)
end)

describe("misuse of futures and tasks", function()
  it("add_done_callback wants a plain function, done or not", function()
    for _, future in ipairs {"local t = asyncio.Future() ",
        "local t = asyncio.Future() t:set_result() "} do
      check_in_task(not_callbacks(future .. "t:add_done_callback("))
      check_in_task {
        future .. "t:remove_done_callback(5)", "bad argument #1 to "
          .. "'remove_done_callback' (function expected, got number)",
      }
    end
  end)

  it("set_result and set_exception are not for tasks and gathers", function()
    local list = {}
    for _, name in ipairs {"set_result", "set_exception"} do
      list[#list + 1] = "asyncio.current_task():" .. name .. "(1)"
      list[#list + 1] = name .. ": not possible on a Task: it settles by "
        .. "itself"
      list[#list + 1] = "gather():" .. name .. "(1)"
      list[#list + 1] = name .. ": not possible on a gather's Future: it "
        .. "settles by itself"
    end
    check_in_task(list)
  end)

  it("methods want their object", function()
    check_in_task {
      "asyncio.Future().done()",
        "bad argument #1 to 'done' (Future expected, got no value)",
      "asyncio.Future().cancel({})",
        "bad argument #1 to 'cancel' (Future expected, got table)",
      "asyncio.current_task().get_name()",
        "bad argument #1 to 'get_name' (Task expected, got no value)",
      "asyncio.current_task().cancelling(asyncio.Future())",
        "bad argument #1 to 'cancelling' (Task expected, got Future)",
      "asyncio.call_soon(print).cancel(5)",
        "bad argument #1 to 'cancel' (Handle expected, got number)",
    }
  end)

  it("are no values for operators: the type is named", function()
    check_in_task {
      "local c = asyncio.Future() return c + 1",
        "attempt to perform arithmetic on a Future value (local 'c')",
      "local c = asyncio.current_task() return c .. 'x'",
        "attempt to concatenate a Task value (local 'c')",
      "local c = f() c:close() return c + 1",
        "attempt to perform arithmetic on a coroutine object value "
        .. "(local 'c')",
      "local c = f() c:close() return c < 1",
        "attempt to compare coroutine object with number",
    }
  end)
end)

describe("yielding in a task", function()
  it("says what to use instead", function()
    check_in_task {
      "coroutine.yield(1)", "attempt to yield from a task: only a generator "
        .. "(coroutine.wrap, coroutine.create) can yield; use "
        .. "await(sleep(0)) to let other tasks run",
    }
  end)
end)

describe("the position of a misuse", function()
  it("is that of the caller, also deep in tasks", function()
    run(async(function()
      local line
      local level
      level = async(function(n)
        if n > 0 then
          await(level(n - 1))
        end
        line = debug.getinfo(1, "l").currentline + 1
        create_task(5)
      end)
      local ok, err = pcall(await, create_task(level(3)))
      assert.is_false(ok)
      assert.matches("usage_spec.lua:" .. line .. ": create_task: ", err, 1,
        true)
    end)())
  end)
end)
