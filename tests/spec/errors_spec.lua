-- errors_spec.lua: the error classes, isinstance, and what asyncio hands
-- out as values for errors. error_identity_spec.lua has their way through
-- tasks.

local asyncio = require "asyncio"
local tasks = require "tasks"

local caught, main = tasks.caught, tasks.main

-- name of each class -> name of its base
local BASES = {
  CancelledError = "BaseException", KeyboardInterrupt = "BaseException",
  Exception = "BaseException", TimeoutError = "Exception",
  InvalidStateError = "Exception", QueueEmpty = "Exception",
  QueueFull = "Exception", QueueShutDown = "Exception",
  BrokenBarrierError = "Exception", OSError = "Exception",
  ExceptionGroup = "Exception",
}

local NAMES = {"BaseException"}
for name in pairs(BASES) do
  NAMES[#NAMES + 1] = name
end
table.sort(NAMES)

-- Whether the class named `name` is, or derives from, that named `base`.
local function derives(name, base)
  while name do
    if name == base then
      return true
    end
    name = BASES[name]
  end
  return false
end

describe("an error class", function()
  it("is in asyncio by its name, with a text", function()
    for _, name in ipairs(NAMES) do
      assert.are.equal("table", type(asyncio[name]))
      assert.are.equal("<class '" .. name .. "'>", tostring(asyncio[name]))
    end
  end)

  it("called makes an object with message and text", function()
    for _, name in ipairs(NAMES) do
      local object = asyncio[name]("too slow")
      assert.are.equal("table", type(object))
      assert.are.equal("too slow", object.message)
      assert.are.equal(name .. ": too slow", tostring(object))
      assert.are.equal(asyncio[name], getmetatable(object))
    end
  end)

  it("called without a message makes one whose text is the name", function()
    for _, name in ipairs(NAMES) do
      local object = asyncio[name]()
      assert.is_nil(object.message)
      assert.are.equal(name, tostring(object))
    end
  end)

  it("takes any value as the message", function()
    local table_message = {}
    assert.are.equal(table_message, asyncio.Exception(table_message).message)
    assert.are.equal("Exception: 42", tostring(asyncio.Exception(42)))
    assert.are.equal("Exception: false", tostring(asyncio.Exception(false)))
    assert.matches("^Exception: table: 0x",
      tostring(asyncio.Exception(table_message)))
  end)

  it("keeps a message whole that has zeros in it", function()
    assert.are.equal("Exception: a\0b", tostring(asyncio.Exception("a\0b")))
    assert.are.equal("<class 'a\0b'>",
      tostring(asyncio.Exception:subclass("a\0b")))
  end)

  it("makes no object of what is no class", function()
    local call = getmetatable(asyncio.Exception).__call
    for _, value in ipairs {42, "x", {}, print, asyncio.Exception()} do
      assert.has_error(function() call(value, "message") end)
    end
  end)

  it("makes a new object each time", function()
    assert.are_not.equal(asyncio.Exception("x"), asyncio.Exception("x"))
  end)

  it("takes a table of further fields", function()
    local object = asyncio.OSError("connection refused",
      {code = "ECONNREFUSED", syscall = "connect"})
    assert.are.equal("ECONNREFUSED", object.code)
    assert.are.equal("connect", object.syscall)
    assert.are.equal("connection refused", object.message)
    assert.are.equal("OSError: connection refused", tostring(object))
  end)

  it("refuses fields that are no table", function()
    assert.matches("errors_spec%.lua:%d+: OSError: a table of fields "
      .. "expected, got a string$",
      caught(function() asyncio.OSError("x", "ECONNREFUSED") end))
  end)

  it("ExceptionGroup takes its list of exceptions", function()
    local list = {asyncio.Exception("one"), asyncio.TimeoutError("two")}
    local group = asyncio.ExceptionGroup("several", list)
    assert.are.equal(list, group.exceptions)
    assert.are.equal("several", group.message)
    assert.is_nil(group[1])
  end)
end)

describe("subclass", function()
  it("makes a class whose objects are of it and of its bases", function()
    local HTTPError = asyncio.Exception:subclass("HTTPError")
    local NotFound = HTTPError:subclass("NotFound")
    local object = NotFound("page")
    assert.are.equal("NotFound: page", tostring(object))
    assert.are.equal("<class 'NotFound'>", tostring(NotFound))
    for _, class in ipairs {NotFound, HTTPError, asyncio.Exception,
        asyncio.BaseException} do
      assert.is_true(asyncio.isinstance(object, class))
    end
    assert.is_false(asyncio.isinstance(object, asyncio.TimeoutError))
    assert.is_false(asyncio.isinstance(HTTPError("x"), NotFound))
  end)

  it("gives methods and constants to its objects", function()
    local HTTPError = asyncio.Exception:subclass("HTTPError")
    HTTPError.status = 500
    function HTTPError:describe()
      return self.message .. " (" .. self.status .. ")"
    end
    local NotFound = HTTPError:subclass("NotFound")
    NotFound.status = 404
    assert.are.equal("page (500)", HTTPError("page"):describe())
    assert.are.equal("page (404)", NotFound("page"):describe())
    assert.are.equal("page (410)", NotFound("page", {status = 410}):describe())
  end)

  it("takes over a __tostring", function()
    local Loud = asyncio.Exception:subclass("Loud")
    function Loud:__tostring()
      return "LOUD " .. self.message
    end
    assert.are.equal("LOUD x", tostring(Loud("x")))
    assert.are.equal("LOUD y", tostring(Loud:subclass("Louder")("y")))
  end)

  it("is caught by pcall, or passes it, as its base is", function()
    local Mine = asyncio.TimeoutError:subclass("Mine")
    local Stop = asyncio.CancelledError:subclass("Stop")
    assert.is_false(pcall(error, Mine()))
    assert.is_true(asyncio.isinstance(caught(pcall, error, Stop()), Stop))
  end)

  it("takes a second class that its objects are of, too", function()
    local ServerError = asyncio.Exception:subclass("ServerError")
    local ServerTimeout = ServerError:subclass("ServerTimeout", asyncio.TimeoutError)
    local Slow = ServerTimeout:subclass("Slow")
    for _, class in ipairs {ServerTimeout, Slow} do
      for _, base in ipairs {ServerTimeout, ServerError, asyncio.TimeoutError, asyncio.Exception} do
        assert.is_true(asyncio.isinstance(class("late"), base))
      end
      assert.is_false(asyncio.isinstance(class("late"), asyncio.OSError))
    end
    assert.is_false(asyncio.isinstance(ServerError("x"), asyncio.TimeoutError))
    assert.is_false(asyncio.isinstance(asyncio.TimeoutError("x"), ServerTimeout))
    assert.has_error(function() asyncio.Exception:subclass("X", {}) end)
  end)

  it("needs a class and a name", function()
    assert.matches("errors_spec%.lua:%d+: subclass: a name expected, got a "
      .. "nil$", caught(function() asyncio.Exception:subclass() end))
    assert.matches("errors_spec%.lua:%d+: subclass: an error class expected; "
      .. "write asyncio.Exception:subclass%(\"Name\"%)$",
      caught(function() asyncio.Exception.subclass("Name") end))
    assert.matches("an error class expected",
      caught(function() asyncio.Exception("x"):subclass("Name") end))
  end)
end)

describe("isinstance", function()
  it("knows each class and its bases", function()
    for _, name in ipairs(NAMES) do
      local object = asyncio[name]("x")
      for _, base in ipairs(NAMES) do
        assert.are.equal(derives(name, base),
          asyncio.isinstance(object, asyncio[base]))
      end
    end
  end)

  it("takes any value", function()
    local values = {"text", 42, true, {}, print, coroutine.create(print),
      io.stdout, setmetatable({}, {}), setmetatable({}, {__metatable = 1}),
      asyncio.Future(), asyncio.Exception}
    for _, value in ipairs(values) do
      assert.is_false(asyncio.isinstance(value, asyncio.BaseException))
    end
    assert.is_false(asyncio.isinstance(nil, asyncio.Exception))
  end)

  it("runs no code of the value", function()
    local trap = setmetatable({}, {__index = error, __eq = error})
    assert.is_false(asyncio.isinstance(trap, asyncio.Exception))
  end)

  it("comes to an end where a script has made a circle of bases", function()
    local Mine = asyncio.Exception:subclass("Mine")
    Mine.__base, Mine.__also = Mine, Mine
    assert.is_false(asyncio.isinstance(Mine(), asyncio.Exception))
    assert.is_true(asyncio.isinstance(Mine(), Mine))
  end)

  it("needs a class", function()
    for _, class in ipairs {"TimeoutError", 42, {}, print,
        asyncio.Exception("x")} do
      assert.matches("errors_spec%.lua:%d+: isinstance: an error class "
        .. "expected as second argument, got a ",
        caught(function() asyncio.isinstance("x", class) end))
    end
    assert.matches("got a nil",
      caught(function() asyncio.isinstance("x") end))
  end)
end)

describe("task:exception()", function()
  -- A task that has failed with err.
  local function failed(err)
    local task = create_task(async(function() error(err, 0) end)())
    await(sleep(0))
    return task
  end

  it("gives an Exception object as it is", function()
    main(function()
      for _, object in ipairs {asyncio.TimeoutError("x"),
          asyncio.Exception:subclass("Mine")("y")} do
        local task = failed(object)
        assert.are.equal(object, task:exception())
        assert.are.equal(object, task:exception())
        assert.matches("errors_spec%.lua:%d+: in ", object.traceback)
      end
    end)
  end)

  it("wraps any other value, the same every time", function()
    main(function()
      for _, value in ipairs {"text", 42, 1.5, true, false, {}, print,
          coroutine.create(print), io.stdout, setmetatable({}, {})} do
        local task = failed(value)
        local wrapper = task:exception()
        assert.is_true(asyncio.isinstance(wrapper, asyncio.Exception))
        assert.are.equal(asyncio.Exception, getmetatable(wrapper))
        assert.are.equal(value, wrapper.value)
        assert.are.equal("string", type(wrapper.message))
        assert.matches("errors_spec%.lua:%d+: in ", wrapper.traceback)
        assert.are.equal(wrapper, task:exception())
        assert.are.equal(wrapper,
          await(gather {task, return_exceptions = true})[1])
      end
    end)
  end)

  it("wraps nil, too", function()
    main(function()
      local task = failed(nil)
      local wrapper = task:exception()
      assert.is_true(asyncio.isinstance(wrapper, asyncio.Exception))
      assert.is_nil(wrapper.value)
      assert.are.equal(wrapper, task:exception())
    end)
  end)

  it("wraps a text as its message", function()
    main(function()
      local wrapper = failed("the text"):exception()
      assert.are.equal("the text", wrapper.message)
      assert.are.equal("the text", wrapper.value)
      assert.are.equal("Exception: the text", tostring(wrapper))
    end)
  end)

  it("uses the __tostring of the value for the message", function()
    main(function()
      local value = setmetatable({}, {__tostring = function()
        return "speaks"
      end})
      assert.are.equal("speaks", failed(value):exception().message)
      local broken = setmetatable({}, {__tostring = function()
        error("no text")
      end})
      assert.are.equal("string", type(failed(broken):exception().message))
    end)
  end)

  it("leaves what await raises unwrapped", function()
    main(function()
      local value = {}
      local task = failed(value)
      task:exception()
      assert.are.equal(value, caught(await, task))
      assert.are.equal(value, caught(task.result, task))
    end)
  end)

  it("is nil after success", function()
    main(function()
      local task = create_task(async(function() return "x" end)())
      await(task)
      assert.are.same({nil, n = 1}, table.pack(task:exception()))
    end)
  end)

  it("raises CancelledError after a cancellation", function()
    main(function()
      local task = create_task(sleep(1000))
      await(sleep(0))
      task:cancel("why")
      await(sleep(0))
      for _, method in ipairs {task.exception, task.result} do
        local err = caught(method, task)
        assert.is_true(asyncio.isinstance(err, asyncio.CancelledError))
        assert.are.equal("why", err.message)
        assert.are.equal("CancelledError: why", tostring(err))
      end
    end)
  end)

  it("raises InvalidStateError while it runs, as result() does", function()
    main(function()
      local task, future = create_task(sleep(0)), asyncio.Future()
      for _, f in ipairs {task, future} do
        for _, name in ipairs {"exception", "result"} do
          local err = caught(f[name], f)
          assert.is_true(asyncio.isinstance(err, asyncio.InvalidStateError))
          assert.matches(" is not set: ", err.message, 1, true)
          assert.matches("await it first", err.message, 1, true)
        end
      end
      await(task)
    end)
  end)
end)

describe("return_exceptions", function()
  it("gives wrappers and Exceptions in place", function()
    main(function()
      local object = asyncio.TimeoutError("slow")
      local task = create_task(sleep(1000))
      asyncio.call_soon(task.cancel, task)
      local list = await(gather {
        async(error)("text", 0), async(error)(object), task, sleep(0, "ok"),
        async(error)(), return_exceptions = true,
      })
      assert.are.equal(5, list.n)
      assert.are.equal("text", list[1].value)
      assert.are.equal(object, list[2])
      assert.is_true(asyncio.isinstance(list[3], asyncio.CancelledError))
      assert.are.equal("ok", list[4])
      assert.is_true(asyncio.isinstance(list[5], asyncio.Exception))
      assert.is_nil(list[5].value)
    end)
  end)
end)

describe("future:set_exception", function()
  it("takes any value, which await raises", function()
    main(function()
      for _, value in ipairs {"text", 42, false, {}, print,
          asyncio.TimeoutError("x")} do
        local future = asyncio.Future()
        future:set_exception(value)
        assert.is_true(future:done())
        assert.is_false(future:cancelled())
        assert.are.equal(value, caught(await, future))
        assert.are.equal(value, caught(future.result, future))
        assert.is_true(asyncio.isinstance(future:exception(),
          asyncio.Exception))
      end
    end)
  end)

  it("calls a class that it is given", function()
    main(function()
      local future = asyncio.Future()
      future:set_exception(asyncio.TimeoutError)
      local err = caught(await, future)
      assert.are.equal(asyncio.TimeoutError, getmetatable(err))
      assert.is_nil(err.message)
    end)
  end)

  it("and set_result raise InvalidStateError when it is done", function()
    main(function()
      for _, settle in ipairs {
        function(f) f:set_result(1) end,
        function(f) f:set_exception("x") f:exception() end,
        function(f) f:cancel() end,
      } do
        local future = asyncio.Future()
        settle(future)
        for _, name in ipairs {"set_result", "set_exception"} do
          local err = caught(future[name], future, "again")
          assert.is_true(asyncio.isinstance(err, asyncio.InvalidStateError))
          assert.are.equal(name .. ": the Future is done already", err.message)
        end
      end
    end)
  end)
end)
