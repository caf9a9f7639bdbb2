-- sync_errors_spec.lua: protected calls, message handlers, tracebacks,
-- error positions, warnings and the limits of the stacks are byte for byte
-- those of lua5.4 in synchronous programs.

local dropin = require "dropin"

-- A line's beginning that makes the VM know that tasks may come.
local ASYNC_USED = "local _ = async and async(function() end) "

local function same(code)
  dropin.same_script(code)
  return dropin.same_script(ASYNC_USED .. code)
end

-- The same, and inside a task, as lua5.4 does inside a coroutine.
local function same_in_task(code)
  local result = same(code)
  local in_task = dropin.same_script("local function main(...) " .. code
    .. "\nend\nif run then run(async(main)()) "
    .. "else coroutine.wrap(main)() end")
  assert.are.equal(0, in_task.code)
  assert.are.equal(result.stdout, in_task.stdout)
end

describe("pcall and xpcall in a synchronous program", function()
  it("give the same results", function()
    same_in_task [[
      print(pcall(function(...) return select("#", ...), ... end, nil, 2, nil))
      print(select("#", pcall(function() end)))
      print(pcall(error))
      print(pcall(error, nil))
      print(pcall(error, "x", 0))
      print(pcall(error, "x", 1))
      print(pcall(error, "x", 2))
      print(pcall(error, 42), pcall(error, true))
      print(pcall(pcall), pcall(pcall, error, "x"))
      print(pcall(42), pcall(nil), pcall("x"))
      print(pcall(string.rep), pcall(string.rep, "x", {}))
      print(pcall(setmetatable({}, {__call = function(_, ...) return ... end}),
        1, nil))
      print(xpcall(print, print, 1, nil, 3))
      print(xpcall(function(...) return ... end, error, 1, nil, nil))
      print(xpcall(error, function(m, ...) return m, select("#", ...) end, "x"))
      print(xpcall(error, function() end, "x"))
      print(xpcall(error, function(...) return select("#", ...) end))
      print(xpcall(42, function(m) return "handled " .. m end))
    ]]
  end)

  it("have the same messages for misuse", function()
    same_in_task [[
      for _, f in ipairs {pcall, xpcall} do
        print(pcall(f))
        print(pcall(f, type))
        print(pcall(f, type, nil))
        print(pcall(f, type, 42))
        print(pcall(f, type, {}))
        print(pcall(function() f() end))
      end
      print(pcall(function() xpcall() end))
      print(pcall(function() xpcall(print) end))
      print(pcall(function() xpcall(print, "x") end))
      print(pcall(function() local _, e = xpcall(print, setmetatable({},
        {__call = print})) end))
    ]]
  end)

  it("survive handlers that fail", function()
    same_in_task [[
      local function show(...)
        local t = table.pack(...)
        for i = 1, t.n do t[i] = tostring(t[i]):sub(1, 200) end
        print(table.unpack(t, 1, t.n))
      end
      show(xpcall(error, error, "x"))
      show(xpcall(error, function(m) error(m, 0) end, "x"))
      show(xpcall(error, function() error({}) end, "x"))
      show(xpcall(error, function() local x; x() end, "x"))
      local n = 0
      show(xpcall(error, function(m)
        n = n + 1
        if n < 5 then error("again " .. n) end
        return "handled " .. tostring(m)
      end, "x"))
      print(n)
      show(xpcall(error, coroutine.wrap(function(m)
        while true do m = coroutine.yield("wrapped " .. m) end
      end), "x"))
      show(xpcall(xpcall, function(m) return "outer " .. tostring(m) end, error))
      show(xpcall(function()
        local ok, e = xpcall(error, function(m) return "inner " .. m end, "x")
        error(e, 0)
      end, function(m) return "outer " .. m end))
    ]]
  end)

  it("call the handler where the error is", function()
    same [[
      local function inner() local x = nil; return x.y end
      local function outer() inner() return 1 end
      print(xpcall(outer, debug.traceback))
      print(xpcall(outer, debug.traceback, "ignored"))
      print(xpcall(outer, function(m) return debug.traceback(m, 2) end))
      print(xpcall(outer, function(m) return debug.traceback(m, 3) end))
      print(xpcall(outer, function()
        local t = {}
        for level = 2, 6 do
          local i = debug.getinfo(level, "Slnt")
          t[#t + 1] = i and ("%s:%s:%s"):format(i.short_src, i.currentline,
            i.name) or "none"
        end
        return table.concat(t, " ")
      end))
      print(xpcall(error, debug.traceback, {}) == false)
      print(xpcall(error, debug.traceback, nil))
      print(xpcall(error, debug.traceback, 42))
      print(xpcall(function() error("level 2", 2) end, debug.traceback))
      print(xpcall(coroutine.wrap(function() error("in wrap") end),
        debug.traceback))
    ]]
    dropin.same_script [[
      local function outer() error("x") end
      print(xpcall(outer, function(m) return debug.traceback(m) end))
      print(xpcall(outer, function(m) return debug.traceback(m, 1) end))
      print(xpcall(outer, function() return debug.getinfo(1, "n").name end))
      print(xpcall(outer, function() return debug.getinfo(2, "n").name end))
    ]]
  end)
end)

describe("tracebacks in a synchronous program", function()
  it("of functions, methods, tail calls and C functions", function()
    same [[
      local t = {}
      function t.field() print(debug.traceback("field")) end
      function t:method() self.field() end
      function global() t:method() return 1 end
      local function tail() return global() end
      local up = function() tail() return 1 end
      local meta = setmetatable({}, {__index = function() up() return 1 end,
        __add = function(a) return a.x end, __close = function() up() end})
      up()
      print(meta.x, meta + 1)
      do local c <close> = meta end
      table.sort({1, 2}, function() up() return false end)
      string.gsub("x", "x", up)
      pcall(up)
      xpcall(up, print)
      load("up = ... ; up()", "=chunk")(up)
      for _ in function(_, i) if not i then up() return 1 end end do end
      coroutine.wrap(up)()
      coroutine.resume(coroutine.create(up))
    ]]
  end)

  it("of levels, threads and values", function()
    same [[
      local co = coroutine.create(function(...)
        local function inner() coroutine.yield("y") error("fails") end
        inner()
      end)
      print(debug.traceback(co))
      coroutine.resume(co)
      print(debug.traceback(co), debug.traceback(co, "m"))
      print(debug.traceback(co, "m", 0), debug.traceback(co, nil, 1))
      print(debug.traceback(co, "m", 5))
      print(coroutine.resume(co))
      print(debug.traceback(co))
      coroutine.close(co)
      print(debug.traceback(co))
      print(debug.traceback("x", 0), debug.traceback("x", 1))
      print(debug.traceback({}) ~= nil, debug.traceback(nil), debug.traceback())
      local function deep(n)
        if n == 0 then print(debug.traceback("deep")) return 0 end
        return 1 + deep(n - 1)
      end
      deep(5) deep(40)
      print(pcall(debug.traceback, "x", {}))
    ]]
  end)

  it("of errors that end the program", function()
    for _, code in ipairs {
      "local function f() error('x') end\nlocal function g() f() end\ng()",
      "local co = coroutine.wrap(function()\nerror('x') end)\nco()",
      "local function f() return f2() end\nf()",
      "table.sort({1, 2},\nfunction() error('x') end)",
      "string.gsub('x', 'x',\nfunction() error('x', 2) end)",
      "require 'no.such.module.at.all'",
      "local t = setmetatable({}, {__index = function(t, k)\n"
        .. "error('no ' .. k, 2) end})\nprint(t.x)",
      "coroutine.wrap(function() coroutine.wrap(function()\n"
        .. "local x; x.y = 1 end)() end)()",
      "xpcall(function() end)",
      "coroutine.resume(1)",
      "local f = coroutine.wrap(function() end) f() f()",
      "coroutine.yield()",
      "error(setmetatable({}, {__tostring = function() return 'obj' end}))",
      "goto x; do error('x') end ::x:: load('x = = 1', '=c')()",
      "local x <close> = setmetatable({}, {__close = function()\n"
        .. "error('close') end})\nerror('body')",
      "pcall(error, 'inner')\nerror('outer', 0)",
    } do
      assert.are.equal(1, dropin.same_script(code).code)
    end
  end)
end)

describe("the limits of a synchronous program", function()
  it("on the C stack are the same", function()
    same [[
      local function count(f)
        local max = 0
        local function go(n) max = n return f(go, n + 1) end
        local ok, err = pcall(go, 1)
        print(max, ok, err)
      end
      count(function(go, n)
        local ok, err = pcall(go, n)
        if not ok then error(err, 0) end
      end)
      count(function(go, n)
        local ok, err = xpcall(go, function(m) return m end, n)
        if not ok then error(err, 0) end
      end)
      count(function(go, n)
        local ok, err = coroutine.resume(coroutine.create(go), n)
        if not ok then error(err, 0) end
      end)
      count(function(go, n) string.gsub("x", "x", function() go(n) end) end)
      count(function(go, n) table.sort({1, 2}, function() go(n) end) end)
      count(function(go, n) tostring(setmetatable({}, {__tostring = function()
        go(n) return "" end})) end)
    ]]
  end)

  it("on the Lua stack are the same", function()
    dropin.same_script [[
      local n = 0
      local function deep() n = n + 1 return 1 + deep() end
      print(coroutine.resume(coroutine.create(deep)))
      print(n)
      local ok, err = xpcall(deep, debug.traceback)
      print(ok, #err, err)
      print(pcall(string.rep, "x", 1 << 60))
      print(pcall(table.unpack, {}, 1, 1e7))
      print(select("#", table.unpack({}, 1, 1e5)))
      print(pcall(load, ("("):rep(300) .. "1"))
      print(load(("("):rep(300) .. "1"))
    ]]
  end)

  it("on what goes through a coroutine are the same", function()
    same [[
      local n = 900000
      local t = table.pack(coroutine.resume(coroutine.create(function(...)
        return select("#", ...)
      end), table.unpack({}, 1, n)))
      print(table.unpack(t, 1, t.n))
      local co = coroutine.create(function()
        return table.unpack({}, 1, n)
      end)
      print(select("#", coroutine.resume(co)))
      print(pcall(function()
        local function fill(k, ...)
          if k == 0 then
            print(coroutine.resume(coroutine.create(function()
              return table.unpack({}, 1, n)
            end)))
            return
          end
          local extra = table.pack(fill(k - 1, ...))
          return table.unpack(extra)
        end
        fill(1, table.unpack({}, 1, 99000))
      end))
    ]]
  end)
end)

describe("warnings and finalizers in a synchronous program", function()
  it("are the same", function()
    same [[
      warn("not shown")
      warn("@on")
      warn("one ", "two ", "three")
      warn("@unknown")
      warn("@off")
      warn("not shown")
      warn("@on")
      print(pcall(warn), pcall(warn, {}), pcall(warn, "x", nil))
      warn(42)
      for _, value in ipairs {"text", 42, true, {}} do
        setmetatable({}, {__gc = function() error(value, 0) end})
        collectgarbage()
      end
      setmetatable({}, {__gc = function() error() end})
      collectgarbage()
      setmetatable({}, {__gc = function() error("with position") end})
      collectgarbage()
      setmetatable({}, {__gc = function() error("at the end", 0) end})
    ]]
  end)

  it("with errors in both pcall and __gc are the same", function()
    same [[
      warn("@on")
      print(pcall(function()
        setmetatable({}, {__gc = function()
          print(pcall(error, "inside", 0))
          print(coroutine.wrap(function() return coroutine.yield("gen") end)())
        end})
        collectgarbage()
        error("outside")
      end))
    ]]
  end)
end)

describe("os.exit in a synchronous program", function()
  it("closes the state from any depth", function()
    for _, code in ipairs {
      "coroutine.wrap(function() os.exit(3, true) end)()",
      "pcall(function() pcall(os.exit, 4, true) end)",
      "table.sort({1, 2}, function() os.exit(5, true) end)",
      "local x <close> = setmetatable({}, {__close = function()\n"
        .. "print('closed') end}) os.exit(6, true)",
      "coroutine.wrap(function()\nlocal x <close> = setmetatable({}, "
        .. "{__close = function() print('closed') end}) os.exit(7, true) end)()",
    } do
      same(code)
    end
  end)
end)

describe("debug functions in a synchronous program", function()
  it("see the replaced functions as lua5.4's", function()
    same [[
      for _, f in ipairs {pcall, xpcall, coroutine.resume, coroutine.wrap,
          coroutine.yield, coroutine.close, coroutine.status,
          coroutine.create, coroutine.running, coroutine.isyieldable} do
        local i = debug.getinfo(f, "Su")
        print(i.what, i.short_src, i.source, i.nups, i.nparams, i.isvararg)
        print(debug.getupvalue(f, 1))
      end
      local gen = coroutine.wrap(print)
      local name, value = debug.getupvalue(gen, 1)
      print(name, type(value))
      print(pcall(string.dump, pcall))
      local names = {}
      for k in pairs(coroutine) do names[#names + 1] = k end
      table.sort(names)
      print(table.concat(names, " "))
    ]]
  end)

  it("hooks see the same calls", function()
    same [[
      local log = {}
      local function hook(event)
        local i = debug.getinfo(2, "Sn")
        log[#log + 1] = event .. ":" .. i.what .. ":" .. tostring(i.name)
      end
      debug.sethook(hook, "cr")
      pcall(error, "x")
      xpcall(error, tostring, "x")
      coroutine.wrap(function() coroutine.yield() end)()
      debug.sethook()
      print(table.concat(log, "\n"))
    ]]
  end)
end)

describe("a program that runs nothing", function()
  it("opens no event loop", function()
    same [[
      local count = 0
      for target in io.popen("readlink /proc/$PPID/fd/*"):lines() do
        if target:find("anon_inode", 1, true) then count = count + 1 end
      end
      print(count)
    ]]
  end)
end)
