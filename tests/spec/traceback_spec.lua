-- traceback_spec.lua: tracebacks show the whole await chain, and across
-- tasks where the failed task was created (TA-19, TA-20 of the behaviours).

local asyncio = require "asyncio"
local dropin = require "dropin"
local program = require "program"

-- What a script that fails says on stderr, without the program's name.
local function failure(code, options)
  local result = program.run_script(code, options)
  assert.are.equal(1, result.code)
  local name = program.neap .. ": "
  assert.are.equal(name, result.stderr:sub(1, #name))
  return result.stderr:sub(#name + 1)
end

describe("the traceback of a failed program", function()
  it("TA-19 shows the whole await chain of the main task", function()
    assert.are.equal([[
script.lua:2: boom
stack traceback:
	[C]: in function 'error'
	script.lua:2: in upvalue 'helper'
	script.lua:6: in async function 'inner'
	script.lua:9: in async function 'outer'
	script.lua:12: in async function 'main'
	(task 'Task-1', created at script.lua:14)
	[C]: in function 'run'
	script.lua:14: in main chunk
]], failure [[
local function helper()
  error("boom")
end
function async.inner()
  await(sleep(0))
  helper()
end
function async.outer()
  await(inner())
end
function async.main()
  await(outer())
end
run(main())
]])
  end)

  it("TA-19 shows the chain across tasks, and where each was created",
  function()
    assert.are.equal([[
script.lua:2: boom
stack traceback:
	[C]: in function 'error'
	script.lua:2: in async function 'leaf'
	(task 'the leaf', created at script.lua:5)
	script.lua:6: in async function 'middle'
	(task 'Task-2', created at script.lua:9)
	script.lua:10: in async function 'main'
	(task 'Task-1', created at script.lua:12)
	[C]: in function 'run'
	script.lua:12: in main chunk
]], failure [[
function async.leaf()
  error("boom")
end
function async.middle()
  local task = create_task(leaf(), {name = "the leaf"})
  await(task)
end
function async.main()
  local task = create_task(middle())
  await(task)
end
run(main())
]])
  end)

  it("TA-19 shows the task in a gather that failed", function()
    assert.are.equal([[
script.lua:3: boom
stack traceback:
	[C]: in function 'error'
	script.lua:3: in async function 'leaf'
	(task 'Task-3', created at script.lua:6)
	script.lua:6: in async function 'main'
	(task 'Task-1', created at script.lua:8)
	[C]: in function 'run'
	script.lua:8: in main chunk
]], failure [[
function async.leaf(bad)
  await(sleep(0))
  if bad then error("boom") end
end
function async.main()
  await(gather(leaf(false), leaf(true)))
end
run(main())
]])
  end)

  it("TA-19 shows the frames of generators", function()
    assert.are.equal([[
script.lua:8: script.lua:3: boom
stack traceback:
	[C]: in function 'error'
	script.lua:3: in function <script.lua:1>
	[C]: in local 'gen'
	script.lua:8: in async function 'main'
	(task 'Task-1', created at script.lua:10)
	[C]: in function 'run'
	script.lua:10: in main chunk
]], failure [[
local function body()
  await(sleep(0))
  error("boom")
end
function async.main()
  local gen = coroutine.wrap(body)
  await(sleep(0))
  gen()
end
run(main())
]])
  end)

  it("shows errors that Lua raises", function()
    assert.are.equal([[
script.lua:2: attempt to index a nil value (local 'x')
stack traceback:
	script.lua:2: in async function 'main'
	(task 'Task-1', created at script.lua:4)
	[C]: in function 'run'
	script.lua:4: in main chunk
]], failure [[
function async.main(x)
  return x.field
end
run(main())
]])
  end)

  it("shows error objects by their text, and the traceback", function()
    local rest = [[
stack traceback:
	[C]: in function 'error'
	script.lua:1: in async function 'main'
	(task 'Task-1', created at script.lua:2)
	[C]: in function 'run'
	script.lua:2: in main chunk
]]
    for value, text in pairs {
      ["require 'asyncio'.TimeoutError('slow')"] = "TimeoutError: slow",
      ["setmetatable({}, {__tostring = function() return 'text' end})"] =
        "text",
      ["{}"] = "(error object is a table value)",
      ["nil"] = "(error object is a nil value)",
      ["42"] = "42",
    } do
      assert.are.equal(text .. "\n" .. rest, failure("function async.main() "
        .. "error(" .. value .. ") end\nrun(main())"))
    end
  end)

  it("shortens long chains", function()
    local text = failure [[
      local down
      down = async(function(n)
        if n == 0 then error("deep", 0) end
        return 1, await(down(n - 1))
      end)
      run(down(1000))
    ]]
    assert.matches("^deep\nstack traceback:\n\t%[C%]: in function 'error'\n",
      text)
    assert.matches("\n\t%.%.%.\t%(skipping %d+ levels%)\n", text)
    assert.matches("\n\t%(task 'Task%-1', created at script.lua:6%)\n", text)
    assert.is_true(select(2, text:gsub("\n", "")) < 40)
  end)

  it("of a stack overflow in a task names it", function()
    local text = failure [[
      local function f() return 1 + f() end
      run(async(function() f() end)())
    ]]
    assert.matches("^script.lua:1: stack overflow\nstack traceback:\n\t"
      .. "script.lua:1: in [^\n]*'f'\n", text)
    assert.matches("\n\t%(task 'Task%-1', created at script.lua:2%)\n", text)
  end)

  it("shows where it was raised again", function()
    local text = failure [[
local err = {}
function async.leaf() error(err) end
function async.main()
  local task = create_task(leaf())
  local ok, e = pcall(await, task)
  error(e)
end
run(main())
]]
    assert.matches("\tscript.lua:6: in async function 'main'\n", text, 1, true)
  end)

  it("is that of its own error, not of an earlier one that is equal",
  function()
    for value, text in pairs {["'boom', 0"] = "boom", ["42"] = "42",
        ["nil"] = "(error object is a nil value)"} do
      for _, between in ipairs {"", "await(sleep(0))"} do
        assert.are.equal(text .. [[

stack traceback:
	[C]: in function 'error'
	script.lua:6: in async function 'main'
	(task 'Task-1', created at script.lua:8)
	[C]: in function 'run'
	script.lua:8: in main chunk
]], failure(([[
function async.leaf() error(VALUE) end
function async.main()
  local task = create_task(leaf())
  pcall(await, task)
  BETWEEN
  error(VALUE)
end
run(main())
]]):gsub("VALUE", value):gsub("BETWEEN", between), nil))
      end
    end
  end)

  it("in synchronous code is as in lua5.4 after tasks have failed", function()
    local code = [[
      -- lua5.4 has no tasks: the error comes from a coroutine there
      local run = run or coroutine.wrap(function(f) f() end)
      local fail = function() error(VALUE) end
      print((pcall(run, async and async(fail)() or fail)))
      error(VALUE)
    ]]
    for _, value in ipairs {"'boom', 0", "nil", "42", "{}"} do
      local ours, stock = dropin.run_both {"-e", (code:gsub("VALUE", value))}
      -- the base of the stack is no frame of the program's
      stock.stderr = stock.stderr:gsub("\n\t%[C%]: in %?\n$", "\n")
      ours.stderr = ours.stderr:gsub("\n\t%[C%]: in %?\n$", "\n")
      assert.are.same(stock, ours)
    end
  end)
end)

describe("the traceback of a callback", function()
  it("shows its frames", function()
    local result = program.run_script [[
local asyncio = require "asyncio"
local function helper() error("boom") end
local function callback() helper() end
function async.main()
  asyncio.call_soon(callback)
  await(sleep(0))
  await(sleep(0))
end
run(main())
]]
    assert.are.equal(0, result.code)
    assert.matches([[
^Exception in callback
handle: <Handle function at script.lua:3>
script.lua:2: boom
stack traceback:
	%[C%]: in function 'error'
	script.lua:2: in upvalue 'helper'
	script.lua:3: in function <script.lua:3>
]], result.stderr)
  end)
end)

describe("the traceback in an Exception handed out", function()
  it("TA-19 is kept with the error, and begins in the task", function()
    local line = debug.getinfo(1, "l").currentline + 2
    local f = async(function()
      error("boom", 0)
    end)
    run(async(function()
      local task = create_task(f(), {name = "failing"})
      await(sleep(0))
      local traceback = task:exception().traceback
      assert.matches("^\n\t%[C%]: in function 'error'\n\t"
        .. "[^\n]*traceback_spec.lua:" .. line
        .. ": in async function 'f'\n\t%(task 'failing', created at ",
        traceback)
    end)())
  end)
end)

describe("task:get_stack()", function()
  it("TA-20 gives the whole await chain of a suspended task", function()
    local result = program.run_script [[
function async.inner(f)
  await(f)
end
local function helper(f)
  await(inner(f))
end
function async.outer(f)
  helper(f)
end
function async.main()
  local f = require "asyncio".Future()
  local task = create_task(outer(f))
  await(sleep(0))
  print(task:get_stack())
  f:set_result()
  await(task)
  print(task:get_stack())
end
run(main())
]]
    assert.are.equal("", result.stderr)
    assert.are.equal([[
stack traceback:
	script.lua:2: in async function 'inner'
	script.lua:5: in upvalue 'helper'
	script.lua:8: in async function 'outer'
stack traceback:
]], result.stdout)
  end)

  it("TA-20 shows the generators that it awaits in", function()
    local result = program.run_script [[
local asyncio = require "asyncio"
local function inner()
  await(asyncio.Future())
end
local function outer()
  coroutine.resume(coroutine.create(inner))
end
function async.main()
  local task = create_task(async(coroutine.wrap(outer))())
  await(sleep(0))
  print(task:get_stack())
end
run(main())
]]
    assert.matches("script.lua:3: in ", result.stdout, 1, true)
    assert.matches("script.lua:6: in ", result.stdout, 1, true)
  end)

  it("of a task that has not started is empty, and of a sleeping one not",
  function()
    run(async(function()
      local task = create_task(async(function() await(sleep(0)) end)())
      assert.are.equal("stack traceback:", task:get_stack())
      await(sleep(0))
      assert.matches("^stack traceback:\n\t[^\n]*traceback_spec.lua:%d+: in "
        .. "async function <?[^\n]*$", task:get_stack())
      await(task)
    end)())
  end)
end)

describe("the level of an error", function()
  it("does not count the awaits between the functions", function()
    local function line() return debug.getinfo(2, "l").currentline end
    local inner = async(function(level) error("no", level) end)
    local at = {line() - 1}
    local middle = async(function(level)
      at[2] = line() + 1
      await(inner(level))
    end)
    run(async(function()
      for level = 1, 3 do
        local _, err = pcall(function()
          at[3] = line() + 1
          await(middle(level))
        end)
        assert.matches("traceback_spec%.lua:" .. at[level] .. ": no$", err)
      end
    end)())
  end)
end)

describe("debug.traceback in a task", function()
  it("shows the frames of the await chain", function()
    local inner = async(function()
      await(sleep(0))
      return debug.traceback("here")
    end)
    local outer = async(function()
      return (await(inner()))
    end)
    local text = run(outer())
    assert.matches("^here\nstack traceback:\n", text)
    assert.are.equal(2, select(2,
      text:gsub("\n\t[^\n]*traceback_spec%.lua:%d+: in ", "")))
  end)

  it("gives the stack of a generator that awaits", function()
    run(async(function()
      local gate = asyncio.Future()
      local co = coroutine.create(function() await(gate) end)
      local task = create_task(async(coroutine.resume)(co))
      await(sleep(0))
      assert.matches("traceback_spec.lua:%d+: in ", debug.traceback(co))
      gate:set_result()
      await(task)
    end)())
  end)
end)
