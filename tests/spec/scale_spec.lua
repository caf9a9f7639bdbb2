-- scale_spec.lua: size and depth. Each program runs in a process of its
-- own, says how it went, and how much memory did not come back.
--
-- Linear cost is not timed: the sizes are such that anything quadratic
-- would not end within the limit of time that a program has.

local program = require "program"
local tasks = require "tasks"

-- Sanitizers make everything several times larger and slower.
local sanitized = tasks.sanitized
local HUNDRED_THOUSAND = tasks.MANY

local HEADER = [[
local asyncio = require "asyncio"
local N = ...
N = math.tointeger(N)
local function used()
  local before
  repeat -- Lua's table of strings shrinks by half a cycle
    before = collectgarbage("count")
    collectgarbage()
  until collectgarbage("count") >= before
  return collectgarbage("count") * 1024
end
-- Runs async function `main` with n, first once with few to warm up;
-- prints what is given back, and the bytes kept afterwards.
local function measure(main)
  run(main(10))
  local before = used()
  print(run(main(N)))
  io.stderr:write(string.format("%d", used() - before))
end
local co = function(fn, ...) return async(fn)(...) end
co = co
]]

local TOLERANCE = 4096 -- bytes

-- Runs a script that ends with measure(main); gives what it printed.
local function measured(n, code)
  local result = program.run_script(HEADER .. code,
    {args = {n}, timeout = 120})
  assert.equal(0, result.code, result.stderr)
  local kept = tonumber(result.stderr)
  assert.is_number(kept, result.stderr)
  assert.is_true(kept <= TOLERANCE, kept .. " bytes do not come back")
  return (result.stdout:gsub("\n$", ""))
end

describe("depth", function()
  it("SC-01 500 nested awaits: value and error pass", function()
    local deep
    deep = async(function(n, last)
      if n == 0 then return last() end
      local value = await(deep(n - 1, last))
      return value
    end)
    assert.equal("value", run(deep(500, function() return "value" end)))
    local boom = {}
    local ok, err = pcall(run, deep(500, function() error(boom) end))
    assert.is_false(ok)
    assert.equal(boom, err)
    assert.equal("late", run(deep(500, function() return await(sleep(0, "late")) end)))
    ok, err = pcall(run, deep(500, function() await(sleep(0)) error(boom) end))
    assert.is_false(ok)
    assert.equal(boom, err)
  end)

  it("SC-02 cancellation through 500 nested awaits runs each cleanup once", function()
    local n, order = 500, {}
    local deep
    deep = async(function(level)
      local _ <close> = setmetatable({}, {__close = function()
        await(sleep(0))
        order[#order + 1] = level
      end})
      if level == n then
        await(sleep(1000))
      else
        await(deep(level + 1))
      end
    end)
    run(async(function()
      local task = create_task(deep(1))
      await(sleep(0))
      task:cancel()
      while not task:done() do await(sleep(0)) end
      assert.is_true(task:cancelled())
    end)())
    assert.equal(n, #order)
    for i = 1, n do assert(order[i] == n + 1 - i) end
  end)

  it("an await chain of 100,000 levels that does not suspend", function()
    local n = HUNDRED_THOUSAND
    assert.equal(("%d"):format(n), measured(n, [[
      local deep
      deep = async(function(n)
        if n == 0 then return 0 end
        return 1 + await(deep(n - 1))
      end)
      measure(deep)]]))
  end)

  it("an await chain of 100,000 levels that suspends at its end", function()
    local n = HUNDRED_THOUSAND
    assert.equal(("%d"):format(n), measured(n, [[
      local deep
      deep = async(function(n)
        if n == 0 then
          await(sleep(0.001))
          return 0
        end
        return 1 + await(deep(n - 1))
      end)
      measure(deep)]]))
  end)

  it("an await chain of 100,000 levels that suspends at each level", function()
    local n = HUNDRED_THOUSAND
    assert.equal(("%d"):format(n), measured(n, [[
      local deep
      deep = async(function(n)
        if n == 0 then return 0 end
        await(sleep(0))
        local below = await(deep(n - 1))
        await(sleep(0))
        return 1 + below
      end)
      measure(deep)]]))
  end)

  it("an error passes through an await chain of 100,000 levels", function()
    local n = HUNDRED_THOUSAND
    assert.equal("false\tboom", measured(n, [[
      local deep
      deep = async(function(n)
        if n == 0 then await(sleep(0)) error("boom", 0) end
        return 1 + await(deep(n - 1))
      end)
      measure(async(function(n) return pcall(await, deep(n)) end))]]))
  end)

  it("cancellation passes through an await chain of 100,000 levels", function()
    local n = HUNDRED_THOUSAND
    assert.equal("true", measured(n, [[
      local deep
      deep = async(function(n)
        if n == 0 then return await(sleep(1000)) end
        return 1 + await(deep(n - 1))
      end)
      measure(async(function(n)
        local task = create_task(deep(n))
        await(sleep(0))
        task:cancel()
        asyncio.catch(await, task)
        return task:cancelled()
      end))]]))
  end)

  it("a chain without end is a stack overflow that can be caught", function()
    local result = program.run_script([[
      local endless
      endless = async(function() return 1 + await(endless()) end)
      local ok, err = pcall(run, endless())
      print(ok, (err:match("stack overflow")))
      print(run(async(function()
        local ok, err = pcall(await, endless())
        await(sleep(0))
        return ok, (err:match("stack overflow"))
      end)()))]])
    -- the last one of each chain is rightly called never awaited
    assert.equal("false\tstack overflow\nfalse\tstack overflow\n", result.stdout)
    assert.equal(0, result.code)
  end)
end)

describe("number", function()
  -- A chain of n tasks each awaiting the one before; `head` is awaited by
  -- the first one, `body` sees `tasks`.
  local function chain(n, head, body)
    return measured(n, ([[
      local link = async(function(before)
        return 1 + await(before)
      end)
      measure(async(function(n)
        local head = %s
        local tasks = {[0] = head}
        for i = 1, n do tasks[i] = create_task(link(tasks[i - 1])) end
        %s
      end))]]):format(head, body))
  end

  it("SC-03 1000 tasks each awaiting the one before", function()
    assert.equal("1000", chain(1000, "create_task(co(function() return 0 end))",
      "return await(tasks[n])"))
  end)

  it("SC-03 100,000 tasks each awaiting the one before", function()
    local n = HUNDRED_THOUSAND
    assert.equal(("%d"):format(n), chain(n, "asyncio.Future()", [[
      for _ = 1, 3 do await(sleep(0)) end
      head:set_result(0)
      return await(tasks[n])]]))
  end)

  it("SC-03 100,000 tasks that all fail by the error of the first one", function()
    local n = HUNDRED_THOUSAND
    assert.equal("false\tboom", chain(n, "asyncio.Future()", [[
      for _ = 1, 3 do await(sleep(0)) end
      head:set_exception("boom")
      return pcall(await, tasks[n])]]))
  end)

  it("SC-04 cancel of the last of 100,000 tasks reaches the head", function()
    local n = HUNDRED_THOUSAND
    assert.equal(("true\ttrue\t%d"):format(n), chain(n,
      "create_task(sleep(1000))", [[
      for _ = 1, 3 do await(sleep(0)) end
      tasks[n]:cancel()
      asyncio.catch(await, tasks[n])
      local count = 0
      for i = 1, n do if tasks[i]:cancelled() then count = count + 1 end end
      return head:cancelled(), tasks[n]:cancelled(), count]]))
  end)

  it("SC-04 100,000 gathers in each other are cancelled in one go", function()
    local n = HUNDRED_THOUSAND
    assert.equal("true\ttrue", measured(n, [[
      measure(async(function(n)
        local head = create_task(sleep(1000))
        local all = gather(head)
        for _ = 2, n do all = gather(all) end
        await(sleep(0))
        all:cancel()
        local _, err = asyncio.catch(await, all)
        return head:cancelled(), asyncio.isinstance(err, asyncio.CancelledError)
      end))]]))
  end)

  it("SC-04 100,000 tasks left over in a chain end with run", function()
    local n = HUNDRED_THOUSAND
    assert.equal("returns", chain(n, "asyncio.Future()", [[
      for _ = 1, 3 do await(sleep(0)) end
      return "returns"]]))
  end)

  it("SC-05 20,000 and 100,000 tasks in one gather", function()
    local code = [[
      local child = async(function(i)
        await(sleep(0))
        return i
      end)
      measure(async(function(n)
        local list = {}
        for i = 1, n do list[i] = child(i) end
        local results, sum = await(gather(list)), 0
        for i = 1, results.n do sum = sum + results[i] end
        return results.n, sum
      end))]]
    for _, n in ipairs{20000, HUNDRED_THOUSAND} do
      assert.equal(("%d\t%d"):format(n, n * (n + 1) // 2), measured(n, code))
    end
  end)

  it("SC-05 memory for each task of a gather is bounded", function()
    -- bytes for each task at most, however many there are
    local per_task = {}
    for _, n in ipairs{1000, 10000, HUNDRED_THOUSAND} do
      per_task[#per_task + 1] = tonumber(measured(n, [[
        local child = async(function() await(sleep(0)) end)
        measure(async(function(n)
          await(gather(child(), child()))
          local before, list = used(), {}
          for i = 1, n do list[i] = child() end
          local all = gather(list)
          list = nil
          await(sleep(0))
          local bytes = (used() - before) // n
          await(all)
          return bytes
        end))]]))
    end
    for i, bytes in ipairs(per_task) do
      assert.is_true(bytes <= 2000, ("%d bytes for a task"):format(bytes))
      assert.is_true(i == 1 or bytes <= per_task[1] * 1.2)
    end
  end)

  it("SC-05 100,000 tasks of one gather that all fail", function()
    local n = HUNDRED_THOUSAND
    assert.equal(("%d\t%d"):format(n, n), measured(n, [[
      local child = async(function()
        await(sleep(0))
        error("boom", 0)
      end)
      measure(async(function(n)
        local list, count = {return_exceptions = true}, 0
        for i = 1, n do list[i] = child() end
        local results = await(gather(list))
        for i = 1, results.n do
          if results[i].value == "boom" then count = count + 1 end
        end
        return results.n, count
      end))]]))
  end)

  it("100,000 futures with callbacks, half of them fail", function()
    local n = HUNDRED_THOUSAND
    assert.equal(("%d\t%d"):format(n, n // 2), measured(n, [[
      measure(async(function(n)
        local called, failed, futures = 0, 0, {}
        for i = 1, n do
          futures[i] = asyncio.Future()
          futures[i]:add_done_callback(function(future)
            called = called + 1
            if future:exception() then failed = failed + 1 end
          end)
        end
        for i = 1, n do
          if i % 2 == 0 then
            futures[i]:set_exception("boom")
          else
            futures[i]:set_result(i)
          end
        end
        await(sleep(0))
        await(sleep(0))
        return called, failed
      end))]]))
  end)

  it("100,000 callbacks of one future are called in order", function()
    local n = HUNDRED_THOUSAND
    assert.equal(("%d\ttrue"):format(n), measured(n, [[
      measure(async(function(n)
        local count, ordered = 0, true
        local future = asyncio.Future()
        for i = 1, n do
          future:add_done_callback(function()
            count = count + 1
            ordered = ordered and count == i
          end)
        end
        future:set_result()
        await(sleep(0))
        return count, ordered
      end))]]))
  end)

  it("100,000 timers are cancelled, and others keep their order", function()
    local n = HUNDRED_THOUSAND
    assert.equal("0\ttrue", measured(n, [[
      measure(async(function(n)
        local handles, called, order = {}, 0, {}
        local function count() called = called + 1 end
        for i = 1, n do
          handles[i] = asyncio.call_later(1000 + i * 7919 % n, count)
        end
        for i = 1, 3 do
          asyncio.call_later(i / 1000, function() order[#order + 1] = i end)
        end
        for i = 1, n do handles[i]:cancel() end
        while #order < 3 do await(sleep(0.001)) end
        return called, table.concat(order, " ") == "1 2 3"
      end))]]))
  end)

  it("1,000,000 tasks sleep at once", function()
    if sanitized then
      return pending "too large for a sanitizer"
    end
    local available = program.read("/proc/meminfo"):match("MemAvailable:%s*(%d+)")
    if tonumber(available) < 3e6 then
      return pending "less than 3 GB of memory are free"
    end
    local n = 1000000
    local bytes, ended = measured(n, [[
      measure(async(function(n)
        local ended = 0
        local count = setmetatable({}, {__close = function() ended = ended + 1 end})
        local child = async(function(delay)
          local _ <close> = count
          await(sleep(delay))
        end)
        await(create_task(sleep(0)))
        local before = used()
        for i = 1, n do create_task(child(1000 + i % 1000)) end
        await(sleep(0))
        await(sleep(0))
        local bytes = (used() - before) // n
        assert(ended == 0 and #asyncio.all_tasks() == n + 1)
        for _, task in ipairs(asyncio.all_tasks()) do
          if task ~= asyncio.current_task() then task:cancel() end
        end
        await(sleep(0))
        return bytes, ended
      end))]]):match("^(%d+)%.?0?\t(%d+)$")
    assert.equal(n, tonumber(ended))
    assert.is_true(tonumber(bytes) <= 1500, bytes .. " bytes for a sleeping task")
  end)

  it("SC-06 5000 sleeping tasks cancelled at once: the loop ends at once", function()
    assert.equal("5000\t1", measured(5000, [[
      measure(async(function(n)
        local tasks, count = {}, 0
        for i = 1, n do tasks[i] = create_task(sleep(1000 + i)) end
        await(sleep(0))
        for i = 1, n do tasks[i]:cancel() end
        await(sleep(0))
        for i = 1, n do if tasks[i]:cancelled() then count = count + 1 end end
        if n < 5000 then return end
        return count, #asyncio.all_tasks()
      end))]]))
  end)

  it("SC-06 nor is there a timer left that could wake anybody", function()
    local result = program.run_script([[
      local asyncio = require "asyncio"
      print(pcall(run, async(function()
        local tasks = {}
        for i = 1, 5000 do tasks[i] = create_task(sleep(1000 + i)) end
        await(sleep(0))
        for _, task in ipairs(tasks) do task:cancel() end
        await(asyncio.Future())
      end)()))
    ]])
    assert.matches("^false\tdeadlock", result.stdout)
    assert.equal(0, result.code)
  end)

  it("SC-07 100,000 tasks made without suspending: none runs, then FIFO", function()
    local n = HUNDRED_THOUSAND
    assert.equal(("0\t%d\ttrue"):format(n), measured(n, [[
      measure(async(function(n)
        local ran, ordered = 0, true
        local child = async(function(i)
          ran = ran + 1
          ordered = ordered and ran == i
        end)
        local last
        for i = 1, n do last = create_task(child(i)) end
        local meanwhile = ran
        await(last)
        return meanwhile, ran, ordered
      end))]]))
  end)

  it("SC-08 a long step is named in debug mode", function()
    local result = program.run_script([[
local asyncio = require "asyncio"
asyncio.slow_callback_duration = 0.02
local function busy()
  local stop = os.clock() + 0.05
  while os.clock() < stop do end
end
run(async(function()
  local slow = async(function() busy() await(sleep(0)) end)
  await(create_task(slow(), {name = "the slow one"}))
  asyncio.call_soon(busy)
  await(sleep(0))
end)(), {debug = true})]])
    assert.equal(0, result.code)
    local task, handle = result.stderr:match(
      "^Executing (%b<>) took [%d.]+ seconds[^\n]*\nExecuting (%b<>) took [%d.]+ seconds\n")
    assert.is_string(task, result.stderr)
    assert.matches("name='the slow one'", task, 1, true)
    assert.matches("script.lua:8", task, 1, true)
    assert.matches("^<Handle .*script%.lua:3>$", handle)
  end)
end)
