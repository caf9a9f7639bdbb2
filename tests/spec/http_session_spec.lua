-- http_session_spec.lua: sessions: connections that are shared, limits of time
-- and of connections, the end of a session and of a task that waits.

local asyncio = require "asyncio"
local http = require "http"
local program = require "program"
local requests = require "http_requests"
local servers = require "http_servers"
local tasks = require "tasks"

local faults, nginx

setup(function() faults, nginx = servers.faults(), servers.nginx() end)
teardown(servers.stop)

-- The numbers of the fault server when these hold; see its control port.
local function stats_at(query)
  return requests.control(faults.control, "until?" .. query)
end

local function reset()
  requests.control(faults.control, "reset")
end

local function get(session, path, options)
  local response <close> = await(session:get(faults.url(path), options))
  return await(response:read())
end

-- A task that waits for a server that says nothing, once its request is there.
local function hanging(session, path, options)
  local task = create_task(async(get)(session, path or "hang", options))
  stats_at "active=1"
  return task
end

describe("a session", function()
  it("keeps connections for the next request", function()
    requests.with_session(nil, function(session)
      reset()
      for _ = 1, 5 do get(session, "echo") end
      assert.are.equal(1, requests.control(faults.control, "stats").connections)
    end)
  end)

  it("is made outside a run, too, and used in several", function()
    local session <close> = http.ClientSession{base_url = faults.http}
    for _ = 1, 2 do
      assert.are.equal("at last", tasks.main(get, session, "early-hints"))
    end
  end)

  it("gives coroutine objects, for create_task and gather", function()
    requests.with_session(nil, function(session)
      local task = create_task(session:get(faults.url "echo"))
      local list = await(gather(session:get(faults.url "echo"),
        session:get(nginx.http .. "/status/404")))
      assert.are.equal(200, list[1].status)
      assert.are.equal(404, list[2].status)
      assert.are.equal(200, await(task).status)
    end)
  end)

  it("has no more connections at once than limit, and limit_per_host", function()
    for _, options in ipairs {{limit = 2}, {limit_per_host = 2}} do
      requests.with_session(options, function(session)
        reset()
        local list = {}
        for i = 1, 6 do list[i] = async(get)(session, "after/0.02") end
        await(gather(list))
        local stats = requests.control(faults.control, "stats")
        assert.are.equal(2, stats.most_open)
        assert.are.equal(6, stats.requests)
      end)
    end
  end)

  it("goes through a proxy, unless a request says otherwise", function()
    requests.with_session({proxy = faults.http}, function(session)
      reset()
      local url = nginx.http .. "/small.txt"
      assert.are.equal("small\n", await(await(session:get(url)):text()))
      assert.are.equal(url, requests.control(faults.control, "stats").log[1].target)
      assert.are.equal("small\n", await(await(session:get(url, {proxy = false})):text()))
      assert.are.equal(1, requests.control(faults.control, "stats").requests)
    end)
  end)

  it("asks the proxy for a tunnel to https", function()
    requests.with_session({proxy = faults.http, ca = nginx.ca}, function(session)
      reset()
      assert.are.equal("small\n", await(await(session:get(nginx.https .. "/small.txt")):text()))
      assert.are.equal("CONNECT", requests.control(faults.control, "stats").log[1].method)
    end)
  end)

  it("lets no variable of the environment pass the proxy by", function()
    local result = program.run_script([[
      local http = require "http"
      run(async(function(proxy, url)
        local session <close> = http.ClientSession{proxy = proxy}
        print(tostring(select(2, pcall(await, session:get(url)))):match("%a+"))
      end)(arg[1], arg[2]))]], {args = {faults.refused, faults.url "echo"}, env = {NO_PROXY = "*"}})
    assert.are.same({code = 0, stdout = "ClientProxyConnectionError\n", stderr = ""}, result)
  end)

  it("whose proxy refuses a tunnel raises ClientProxyConnectionError", function()
    requests.with_session({proxy = nginx.http}, function(session)
      local err = requests.failure(session.get, session, nginx.https .. "/small.txt")
      assert.is_true(asyncio.isinstance(err, http.ClientProxyConnectionError))
    end)
  end)

  it("whose proxy is not there raises ClientProxyConnectionError", function()
    requests.with_session({proxy = faults.refused}, function(session)
      local err = requests.failure(session.get, session, faults.url "echo")
      assert.is_true(asyncio.isinstance(err, http.ClientProxyConnectionError))
      assert.is_true(asyncio.isinstance(err, http.ClientConnectorError))
      assert.are.equal("ECONNREFUSED", err.code)
      assert.are.equal(faults.url "echo", err.url)
    end)
  end)

  it("trusts the authorities of ca: a file, a folder, or the text itself", function()
    local file <close> = assert(io.open(nginx.ca))
    for _, ca in ipairs {nginx.ca, file:read "a"} do
      requests.with_session({ca = ca}, function(session)
        assert.are.equal("small\n", await(await(session:get(nginx.https .. "/small.txt")):text()))
      end)
    end
    requests.with_session({ca = "/etc"}, function(session)
      local err = requests.failure(session.get, session, nginx.https .. "/small.txt")
      assert.is_true(asyncio.isinstance(err, http.ClientSSLError))
    end)
  end)
end)

describe("the end of a session", function()
  it("may come twice, and refuses requests from then on", function()
    tasks.main(function()
      local session = http.ClientSession()
      assert.is_false(session.closed)
      session:close()
      session:close()
      assert.is_true(session.closed)
      local err = requests.failure(session.get, session, faults.url "echo")
      assert.is_truthy(err:find("ClientSession.get: the session is closed", 1, true))
      local other <close> = http.ClientSession()
      other:close()
    end)
  end)

  it("closes its connections", function()
    requests.with_session(nil, function(session)
      get(session, "echo")
      stats_at "open=1"
      session:close()
      stats_at "open=0"
    end)
  end)

  it("ends what is under way, with ClientConnectionError", function()
    requests.with_session(nil, function(session)
      for _, path in ipairs {"hang", "hang-in-body"} do
        local own = http.ClientSession()
        local task = hanging(own, path)
        own:close()
        local ok, err = pcall(await, task)
        assert.is_false(ok)
        assert.is_true(asyncio.isinstance(err, http.ClientConnectionError))
        assert.are.equal(faults.url(path), err.url)
        stats_at "active=0"
      end
      get(session, "echo")
    end)
  end)

  it("comes between two redirects, too", function()
    requests.with_session(nil, function(session)
      local task = create_task(session:get(nginx.http .. "/redirect/20", {max_redirects = 30}))
      await(sleep(0))
      session:close()
      local ok, err = pcall(await, task)
      assert.is_false(ok)
      assert.is_true(asyncio.isinstance(err, http.ClientConnectionError))
    end)
  end)
end)

describe("a limit of time", function()
  local function failure(path, options, of_session)
    return requests.with_session(of_session, function(session)
      local ok, err = pcall(get, session, path, options)
      assert.is_false(ok)
      assert.is_true(asyncio.isinstance(err, http.ServerTimeoutError), tostring(err))
      assert.is_true(asyncio.isinstance(err, http.ClientConnectionError))
      assert.are.equal(faults.url(path), err.url)
      stats_at "active=0"
      return err
    end)
  end

  it("on all: for the head, and the body", function()
    for _, path in ipairs {"hang", "hang-in-headers", "hang-in-body", "drip/100?every=0.02"} do
      local err = failure(path, {timeout = 0.1})
      assert.are.equal("total", err.code)
      assert.is_truthy(tostring(err):find("within 0.1 s (timeout.total)", 1, true))
    end
  end)

  it("on all counts from the request, over redirects", function()
    requests.with_session(nil, function(session)
      local err = requests.failure(session.get, session,
        faults.url "redirect?to=/hang", {timeout = 0.1})
      assert.are.equal("total", err.code)
      assert.are.equal(faults.url "hang", err.url)
    end)
  end)

  it("on silence: bytes that come begin it anew", function()
    local err = failure("hang-in-body", {timeout = {idle = 0.1}})
    assert.are.equal("idle", err.code)
    assert.is_truthy(tostring(err):find("for 0.1 s (timeout.idle)", 1, true))
    assert.are.equal("idle", failure("hang", {timeout = {idle = 0.1}}).code)
    requests.with_session({timeout = {idle = 0.3}}, function(session)
      assert.are.equal(30, #get(session, "drip/30?every=0.02"))
    end)
  end)

  it("on silence does not count the wait for a connection", function()
    requests.with_session({limit = 1, timeout = {idle = 0.2}}, function(session)
      local first <close> = await(session:get(faults.url "drip/40?every=0.01"))
      local second = create_task(session:get(faults.url "bytes/2"))
      assert.are.equal(("x"):rep(40), await(first:read()))
      assert.are.equal(2, #await(await(second):read()))
    end)
  end)

  it("on connecting", function()
    requests.with_session(nil, function(session)
      local err = requests.failure(session.get, session, faults.full, {timeout = {connect = 0.1}})
      assert.is_true(asyncio.isinstance(err, http.ServerTimeoutError), tostring(err))
      assert.are.equal("connect", err.code)
      assert.is_truthy(tostring(err):find("within 0.1 s (timeout.connect)", 1, true))
    end)
  end)

  it("of a request goes before that of the session, one by one", function()
    local of_session = {timeout = {total = 0.1, idle = 60}}
    assert.are.equal("total", failure("hang", nil, of_session).code)
    assert.are.equal("total", failure("hang", {timeout = {idle = 50}}, of_session).code)
    local other = {timeout = {total = false, idle = 0.05}}
    assert.are.equal("idle", failure("hang", other, of_session).code)
    requests.with_session(of_session, function(session)
      for _, none in ipairs {false, 0} do
        assert.are.equal("late", get(session, "after/0.2", {timeout = none}))
      end
    end)
  end)
end)

describe("a task that is cancelled", function()
  it("ends its transfer at once, wherever it waits", function()
    requests.with_session(nil, function(session)
      for _, path in ipairs {"hang", "hang-in-headers", "hang-in-body"} do
        local task = hanging(session, path)
        task:cancel()
        local _, err = asyncio.catch(await, task)
        assert.is_true(asyncio.isinstance(err, asyncio.CancelledError))
        stats_at "active=0"
      end
      assert.are.equal("at last", get(session, "early-hints"))
    end)
  end)

  it("while it reads closes the response", function()
    requests.with_session(nil, function(session)
      local response = await(session:get(faults.url "hang-in-body"))
      local ok, err = pcall(await, asyncio.wait_for(response:read(), 0.05))
      assert.is_false(ok)
      assert.is_true(asyncio.isinstance(err, asyncio.TimeoutError))
      assert.is_true(response.closed)
      stats_at "active=0"
    end)
  end)

  it("makes room for the others where connections are limited", function()
    requests.with_session({limit = 1}, function(session)
      local first = hanging(session)
      local second = create_task(async(get)(session, "early-hints"))
      await(sleep(0))
      first:cancel()
      assert.are.equal("at last", await(second))
    end)
  end)
end)
