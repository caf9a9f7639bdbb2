-- net_spec.lua: the module `net`: connections, servers, names.

local asyncio = require "asyncio"
local fs = require "fs"
local net = require "net"
local program = require "program"
local streams = require "streams"
local tasks = require "tasks"

local co, begun, caught, main, refused = tasks.co, tasks.begun, tasks.caught, tasks.main, tasks.refused
local echo, os_error, served = streams.echo, streams.os_error, streams.served

-- A port of 127.0.0.1 where nobody listens.
local function free_port()
  local server <close> = await(net.listen("127.0.0.1", 0, print))
  return select(2, server:address())
end

describe("net.connect", function()
  it("gives a stream to the server's handler", function()
    served(echo, function(s)
      await(s:write("hello\n"))
      assert.equal("hello", await(s:read("l")))
    end)
  end)

  it("takes names, numeric addresses of both families, and a family", function()
    main(function()
      local server <close> = await(net.listen("localhost", 0, async(echo)))
      local host, port = server:address()
      for _, name in ipairs {host, "localhost"} do
        local s <close> = await(net.connect(name, port))
        assert.equal(port, select(2, s:peer_address()))
      end
      local s <close> = await(net.connect("localhost", port, {family = "inet"}))
      assert.equal("127.0.0.1", (s:peer_address()))
    end)
  end)

  it("comes from the local address that it is given", function()
    served(echo, function(first, server)
      local host, port = server:address()
      do
        local s <close> = await(net.connect(host, port, {local_addr = "127.0.0.2"}))
        assert.equal("127.0.0.2", (s:address()))
      end
      local _, own = first:address()
      local code, call = os_error(await, net.connect(host, port, {local_addr = {"127.0.0.1", own}}))
      assert.is_true(code == "EADDRINUSE" or code == "EADDRNOTAVAIL", code)
      assert.equal("connect", call)
    end)
  end)

  it("raises an OSError when nobody listens, with the address", function()
    main(function()
      local port = free_port()
      local err = caught(await, net.connect("127.0.0.1", port))
      assert.equal(("OSError: connect '127.0.0.1:%d': connection refused (ECONNREFUSED)"):format(port),
        tostring(err))
      assert.same({"ECONNREFUSED", "connect", "127.0.0.1:" .. port}, {err.code, err.syscall, err.address})
    end)
  end)

  it("raises an OSError when there is no way, or no such name", function()
    main(function()
      assert.same({"ENETUNREACH", "connect", "255.255.255.255:1"},
        {os_error(await, net.connect("255.255.255.255", 1))})
      local code, call, name = os_error(await, net.connect("no-such-host.invalid", 1))
      assert.is_true(code == "EAI_NONAME" or code == "EAI_AGAIN", code)
      assert.same({"getaddrinfo", "no-such-host.invalid"}, {call, name})
    end)
  end)

  it("refuses arguments that are none", function()
    main(function()
      local function why(...)
        local arguments = table.pack(...)
        return refused(function() await(net.connect(table.unpack(arguments, 1, arguments.n))) end)
      end
      assert.equal("net: a string expected as host, got nil", why())
      assert.equal("net: a zero byte in host", why("a\0b", 1))
      assert.equal("connect: an integer expected as port, got nil", why("127.0.0.1"))
      assert.equal("connect: an integer expected as port, got string", why("127.0.0.1", "http"))
      assert.equal("connect: port is 65536, but has to be from 0 to 65535", why("127.0.0.1", 65536))
      assert.equal("net: unknown option 'tineout' of connect (there are family, local_addr, nodelay, timeout, tls)",
        why("127.0.0.1", 1, {tineout = 1}))
      assert.equal('net: family: "inet" or "inet6" expected, got 4', why("127.0.0.1", 1, {family = 4}))
      assert.equal("connect: 'localhost' is no numeric address", why("127.0.0.1", 1, {local_addr = "localhost"}))
      assert.equal("net: local_addr: a string expected, got a number", why("127.0.0.1", 1, {local_addr = 1}))
      assert.equal("connect: '' is no numeric address", why("127.0.0.1", 1, {local_addr = {}}))
      assert.equal("net: timeout: a number expected, got a string", why("127.0.0.1", 1, {timeout = "x"}))
      assert.equal("net: timeout is no number (NaN)", why("127.0.0.1", 1, {timeout = 0/0}))
      assert.equal("net: nodelay: a boolean expected, got a number", why("127.0.0.1", 1, {nodelay = 1}))
      assert.equal("connect: an integer expected as port, got string", why("no-such-host.invalid", "x"))
      assert.equal("connect: 'x' is no numeric address", why("no-such-host.invalid", 1, {local_addr = "x"}))
    end)
  end)

  it("that is cancelled, or dropped, leaves no connection", function()
    served(echo, function(_, server)
      local host, port = server:address()
      for turns = 0, 4 do
        local connecting = create_task(net.connect(host, port))
        tasks.turns(turns)
        connecting:cancel()
        local ok, s = asyncio.catch(await, connecting)
        if ok then s:close() end
      end
      for _ = 1, 3 do await(net.connect(host, port)) end
      collectgarbage()
      collectgarbage()
    end)
  end)

  it("gives up when its time is over", function()
    main(function()
      -- a full backlog does not answer
      local server <close> = await(net.listen("127.0.0.1", 0, echo, {max_connections = 1, backlog = 1}))
      local list = {}
      local err
      for _ = 1, 20 do
        local ok
        ok, err = pcall(await, net.connect("127.0.0.1", select(2, server:address()), {timeout = 0.05}))
        if not ok then break end
        list[#list + 1] = err
      end
      tasks.is_a("TimeoutError", err)
      for _, s in ipairs(list) do s:close() end
    end)
  end)
end)

-- Loads a module of net's Lua half anew, with that in the place of its C half.
local function reloaded(name, c)
  local saved, loaded = package.loaded[name], package.loaded
  local own = loaded["neap.net.c"]
  loaded[name], loaded["neap.net.c"] = nil, c
  local module = require(name)
  loaded[name], loaded["neap.net.c"] = saved, own
  return module
end

-- net.connect with a resolver and attempts of our own: `addresses` are what
-- the name has; attempts[address] is a function. Gives the module, and the
-- list of what happened.
local function racing(addresses, attempts)
  local log = {}
  return reloaded("neap.net.connect", {
    check_address = function() end,
    is_numeric = function() return false end,
    resolve = function() return addresses end,
    connect_unix = print,
    connect = function(address)
      log[#log + 1] = address
      local _ <close> = tasks.at_end(function() log[#log + 1] = "-" .. address end)
      return attempts[address](address)
    end,
  }), log
end

describe("a name with several addresses", function()
  local function stream_of(log)
    return function(address)
      return {address = address, close = function() log[#log + 1] = "closed " .. address end}
    end
  end

  local function fail(address) error(asyncio.OSError("no " .. address, {code = "ECONNREFUSED"})) end
  local function hang() await(asyncio.Future()) end

  it("is tried family by family, at once after a failure", function()
    local attempts = {["1.1"] = fail, ["1.2"] = fail, ["::1"] = fail}
    local connections, log = racing({"::1", "::2", "1.1", "1.2"}, attempts)
    attempts["::2"] = stream_of(log)
    main(function()
      assert.equal("::2", await(connections.connect("name", 1)).address)
    end)
    assert.same({"::1", "-::1", "1.1", "-1.1", "::2", "-::2"}, log)
  end)

  it("is tried a little later each when one does not answer; the rest is cancelled", function()
    local attempts = {["::1"] = hang, ["1.1"] = hang}
    local connections, log = racing({"::1", "::2", "1.1"}, attempts)
    attempts["::2"] = stream_of(log)
    main(function()
      local start = asyncio.time()
      assert.equal("::2", await(connections.connect("name", 1)).address)
      assert.is_true(asyncio.time() - start >= 0.5)
      tasks.turns(2)
    end)
    assert.same({"::1", "1.1", "::2", "-::2", "-::1", "-1.1"}, log)
  end)

  it("closes the connection that comes second", function()
    local gate = asyncio.Future()
    local attempts = {}
    local connections, log = racing({"::1", "1.1"}, attempts)
    attempts["::1"] = function(address)
      await(gate)
      return stream_of(log)(address)
    end
    attempts["1.1"] = function(address)
      gate:set_result()
      return attempts["::1"](address)
    end
    main(function()
      assert.equal("::1", await(connections.connect("name", 1)).address)
    end)
    assert.same({"::1", "1.1", "-1.1", "-::1", "closed 1.1"}, log)
  end)

  it("raises the first error when all fail", function()
    local connections = racing({"::1", "1.1"}, {["::1"] = fail, ["1.1"] = fail})
    main(function()
      local err = caught(await, connections.connect("name", 1))
      assert.equal("no ::1", err.message)
      assert.equal(2, #err.errors)
      assert.equal("no 1.1", err.errors[2].message)
    end)
  end)

  it("is given up when the task is cancelled, or time is over", function()
    local connections, log = racing({"::1", "1.1"}, {["::1"] = hang, ["1.1"] = hang})
    main(function()
      local task = begun(connections.connect("name", 1))
      tasks.turns(2)
      task:cancel()
      tasks.is_a("CancelledError", caught(await, task))
      tasks.is_a("TimeoutError", caught(await, connections.connect("name", 1, {timeout = 0.3})))
      tasks.turns(2)
    end)
    assert.same({"::1", "-::1", "::1", "1.1", "-::1", "-1.1"}, log)
  end)
end)

describe("net.resolve", function()
  it("gives each address once, also where /etc/hosts has it twice", function()
    local folder <close> = program.folder()
    folder:write("hosts", "127.0.0.1 twice\n127.0.0.1 twice\n::1 twice\n")
    folder:write("main.lua", [[
      local net = require "net"
      run(async(function()
        print(table.concat(await(net.resolve("twice", {family = "inet"})), " "))
        local _ <close> = await(net.listen("twice", 0, print, {family = "inet"}))
      end)())]])
    local within = ("unshare -m sh -c 'mount --bind %s /etc/hosts 2>/dev/null && exec \"$@\"' sh ")
      :format(folder:file "hosts")
    if not os.execute(within .. "true 2>/dev/null") then return pending "needs to mount /etc/hosts" end
    local result = program.run(within .. program.neap .. " " .. folder:file "main.lua")
    assert.same({"127.0.0.1\n", ""}, {result.stdout, result.stderr})
  end)

  it("keeps the zone of an address, as all that tells addresses does", function()
    local zone
    for line in io.lines "/proc/net/if_inet6" do
      if line:find "^fe80" then zone = line:match "(%S+)%s*$" end
    end
    if not zone then return pending "needs an interface with IPv6" end
    main(function()
      assert.same({"fe80::1%" .. zone}, await(net.resolve("fe80::1%" .. zone, {family = "inet6"})))
      local own <close> = await(net.udp("ff02::1%" .. zone, 0))
      assert.equal("ff02::1%" .. zone, (own:address()))
    end)
  end)

  it("gives a list of addresses", function()
    main(function()
      assert.same({"127.0.0.1"}, await(net.resolve("localhost", {family = "inet"})))
      assert.same({"::1"}, await(net.resolve("::1")))
      assert.same({"10.1.2.3"}, await(net.resolve("10.1.2.3")))
    end)
  end)

  it("gives no address of another family than that asked for", function()
    main(function()
      for host, family in pairs {["127.0.0.1"] = "inet6", ["::1"] = "inet"} do
        assert.equal("getaddrinfo", select(2, os_error(await, net.resolve(host, {family = family}))))
        assert.equal("getaddrinfo", select(2, os_error(await, net.connect(host, 1, {family = family}))))
        assert.equal("getaddrinfo", select(2, os_error(await, net.listen(host, 0, echo, {family = family}))))
      end
    end)
  end)

  it("can be cancelled", function()
    main(function()
      local lookups = {}
      for i = 1, 20 do lookups[i] = begun(net.resolve("localhost")) end
      for _, task in ipairs(lookups) do task:cancel() end
      for _, task in ipairs(lookups) do asyncio.catch(await, task) end
    end)
  end)
end)

describe("a server", function()
  it("has a port of its own, and a name", function()
    served(echo, function(s, server)
      local host, port = server:address()
      assert.equal("127.0.0.1", host)
      assert.is_true(port > 0)
      await(s:write("x"))
      await(s:read())
      assert.equal(("<Server 127.0.0.1:%d, 1 connections>"):format(port), tostring(server))
      server:close()
      assert.equal("<Server closed, 1 connections>", tostring(server))
      assert.is_nil(server:address())
    end)
  end)

  it("without a host listens on all addresses, of both families at one port", function()
    main(function()
      local server <close> = await(net.listen(nil, 0, async(echo)))
      local host, port = server:address()
      assert.equal("0.0.0.0", host)
      local other, same = server:address(2)
      if other then assert.same({"::", port}, {other, same}) end
      local s <close> = await(net.connect("127.0.0.1", port))
      await(s:write("x"))
      assert.equal("x", await(s:read()))
    end)
  end)

  it("without a host tries again when the free port of one family is taken in the other", function()
    local log = {}
    local function listen(address, port)
      log[#log + 1] = address .. " " .. port
      if #log < 6 and address == "::" then error(asyncio.OSError("taken", {code = "EADDRINUSE"}), 0) end
      return {port = port > 0 and port or #log}
    end
    local servers = reloaded("neap.net.server", {
      accept = function() await(asyncio.Future()) end,
      close_listener = function(listener) log[#log + 1] = "closed " .. listener.port end,
      listen = listen,
      listener_address = function(listener) return "", listener.port end,
    })
    main(function()
      await(servers.listen(nil, 0, print))
      assert.same({"0.0.0.0 0", ":: 1", "closed 1", "0.0.0.0 0", ":: 4", "closed 4", "0.0.0.0 0", ":: 7"}, log)
      log = {}
      assert.equal("EADDRINUSE", caught(await, servers.listen(nil, 80, print)).code)
      assert.same({"0.0.0.0 80", ":: 80", "closed 80"}, log)
    end)
  end)

  it("without a host listens on the addresses of the family that is asked for", function()
    main(function()
      for family, own in pairs {inet = "0.0.0.0", inet6 = "::"} do
        local server <close> = await(net.listen("*", 0, echo, {family = family}))
        assert.equal(own, (server:address()))
        assert.is_nil(server:address(2))
        assert.matches(family == "inet" and "^<Server 0.0.0.0:%d+," or "^<Server %[::%]:%d+,", tostring(server))
      end
    end)
  end)

  it("takes plain functions as handlers, too", function()
    local got
    served(echo, function(_, first)
      local server <close> = await(net.listen("127.0.0.1", 0, function(s)
        got = await(s:read())
      end))
      local s <close> = await(net.connect(server:address()))
      await(s:write("plain"))
      assert.is_nil(await(s:read()))
      first:close()
    end)
    assert.equal("plain", got)
  end)

  it("serves many connections side by side", function()
    served(echo, function(_, server)
      local clients = {}
      for i = 1, 100 do
        clients[i] = co(function()
          local s <close> = await(net.connect(server:address()))
          for round = 1, 5 do
            local text = ("%d.%d"):format(i, round)
            await(s:write(text, "\n"))
            assert.equal(text, await(s:read("l")))
          end
        end)
      end
      await(gather(clients))
    end)
  end)

  it("closes a connection when its handler ends, and keeps none", function()
    served(function(s) await(s:write("bye")) end, function(s, server)
      assert.equal("bye", await(s:read("a")))
      tasks.wait_until(function() return tostring(server):find " 0 connections" end)
    end)
  end)

  it("survives the errors of handlers, which are reported", function()
    local result = program.run_script([[
      local net = require "net"
      run(async(function()
        local server <close> = await(net.listen("127.0.0.1", 0, async(function(s)
          local line = await(s:read("l"))
          if line == "bad" then error("a bad line") end
          await(s:write(line))
        end)))
        for _, line in ipairs {"bad", "good"} do
          local s <close> = await(net.connect(server:address()))
          await(s:write(line, "\n"))
          print(await(s:read()))
        end
        collectgarbage()
      end)())]])
    assert.equal("nil\ngood\n", result.stdout)
    assert.matches("never retrieved", result.stderr)
    assert.matches("script.lua:5: a bad line", result.stderr)
  end)

  it("has at most max_connections at once; others wait", function()
    local inside, most = 0, 0
    served(function(s)
      inside = inside + 1
      most = math.max(most, inside)
      await(s:write(await(s:read())))
      tasks.turns(3)
      inside = inside - 1
    end, function(first, server)
      local clients = {}
      for i = 1, 20 do
        clients[i] = co(function()
          local s <close> = await(net.connect(server:address()))
          await(s:write(i))
          assert.equal(tostring(i), await(s:read("a")))
        end)
      end
      await(first:write("first"))
      await(gather(clients))
    end, {max_connections = 3})
    assert.equal(3, most)
  end)

  it("has at most max_connections on all its addresses together", function()
    main(function()
      local started, gate = 0, asyncio.Event()
      local server <close> = await(net.listen(nil, 0, async(function()
        started = started + 1
        await(gate:wait())
      end), {max_connections = 1}))
      if not server:address(2) then return pending "needs IPv6" end
      local _, port = server:address()
      tasks.turns(2) -- all listen
      local one <close> = await(net.connect("127.0.0.1", port))
      tasks.wait_until(function() return started == 1 end)
      local other <close> = await(net.connect("::1", port))
      tasks.turns(10)
      assert.equal(1, started)
      one:close()
      gate:set()
      tasks.wait_until(function() return started == 2 end)
      assert.is_nil(await(other:read()))
    end)
  end)

  it("closes a connection that waits for room when it is closed", function()
    served(function(s) await(s:read()) end, function(_, server)
      local waits <close> = await(net.connect(server:address()))
      tasks.turns(10)
      server:close()
      assert.is_nil(await(waits:read()))
      assert.matches(" 1 connections", tostring(server))
      server:close_clients()
    end, {max_connections = 1})
  end)

  it("that is closed takes no more; those that there are go on", function()
    served(echo, function(s, server)
      local _, port = server:address()
      await(s:write("x"))
      await(s:read())
      server:close()
      server:close()
      assert.equal("ECONNREFUSED", (os_error(await, net.connect("127.0.0.1", port))))
      local closed = begun(server:wait_closed())
      await(s:write("still"))
      assert.equal("still", await(s:read()))
      assert.is_false(closed:done())
      s:close()
      await(closed)
    end)
  end)

  it("cancels all connections on request", function()
    local started, cancelled = 0, 0
    served(function(s)
      started = started + 1
      local ok, err = asyncio.catch(await, s:read("a"))
      assert.is_false(ok)
      tasks.is_a("CancelledError", err)
      cancelled = cancelled + 1
      error(err, 0)
    end, function(s, server)
      await(s:write("x"))
      local other <close> = await(net.connect(server:address()))
      tasks.wait_until(function() return started == 2 end)
      local late <close> = await(net.connect(server:address())) -- its task may not have begun
      tasks.wait_until(function() return tostring(server):find " 3 connections" end)
      server:close()
      server:close_clients()
      await(server:wait_closed())
      assert.is_nil(await(other:read()))
      assert.is_nil(await(late:read()))
    end)
    assert.equal(started, cancelled)
  end)

  it("cannot be waited for by one of its own handlers", function()
    local said
    main(function()
      local server
      server = await(net.listen("127.0.0.1", 0, async(function()
        server:close()
        said = refused(function() await(server:wait_closed()) end)
      end)))
      local s <close> = await(net.connect(server:address()))
      assert.is_nil(await(s:read()))
      await(server:wait_closed())
    end)
    assert.equal("net: wait_closed: this task serves a connection, for whose end it would wait", said)
  end)

  it("whose scope ends by an error ends its connections", function()
    local err = caught(served, echo, function(s)
      await(s:write("x"))
      await(s:read())
      error("boom", 0)
    end)
    assert.equal("boom", err)
  end)

  it("whose scope ends where no task can wait lets its connections go on", function()
    served(echo, function(s, server)
      await(s:write "x")
      assert.equal("x", await(s:read()))
      local block = coroutine.create(function()
        local _ <close> = server
        coroutine.yield()
      end)
      assert.is_true(coroutine.resume(block))
      assert.is_true(coroutine.close(block))
      assert.is_nil(server:address())
      await(s:write "y")
      assert.equal("y", await(s:read()))
    end)
  end)

  it("whose scope is cancelled while it waits ends its connections", function()
    main(function()
      local client
      local task = begun(co(function()
        local server <close> = await(net.listen("127.0.0.1", 0, async(echo)))
        client = await(net.connect(server:address()))
        tasks.wait_until(function() return tostring(server):find " 1 connections" end)
      end))
      tasks.wait_until(function() return client end)
      assert.is_false(select(1, asyncio.catch(await, asyncio.wait_for(asyncio.shield(task), 0.01))))
      task:cancel()
      tasks.is_a("CancelledError", caught(await, task))
      assert.is_nil(await(asyncio.wait_for(client:read(), 5)))
      client:close()
    end)
  end)

  it("that run leaves behind is closed, and so are its connections, and who waits for room", function()
    local server, client, waits
    main(function()
      server = await(net.listen("127.0.0.1", 0, function(stream) await(stream:read("a")) end, {max_connections = 1}))
      client = await(net.connect(server:address()))
      tasks.wait_until(function() return tostring(server):find " 1 connection" end)
      waits = await(net.connect(server:address()))
      tasks.turns(10)
    end)
    assert.equal("<Server closed, 0 connections>", tostring(server))
    main(function()
      for _, stream in ipairs {client, waits} do
        assert.is_nil(await(asyncio.wait_for(stream:read(), 20)))
        stream:close()
      end
      await(server:wait_closed())
    end)
  end)

  it("cannot listen twice at one place, but with reuseport", function()
    main(function()
      local first <close> = await(net.listen("127.0.0.1", 0, echo, {reuseport = true}))
      local host, port = first:address()
      local second <close> = await(net.listen(host, port, echo, {reuseport = true}))
      assert.same({host, port}, {second:address()})
      local code, call, address = os_error(await, net.listen(host, port, echo))
      assert.same({"EADDRINUSE", "listen", host .. ":" .. port}, {code, call, address})
    end)
  end)

  it("that cannot be made leaves no descriptor behind", function()
    main(function()
      local server <close> = await(net.listen("127.0.0.1", 0, echo))
      local host, port = server:address()
      local socket <close> = await(net.udp(host, 0))
      collectgarbage "stop"
      local _ <close> = tasks.at_end(function() collectgarbage "restart" end)
      local function descriptors()
        tasks.turns(3) -- what is closed has been given back
        return #await(fs.list("/proc/self/fd"))
      end
      local before = descriptors()
      for _ = 1, 5 do
        assert.equal("EADDRINUSE", (os_error(await, net.listen(host, port, echo))))
        assert.equal("EADDRINUSE", (os_error(await, net.udp(socket:address()))))
        assert.equal("ENOENT", (os_error(await, net.listen_unix("/no/such/folder", echo))))
      end
      assert.equal(before, descriptors())
    end)
  end)

  it("has methods that are for it alone", function()
    main(function()
      local server <close> = await(net.listen("127.0.0.1", 0, echo))
      for _, name in ipairs {"address", "close", "close_clients"} do
        assert.equal(("net: Server.%s: a server expected, got nil; write server:%s()"):format(name, name),
          refused(function() server[name]() end))
      end
      assert.equal("net: Server.wait_closed: a server expected, got nil; write server:wait_closed()",
        refused(function() await(server.wait_closed()) end))
    end)
  end)

  it("refuses arguments that are none", function()
    main(function()
      local function why(...)
        local arguments = table.pack(...)
        return refused(function() await(net.listen(table.unpack(arguments, 1, arguments.n))) end)
      end
      assert.equal("net: listen: a function expected as handler, got nil; write async(function(stream) ... end)",
        why("127.0.0.1", 0))
      assert.equal("listen: an integer expected as port, got nil", why("127.0.0.1", nil, print))
      assert.equal("listen: an integer expected as backlog, got string",
        why("127.0.0.1", 0, print, {backlog = "many"}))
      assert.equal("net: max_connections: a positive integer expected, got 0",
        why("127.0.0.1", 0, print, {max_connections = 0}))
      assert.equal("net: nodelay: a boolean expected, got a string", why("127.0.0.1", 0, print, {nodelay = "no"}))
      assert.equal("net: reuseport: a boolean expected, got a number", why("127.0.0.1", 0, print, {reuseport = 1}))
      assert.equal("net: unknown option 'timeout' of listen "
        .. "(there are backlog, family, max_connections, nodelay, reuseport, tls)",
        why("127.0.0.1", 0, print, {timeout = 1}))
    end)
  end)

  it("survives too many open files", function()
    local folder <close> = program.folder()
    local script = folder:write("server.lua", [[
      local net = require "net"
      local asyncio = require "asyncio"
      run(async(function()
        local over = asyncio.Event()
        local server = await(net.listen("127.0.0.1", 0, async(function(s)
          for line in s:lines() do
            if line == "quit" then over:set() end
            await(s:write(line, "\n"))
          end
        end)))
        print(select(2, server:address()))
        io.stdout:flush()
        await(over:wait())
      end)())]])
    local child <close> = assert(io.popen(("ulimit -n 24; exec timeout 60 %s %s 2>%s"):format(
      program.quote(program.neap), script, folder:file("stderr"))))
    local port = assert(child:read("n"))
    main(function()
      local open = {}
      local served_ones = 0
      for i = 1, 40 do
        local s = await(net.connect("127.0.0.1", port))
        open[i] = s
        local ok, line = pcall(function()
          await(s:write("hello\n"))
          return await(s:read("l"))
        end)
        if ok and line == "hello" then served_ones = served_ones + 1 end
      end
      assert.is_true(served_ones > 5 and served_ones < 24, served_ones .. " were served")
      for _, s in ipairs(open) do s:close() end
      tasks.wait_until(function()
        local s <close> = await(net.connect("127.0.0.1", port))
        local ok, line = pcall(function()
          await(s:write("quit\n"))
          return await(s:read("l"))
        end)
        return ok and line == "quit"
      end)
    end)
    assert.is_true(child:close())
    assert.equal("", program.read(folder:file("stderr")))
  end)
end)

describe("Unix sockets", function()
  it("connect and listen by a path, which goes with the server", function()
    local folder <close> = program.folder()
    local path = folder:file("socket")
    main(function()
      do
        local server <close> = await(net.listen_unix(path, async(echo)))
        assert.equal(path, (server:address()))
        assert.equal(("<Server %s, 0 connections>"):format(path), tostring(server))
        local s <close> = await(net.connect_unix(path, {timeout = 5}))
        await(s:write("x"))
        assert.equal("x", await(s:read()))
        assert.equal(path, (s:peer_address()))
        assert.is_nil((s:address()))
        assert.equal(("<Stream unnamed -> %s>"):format(path), tostring(s))
        assert.same({"EADDRINUSE", "listen", path}, {os_error(await, net.listen_unix(path, echo))})
        assert.equal("ENOTSUP", (os_error(s.nodelay, s, true)))
      end
      assert.same({"ENOENT", "connect", path}, {os_error(await, net.connect_unix(path))})
    end)
  end)

  it("at a relative path go with the server, wherever the process is then", function()
    local folder <close> = program.folder()
    folder:write("script.lua", [[
      local fs, net, process = require "fs", require "net", require "process"
      run(async(function()
        await(fs.mkdir "other")
        await(fs.write("other/socket", "somebody's"))
        local server = await(net.listen_unix("socket", print))
        process.chdir "other"
        server:close()
        await(sleep(0))
        print(await(fs.read "socket"), await(fs.exists "../socket"))
      end)())
    ]])
    local result = program.run({program.neap, "script.lua"}, {cwd = folder.path})
    assert.equal("somebody's\tfalse\n", result.stdout, result.stderr)
  end)

  it("tell a folder that is missing from one that is forbidden, and make nothing of wrong options", function()
    local folder <close> = program.folder()
    main(function()
      local path = folder:file("socket")
      assert.equal("listen: an integer expected as backlog, got string",
        refused(function() await(net.listen_unix(path, echo, {backlog = "many"})) end))
      assert.equal("listen: an integer expected as backlog, got boolean",
        refused(function() await(net.listen_unix(path, echo, {backlog = false})) end))
      assert.is_false(await(fs.exists(path)))
      folder:write("file", "")
      path = folder:file("none/socket")
      assert.same({"ENOENT", "listen", path}, {os_error(await, net.listen_unix(path, echo))})
      assert.equal("ENOTDIR", (os_error(await, net.listen_unix(folder:file("file/socket"), echo))))
      assert.equal("EACCES", (os_error(await, net.listen_unix("/proc/self/socket", echo))))
    end)
  end)

  it("refuse paths that are too long, or empty", function()
    main(function()
      assert.equal("connect_unix: the path is empty", refused(function() await(net.connect_unix("")) end))
      assert.equal("listen_unix: the path is empty", refused(function() await(net.listen_unix("", echo)) end))
      local path = "/" .. ("x"):rep(200)
      assert.same({"ENAMETOOLONG", "connect", path}, {os_error(await, net.connect_unix(path))})
      assert.same({"ENAMETOOLONG", "listen", path}, {os_error(await, net.listen_unix(path, echo))})
    end)
  end)
end)
