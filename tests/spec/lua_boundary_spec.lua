-- lua_boundary_spec.lua: where in Lua await can suspend, and where it
-- cannot and says so (LX-07 of the behaviours).

local asyncio = require "asyncio"
local program = require "program"
local tasks = require "tasks"

local at_end, main = tasks.at_end, tasks.main

-- Suspends the task for a turn; gives its arguments.
local function turn(...)
  await(sleep(0))
  return ...
end

-- Runs fn in a task; asserts that another task had a turn meanwhile.
local function suspends(fn)
  main(function()
    local turns = 0
    create_task(async(function() turns = turns + 1 end)())
    fn()
    assert.are.equal(1, turns)
  end)
end

describe("await suspends", function()
  it("LX-07 in pcall and xpcall, nested", function()
    suspends(function()
      assert.are.same({true, true, 1, nil, 3, n = 5},
        table.pack(pcall(xpcall, turn, print, 1, nil, 3)))
    end)
  end)

  it("LX-07 called by pcall itself", function()
    suspends(function()
      assert.are.same({true, "x"}, {pcall(await, sleep(0, "x"))})
      assert.are.same({true, "x"}, {xpcall(await, print, sleep(0, "x"))})
      assert.are.same({true, "x"}, {asyncio.catch(await, sleep(0, "x"))})
    end)
  end)

  it("LX-07 in the iterator of a generic for", function()
    suspends(function()
      local sum = 0
      for i in function(_, i)
        return turn(i < 3 and i + 1 or nil)
      end, nil, 0 do
        sum = sum + i
      end
      assert.are.equal(6, sum)
    end)
  end)

  it("LX-07 in a for's closing value", function()
    suspends(function()
      local closed = false
      local guard = at_end(function() closed = turn(true) end)
      for _ in next, {1, 2}, nil, guard do -- luacheck: ignore 512
        break
      end
      assert.is_true(closed)
    end)
  end)

  it("LX-07 in metamethods called by operators", function()
    local function first(a)
      return turn(rawget(a, 1))
    end
    local meta = {
      __index = function(_, key) return turn(key) end,
      __newindex = function(t, key, value) rawset(t, key, turn(value)) end,
      __call = function(_, ...) return turn(...) end,
      __add = first, __sub = first, __mul = first, __div = first,
      __mod = first, __pow = first, __unm = first, __idiv = first,
      __band = first, __bor = first, __bxor = first, __shl = first,
      __shr = first, __bnot = first, __concat = first, __len = first,
      __eq = function() return turn(true) end,
      __lt = function() return turn(true) end,
      __le = function() return turn(false) end,
    }
    local function new()
      return setmetatable({7}, meta)
    end
    local operations = {
      function(a, b) return a + b end, function(a, b) return a - b end,
      function(a, b) return a * b end, function(a, b) return a / b end,
      function(a, b) return a % b end, function(a, b) return a ^ b end,
      function(a, b) return a // b end, function(a, b) return a & b end,
      function(a, b) return a | b end, function(a, b) return a ~ b end,
      function(a, b) return a << b end, function(a, b) return a >> b end,
      function(a, b) return a .. b end, function(a) return -a end,
      function(a) return ~a end, function(a) return #a end,
      function(a) return a + 1 end, function(a) return a .. "x" end,
    }
    for _, operation in ipairs(operations) do
      suspends(function()
        assert.are.equal(7, operation(new(), new()))
      end)
    end
    suspends(function() assert.are.equal("key", new().key) end)
    suspends(function() assert.is_true(new() == new()) end)
    suspends(function() assert.is_true(new() < new()) end)
    suspends(function() assert.is_false(new() <= new()) end)
    suspends(function() assert.are.same({1, 2}, {new()(1, 2)}) end)
    suspends(function()
      local t = new()
      t.x = "set"
      assert.are.equal("set", rawget(t, "x"))
    end)
  end)

  it("LX-07 in __pairs", function()
    suspends(function()
      local keys = {}
      for key in pairs(setmetatable({}, {__pairs = function()
        return turn(next, {a = 1})
      end})) do
        keys[#keys + 1] = key
      end
      assert.are.same({"a"}, keys)
    end)
  end)

  it("LX-07 in a chunk of load and of dofile", function()
    suspends(function()
      assert.are.equal(5, load("return await(sleep(0, 5))")())
    end)
    local folder <close> = program.folder()
    local path = folder:write("chunk.lua", "return await(sleep(0, 6))")
    suspends(function()
      assert.are.equal(6, dofile(path))
    end)
  end)

  it("LX-07 in to-be-closed variables, however the block is left", function()
    local closed = {}
    local function guard(name)
      return at_end(function()
        await(sleep(0))
        closed[#closed + 1] = name
      end)
    end
    suspends(function()
      do
        local a <close> = guard "end" -- luacheck: ignore
      end
      for _ = 1, 2 do -- luacheck: ignore 512
        local b <close> = guard "break" -- luacheck: ignore
        break
      end
      do
        local c <close> = guard "goto" -- luacheck: ignore
        goto out
      end
      ::out::
      local f = function()
        local d <close> = guard "return" -- luacheck: ignore
        return 1, nil, 3
      end
      assert.are.same({1, nil, 3, n = 3}, table.pack(f()))
      pcall(function()
        local e <close> = guard "error" -- luacheck: ignore
        error("x")
      end)
      assert.are.same({"end", "break", "goto", "return", "error"}, closed)
    end)
  end)
end)

describe("await where Lua cannot yield", function()
  local WANTED = "^[^\n]*lua_boundary_spec%.lua:%d+: await: attempt to yield "
    .. "across a C%-call boundary: "

  -- Runs use(fn) in a task, where fn awaits; asserts that each time it was
  -- refused, and that the task can go on.
  local function refused(use)
    main(function()
      local gate, errors = asyncio.Future(), {}
      local function awaits()
        local ok, err = pcall(function() await(gate) end)
        errors[#errors + 1] = {ok, err}
        return not ok
      end
      use(awaits)
      assert.is_true(#errors > 0)
      for _, pair in ipairs(errors) do
        assert.is_false(pair[1])
        assert.matches(WANTED, pair[2])
      end
      await(sleep(0))
      gate:set_result()
      await(gate)
    end)
  end

  -- Asserts that the error itself comes out of use(fn).
  local function raises(use)
    main(function()
      local gate = asyncio.Future()
      local ok, err = pcall(use, function() await(gate) end)
      assert.is_false(ok)
      assert.matches(WANTED, err)
      await(sleep(0))
    end)
  end

  it("LX-07 in table.sort names await", function()
    local function sort(awaits)
      table.sort({2, 1, 3}, function(a, b) awaits() return a < b end)
    end
    refused(sort)
    raises(sort)
  end)

  it("LX-07 in string.gsub names await", function()
    local function gsub(awaits)
      string.gsub("abc", ".", function() awaits() end)
    end
    refused(gsub)
    raises(gsub)
  end)

  it("LX-07 in load's reader names await", function()
    refused(function(awaits)
      load(function() awaits() return nil end)
    end)
    main(function()
      local f, err = load(function() await(asyncio.Future()) end)
      assert.is_nil(f)
      assert.matches(WANTED, err)
      await(sleep(0))
    end)
  end)

  it("LX-07 in __tostring names await", function()
    for _, use in ipairs {tostring, function(x) return ("%s"):format(x) end} do
      local function text(awaits)
        return use(setmetatable({}, {__tostring = function()
          awaits()
          return "text"
        end}))
      end
      refused(text)
      raises(text)
    end
  end)

  it("LX-07 in __gc names await", function()
    refused(function(awaits)
      local collected = false
      setmetatable({}, {__gc = function()
        awaits()
        collected = true
      end})
      collectgarbage()
      collectgarbage()
      assert.is_true(collected)
    end)
  end)

  it("LX-07 in __index called by C names await", function()
    local function unpacks(awaits)
      return table.unpack(setmetatable({}, {__index = function()
        awaits()
        return 1
      end}), 1, 2)
    end
    refused(unpacks)
    raises(unpacks)
  end)

  it("LX-07 in __await and in __name's place names await", function()
    refused(function(awaits)
      await(setmetatable({}, {__await = function()
        awaits()
        return sleep(0)
      end}))
    end)
  end)

  it("LX-07 in a module that require loads names await", function()
    refused(function(awaits)
      finally(function()
        package.preload.awaits = nil
        package.loaded.awaits = nil
      end)
      package.preload.awaits = awaits
      assert.is_true(require "awaits")
    end)
  end)

  it("LX-07 in a message handler names await", function()
    refused(function(awaits)
      assert.are.same({false, "handled"}, {xpcall(error, function()
        awaits()
        return "handled"
      end)})
    end)
  end)

  it("LX-07 in a debug hook names await", function()
    refused(function(awaits)
      debug.sethook(function()
        debug.sethook()
        awaits()
      end, "l")
      local line -- the next line calls the hook
      line = 1
      return line
    end)
  end)

  it("LX-07 in a generator that C code resumes names await", function()
    refused(function(awaits)
      table.sort({2, 1}, function(a, b)
        coroutine.wrap(awaits)()
        return a < b
      end)
    end)
  end)

  it("LX-07 in a generator nested in several names await", function()
    refused(function(awaits)
      local gen = coroutine.wrap(function()
        string.gsub("x", ".", function()
          local inner = coroutine.wrap(function()
            awaits()
            coroutine.yield("yielded")
            awaits()
          end)
          assert.are.equal("yielded", inner())
          inner()
        end)
        await(sleep(0)) -- here it can again
        return "end"
      end)
      assert.are.equal("end", gen())
    end)
  end)

  it("LX-07 works for what does not suspend", function()
    main(function()
      local f = async(function(a, b) return a < b end)
      local list = {3, 1, 2}
      table.sort(list, function(a, b) return await(f(a, b)) end)
      assert.are.same({1, 2, 3}, list)
      local done = create_task(async(function() return "x" end)())
      await(done)
      assert.are.equal("xxx", (("abc"):gsub(".", function()
        return await(done)
      end)))
    end)
  end)

  it("LX-07 leaves the awaited object as it was", function()
    main(function()
      local coro = sleep(0.001, "value")
      table.sort({1, 2}, function()
        assert.is_false(pcall(await, coro))
        return false
      end)
      assert.are.equal("value", (await(coro)))
      local task = create_task(async(turn)("value"))
      table.sort({1, 2}, function()
        assert.is_false(pcall(await, task))
        return false
      end)
      assert.are.equal("value", (await(task)))
    end)
  end)
end)
