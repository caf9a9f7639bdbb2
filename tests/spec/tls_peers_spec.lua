-- tls_peers_spec.lua: TLS with other programs at the other side: openssl,
-- Python's ssl, curl.

local asyncio = require "asyncio"
local net = require "net"
local peers = require "tls_peers"
local process = require "process"
local program = require "program"
local tasks = require "tasks"
local tls = require "tls"

local main, caught = tasks.main, tasks.caught
local file, shows, trusts = peers.file, peers.shows, peers.trusts

teardown(peers.stop)

-- A handler: says hello, and then each line in upper case; to "bye", goodbye.
local function shout(stream)
  await(stream:write "hello\n")
  for line in stream:lines() do
    if line == "bye" then break end
    await(stream:write(line:upper(), "\n"))
  end
  await(stream:shutdown())
end

local SIZE <const> = 3000000

-- Reads what a peer prints until a line matches.
local function until_line(peer, pattern)
  for line in peer.stdout:lines() do
    if line:find(pattern) then return line end
  end
  error("the peer does not print " .. pattern)
end

describe("openssl s_server", function()
  -- Runs fn(stream, peer) on a connection to it.
  local function with_server(fn, ...)
    local words = {...}
    main(function()
      local peer <close>, port = peers.s_server(table.unpack(words))
      local stream <close> = await(net.connect("127.0.0.1", port, {tls = trusts()}))
      return fn(stream, peer, port)
    end)
  end

  for _, version in ipairs {"1.2", "1.3"} do
    local option = "-tls" .. version:gsub("%.", "_")

    it("talks (" .. version .. ")", function()
      with_server(function(stream, peer)
        assert.equal("TLSv" .. version, tls.info(stream).version)
        await(stream:write "to you\n")
        until_line(peer, "^to you$")
        await(peer.stdin:write "to me\n")
        assert.equal("to me", await(stream:read "l"))
        peer:kill()
        assert.equal("UNEXPECTED_EOF_WHILE_READING", caught(await, stream:read()).code)
      end, option)
    end)
  end

  it("changes its keys, and asks for new ones, while bytes go both ways", function()
    with_server(function(stream, peer)
      for i = 1, 20 do
        local reading = create_task(stream:read "l")
        await(peer.stdin:write(i % 2 == 0 and "K\n" or "k\n"))
        until_line(peer, "^SSL_do_handshake %-> 1$")
        await(stream:write(("x"):rep(100 + i), "\n"))
        until_line(peer, ("^%s$"):format(("x"):rep(100 + i)))
        await(peer.stdin:write("line ", i, "\n"))
        assert.equal("line " .. i, await(reading))
      end
    end, "-tls1_3")
  end)

  it("is not allowed to begin a new handshake", function()
    with_server(function(stream, peer)
      await(peer.stdin:write "R\n")
      local err = caught(await, stream:read())
      assert.is_true(require "asyncio".isinstance(err, tls.TLSError), tostring(err))
    end, "-tls1_2")
  end)

  it("resumes sessions", function()
    with_server(function(stream, _, port)
      await(stream:write "GET / HTTP/1.0\r\n\r\n")
      assert.matches("^HTTP/1.0 200 ok", await(stream:read "a"))
      local session = tls.session(stream)
      stream:close()
      local again <close> = await(net.connect("127.0.0.1", port, {tls = trusts {session = session}}))
      assert.is_true(tls.info(again).resumed)
      await(again:write "GET / HTTP/1.0\r\n\r\n")
      assert.matches("Reused, TLSv1.3", await(again:read "a"))
    end, "-www", "-tls1_3")
  end)

  it("takes sessions only from whom it gave them", function()
    with_server(function(stream)
      assert.is_nil(tls.session(stream))
    end, "-tls1_3", "-no_ticket", "-num_tickets", "0")
  end)
end)

describe("openssl s_client", function()
  local function client(port, input, ...)
    local command = {"openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-CAfile", file "ca.pem",
      "-servername", "localhost", "-verify_hostname", "localhost", "-verify_return_error", ...}
    command.input = input
    return await(process.run(command))
  end

  it("talks, and sees a clean end", function()
    peers.served(shout, function(_, port)
      for _, option in ipairs {"-tls1_2", "-tls1_3"} do
        local result = client(port, "one\ntwo\nbye\n", "-quiet", option)
        assert.equal("hello\nONE\nTWO\n", result.stdout)
        assert.equal(0, result.code, result.stderr)
      end
    end)
  end)

  it("gets no handshake of old versions, no renegotiation, no compression", function()
    peers.served(function(stream) pcall(await, stream:read()) end, function(_, port)
      local result = client(port, "bye\n", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
      assert.equal(1, result.code)
      assert.matches("alert protocol version", result.stderr)
      result = client(port, "R\n", "-tls1_2")
      assert.matches("no renegotiation", result.stderr)
      assert.matches("Compression: NONE", result.stdout)
    end)
  end)
end)

describe("Python's ssl", function()
  it("talks to a server in TLS 1.3 and 1.2, with a certificate of its own", function()
    local subjects = {}
    peers.served(function(stream)
      subjects[#subjects + 1] = tls.peer_certificate(stream).subject .. " " .. tls.info(stream).version
      local data = await(stream:readexactly(SIZE))
      await(stream:write(data))
      await(stream:shutdown())
      assert.is_nil(await(stream:read()))
    end, function(_, port)
      for _, version in ipairs {"TLSv1_2", "TLSv1_3"} do
        local peer <close> = peers.python([[
context = ssl.create_default_context(cafile=sys.argv[2])
context.load_cert_chain(sys.argv[3], sys.argv[4])
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, sys.argv[5])
context.set_alpn_protocols(["shout"])
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as raw:
  s = context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False)
  s.sendall(b"x" * 3000000)
  data = b""
  while True:
    more = s.recv(100000)
    if not more: break
    data += more
  print(len(data), s.selected_alpn_protocol())
  s.unwrap()
]], port, file "ca.pem", file "client.pem", file "client.key", version)
        assert.equal(("%d shout\n"):format(SIZE), await(peer.stdout:read "a"))
        assert.equal(0, await(peer:wait()))
      end
    end, {verify = true, ca = file "ca.pem", alpn = {"shout"}})
    assert.same({"CN=client TLSv1.2", "CN=client TLSv1.3"}, subjects)
  end)

  it("that changes keys without end, and never reads, makes no memory grow", function()
    local function resident()
      return tonumber(program.read "/proc/self/status":match "VmRSS:%s*(%d+)") >> 10 -- MiB
    end
    main(function()
      local read = asyncio.Future()
      local server <close> = await(net.listen("127.0.0.1", 0, async(function(s)
        read:set_result(caught(await, s:read()))
      end), {tls = shows "localhost"}))
      local _, port = server:address()
      local before = resident()
      local peer <close> = peers.python([[
import ctypes, select
lib = ctypes.CDLL("libssl.so.3")
def call(name, *arguments):
  f = getattr(lib, name)
  f.restype = ctypes.c_void_p if name in ("TLS_client_method", "SSL_CTX_new", "SSL_new") else ctypes.c_int
  return f(*(ctypes.c_void_p(a) for a in arguments))
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect(("127.0.0.1", int(sys.argv[1])))
connection = call("SSL_new", call("SSL_CTX_new", call("TLS_client_method")))
call("SSL_set_fd", connection, s.fileno())
assert call("SSL_connect", connection) == 1
s.setblocking(False)
for count in range(20000):
  call("SSL_key_update", connection, 1) # asks for one of the other side
  while call("SSL_do_handshake", connection) != 1:
    select.select([], [s], [])
print("done")
]], port)
      assert.equal("done", await(peer.stdout:read "l"))
      tasks.is_a("OSError", await(read))
      local grown = resident() - before
      assert.is_true(grown < 4 or (os.getenv "SAN" or "") ~= "", grown .. " MiB more")
    end)
  end)

  it("is talked to as a server, and ends without a word", function()
    main(function()
      local peer <close> = peers.python([[
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
for clean in (True, False):
  raw, _ = listener.accept()
  s = context.wrap_socket(raw, server_side=True)
  size = int(s.recv(100))
  s.sendall(b"y" * size)
  if clean: s.unwrap()
  s.close()
]], file "localhost.pem", file "localhost.key")
      local port = tonumber(await(peer.stdout:read "l"))
      for _, clean in ipairs {true, false} do
        local s <close> = await(net.connect("127.0.0.1", port, {tls = trusts()}))
        await(s:write(SIZE))
        assert.equal(SIZE, #await(s:readexactly(SIZE)))
        if clean then
          assert.is_nil(await(s:read()))
        else
          assert.equal("UNEXPECTED_EOF_WHILE_READING", caught(await, s:read()).code)
        end
      end
    end)
  end)
end)

describe("curl", function()
  it("gets a page", function()
    peers.served(function(stream)
      assert.equal("GET / HTTP/1.1", await(stream:readuntil "\r\n"):sub(1, -3))
      await(stream:readuntil "\r\n\r\n")
      await(stream:write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", ("z"):rep(SIZE)))
      await(stream:shutdown())
    end, function(_, port)
      local function get(ca)
        return await(process.run {"curl", "-sS", "--cacert", file(ca), "https://localhost:" .. port})
      end
      assert.equal(SIZE, #get("ca.pem").stdout)
      assert.equal(60, get("other_ca.pem").code)
    end, {alpn = {"http/1.1"}})
  end)

  it("is told by a server with one key for all its connections", function()
    local context = tls.context(shows "localhost")
    main(function()
      local server <close> = await(net.listen("127.0.0.1", 0, async(function(stream)
        await(stream:readuntil "\r\n\r\n")
        await(stream:write "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
      end), {tls = context}))
      for _ = 1, 3 do
        local result = await(process.run {"curl", "-sS", "--cacert", file "ca.pem",
          "https://localhost:" .. select(2, server:address())})
        assert.equal("ok", result.stdout, result.stderr)
      end
    end)
  end)
end)
