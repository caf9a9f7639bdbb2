-- net_udp_spec.lua: UDP sockets.

local net = require "net"
local streams = require "streams"
local tasks = require "tasks"

local begun, caught, refused, os_error = tasks.begun, tasks.caught, tasks.refused, streams.os_error

-- Runs fn(a, b) with two sockets, as the main task.
local function sockets(fn)
  tasks.main(function()
    local a <close> = await(net.udp("127.0.0.1", 0))
    local b <close> = await(net.udp())
    fn(a, b)
  end)
end

describe("UDP", function()
  it("sends datagrams, and tells from where they come", function()
    sockets(function(a, b)
      local host, port = a:address()
      await(b:send("hello", "localhost", port))
      await(b:send("", host, port))
      local data, from, from_port = await(a:receive())
      assert.same({"hello", "127.0.0.1"}, {data, from})
      assert.equal("", (await(a:receive())))
      await(a:send("back", from, from_port))
      assert.same({"back", host, port}, {await(b:receive())})
    end)
  end)

  it("sends to an address of its own family, where a name has both", function()
    local connections = require "neap.net.connect"
    local saved = connections.addresses
    local _ <close> = tasks.at_end(function() connections.addresses = saved end)
    tasks.main(function()
      for own, other in pairs {["127.0.0.1"] = "::1", ["::1"] = "127.0.0.1"} do
        local a <close> = await(net.udp(own, 0))
        local b <close> = await(net.udp(own, 0))
        local _, port = a:address()
        function connections.addresses(_, family)
          return {family == (own == "::1" and "inet6" or "inet") and own or other}
        end
        await(b:send("x", "name", port))
        await(b:connect("name", port))
        await(b:send("y"))
        assert.equal("x", (await(a:receive())))
        assert.equal("y", (await(a:receive())))
        connections.addresses = saved
      end
    end)
  end)

  it("can be connected, to another one later", function()
    sockets(function(a, b)
      local other <close> = await(net.udp("localhost", 0))
      for _, to in ipairs {a, other} do
        await(b:connect(to:address()))
        assert.same({to:address()}, {b:peer_address()})
        await(b:send("x"))
        assert.equal("x", (await(to:receive())))
      end
    end)
  end)

  it("raises what the other side's machine says", function()
    sockets(function(a, b)
      await(b:connect(a:address()))
      a:close()
      local address = ("%s:%d"):format(b:peer_address())
      for _ = 1, 3 do
        await(b:send("x"))
        assert.same({"ECONNREFUSED", "receive", address}, {os_error(await, b:receive())})
      end
      await(b:send("x"))
      assert.same({"ECONNREFUSED", "send", address}, {os_error(await, b:send("x"))})
      local host, port = b:peer_address()
      local again <close> = await(net.udp(host, port)) -- somebody is there now
      await(b:send("y"))
      assert.equal("y", (await(again:receive())))
    end)
  end)

  it("takes datagrams of any size that there is", function()
    sockets(function(a, b)
      local receiving = begun(a:receive())
      await(b:send("", a:address()))
      assert.equal("", (await(receiving)))
      for _, size in ipairs {1, 65506, 65507} do
        local data = ("x"):rep(size)
        await(b:send(data, a:address()))
        assert.is_true(data == await(a:receive()))
      end
      local host, port = a:address()
      assert.same({"EMSGSIZE", "send", ("%s:%d"):format(host, port)},
        {os_error(await, b:send(("x"):rep(65508), host, port))})
    end)
  end)

  it("loses none when its receivers are cancelled, or run out of time", function()
    local asyncio = require "asyncio"
    local random = tasks.random(7)
    sockets(function(a, b)
      local got = 0
      for i = 1, 500 do
        await(b:send(i .. "," .. ("x"):rep(random(1000)), a:address()))
        while i - got > random(10) - 1 do
          local receiving = create_task(a:receive())
          local how = random(3)
          if how == 1 then
            tasks.turns(random(3) - 1)
            receiving:cancel()
          elseif how == 2 then
            receiving = asyncio.wait_for(receiving, random(10) / 10000)
          end
          local ok, data = asyncio.catch(await, receiving)
          if ok then
            got = got + 1
            assert.equal(tostring(got), data:match "^%d+")
          end
        end
      end
    end)
  end)

  it("keeps what comes while nobody receives, up to a limit", function()
    sockets(function(a, b)
      local piece = ("x"):rep(8192)
      local first = begun(a:receive())
      for i = 1, 200 do
        await(b:send(piece, a:address()))
        if i % 4 == 0 then await(sleep(0.001)) end
      end
      assert.equal(piece, (await(first)))
      local got = 0
      while pcall(await, require "asyncio".wait_for(a:receive(), 0.05)) do got = got + 1 end
      assert.is_true(got >= 20 and got < 150, got .. " were kept")
      await(b:send("later", a:address()))
      assert.equal("later", (await(a:receive())))
    end)
  end)

  it("can be cancelled, and closed, while it waits", function()
    sockets(function(a, b)
      local receiving = begun(a:receive())
      assert.equal("receive: another task receives by this socket", refused(function() await(a:receive()) end))
      receiving:cancel()
      tasks.is_a("CancelledError", caught(await, receiving))
      await(b:send("x", a:address()))
      assert.equal("x", (await(a:receive())))
      receiving = begun(a:receive())
      a:close()
      a:close()
      assert.equal("ECANCELED", (os_error(await, receiving)))
      assert.equal("receive: the socket is closed", refused(function() await(a:receive()) end))
      assert.equal("<UdpSocket closed>", tostring(a))
      assert.matches("^<UdpSocket 0.0.0.0:%d+>$", tostring(b))
      assert.equal("<UdpSocket not bound>", tostring(await(net.udp())))
    end)
  end)

  it("refuses what cannot be sent", function()
    sockets(function(a, b)
      local host, port = a:address()
      assert.equal("<UdpSocket 127.0.0.1:" .. port .. ">", tostring(a))
      assert.equal("send: a string expected as data, got number",
        refused(function() await(b:send(1, host, port)) end))
      assert.equal("send: an integer expected as port, got nil", refused(function() await(b:send("x", host)) end))
      assert.same({"EMSGSIZE", "send", host .. ":" .. port},
        {os_error(await, b:send(("x"):rep(70000), host, port))})
      assert.equal("EDESTADDRREQ", (os_error(await, b:send("x"))))
      assert.equal("EADDRINUSE", (os_error(await, net.udp(host, port))))
    end)
  end)

  it("joins groups, and may broadcast", function()
    sockets(function(a)
      a:broadcast(true)
      a:broadcast(false)
      a:join("239.1.2.3", "127.0.0.1")
      a:leave("239.1.2.3", "127.0.0.1")
      assert.equal("EADDRNOTAVAIL", (os_error(a.leave, a, "239.1.2.3", "127.0.0.1")))
      assert.equal("broadcast: a boolean expected as on, got number", refused(function() a:broadcast(1) end))
    end)
  end)
end)
