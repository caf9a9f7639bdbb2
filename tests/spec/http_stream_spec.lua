-- http_stream_spec.lua: bodies piece by piece, both ways.

local asyncio = require "asyncio"
local http = require "http"
local program = require "program"
local requests = require "http_requests"
local servers = require "http_servers"
local tasks = require "tasks"

local faults, nginx

setup(function() faults, nginx = servers.faults(), servers.nginx() end)
teardown(servers.stop)

-- Calls fn(response, session) as a task with the response to a GET.
local function with_response(path, fn)
  return requests.with_session(nil, function(session)
    local response <close> = await(session:get(faults.url(path)))
    return fn(response, session)
  end)
end

-- The path of an answer with this body.
local function with_body(body)
  return "respond?body=" .. body:gsub("%W", function(c) return ("%%%02X"):format(c:byte()) end)
end

-- A function that gives the items of a list one after the other, then nil.
local function source(list)
  local i = 0
  return function()
    i = i + 1
    return list[i]
  end
end

local function collect(...)
  local list = {}
  for piece in ... do list[#list + 1] = piece end
  return list
end

describe("chunks", function()
  it("gives the body as it comes", function()
    with_response("drip/3", function(response)
      local chunks = collect(response:chunks())
      assert.are.equal("xxx", table.concat(chunks))
      assert.is_true(response.closed)
    end)
  end)

  it("gives each chunk before the next one is there", function()
    with_response("hang-in-body", function(response)
      assert.are.equal("begun", response:chunks()())
      assert.is_false(response.closed)
    end)
  end)

  it("gives at most so many bytes at a time", function()
    with_response(with_body "0123456789", function(response)
      assert.are.same({"0123", "4567", "89"}, collect(response:chunks(4)))
      assert.are.same({}, collect(response:chunks()))
    end)
    with_response(with_body "0123456789", function(response)
      local next_chunk = response:chunks(4)
      assert.are.equal("0123", next_chunk())
      assert.are.equal("45", response:chunks(2)())
      assert.are.equal("6789", await(response:read()))
    end)
    with_response("bytes/1000000", function(response)
      local sum = 0
      for chunk in response:chunks(1000) do
        assert.is_true(#chunk >= 1 and #chunk <= 1000)
        sum = sum + #chunk
      end
      assert.are.equal(1000000, sum)
    end)
  end)

  it("of an empty body gives none", function()
    with_response(with_body "", function(response)
      assert.are.same({}, collect(response:chunks()))
    end)
  end)

  it("raises what breaks the body, after what came before", function()
    with_response("too-short", function(response)
      local next_chunk = response:chunks()
      assert.are.equal("begun", next_chunk())
      for _ = 1, 2 do
        local ok, err = pcall(next_chunk)
        assert.is_false(ok)
        assert.is_true(asyncio.isinstance(err, http.ClientPayloadError))
        assert.are.equal(response.url, err.url)
      end
      assert.is_true(response.closed)
    end)
  end)

  it("takes a size of at least 1", function()
    with_response(with_body "x", function(response)
      for _, size in ipairs {0, -1, 1.5, "1"} do
        assert.has_error(function() response:chunks(size) end)
      end
    end)
  end)

  it("after read() is a usage error, and so are lines and readline", function()
    with_response(with_body "x", function(response)
      await(response:read())
      for _, name in ipairs {"chunks", "lines", "readline"} do
        local ok, err = pcall(function() return await(response[name](response)) end)
        assert.is_false(ok)
        assert.is_truthy(err:find("was read by read()", 1, true), err)
      end
    end)
  end)

  it("gives what has come in time, however late it is read", function()
    requests.with_session(nil, function(session)
      local response <close> = await(session:get(faults.url "bytes/10", {timeout = 0.3}))
      requests.control(faults.control, "until?active=0")
      await(sleep(0.3))
      assert.are.equal(10, #await(response:read()))
    end)
  end)

  it("keeps a slow reader's server waiting", function()
    local MiB = 1 << 20
    requests.with_session(nil, function(session)
      requests.control(faults.control, "reset")
      local response <close> = await(session:get(faults.url("bytes/" .. 64 * MiB)))
      local next_chunk = response:chunks()
      assert.is_string(next_chunk())
      await(sleep(0.1)) -- the server could send all of it
      local stats = requests.control(faults.control, "stats")
      assert.is_true(stats.sent < 32 * MiB, tostring(stats.sent))
      local sum = 0
      for chunk in next_chunk do sum = sum + #chunk end
      assert.is_true(sum > 63 * MiB)
    end)
  end)

  -- A program of its own: the collector's patience grows with the heap.
  it("holds little of a large body at once", function()
    local size = (tasks.sanitized and 16 or 128) << 20
    local result = program.run_script([[
      local http = require "http"
      run(async(function(url)
        local response <close> = await(http.get(url))
        local before, most, sum = collectgarbage "count", 0, 0
        for chunk in response:chunks() do
          assert(#chunk <= 1 << 18)
          sum = sum + #chunk
          most = math.max(most, collectgarbage "count" - before)
        end
        print(sum, most < 4096 or most)
      end)(arg[1]))]], {args = {faults.url("bytes/" .. size)}})
    assert.are.same({code = 0, stdout = ("%d\ttrue\n"):format(size), stderr = ""}, result)
  end)
end)

describe("lines", function()
  it("are the body's without line feeds, the last one with or without", function()
    for body, lines in pairs {
      ["a\nb\n"] = {"a", "b"}, ["a\n\n\nb"] = {"a", "", "", "b"}, [""] = {}, ["\n"] = {""},
      ["a\r\nb"] = {"a\r", "b"},
    } do
      with_response(with_body(body), function(response)
        assert.are.same(lines, collect(response:lines()))
      end)
    end
  end)

  it("are read one by one by readline, with line feeds; then nil", function()
    with_response(with_body "a\n\nb", function(response)
      assert.are.equal("a\n", await(response:readline()))
      assert.are.equal("\n", await(response:readline()))
      assert.are.equal("b", await(response:readline()))
      assert.is_nil(await(response:readline()))
      assert.is_nil(await(response:readline()))
    end)
  end)

  it("may come in any pieces", function()
    requests.with_session(nil, function(session)
      local pieces = {"fir", "st\nsec", "ond\n", "\nthi", "r", "d"}
      local response <close> = await(session:post(faults.url "mirror", {data = function()
        await(sleep(0.005))
        return table.remove(pieces, 1)
      end}))
      assert.are.same({"first", "second", "", "third"}, collect(response:lines()))
    end)
    requests.with_session(nil, function(session)
      local response <close> = await(session:get(nginx.http .. "/lines.txt"))
      local lines = collect(response:lines())
      assert.are.equal(2000, #lines)
      assert.are.equal("this is line 2000", lines[2000])
    end)
  end)

  it("leave the rest to chunks and read", function()
    with_response(with_body "a\nbc\nd", function(response)
      assert.are.equal("a\n", await(response:readline()))
      assert.are.equal("b", response:chunks(1)())
      assert.are.equal("c\n", await(response:readline()))
      assert.are.equal("d", await(response:read()))
    end)
  end)

  it("longer than the limit are a ClientPayloadError", function()
    with_response("bytes/200000", function(response)
      local err = requests.failure(response.readline, response)
      assert.is_true(asyncio.isinstance(err, http.ClientPayloadError))
      assert.is_truthy(tostring(err):find("a line of more than 131072 bytes", 1, true))
      assert.is_true(response.closed)
    end)
    with_response(with_body "12345\n123456\n", function(response)
      local next_line = response:lines(6)
      assert.are.equal("12345", next_line())
      assert.is_false((pcall(next_line)))
    end)
    with_response("bytes/200000", function(response)
      assert.are.equal(200000, #await(response:readline(200000)))
    end)
  end)
end)

describe("reading", function()
  it("by two tasks at once is a usage error of the second", function()
    with_response("hang-in-body", function(response)
      assert.are.equal("begun", response:chunks()())
      local first = tasks.started(function() return await(response:read()) end)
      local err = requests.failure(response.read, response)
      assert.is_truthy(err:find("another task is reading", 1, true), err)
      assert.is_false(first:done())
      first:cancel()
      asyncio.catch(await, first)
    end)
  end)
end)

describe("a body from a function", function()
  it("is sent in chunks, whatever the sizes", function()
    requests.with_session(nil, function(session)
      local big = ("y"):rep(1000000)
      for _, list in ipairs {{}, {"one"}, {"one", "", "two"}, {big, "x", big}} do
        local response <close> = await(session:post(faults.url "mirror", {data = source(list)}))
        assert.is_true(table.concat(list) == await(response:read()))
      end
      local echo = requests.sent(session, "PUT", faults.url "echo", {data = source {"one", "two"}})
      assert.are.equal("chunked", echo.get["transfer-encoding"])
      assert.are.equal("onetwo", echo.body)
    end)
  end)

  it("may wait for each piece, and the response comes meanwhile", function()
    requests.with_session(nil, function(session)
      local queue = asyncio.Queue()
      local response <close> = await(session:post(faults.url "mirror", {data = function()
        return await(queue:get()) or nil
      end}))
      local next_chunk = response:chunks()
      for _, word in ipairs {"one", "two", "three"} do
        queue:put_nowait(word)
        assert.are.equal(word, next_chunk())
      end
      queue:put_nowait(false)
      assert.is_nil(next_chunk())
    end)
  end)

  it("may be any object that can be called", function()
    requests.with_session(nil, function(session)
      local url = faults.url "echo"
      local object = setmetatable({left = 3}, {__call = function(self)
        self.left = self.left - 1
        return self.left >= 0 and tostring(self.left) or nil
      end})
      assert.are.equal("210", requests.sent(session, "POST", url, {data = object}).body)
      local generator = coroutine.wrap(function() coroutine.yield "a" coroutine.yield "b" end)
      assert.are.equal("ab", requests.sent(session, "POST", url, {data = generator}).body)
    end)
  end)

  it("is sent with a length when the headers give one", function()
    requests.with_session(nil, function(session)
      local echo = requests.sent(session, "POST", faults.url "echo", {
        data = source {"one", "two"}, headers = {["Content-Length"] = 6},
      })
      assert.are.equal("6", echo.get["content-length"])
      assert.is_nil(echo.get["transfer-encoding"])
      assert.are.equal("onetwo", echo.body)
    end)
  end)

  it("is called as it is sent, not before", function()
    requests.with_session(nil, function(session)
      local calls, piece = 0, ("x"):rep(1 << 20)
      local task = create_task(session:post(faults.url "early/413", {data = function()
        calls = calls + 1
        return calls <= 64 and piece or nil
      end}))
      local response = await(task)
      assert.are.equal(413, response.status)
      assert.is_true(calls < 64, tostring(calls))
      response:close()
    end)
  end)

  it("that fails ends the request with its error", function()
    requests.with_session(nil, function(session)
      local mine = {}
      for _, path in ipairs {"echo", "hang"} do
        local n = 0
        local err = requests.failure(session.post, session, faults.url(path), {data = function()
          n = n + 1
          if n == 2 then error(mine) end
          return "x"
        end})
        assert.are.equal(mine, err)
      end
      requests.control(faults.control, "until?active=0")
    end)
  end)

  it("that fails while the response is read ends that with its error", function()
    requests.with_session(nil, function(session)
      local gate = asyncio.Event()
      local n = 0
      local response <close> = await(session:post(faults.url "mirror", {data = function()
        n = n + 1
        if n == 1 then return "x" end
        await(gate:wait())
        error("my error", 0)
      end}))
      local next_chunk = response:chunks()
      assert.are.equal("x", next_chunk())
      gate:set()
      local ok, err = pcall(next_chunk)
      assert.is_false(ok)
      assert.are.equal("my error", err)
    end)
  end)

  it("that gives something else than a string ends the request with an error", function()
    requests.with_session(nil, function(session)
      for _, value in ipairs {5, {}, true} do
        local err = requests.failure(session.post, session, faults.url "echo", {
          data = function() return value end,
        })
        assert.is_truthy(err:find("a string or nil expected as the next piece", 1, true), err)
      end
    end)
  end)

  -- A request whose body waits forever for its second piece. Gives its task,
  -- and a table whose `ended` tells that the body was cancelled.
  local function stuck(session, path)
    local state, n = {}, 0
    local task = create_task(session:post(faults.url(path), {data = function()
      n = n + 1
      if n == 1 then return "x" end
      local _ <close> = setmetatable({}, {__close = function() state.ended = true end})
      await(asyncio.Event():wait())
    end}))
    requests.control(faults.control, "until?active=1")
    return task, state
  end

  it("is cancelled with the task that waits for the response", function()
    requests.with_session(nil, function(session)
      local task, state = stuck(session, "echo")
      task:cancel()
      asyncio.catch(await, task)
      tasks.wait_until(function() return state.ended end)
      requests.control(faults.control, "until?active=0")
    end)
  end)

  -- Each gives what is not to be collected.
  for what, finish in pairs {
    ["the response is closed"] = function(response)
      response:close()
      return response
    end,
    ["the session ends"] = function(response, session)
      session:close()
      return response
    end,
    ["the response is collected"] = function() end,
  } do
    it("is cancelled when " .. what, function()
      requests.with_session(nil, function(session)
        local state, kept
        local function begin() -- keeps the response to itself
          local task
          task, state = stuck(session, "mirror")
          local response = await(task)
          assert.are.equal("x", response:chunks()())
          assert.is_nil(state.ended)
          kept = finish(response, session)
        end
        await(create_task(async(begin)()))
        tasks.wait_until(function()
          collectgarbage()
          return state.ended
        end)
        requests.control(faults.control, "until?active=0")
        assert.is_true(kept == nil or kept.status == 200)
      end)
    end)
  end
end)

describe("a body from a file", function()
  it("is sent from where it stands, with its length", function()
    requests.with_session(nil, function(session)
      local file <close> = assert(io.tmpfile())
      local text = ("0123456789"):rep(20000)
      file:write(text)
      file:seek("set", 3)
      local response <close> = await(session:post(faults.url "mirror", {data = file}))
      assert.is_true(text:sub(4) == await(response:read()))
      file:seek("set", 199990)
      local echo = requests.sent(session, "POST", faults.url "echo", {data = file})
      assert.are.equal("0123456789", echo.body)
      assert.are.equal("10", echo.get["content-length"])
    end)
  end)

  it("without a length is sent in chunks", function()
    requests.with_session(nil, function(session)
      local pipe <close> = assert(io.popen "echo text of a pipe")
      local echo = requests.sent(session, "POST", faults.url "echo", {data = pipe})
      assert.are.equal("chunked", echo.get["transfer-encoding"])
      assert.are.equal("text of a pipe\n", echo.body)
    end)
  end)
end)
