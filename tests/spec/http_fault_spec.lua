-- http_fault_spec.lua: what goes wrong between client and server, each with
-- the class and the code that tell it, and nothing that is left of it: no
-- descriptor, no memory, no task, and no connection that the server knows.
--
-- The seed of the cancellations is NEAP_SEED or made up.

local asyncio = require "asyncio"
local http = require "http"
local program = require "program"
local servers = require "http_servers"
local tasks = require "tasks"

local main, caught, co = tasks.main, tasks.caught, tasks.co

-- A label of a name has 63 letters at most: nobody needs to be asked.
local NO_NAME = "http://" .. ("x"):rep(64) .. ".invalid/"

local nginx, faults

-- Waits until the fault server has no connection but those of `control`.
local function until_idle()
  main(function()
    local response <close> = await(http.get(faults.control .. "/until?open=0", {timeout = 30}))
    assert.equal(200, response.status)
  end)
end

-- A request whose answer is read, then one that must work in the same session.
-- Gives what the first raises, and the status of its answer, if one has come.
local function attempt(session_options, url, options)
  return main(function()
    local session <close> = http.ClientSession(session_options)
    local status
    local err = caught(await, co(function()
      local response <close> = await(session:get(url, options))
      status = response.status
      await(response:read())
    end))
    local response <close> = await(session:get(faults.url "echo"))
    assert.equal(200, response.status)
    await(response:read())
    return err, status
  end)
end

-- Asserts that the error of a fault is exactly of the class, and that the same
-- fault several times over leaves nothing.
--   expected: class (its name); code, status: of the error
--   body: true when the answer has come and the error is in its body
local function fails(expected, url, options, session_options)
  local err, status = attempt(session_options, url, options)
  assert.equal(expected.class, tostring(err):match "^(%w+): ", tostring(err))
  assert.is_true(asyncio.isinstance(err, http[expected.class]))
  assert.equal(url, err.url)
  assert.is_truthy(tostring(err):find(url, 1, true), tostring(err))
  assert.equal(expected.code, err.code, tostring(err))
  assert.equal(expected.status, err.status)
  assert.equal(expected.body and 200 or nil, status)
  local before, times = tasks.descriptors(), options and options.timeout and 3 or 8
  tasks.assert_no_growth(8192, function() attempt(session_options, url, options) end, times)
  assert.equal(before, tasks.descriptors())
  until_idle()
end

describe("http, when something goes wrong:", function()
  setup(function()
    nginx, faults = servers.nginx(), servers.faults()
  end)

  teardown(servers.stop)

  it("has the classes that one knows, in their order", function()
    for class, parent in pairs {
      ClientConnectionError = "ClientError", ClientConnectorError = "ClientConnectionError",
      ClientSSLError = "ClientConnectorError", ServerDisconnectedError = "ClientConnectionError",
      ServerTimeoutError = "ClientConnectionError", ClientResponseError = "ClientError",
      TooManyRedirects = "ClientResponseError", ClientPayloadError = "ClientError",
      InvalidURL = "ClientError",
    } do
      assert.is_true(asyncio.isinstance(http[class] "x", http[parent]), class)
    end
    assert.is_true(asyncio.isinstance(http.ClientError "x", asyncio.Exception))
  end)

  describe("no connection", function()
    it("where nobody listens is a ClientConnectorError with ECONNREFUSED", function()
      fails({class = "ClientConnectorError", code = "ECONNREFUSED"}, faults.refused .. "/")
    end)

    it("to a name that does not resolve is a ClientConnectorError with ENOTFOUND", function()
      fails({class = "ClientConnectorError", code = "ENOTFOUND"}, NO_NAME)
    end)

    it("in the time for it is a ServerTimeoutError", function()
      fails({class = "ServerTimeoutError", code = "connect"}, faults.full .. "/",
        {timeout = {connect = 0.05}})
    end)

    it("as the handshake does not end is a ServerTimeoutError", function()
      fails({class = "ServerTimeoutError", code = "connect"},
        faults.url("hang"):gsub("^http:", "https:"), {timeout = {connect = 0.05}})
    end)
  end)

  describe("a certificate", function()
    for name, why in pairs {
      wrong_name = "for another name", expired = "that has expired",
      self_signed = "that signs itself", https = "of an unknown authority",
    } do
      it(why .. " is a ClientSSLError", function()
        fails({class = "ClientSSLError"}, nginx[name] .. "/todos/1", nil,
          name ~= "https" and {ca = nginx.ca} or nil)
      end)
    end

    it("that does not come, as there is no TLS, is a ClientSSLError", function()
      fails({class = "ClientSSLError"}, nginx.http:gsub("^http:", "https:") .. "/")
    end)
  end)

  -- what it is, the path, what is expected, options of the request
  for group, cases in pairs {
    ["before the answer"] = {
      {"a reset is a ServerDisconnectedError with ECONNRESET", "reset-at-once",
        {class = "ServerDisconnectedError", code = "ECONNRESET"}},
      {"a reset in the headers is a ServerDisconnectedError with ECONNRESET", "reset-in-headers",
        {class = "ServerDisconnectedError", code = "ECONNRESET"}},
      {"the end of the connection is a ServerDisconnectedError", "close-at-once",
        {class = "ServerDisconnectedError"}},
      {"the end of the connection in the headers is a ServerDisconnectedError",
        "close-in-headers", {class = "ServerDisconnectedError"}},
      {"something that is no HTTP is a ClientResponseError", "garbage",
        {class = "ClientResponseError"}},
      {"a status that is no number is a ClientResponseError", "bad-status",
        {class = "ClientResponseError"}},
      {"a length that is no number is a ClientResponseError", "bad-length",
        {class = "ClientResponseError"}},
      {"endless headers are a ClientResponseError", "endless-headers",
        {class = "ClientResponseError"}},
      {"one endless header is a ClientResponseError", "endless-header",
        {class = "ClientResponseError"}},
      {"answers to come without end are a ClientResponseError", "endless-interim",
        {class = "ClientResponseError"}},
      {"redirects in a circle are TooManyRedirects", "loop",
        {class = "TooManyRedirects", status = 302}},
      {"silence for too long is a ServerTimeoutError (total)", "hang",
        {class = "ServerTimeoutError", code = "total"}, {timeout = 0.05}},
      {"silence for too long is a ServerTimeoutError (idle)", "hang",
        {class = "ServerTimeoutError", code = "idle"}, {timeout = {idle = 0.05}}},
      {"silence in the headers is a ServerTimeoutError (total)", "hang-in-headers",
        {class = "ServerTimeoutError", code = "total"}, {timeout = 0.05}},
      {"silence in the headers is a ServerTimeoutError (idle)", "hang-in-headers",
        {class = "ServerTimeoutError", code = "idle"}, {timeout = {idle = 0.05}}},
    },
    ["in the body"] = {
      {"a reset is a ClientPayloadError", "reset-in-body",
        {class = "ClientPayloadError", code = "ECONNRESET", body = true}},
      {"an end before that of its length is a ClientPayloadError", "too-short",
        {class = "ClientPayloadError", body = true}},
      {"a chunk of no size is a ClientPayloadError", "bad-chunk",
        {class = "ClientPayloadError", body = true}},
      {"an end in a chunk is a ClientPayloadError", "cut-chunk",
        {class = "ClientPayloadError", body = true}},
      {"an end without the last chunk is a ClientPayloadError", "no-last-chunk",
        {class = "ClientPayloadError", body = true}},
      {"gzip that is none is a ClientPayloadError", "bad-gzip",
        {class = "ClientPayloadError", body = true}},
      {"an endless trailer is a ClientPayloadError", "endless-trailer",
        {class = "ClientPayloadError", body = true}},
      {"an endless extension of a chunk is a ServerTimeoutError", "endless-extension",
        {class = "ServerTimeoutError", code = "total", body = true}, {timeout = 0.5}},
      {"silence for too long is a ServerTimeoutError (total)", "hang-in-body",
        {class = "ServerTimeoutError", code = "total", body = true}, {timeout = 0.5}},
      {"silence for too long is a ServerTimeoutError (idle)", "hang-in-body",
        {class = "ServerTimeoutError", code = "idle", body = true}, {timeout = {idle = 0.5}}},
      {"a drip that never pauses for long still meets the total", "drip/1000000",
        {class = "ServerTimeoutError", code = "total", body = true},
        {timeout = {total = 0.5, idle = 5}}},
    },
  } do
    describe(group, function()
      for _, case in ipairs(cases) do
        local name, path, expected, options = table.unpack(case, 1, 4)
        it(name, function()
          fails(expected, faults.url(path), options)
        end)
      end
    end)
  end

  it("a drip is no silence: the idle limit lets it pass", function()
    main(function()
      local response <close> = await(http.get(faults.url "drip/20?every=0.01",
        {timeout = {idle = 5}}))
      assert.equal(("x"):rep(20), await(response:read()))
    end)
  end)

  describe("1,000 cancellations at random moments", function()
    local COUNT = tasks.sanitized and 200 or 1000
    local TOGETHER = 20
    local seed = tonumber(os.getenv "NEAP_SEED") or os.time() % 1000000

    -- Requests of every kind: most are short, so that some end first.
    local function requests()
      local body = ("x"):rep(300000)
      return {
        {"GET", nginx.https .. "/todos/1"}, {"GET", nginx.https1 .. "/todos/1"},
        {"GET", nginx.http .. "/todos/1"}, {"GET", nginx.http .. "/redirect/5"},
        {"GET", nginx.https .. "/gzip/lines.txt"}, {"GET", nginx.https .. "/big"},
        {"GET", faults.url "bytes/1000000"}, {"GET", faults.url "drip/1000?every=0.001"},
        {"GET", faults.url "hang"}, {"GET", faults.url "hang-in-body"},
        {"GET", faults.full .. "/"}, {"GET", NO_NAME},
        {"POST", faults.url "mirror", {data = body}}, {"POST", nginx.https .. "/mirror",
          {data = body}}, {"POST", faults.url "echo", {data = function()
            await(sleep(0.001))
            return "x"
          end}},
      }
    end

    -- Starts requests, cancels each at a moment of its own, waits for all.
    -- Gives how many were cancelled.
    local function cancel_some(session, list, random, count)
      local started, cancelled = {}, 0
      for i = 1, count do
        local method, url, options = table.unpack(list[random(#list)], 1, 3)
        started[i] = create_task(co(function()
          local response <close> = await(session:request(method, url, options))
          for _ in response:chunks() do
            if random(2) == 1 then await(sleep(0)) end
          end
        end))
        local delay = random(30)
        asyncio.call_later(delay <= 3 and 0 or delay / 1000, function() started[i]:cancel() end)
      end
      for i = 1, count do
        local ok, err = asyncio.catch(await, started[i])
        if started[i]:cancelled() then
          cancelled = cancelled + 1
        elseif not ok then
          assert.is_true(asyncio.isinstance(err, http.ClientConnectorError), tostring(err))
        end
      end
      return cancelled
    end

    it(("leave nothing (NEAP_SEED=%d)"):format(seed), function()
      local list, random = requests(), tasks.random(seed)
      local before, memory, cancelled = tasks.descriptors(), nil, 0
      main(function()
        local session <close> = http.ClientSession{ca = nginx.ca}
        for i = 1, COUNT // TOGETHER do
          cancelled = cancelled + cancel_some(session, list, random, TOGETHER)
          if i == COUNT // TOGETHER // 2 then
            memory = tasks.memory()
          end
        end
        assert.is_true(cancelled > COUNT // 5, cancelled .. " were cancelled")
        -- what is kept does not depend on how many there were
        local grown = tasks.memory() - memory
        assert.is_true(grown < 1 << 18, grown .. " bytes of Lua's")
        -- and the session does its work
        for i = 1, 10 do
          local response <close> = await(session:get(nginx.https .. "/todos/" .. i))
          assert.equal(i, await(response:json()).id)
        end
        assert.equal(1, #asyncio.all_tasks())
      end)
      -- curl's threads that resolve names may be about to end
      main(function() tasks.wait_until(function() return tasks.descriptors() == before end) end)
      until_idle()
    end)

    -- In a program of its own: Lua's garbage in a large heap would drown what curl keeps.
    it(("leave no memory resident (NEAP_SEED=%d)"):format(seed), function()
      if tasks.sanitized then
        return pending "a sanitizer keeps what was freed, and looks for lost bytes itself"
      end
      local urls = {}
      for _, request in ipairs(requests()) do
        if request[1] == "GET" then urls[#urls + 1] = request[2] end
      end
      local result = program.run_script([[
        local asyncio, http = require "asyncio", require "http"
        local function resident()
          local file <close> = io.open "/proc/self/statm"
          collectgarbage()
          return tonumber(file:read "a":match "^%d+ (%d+)") * 4096
        end
        math.randomseed(tonumber(arg[1]))
        function async.get(session, url)
          local response <close> = await(session:get(url))
          for _ in response:chunks() do await(sleep(0)) end
        end
        function async.main()
          local session <close> = http.ClientSession{ca = arg[2]}
          local half
          for round = 1, 50 do
            local started = {}
            for i = 1, 20 do
              started[i] = create_task(get(session, arg[math.random(3, #arg)]))
              asyncio.call_later(math.random(0, 30) / 1000, function() started[i]:cancel() end)
            end
            for i = 1, 20 do asyncio.catch(await, started[i]) end
            if round == 25 then half = resident() end
          end
          local larger = resident() - half
          print(larger < 1 << 23 or larger)
        end
        run(main())]], {args = {seed, nginx.ca, table.unpack(urls)}, timeout = 60})
      assert.same({code = 0, stdout = "true\n", stderr = ""}, result)
    end)
  end)
end)
