-- tls_stream_spec.lua: streams of TLS: all that streams do, and what can go
-- wrong on the way.

local asyncio = require "asyncio"
local net = require "net"
local peers = require "tls_peers"
local streams = require "streams"
local tasks = require "tasks"
local tls = require "tls"

local co, caught, main, refused = tasks.co, tasks.caught, tasks.main, tasks.refused
local ends = peers.ends

teardown(peers.stop)

local VERSIONS = {"1.2", "1.3"}

-- An `it` for each version of TLS: fn(client, server, ...) on two ends.
local function each_version(name, fn)
  for _, version in ipairs(VERSIONS) do
    it(name .. " (" .. version .. ")", function() ends(fn, {max_version = version}) end)
  end
end

-- Runs fn() while another task does `other`.
local function beside(other, fn)
  local task = create_task(co(other))
  local result = table.pack(fn())
  await(task)
  return table.unpack(result, 1, result.n)
end

describe("a stream of TLS", function()
  each_version("reads by all formats, and writes", function(client, server)
    await(client:write("line\n", 12, "34567rest;", "all"))
    assert.equal("line", await(server:read "l"))
    assert.equal("12345", await(server:readexactly(5)))
    assert.equal("6", await(server:read(1)))
    assert.equal("7rest;", await(server:readuntil ";"))
    await(client:shutdown())
    assert.equal("all", await(server:read "a"))
    assert.is_nil(await(server:read()))
    await(server:write "x\ny")
    await(server:shutdown())
    local lines = {}
    for line in client:lines() do lines[#lines + 1] = line end
    assert.same({"x", "y"}, lines)
  end)

  each_version("takes writes of no bytes, and of many pieces", function(client, server)
    await(client:write())
    await(client:write "")
    beside(function()
      for i = 1, 2000 do await(client:write(i, "\n")) end
      await(client:shutdown())
    end, function()
      for i = 1, 2000 do assert.equal(tostring(i), await(server:read "l")) end
      assert.is_nil(await(server:read()))
    end)
  end)

  each_version("moves large amounts both ways at once", function(client, server)
    local MANY <const> = tasks.sanitized and 4 << 20 or 64 << 20
    local data = ("0123456789abcdef"):rep(MANY >> 4)
    local function exchange(stream)
      beside(function() await(stream:write(data)) end, function()
        assert.is_true(data == await(stream:readexactly(#data)))
      end)
    end
    beside(function() exchange(server) end, function() exchange(client) end)
  end)

  it("waits for a slow reader, who may take its time in small pieces", function()
    ends(function(client, server)
      local data = ("x"):rep(8 << 20)
      local writing = create_task(client:write(data))
      local shutting = create_task(client:shutdown())
      tasks.turns(20)
      assert.is_false(writing:done())
      local count = 0
      repeat
        local piece = await(server:read(60000))
        count = count + (piece and #piece or 0)
        if count < 4 << 20 then tasks.turns(1) end
      until not piece
      assert.equal(#data, count)
      await(writing)
      await(shutting)
    end)
  end)

  it("keeps no more than a stream may of what nobody reads", function()
    ends(function(client, server)
      local writing = create_task(server:write(("x"):rep(32 << 20)))
      assert.equal("x", await(client:read(1)))
      tasks.turns(200)
      collectgarbage()
      assert.is_false(writing:done())
      writing:cancel()
      assert.is_true(asyncio.catch(await, asyncio.wait {writing}))
      client:close()
    end)
  end)

  each_version("pipes: from itself to itself, and to another stream", function(client, server)
    local data = ("0123456789"):rep(200000)
    beside(function() assert.equal(#data, await(server:pipe(server))) await(server:shutdown()) end, function()
      beside(function()
        await(client:write(data))
        await(client:shutdown())
      end, function() assert.is_true(data == await(client:read "a")) end)
    end)
  end)

  it("pipes to one that takes nothing any more", function()
    ends(function(client, server)
      streams.connected(function(target, gone)
        gone:close()
        repeat tasks.turns() until not pcall(await, target:write "x")
        await(server:write "what came ")
        await(server:write "with the end")
        await(server:shutdown())
        local err = caught(await, client:pipe(target))
        assert.is_true(err.code == "EPIPE" or err.code == "ECONNRESET", tostring(err))
        assert.equal("what came with the end", await(client:read "a"))
      end)
    end)
  end)

  it("lets the other half go on after shutdown", function()
    ends(function(client, server)
      await(client:shutdown())
      assert.is_nil(await(server:read()))
      for i = 1, 3 do
        await(server:write(i, "\n"))
        assert.equal(tostring(i), await(client:read "l"))
      end
      assert.equal("write: the stream is shut down", refused(function() await(client:write "x") end))
      await(client:shutdown())
      await(server:shutdown())
      assert.is_nil(await(client:read()))
    end)
  end)

  each_version("that is closed says so to the peer", function(client, server)
    await(client:write "last words")
    client:close()
    client:close()
    assert.equal("last words", await(server:read "a"))
    assert.equal("read: the stream is closed", refused(function() await(client:read()) end))
    await(server:shutdown()) -- nobody is there, and nobody has to be
  end)

  it("tells its addresses, and takes the options of the socket", function()
    ends(function(client, server)
      assert.same({client:address()}, {server:peer_address()})
      assert.same({client:peer_address()}, {server:address()})
      assert.matches("^<Stream 127%.0%.0%.1:%d+ %-> 127%.0%.0%.1:%d+>$", tostring(client))
      client:nodelay(false)
      client:keepalive(30)
      client:close()
      assert.equal("<Stream closed>", tostring(client))
    end)
  end)

  it("is over a stream of TLS as over any other", function()
    ends(function(client, server)
      local accepting = create_task(tls.accept(server, peers.shows "wild"))
      local inner <close> = await(tls.connect(client, peers.trusts {server_name = "a.wild.example"}))
      local other <close> = await(accepting)
      assert.is_true(client:is_closed() and server:is_closed())
      local data = ("0123456789abcdef"):rep(1 << 16)
      beside(function() assert.equal(#data, await(other:pipe(other))) await(other:shutdown()) end, function()
        beside(function()
          await(inner:write(data))
          await(inner:shutdown())
        end, function() assert.is_true(data == await(inner:read "a")) end)
      end)
    end)
  end)

  it("begins with what was read ahead of it", function()
    streams.ends(function(raw_client, raw_server)
      local accepting = create_task(co(function()
        assert.equal("STARTTLS", await(raw_server:read "l"))
        return await(tls.accept(raw_server, peers.shows "localhost"))
      end))
      await(raw_client:write "STARTTLS\n")
      local client <close> = await(tls.connect(raw_client, peers.trusts()))
      local server <close> = await(accepting)
      await(client:write "secret\n")
      assert.equal("secret", await(server:read "l"))
    end)
    -- where the hello came with the line
    streams.ends(function(raw_client, raw_server)
      streams.connected(function(front, back)
        local connecting = create_task(tls.connect(front, peers.trusts()))
        local hello = await(back:read())
        await(raw_client:write("STARTTLS\n", hello))
        assert.equal("STARTTLS", await(raw_server:read "l"))
        local accepting = create_task(tls.accept(raw_server, peers.shows "localhost"))
        beside(function() await(back:pipe(raw_client)) end, function()
          beside(function() await(raw_client:pipe(back)) end, function()
            local client = await(connecting)
            local server = await(accepting)
            await(client:write "secret\n")
            assert.equal("secret", await(server:read "l"))
            client:close()
            server:close()
          end)
        end)
      end)
    end)
  end)

  it("keeps no loop alive when nobody waits for it", function()
    local left
    main(function()
      local server = await(net.listen("127.0.0.1", 0, streams.echo, {tls = peers.shows "localhost"}))
      left = {server, await(net.connect("localhost", select(2, server:address()), {tls = peers.trusts()}))}
    end)
    left[2]:close()
    left[1]:close()
  end)
end)

describe("Faults:", function()
  -- Runs fn(client, server, relay) where all bytes go through a relay: a
  -- table with the raw streams `client` and `server` at its two ends.
  local function relayed(fn, options, deliver, client_options)
    streams.ends(function(raw_client, near)
      streams.connected(function(far, raw_server)
        local function forward(from, to)
          return create_task(co(function() pcall(deliver or function() await(from:pipe(to)) end, from, to) end))
        end
        local there, back = forward(near, far), forward(far, near)
        local client, server = peers.handshakes(raw_client, raw_server, peers.shows("localhost", options),
          client_options or peers.trusts())
        local _ <close> = tasks.at_end(function()
          there:cancel()
          back:cancel()
          await(asyncio.wait {there, back})
        end)
        local _ <close> = client
        local _ <close> = server
        return fn(client, server, {client = near, server = far, tasks = {there, back}})
      end)
    end)
  end

  for _, version in ipairs(VERSIONS) do
    it("one byte at a time (" .. version .. ")", function()
      relayed(function(client, server)
        await(client:write("hello\n"))
        assert.equal("hello", await(server:read "l"))
        await(server:write(("x"):rep(500)))
        await(server:shutdown())
        assert.equal(500, #await(client:read "a"))
      end, {max_version = version}, function(from, to)
        while true do await(to:write(await(from:readexactly(1)))) end
      end)
    end)

    it("an end without close_notify is an error, with what came before it (" .. version .. ")", function()
      relayed(function(client, server, relay)
        await(server:write "some")
        assert.equal("some", await(client:read()))
        relay.client:close()
        local err = caught(await, client:read())
        assert.is_true(asyncio.isinstance(err, tls.TLSError), tostring(err))
        tasks.is_a("OSError", err)
        assert.equal("UNEXPECTED_EOF_WHILE_READING", err.code)
        assert.equal("read", err.syscall)
        assert.matches("the connection has ended without the peer's word %(close_notify%): something may be missing",
          err.message)
        assert.equal(err.code, caught(await, client:read "a").code)
      end, {max_version = version})
    end)

    it("bytes that were changed on the way are an error (" .. version .. ")", function()
      relayed(function(client, server, relay)
        relay.tasks[2]:cancel()
        tasks.turns(2)
        await(server:write "secret")
        local record = await(relay.server:read())
        await(relay.client:write(record:sub(1, -2), string.char(record:byte(-1) ~ 1)))
        local err = caught(await, client:read())
        assert.equal("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", err.code, tostring(err))
        err = caught(await, server:read())
        assert.equal("ALERT_BAD_RECORD_MAC", err.code, tostring(err))
      end, {max_version = version})
    end)
  end

  it("TLS over TLS tells what has failed below", function()
    relayed(function(client, server, relay)
      local accepting = create_task(tls.accept(server, peers.shows "localhost"))
      local above <close> = await(tls.connect(client, peers.trusts()))
      local _ <close> = await(accepting)
      relay.client:close()
      assert.equal("UNEXPECTED_EOF_WHILE_READING", caught(await, above:read()).code)
    end)
    relayed(function(client, _, relay)
      local connecting = create_task(tls.connect(client, peers.trusts()))
      tasks.turns(2)
      relay.client:close()
      assert.equal("UNEXPECTED_EOF_WHILE_READING", caught(await, connecting).code)
    end)
  end)

  it("a certificate that nobody looks at is not blamed for what fails later", function()
    relayed(function(client, _, relay)
      relay.client:close()
      assert.equal("UNEXPECTED_EOF_WHILE_READING", caught(await, client:read()).code)
    end, nil, nil, {verify = false})
  end)

  it("a reset is the error of the system", function()
    local resetter = [[
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
context = ssl.create_default_context(cafile=sys.argv[2])
t = context.wrap_socket(s, server_hostname="localhost")
import struct
t.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
t.close()]]
    local err
    peers.served(function(stream)
      err = caught(await, stream:read())
    end, function(_, port)
      local peer <close> = peers.python(resetter, port, peers.file "ca.pem")
      await(peer:wait())
      tasks.wait_until(function() return err end)
    end)
    assert.equal("ECONNRESET", err.code)
    assert.is_false(asyncio.isinstance(err, tls.TLSError))
  end)

  it("writing to a peer that has gone is an error, and no signal", function()
    relayed(function(client, _, relay)
      relay.client:close()
      local err = caught(function()
        for _ = 1, 1000 do await(client:write(("x"):rep(10000))) end
      end)
      assert.is_true(err.code == "EPIPE" or err.code == "ECONNRESET", tostring(err))
      assert.equal("write", err.syscall)
    end)
  end)

  it("a peer that says nothing costs its time limit", function()
    streams.ends(function(raw_client, raw_server)
      local err = caught(await, tls.connect(raw_client, peers.trusts {timeout = 0.02}))
      tasks.is_a("TimeoutError", err)
      assert.matches("^handshake '127%.0%.0%.1:%d+': no end of the TLS handshake in time$", err.message)
      assert.is_true(raw_client:is_closed())
      assert.equal(22, await(raw_server:read "a"):byte()) -- it had said hello
    end)
  end)

  it("garbage instead of a handshake is an error", function()
    streams.ends(function(raw_client, raw_server)
      await(raw_client:write(("garbage "):rep(100)))
      local err = caught(await, tls.accept(raw_server, peers.shows "localhost"))
      assert.equal("WRONG_VERSION_NUMBER", err.code, tostring(err))
    end)
  end)

  it("who closes the connection in the handshake is told of", function()
    streams.ends(function(raw_client, raw_server)
      raw_client:close()
      local err = caught(await, tls.accept(raw_server, peers.shows "localhost"))
      assert.matches("handshake: unexpected eof while reading %(UNEXPECTED_EOF_WHILE_READING%): "
        .. "the peer has closed the connection", err.message)
    end)
  end)
end)

describe("Cancelled,", function()
  it("a handshake leaves nothing, at whatever await", function()
    for turns = 0, 12 do
      streams.ends(function(raw_client, raw_server)
        local accepting = create_task(tls.accept(raw_server, peers.shows "localhost"))
        local connecting = create_task(tls.connect(raw_client, peers.trusts()))
        tasks.turns(turns)
        connecting:cancel()
        for _, task in ipairs {connecting, accepting} do
          local ok, s = asyncio.catch(await, task)
          if ok then s:close() end
          assert.is_true(raw_client:is_closed() or turns == 0)
          raw_client:close()
        end
      end)
    end
  end)

  it("a read loses no byte", function()
    ends(function(client, server)
      local data = ("0123456789abcdef"):rep(1 << 15)
      local got = {}
      beside(function()
        await(server:write(data))
        await(server:shutdown())
      end, function()
        local turns = 0
        while true do
          local reading = create_task(client:read())
          tasks.turns(turns % 4)
          turns = turns + 1
          reading:cancel()
          local ok, piece = asyncio.catch(await, reading)
          if ok and not piece then break end
          got[#got + 1] = ok and piece or nil
        end
      end)
      assert.is_true(data == table.concat(got))
    end)
  end)

  it("a write goes on to its end, so that the next one is whole", function()
    ends(function(client, server)
      local data = ("0123456789abcdef"):rep(1 << 19)
      local writing = create_task(client:write(data))
      tasks.turns(2)
      writing:cancel()
      assert.is_false((asyncio.catch(await, writing)))
      beside(function()
        await(client:write "next")
        await(client:shutdown())
      end, function() assert.is_true(data .. "next" == await(server:read "a")) end)
    end)
  end)

  it("net.connect leaves no connection", function()
    peers.served(streams.echo, function(_, port)
      for turns = 0, 14 do
        local connecting = create_task(net.connect("127.0.0.1", port, {tls = peers.trusts()}))
        tasks.turns(turns)
        connecting:cancel()
        local ok, s = asyncio.catch(await, connecting)
        if ok then s:close() end
      end
    end)
  end)
end)
