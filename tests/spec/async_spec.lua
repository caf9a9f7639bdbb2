-- async_spec.lua: async functions: how they are made, what a call does, what
-- their arguments are (CO of the behaviours).

local program = require "program"
local tasks = require "tasks"

local main = tasks.main

describe("an async function", function()
  it("CO-01 called runs nothing and gives a coroutine object", function()
    local ran = false
    local f = async(function() ran = true end)
    local coro = f()
    assert.are.equal("userdata", type(coro))
    assert.is_false(ran)
    coro:close()
    main(function()
      local object = f()
      await(sleep(0))
      assert.is_false(ran)
      await(object)
      assert.is_true(ran)
    end)
  end)

  it("CO-01 as a task starts at the creator's suspension", function()
    local ran = false
    local f = async(function() ran = true end)
    main(function()
      local task = create_task(f())
      assert.is_false(ran)
      await(sleep(0))
      assert.is_true(ran)
      await(task)
    end)
  end)

  it("CO-02 gets its arguments as they were at the call", function()
    local f = async(function(a, b) return a, b end)
    main(function()
      local x, t = 1, {2}
      local coro = f(x, t[1])
      x, t[1] = 10, 20
      local a, b = await(coro)
      assert.are.equal(1, a)
      assert.are.equal(2, b)
      assert.are.same({10, 20}, {x, t[1]})
    end)
  end)

  it("CO-02 evaluates the arguments once, at the call", function()
    local order = {}
    local f = async(function() order[#order + 1] = "body" end)
    main(function()
      local coro = f((function() order[#order + 1] = "argument" end)())
      order[#order + 1] = "called"
      await(coro)
      assert.are.same({"argument", "called", "body"}, order)
    end)
  end)

  it("gets as many arguments as were given, nil ones too", function()
    local count = async(function(...) return select("#", ...), ... end)
    main(function()
      assert.are.equal(0, (await(count())))
      assert.are.same({3, n = 4}, table.pack(await(count(nil, nil, nil))))
      assert.are.same({3, 1, nil, 3, n = 4},
        table.pack(await(count(1, nil, 3))))
      for _, n in ipairs {199, 200, 201, 254, 255, 256, 1000, 5000} do
        local arguments = {}
        for i = 1, n do
          arguments[i] = -i
        end
        local all = {await(count(table.unpack(arguments)))}
        assert.are.equal(n, all[1])
        assert.are.equal(n + 1, #all)
        assert.are.equal(-1, all[2])
        assert.are.equal(-n, all[n + 1])
        local task = create_task(count(table.unpack(arguments)))
        local as_task = {await(task)}
        assert.are.equal(-n, as_task[n + 1])
      end
    end)
  end)

  it("gives a new coroutine object at each call", function()
    local f = async(function(x) return x end)
    main(function()
      local one, two = f(1), f(2)
      assert.are_not.equal(one, two)
      assert.are.equal(2, (await(two)))
      assert.are.equal(1, (await(one)))
    end)
  end)

  it("can be a method, a field and a vararg function", function()
    local class = {}
    class.__index = class
    class.add = async(function(self, ...)
      await(sleep(0))
      return self.base + select("#", ...)
    end)
    local object = setmetatable({base = 10}, class)
    assert.are.equal(13, main(function()
      return await(object:add(1, nil, nil))
    end))
  end)

  it("can be a C function", function()
    local max = async(math.max)
    assert.are.equal(3, main(function() return await(max(1, 3, 2)) end))
    assert.are.equal(3, run(max(1, 3, 2)))
    local ok, err = pcall(run, max())
    assert.is_false(ok)
    assert.matches("bad argument #1", err, 1, true)
  end)

  it("can call itself", function()
    local sum
    sum = async(function(n)
      if n == 0 then
        await(sleep(0))
        return 0
      end
      return n + await(sum(n - 1))
    end)
    assert.are.equal(5050, run(sum(100)))
  end)

  it("is a function for scripts", function()
    assert.are.equal("function", type(async(function() end)))
  end)

  it("written as function async.name() is the global of that name", function()
    local result = program.run_script [[
      function async.greet(name) await(sleep(0)) return "hello " .. name end
      print(type(greet), rawget(_G, "greet") == greet, async.greet)
      print(run(greet("you")))
    ]]
    assert.are.equal("", result.stderr)
    assert.are.equal("function\ttrue\tnil\nhello you\n", result.stdout)
  end)

  it("of that form respects the metatable of _G", function()
    local result = program.run_script [[
      setmetatable(_G, {__newindex = function(t, name, value)
        print("defines", name) rawset(t, name, value)
      end})
      function async.main() return 1 end
      print(run(main()))
    ]]
    assert.are.equal("defines\tmain\n1\n", result.stdout)
  end)
end)
