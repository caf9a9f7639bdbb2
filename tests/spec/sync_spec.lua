-- sync_spec.lua: synchronous programs give byte for byte what lua5.4
-- gives: coroutines and their error messages, protected calls, tracebacks.
-- Each program runs plainly, and again after an async function was made;
-- where it can, a third time inside a task, as lua5.4 runs it inside a
-- coroutine. sync_errors_spec.lua has the programs that fail.

local dropin = require "dropin"

-- A line's beginning that makes the VM know that tasks may come.
local ASYNC_USED = "local _ = async and async(function() end) "

local function same(code)
  dropin.same_script(code)
  return dropin.same_script(ASYNC_USED .. code)
end

-- The same, and inside a task, without other changes to its lines.
local function same_in_task(code)
  local result = same(code)
  local in_task = dropin.same_script("local function main(...) " .. code
    .. "\nend\nif run then run(async(main)()) "
    .. "else coroutine.wrap(main)() end")
  assert.are.equal(0, in_task.code)
  assert.are.equal(result.stdout, in_task.stdout)
end

describe("coroutines in a synchronous program", function()
  it("pass values in and out", function()
    same_in_task [[
      local co = coroutine.create(function(...)
        print("start", select("#", ...), ...)
        print(coroutine.yield())
        print(coroutine.yield(1, nil, nil))
        print(select("#", coroutine.yield(nil)))
        return "end", nil
      end)
      print(coroutine.status(co))
      print(coroutine.resume(co, 1, nil, nil))
      print(coroutine.status(co))
      print(coroutine.resume(co, "a", nil))
      print(coroutine.resume(co))
      print(coroutine.resume(co, nil, nil, nil))
      print(coroutine.status(co))
      print(coroutine.resume(co))
      print(coroutine.resume(co, 1))
    ]]
  end)

  it("iterate, nest and recurse", function()
    same_in_task [[
      local function walk(tree)
        if tree then
          walk(tree[1])
          coroutine.yield(tree[2])
          walk(tree[3])
        end
      end
      local tree = {{nil, 1, {nil, 2}}, 3, {{nil, 4}, 5}}
      for x in coroutine.wrap(function() walk(tree) end) do
        io.write(x, " ")
      end
      local function primes(limit)
        local gen = coroutine.wrap(function()
          for i = 2, limit do coroutine.yield(i) end
        end)
        local function filter(p, g)
          return coroutine.wrap(function()
            for n in g do
              if n % p ~= 0 then coroutine.yield(n) end
            end
          end)
        end
        return coroutine.wrap(function()
          while true do
            local n = gen()
            if not n then return end
            coroutine.yield(n)
            gen = filter(n, gen)
          end
        end)
      end
      for p in primes(60) do io.write(p, " ") end
      print()
    ]]
  end)

  it("have the same status everywhere", function()
    same_in_task [[
      local outer, inner
      outer = coroutine.create(function()
        inner = coroutine.create(function()
          print("inner", coroutine.status(outer), coroutine.status(inner))
          coroutine.yield()
        end)
        print("before", coroutine.status(inner))
        coroutine.resume(inner)
        print("after", coroutine.status(inner), coroutine.status(outer))
        error("x")
      end)
      print("new", coroutine.status(outer))
      print(coroutine.resume(outer))
      print("dead", coroutine.status(outer))
      print(coroutine.status(coroutine.create(print)))
      print(coroutine.isyieldable(outer), coroutine.isyieldable(inner))
      coroutine.wrap(function()
        print(coroutine.isyieldable(), select(2, coroutine.running()))
      end)()
    ]]
    same [[
      print(coroutine.isyieldable(), select(2, coroutine.running()))
      print(coroutine.status(coroutine.running()))
    ]]
  end)

  it("have the same messages for each misuse", function()
    same_in_task [[
      for _, name in ipairs {"create", "wrap", "resume", "close", "status",
          "isyieldable"} do
        for _, value in ipairs {0, "x", {}, true, io.stdout} do
          print(name, pcall(coroutine[name], value))
        end
        if name ~= "isyieldable" then
          print(name, pcall(coroutine[name]))
        end
        print(name, pcall(coroutine[name], nil))
        print(name, pcall(function() coroutine[name](nil) end))
        print(name, pcall(function() local f = coroutine[name] f(nil) end))
      end
    ]]
  end)

  it("cannot resume what does not wait", function()
    same_in_task [[
      local co
      co = coroutine.create(function()
        print("itself", coroutine.resume(co))
        local wrapped = coroutine.wrap(function()
          print("its resumer", coroutine.resume(co))
        end)
        wrapped()
        print(pcall(wrapped))
        print(pcall(function() wrapped() end))
      end)
      print(coroutine.resume(co))
      print("dead", coroutine.resume(co))
      local f
      f = coroutine.wrap(function() f() end)
      print(pcall(f))
      print(pcall(function() f() end))
    ]]
    same [[
      print(coroutine.resume(coroutine.running()))
      print(pcall(coroutine.close, coroutine.running()))
      print(pcall(coroutine.yield))
      print(pcall(function() coroutine.yield(1) end))
    ]]
  end)

  it("give their errors, with positions by wrap", function()
    same_in_task [[
      local function body(...) error(...) end
      for _, value in ipairs {"text", 42, true, "x\ny"} do
        for level = 0, 3 do
          print(level, coroutine.resume(coroutine.create(body), value, level))
          print(level, pcall(coroutine.wrap(body), value, level))
          print(level, pcall(function() coroutine.wrap(body)(value, level) end))
        end
      end
      local object = {}
      print(select(2, coroutine.resume(coroutine.create(error), object))
        == object)
      print(select(2, pcall(coroutine.wrap(error), object)) == object)
      print(coroutine.resume(coroutine.create(error)))
      print(pcall(coroutine.wrap(error)))
      local function deep(n)
        if n == 0 then error("deep") end
        coroutine.wrap(deep)(n - 1)
      end
      print(pcall(deep, 5))
      print(coroutine.resume(coroutine.create(function() local x; x() end)))
      print(coroutine.resume(coroutine.create(string.rep)))
    ]]
  end)

  it("yield through pcall, metamethods, iterators and close", function()
    same_in_task [[
      local function go(f, ...)
        local co = coroutine.create(f)
        local t = table.pack(coroutine.resume(co, ...))
        while coroutine.status(co) ~= "dead" do
          for i = 2, t.n do
            if type(t[i]) == "table" then t[i] = "a table" end
          end
          print("yielded", table.unpack(t, 2, t.n))
          t = table.pack(coroutine.resume(co, "resumed"))
        end
        print("end", table.unpack(t, 1, t.n))
      end
      local yield = coroutine.yield
      go(pcall, yield, 1, 2)
      go(pcall, pcall, error, "x")
      go(pcall, function() yield(1) error("after", 0) end)
      go(xpcall, function() yield(1) error("after", 0) end,
        function(m) return "handled " .. m end)
      go(xpcall, yield, print, 1, 2)
      go(function()
        local meta = {__add = yield, __index = yield, __call = yield,
          __lt = function() return yield("lt") end,
          __concat = yield, __len = function() return yield("len") end,
          __eq = function() return yield("eq") end,
          __close = function() yield("close") end}
        local a, b = setmetatable({}, meta), setmetatable({}, meta)
        local n = #a
        print(type(a + 1), type(a.x), type(a()), a < b, type(a .. "x"),
          n, a == b)
        for x in yield, "state", 0 do print(x) break end
        local c <close> = a
        return "value", nil
      end)
      go(pcall, function()
        local t = setmetatable({}, {__close = function(_, e)
          yield("closing", e) error("in close", 0) end})
        local x <close> = t
        error("body", 0)
      end)
    ]]
  end)

  it("cannot yield across C, with the same message", function()
    same [[
      local yield = coroutine.yield
      local function go(f) print(coroutine.resume(coroutine.create(f))) end
      go(function() table.sort({2, 1}, yield) end)
      go(function() string.gsub("x", ".", yield) end)
      go(function() print(load(yield)) end)
      go(function() tostring(setmetatable({}, {__tostring = yield})) end)
      go(function() table.unpack(setmetatable({}, {__index = yield}), 1, 1) end)
      go(function() xpcall(error, yield) end)
      go(function()
        setmetatable({}, {__gc = function() print(pcall(yield)) end})
        collectgarbage()
      end)
      go(function() debug.sethook(function() debug.sethook() yield() end, "l")
        local x = 1
        x = 2
      end)
      print(pcall(table.sort, {2, 1}, yield))
    ]]
  end)
end)

describe("coroutine.close in a synchronous program", function()
  it("closes pending variables, and gives their errors", function()
    same_in_task [[
      local function closing(name, fails)
        return setmetatable({}, {__close = function(_, err)
          print("close", name, err)
          if fails then error("from " .. name, 0) end
        end})
      end
      local function new(a, b)
        local co = coroutine.create(function()
          local x <close> = closing("first", a)
          local y <close> = closing("second", b)
          coroutine.yield()
          error("not reached")
        end)
        coroutine.resume(co)
        return co
      end
      for _, a in ipairs {false, true} do
        for _, b in ipairs {false, true} do
          local co = new(a, b)
          print(coroutine.close(co))
          print(coroutine.status(co), coroutine.close(co))
          print(coroutine.resume(co))
        end
      end
      local fresh = coroutine.create(print)
      print(coroutine.close(fresh), coroutine.status(fresh))
      print(coroutine.resume(fresh))
      local done = coroutine.create(function() end)
      coroutine.resume(done)
      print(coroutine.close(done))
    ]]
  end)

  it("gives the error of a coroutine that failed, once", function()
    same_in_task [[
      local co = coroutine.create(function() error({}) end)
      print(coroutine.resume(co) == false)
      print(select("#", coroutine.close(co)), coroutine.close(co))
      local text = coroutine.create(function() error("text") end)
      coroutine.resume(text)
      print(coroutine.close(text))
      print(coroutine.close(text))
    ]]
  end)

  it("closes what an error left open", function()
    -- in a task the error itself closes them: only the main program here
    same [[
      local co = coroutine.create(function()
        local x <close> = setmetatable({}, {__close = function(_, err)
          print("close", err) error("second", 0) end})
        error("first", 0)
      end)
      print(coroutine.resume(co))
      print(coroutine.status(co))
      print(coroutine.close(co))
      print(coroutine.close(co))
      local gen = coroutine.wrap(function()
        local x <close> = setmetatable({}, {__close = function(_, err)
          print("close", err) error("second") end})
        error("first", 0)
      end)
      print(pcall(gen))
    ]]
  end)

  it("refuses what runs", function()
    same_in_task [[
      local co
      co = coroutine.create(function()
        print(pcall(coroutine.close, co))
        print(pcall(function() coroutine.close(co) end))
        coroutine.wrap(function()
          print(pcall(coroutine.close, co))
        end)()
      end)
      coroutine.resume(co)
    ]]
  end)

  it("cannot yield in what it closes", function()
    same_in_task [[
      local co = coroutine.create(function()
        local x <close> = setmetatable({}, {__close = coroutine.yield})
        coroutine.yield()
      end)
      coroutine.resume(co)
      print(coroutine.close(co))
      print(coroutine.status(co))
    ]]
  end)

  it("works in chains of coroutines that close one another", function()
    same_in_task [[
      local function chain(n, closed)
        local co = coroutine.create(function()
          local inner = n > 1 and chain(n - 1, closed)
          local x <close> = setmetatable({}, {__close = function(_, err)
            closed[#closed + 1] = n
            if inner then print(n, err, coroutine.close(inner)) end
            if n % 7 == 0 then error("error of " .. n, 0) end
          end})
          coroutine.yield()
        end)
        coroutine.resume(co)
        return co
      end
      for _, n in ipairs {1, 2, 50} do
        local closed = {}
        print(coroutine.close(chain(n, closed)))
        print(#closed, closed[1], closed[#closed])
      end
    ]]
  end)

  it("of a chain too long for the C stack is an error, no crash", function()
    local program = require "program"
    local result = program.run_script [[
      local co = nil
      for _ = 1, 10000 do
        local inner = co
        co = coroutine.create(function()
          local x <close> = setmetatable({}, {__close = function()
            if inner then assert(coroutine.close(inner)) end
          end})
          coroutine.yield()
        end)
        coroutine.resume(co)
      end
      local ok, err = coroutine.close(co)
      print(ok, err:match("C stack overflow"))
    ]]
    assert.are.equal("", result.stderr)
    assert.are.equal("false\tC stack overflow\n", result.stdout)
  end)
end)

describe("to-be-closed variables in a synchronous program", function()
  it("close in order with the same errors", function()
    same_in_task [[
      local function closing(name, fails)
        return setmetatable({}, {__close = function(_, err)
          print("close", name, err)
          if fails then error("from " .. name) end
        end})
      end
      print(pcall(function()
        local a <close> = closing("a", true)
        local b <close> = closing("b")
        local c <close> = closing("c", true)
        return "lost"
      end))
      print(pcall(function()
        for i in function(_, i) if i < 3 then return i + 1 end end, nil, 0,
            closing("loop", true) do
          if i == 2 then break end
        end
      end))
      print(pcall(function() local x <close> = {} end))
      print(pcall(function() local x <close> = 42 end))
      do local x <close> = nil end
      do local x <close> = false end
      print(xpcall(function()
        local x <close> = closing("x", true)
        error("body")
      end, function(m) return "handled " .. tostring(m) end))
    ]]
  end)
end)
