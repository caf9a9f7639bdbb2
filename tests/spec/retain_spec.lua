-- retain_spec.lua: nothing is retained. Each program uses a part of asyncio
-- N times, or by N tasks at once; then every object it made is gone and the
-- memory comes back to where it was, while the run goes on and after it.
--
-- What a program uses may live on: `make`, when given, makes it before the
-- memory is looked at. A Lock that lives on must forget its waiters.

local asyncio = require "asyncio"
local tasks = require "tasks"

local Future, catch, turns = asyncio.Future, asyncio.catch, tasks.turns
local sanitized = tasks.sanitized

local N = sanitized and 2000 or 10000
local ALLOWANCE = 64 * 1024 -- bytes: some 6 for each use
-- Lua leaves a stack between 40 and 60 slots as it is; the core keeps 1024 idle threads.
local IDLE_STACKS = 1024 * 20 * 16

-- The bytes in use when all garbage is gone. Only incremental collections
-- make the stacks of threads smaller; those and Lua's table of strings shrink
-- bit by bit.
local function used()
  local mode = collectgarbage "incremental"
  local now = tasks.memory()
  local before
  repeat
    before = now
    collectgarbage()
    now = collectgarbage "count" * 1024
  until now >= before
  collectgarbage(mode)
  return now
end

-- One function for all uses: the core knows async functions by a weak table,
-- and those get smaller late.
local pause = async(function() await(sleep(0)) end)
local fail = async(function(value)
  await(sleep(0))
  error(value, 0)
end)

-- Lua's table of strings shrinks until a quarter is in use: from then on it
-- is as large as it stays.
local function warm_up_strings()
  for i = 1, 50000 do local _ = "a string " .. i end
end

-- The same for what the core keeps: idle threads and room for tasks.
local function warm_up()
  warm_up_strings()
  for _ = 1, N do create_task(pause()) end
  turns(3)
end

local function assert_back(before, allowance, when)
  local kept = used() - before
  assert.is_true(kept <= allowance, ("%d bytes do not come back %s"):format(kept, when))
end

-- A test: use(n, watch, kept) is the program, run by a task. It calls
-- watch(object) for objects that must be gone afterwards, and gets them back.
local function retains_nothing(name, use, make)
  -- Runs the program, then looks for survivors.
  local function pass(n, kept)
    local alive, seen = setmetatable({}, {__mode = "k"}), 0
    use(n, function(object)
      seen = seen + 1
      alive[object] = true
      return object
    end, kept)
    turns(2)
    tasks.memory()
    assert.is_true(seen >= n, "the program does not show its objects")
    local survivor = next(alive)
    assert.is_nil(survivor, tostring(survivor))
  end

  local function main()
    local kept = make and make()
    warm_up()
    pass(10, kept)
    local before = used()
    pass(N, kept)
    assert_back(before, ALLOWANCE + IDLE_STACKS, "while the run goes on")
    return kept
  end

  it(name, function()
    tasks.main(function() pass(10, make and make()) end)
    warm_up_strings()
    local before = used()
    tasks.main(main)
    assert_back(before, ALLOWANCE, "after the run")
  end)
end

-- n tasks of fn(...), each of which has taken its first step.
local function started(n, watch, fn, ...)
  local list, body = {}, async(fn)
  for i = 1, n do list[i] = watch(create_task(body(...))) end
  turns()
  return list
end

-- Waits until all have ended, by whatever way.
local function join(list)
  for _, task in ipairs(list) do catch(await, task) end
end

local function cancel(list)
  for _, task in ipairs(list) do task:cancel() end
  join(list)
end

describe("nothing is retained of", function()
  retains_nothing("tasks that are cancelled while they sleep", function(n, watch)
    cancel(started(n, watch, function() await(sleep(1000)) end))
  end)

  retains_nothing("tasks that fail", function(n, watch)
    local list = {}
    for i = 1, n do list[i] = watch(create_task(fail(watch {}))) end
    join(list)
  end)

  -- Tasks each of which awaits the one before; the first awaits `head`.
  local function chain(n, watch, head)
    local link = async(function(before) return await(before) end)
    local last = head
    for _ = 1, n do last = watch(create_task(link(last))) end
    turns(2)
    return last
  end

  retains_nothing("a chain of tasks that ends", function(n, watch)
    local head = watch(Future())
    local last = chain(n, watch, head)
    head:set_result(1)
    await(last)
  end)

  retains_nothing("a chain of tasks that is cancelled", function(n, watch)
    cancel {chain(n, watch, watch(Future()))}
  end)

  retains_nothing("done callbacks that are removed from a pending future",
    function(n, watch, future)
      for _ = 1, n do
        local callback = watch(function() return future end)
        future:add_done_callback(callback)
        future:remove_done_callback(callback)
      end
    end, Future)

  retains_nothing("calls that are cancelled before their time", function(n, watch)
    local handles = {}
    for i = 1, n do handles[i] = watch(asyncio.call_later(1000, error, watch {})) end
    for i = 1, n do handles[i]:cancel() end
  end)

  retains_nothing("a gather", function(n, watch)
    local list = {}
    local child = async(function() return watch {} end)
    for i = 1, n do list[i] = watch(child()) end
    await(watch(gather(list)))
  end)

  retains_nothing("a gather whose children fail", function(n, watch)
    local list = {return_exceptions = true}
    for i = 1, n do list[i] = watch(fail(watch {})) end
    await(watch(gather(list)))
  end)

  retains_nothing("gathers that fail while other children go on", function(n, watch)
    for _ = 1, n do
      local other = watch(create_task(sleep(1000)))
      tasks.caught(await, watch(gather(fail(watch {}), other)))
      other:cancel()
    end
  end)

  retains_nothing("gathers that are cancelled", function(n, watch)
    for _ = 1, n do
      local all = watch(gather(watch(Future()), watch(create_task(sleep(1000)))))
      all:cancel()
      tasks.caught(await, all)
    end
  end)

  retains_nothing("shields of tasks", function(n, watch)
    local child = async(function() await(watch(asyncio.shield(watch(pause())))) end)
    for _ = 1, n do await(create_task(child())) end
  end)

  retains_nothing("cancelled shields of a task that goes on", function(n, watch, task)
    for _ = 1, n do
      local shield = watch(asyncio.shield(task))
      shield:cancel()
      tasks.caught(await, shield)
      turns()
    end
  end, function() return create_task(sleep(1000)) end)

  retains_nothing("wait_for of what is ready in time", function(n, watch)
    for _ = 1, n do
      await(asyncio.wait_for(watch(pause()), 1000))
    end
  end)

  retains_nothing("wait_for of what fails", function(n, watch)
    for _ = 1, n do
      tasks.caught(await, asyncio.wait_for(watch(fail(watch {})), 1000))
    end
  end)

  retains_nothing("wait_for without time", function(n, watch)
    for _ = 1, n do
      tasks.caught(await, asyncio.wait_for(watch(create_task(sleep(1000))), 0))
    end
  end)

  retains_nothing("timeout blocks that are left in time", function(n, watch)
    for _ = 1, n do
      local _ <close> = watch(asyncio.timeout(1000))
      await(sleep(0))
    end
  end)

  retains_nothing("timeout blocks that expire", function(n, watch)
    for _ = 1, n do
      tasks.caught(function()
        local _ <close> = watch(asyncio.timeout(0))
        await(sleep(1000))
      end)
    end
  end)

  retains_nothing("deadlines that are moved", function(n, watch, scope)
    for i = 1, n do scope:reschedule(asyncio.time() + 1000 + i) end
    for _ = 1, n do watch {} end
  end, function() return asyncio.timeout(1000) end)

  retains_nothing("a wait for tasks", function(n, watch)
    local done = await(asyncio.wait(started(n, watch, turns)))
    assert.equal(n, #done)
  end)

  retains_nothing("waits for a future that stays pending", function(n, watch, future)
    for _ = 1, n do
      local other = watch(Future())
      asyncio.call_soon(other.set_result, other)
      await(asyncio.wait({future, other}, {return_when = asyncio.FIRST_COMPLETED}))
    end
  end, Future)

  retains_nothing("as_completed over tasks", function(n, watch)
    local count = 0
    for task in asyncio.as_completed(started(n, watch, turns)) do
      await(task)
      count = count + 1
    end
    assert.equal(n, count)
  end)

  retains_nothing("as_completed left early with a future that stays pending",
    function(n, watch, future)
      for _ = 1, n do
        local ready = watch(create_task(sleep(0)))
        for task in asyncio.as_completed {future, ready} do
          if task == ready then break end
        end
      end
    end, Future)

  retains_nothing("as_completed past its deadline", function(n, watch, future)
    for _ = 1, n do
      for late in asyncio.as_completed({future}, {timeout = 0}) do
        tasks.is_a("TimeoutError", watch(tasks.caught(await, late)))
      end
    end
  end, Future)

  retains_nothing("task groups", function(n, watch)
    for _ = 1, n do
      local group <close> = watch(asyncio.TaskGroup())
      watch(group:create_task(pause()))
    end
  end)

  retains_nothing("tasks of a group that goes on", function(n, watch, group)
    for _ = 1, n do await(watch(group:create_task(pause()))) end
  end, asyncio.TaskGroup)

  retains_nothing("a group whose tasks all fail", function(n, watch)
    local err = tasks.caught(function()
      local group <close> = watch(asyncio.TaskGroup())
      for _ = 1, n do
        watch(group:create_task(fail(watch {})))
      end
    end)
    assert.equal(n, #err.exceptions)
  end)

  retains_nothing("a group that is cancelled", function(n, watch)
    cancel(started(1, watch, function()
      local group <close> = watch(asyncio.TaskGroup())
      for _ = 1, n do watch(group:create_task(sleep(1000))) end
    end))
  end)
end)

-- What many tasks can wait for: make() makes it so that wait(it) suspends;
-- free(it, n) lets all n waiters go on and leaves it so that the next wait
-- suspends again.
local waits = {
  ["a future"] = {make = Future, wait = await},

  ["a Lock"] = {
    make = function()
      local lock = asyncio.Lock()
      await(lock:acquire())
      return lock
    end,
    wait = function(lock, watch) local _ <close> = watch(await(lock:acquire())) end,
    free = function(lock)
      lock:release()
      await(lock:acquire()) -- behind all others
    end,
  },

  ["an Event"] = {
    make = asyncio.Event,
    wait = function(event) await(event:wait()) end,
    free = function(event)
      event:set()
      event:clear()
    end,
  },

  ["a Condition"] = {
    make = asyncio.Condition,
    wait = function(condition, watch)
      local _ <close> = watch(await(condition:acquire()))
      await(condition:wait())
    end,
    free = function(condition)
      local _ <close> = await(condition:acquire())
      condition:notify_all()
    end,
  },

  ["a Barrier"] = {
    make = function() return asyncio.Barrier(N + 1) end,
    wait = function(barrier) await(barrier:wait()) end,
  },

  ["a Barrier that breaks"] = {
    make = function() return asyncio.Barrier(N + 1) end,
    wait = function(barrier, watch)
      local _, broken = pcall(await, barrier:wait())
      watch(broken)
    end,
    free = function(barrier)
      await(barrier:abort())
      await(barrier:reset())
    end,
  },
}

for _, kind in ipairs {"Semaphore", "BoundedSemaphore"} do
  waits["a " .. kind] = {
    make = function()
      local semaphore = asyncio[kind](1)
      await(semaphore:acquire())
      return semaphore
    end,
    wait = function(semaphore, watch)
      local _ <close> = watch(await(semaphore:acquire()))
    end,
    free = function(semaphore)
      semaphore:release()
      await(semaphore:acquire())
    end,
  }
end

for _, kind in ipairs {"Queue", "PriorityQueue", "LifoQueue"} do
  waits["an empty " .. kind] = {
    make = asyncio[kind],
    wait = function(queue) await(queue:get()) end,
    free = function(queue, n)
      for i = 1, n do queue:put_nowait(i) end
    end,
  }
  waits["a full " .. kind] = {
    make = function()
      local queue = asyncio[kind](1)
      queue:put_nowait(0)
      return queue
    end,
    wait = function(queue) await(queue:put(1)) end,
    free = function(queue, n)
      for _ = 1, n do await(queue:get()) end
    end,
  }
  waits["a join of a " .. kind] = {
    make = function()
      local queue = asyncio[kind]()
      queue:put_nowait(0)
      return queue
    end,
    wait = function(queue) await(queue:join()) end,
    free = function(queue)
      queue:get_nowait()
      queue:task_done()
      queue:put_nowait(0)
    end,
  }
end

local names = {}
for name in pairs(waits) do names[#names + 1] = name end
table.sort(names)

for _, name in ipairs(names) do
  local what = waits[name]

  describe("nothing is retained by " .. name .. " that lives on, of", function()
    if what.free then
      retains_nothing("tasks that waited for it at once", function(n, watch, kept)
        local list = started(n, watch, what.wait, kept, watch)
        what.free(kept, n)
        join(list)
      end, what.make)
    end

    retains_nothing("tasks that waited at once and were cancelled", function(n, watch, kept)
      cancel(started(n, watch, what.wait, kept, watch))
    end, what.make)

    retains_nothing("tasks that waited in turn and were cancelled", function(n, watch, kept)
      for _ = 1, n do cancel(started(1, watch, what.wait, kept, watch)) end
    end, what.make)

    retains_nothing("tasks that waited until a deadline", function(n, watch, kept)
      for _ = 1, n do
        tasks.caught(function()
          local _ <close> = watch(asyncio.timeout(0))
          what.wait(kept, watch)
        end)
      end
    end, what.make)
  end)
end

describe("nothing is retained by a queue that lives on, of", function()
  for _, kind in ipairs {"Queue", "PriorityQueue", "LifoQueue"} do
    retains_nothing("the items that were in a " .. kind .. " at once", function(n, watch, queue)
      local ordered = {__lt = function(a, b) return a[1] < b[1] end}
      for i = 1, n do queue:put_nowait(watch(setmetatable({i}, ordered))) end
      for _ = 1, n do await(queue:get()) end
    end, asyncio[kind])
  end
end)
