-- tls_verify_spec.lua: whom clients and servers trust, what they agree on, and
-- what is said when they do not.

local asyncio = require "asyncio"
local net = require "net"
local peers = require "tls_peers"
local process = require "process"
local program = require "program"
local streams = require "streams"
local tasks = require "tasks"
local tls = require "tls"

local caught, main, refused = tasks.caught, tasks.main, tasks.refused
local file, outcomes, shows, trusts = peers.file, peers.outcomes, peers.shows, peers.trusts

teardown(peers.stop)

-- The message of a client that does not trust the server, without the address,
-- and the error.
local function distrust(server_options, client_options)
  local err = outcomes(server_options, client_options)
  assert.is_true(asyncio.isinstance(err, tls.CertificateVerifyError), tostring(err))
  assert.is_true(asyncio.isinstance(err, tls.TLSError))
  tasks.is_a("OSError", err)
  assert.equal("handshake", err.syscall)
  assert.matches("^127%.0%.0%.1:%d+$", err.address)
  return (err.message:gsub("^handshake '127%.0%.0%.1:%d+': ", "")), err
end

describe("A client", function()
  it("trusts a certificate of its authority, for that name", function()
    local client, server = outcomes(shows "localhost", trusts())
    assert.is_true(client.verified)
    assert.is_false(server.verified)
    assert.is_false(client.is_server)
    assert.is_true(server.is_server)
    assert.equal("TLSv1.3", client.version)
    assert.equal(client.cipher, server.cipher)
    assert.equal("localhost", server.server_name)
    assert.is_nil(client.alpn)
    assert.is_nil(server.certificate)
  end)

  it("takes addresses for what they are, which are not sent as names", function()
    local client, server = outcomes(shows "localhost", trusts {server_name = "127.0.0.1"})
    assert.is_true(client.verified)
    assert.is_nil(server.server_name)
    assert.is_true(outcomes(shows "v6", trusts {server_name = "::1"}).verified)
    assert.equal("the certificate is refused for '127.0.0.2': IP address mismatch (IP_ADDRESS_MISMATCH): "
      .. "it is for localhost, 127.0.0.1", (distrust(shows "localhost", trusts {server_name = "127.0.0.2"})))
  end)

  it("takes names with a dot behind, and wildcards", function()
    assert.equal("localhost", outcomes(shows "localhost", trusts {server_name = "localhost."}).server_name)
    assert.is_true(outcomes(shows "wild", trusts {server_name = "A.Wild.Example"}).verified)
    for _, name in ipairs {"wild.example", "a.b.wild.example"} do
      local _, err = distrust(shows "wild", trusts {server_name = name})
      assert.equal("HOSTNAME_MISMATCH", err.code)
    end
  end)

  it("refuses the certificate of another name, and says whose it is", function()
    local message, err = distrust(shows "wrong_name", trusts())
    assert.equal("the certificate is refused for 'localhost': hostname mismatch (HOSTNAME_MISMATCH): "
      .. "it is for elsewhere.example", message)
    assert.same({"elsewhere.example"}, err.certificate.names)
    assert.matches(": it is for a.example" .. (", b.example"):rep(9) .. " and 2 more$",
      (distrust(shows "many", trusts())))
    assert.matches(": it is for CN=localhost, which names no host$",
      (distrust(shows "nobody", trusts {ca = file "nobody.pem", server_name = "other.example"})))
  end)

  it("takes no host from the subject", function()
    local _, err = distrust(shows "nobody", trusts {ca = file "nobody.pem"})
    assert.equal("HOSTNAME_MISMATCH", err.code)
  end)

  it("refuses one that is over, and says when", function()
    local message, err = distrust(shows "expired", trusts())
    assert.equal("the certificate is refused for 'localhost': certificate has expired (CERTIFICATE_HAS_EXPIRED): "
      .. "its last day was " .. os.date("!%Y-%m-%d", err.certificate.not_after), message)
  end)

  it("refuses one that vouches for itself, unless it is given", function()
    local message = distrust(shows "self_signed", trusts())
    assert.equal("the certificate is refused for 'localhost': self-signed certificate (SELF_SIGNED_CERTIFICATE): "
      .. "it vouches for itself; if that is as it should be, give it as ca=", message)
    assert.is_true(outcomes(shows "self_signed", trusts {ca = file "self_signed.pem"}).verified)
  end)

  it("refuses one of an authority that it does not know; the server hears of it", function()
    local message, err = distrust(shows "localhost", trusts {ca = file "other_ca.pem"})
    assert.equal("the certificate is refused for 'localhost': unable to get local issuer certificate "
      .. "(UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE): no authority that is trusted has signed it; if that is as it "
      .. "should be, give the authority's certificate as ca=", message)
    assert.equal("CN=Neap test CA", err.certificate.issuer)
    local _, heard = outcomes(shows "localhost", trusts {ca = file "other_ca.pem"})
    assert.equal("ALERT_UNKNOWN_CA", heard.code)
    assert.matches("alert unknown ca %(ALERT_UNKNOWN_CA%): the peer does not trust who signed the certificate$",
      heard.message)
  end)

  it("trusts the system's authorities when it has none of its own", function()
    local options = trusts()
    options.ca = nil
    local _, err = distrust(shows "localhost", options)
    assert.equal("UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE", err.code)
    local script = [[
      local net, tls = require "net", require "tls"
      function async.main()
        local s = await(net.connect("localhost", tonumber(arg[1]), {tls = true}))
        print(tls.info(s).verified)
      end
      run(main())]]
    peers.served(streams.echo, function(_, port)
      for name, value in pairs {SSL_CERT_FILE = file "ca.pem", SSL_CERT_DIR = file "hashed"} do
        local environment = process.environ()
        environment[name] = value
        local result = await(process.run {program.neap, "-", port, input = script, env = environment})
        assert.equal("true\n", result.stdout, result.stderr)
      end
    end)
  end)

  it("takes authorities as file, as text, and as a folder", function()
    for _, ca in ipairs {file "ca.pem", program.read(file "ca.pem"), file "hashed",
      program.read(file "other_ca.pem") .. program.read(file "ca.pem")} do
      assert.is_true(outcomes(shows "localhost", trusts {ca = ca}).verified)
    end
  end)

  it("trusts a chain, if the server sends it", function()
    assert.is_true(outcomes({cert = file "chain.pem", key = file "leaf.key"}, trusts()).verified)
    local _, err = distrust(shows "leaf", trusts())
    assert.equal("UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE", err.code)
  end)

  it("trusts a certificate itself, if that is given", function()
    assert.is_true(outcomes(shows "localhost", trusts {ca = file "localhost.pem"}).verified)
    distrust(shows "wrong_name", trusts {ca = file "localhost.pem"})
  end)

  it("asks for nothing with verify=false", function()
    local client = outcomes(shows "expired", {verify = false, server_name = "any.example"})
    assert.is_false(client.verified)
    assert.equal("CN=expired", client.certificate.subject)
    assert.is_nil(outcomes(shows "expired", {verify = false}).server_name)
  end)
end)

describe("A server", function()
  it("asks for the client's certificate", function()
    local _, server = outcomes(shows("localhost", {verify = true, ca = file "ca.pem"}), trusts(shows "client"))
    assert.is_true(server.verified)
    assert.equal("CN=client", server.certificate.subject)
    assert.same({"client.example"}, server.certificate.names)
    _, server = outcomes(shows("localhost", {verify = "optional", ca = file "ca.pem"}), trusts())
    assert.is_false(server.verified)
  end)

  it("refuses a client without one, and one of another authority", function()
    for _, version in ipairs {"1.2", "1.3"} do
      local options = shows("localhost", {verify = true, ca = file "ca.pem", max_version = version})
      local client, server = outcomes(options, trusts())
      assert.equal("PEER_DID_NOT_RETURN_A_CERTIFICATE", server.code)
      assert.matches("the client has shown no certificate$", server.message)
      assert.equal(version == "1.2" and "ALERT_HANDSHAKE_FAILURE" or nil, client.code)
      _, server = outcomes(options, trusts(shows "stranger"))
      assert.equal("UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE", server.code)
      assert.matches("': the client's certificate is refused: ", server.message)
    end
  end)

  it("of TLS 1.3 tells the client so in what that reads", function()
    streams.ends(function(raw_client, raw_server)
      local client, err = peers.handshakes(raw_client, raw_server,
        shows("localhost", {verify = true, ca = file "ca.pem"}), trusts())
      assert.equal("PEER_DID_NOT_RETURN_A_CERTIFICATE", err.code)
      local told = caught(await, client:read())
      assert.equal("ALERT_CERTIFICATE_REQUIRED", told.code)
      assert.matches("^read '127%.0%.0%.1:%d+': alert certificate required %(ALERT_CERTIFICATE_REQUIRED%): "
        .. "the peer asks for a certificate: give cert= and key=$", told.message)
      client:close()
    end)
  end)

  it("has certificates for several names", function()
    local options = shows("localhost", {sni = {
      ["a.wild.example"] = tls.context(shows "wild"),
      ["*.wild.example"] = tls.context(shows "client"),
      ["Elsewhere.Example"] = tls.context(shows "wrong_name"),
    }})
    for name, subject in pairs {["a.wild.example"] = "wild", ["b.wild.example"] = "client",
      ["elsewhere.example"] = "wrong_name", localhost = "localhost"} do
      local client, server = outcomes(options, {server_name = name, verify = false})
      assert.equal("CN=" .. subject, client.certificate.subject)
      assert.equal(name, server.server_name)
    end
  end)

  it("trusts the same clients whatever name they ask for", function()
    local options = shows("localhost", {verify = true, ca = file "ca.pem", sni = {
      ["a.wild.example"] = tls.context(shows "wild"),
      ["b.wild.example"] = tls.context(shows("wild", {ca = file "other_ca.pem"})),
    }})
    for _, name in ipairs {"localhost", "a.wild.example", "b.wild.example"} do
      local _, server = outcomes(options, trusts(shows("client", {server_name = name})))
      assert.is_true(server.verified)
      _, server = outcomes(options, trusts(shows("stranger", {server_name = name})))
      assert.equal("UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE", server.code)
    end
  end)

  it("takes a key with a password, and both in one file, or as texts", function()
    for _, options in ipairs {
      {cert = file "localhost.pem", key = file "locked.key", password = "secret"},
      {cert = file "both.pem"},
      {cert = program.read(file "localhost.pem"), key = program.read(file "localhost.key")},
    } do
      assert.is_true(outcomes(options, trusts()).verified)
    end
  end)

  it("that fails a handshake goes on, and only warns", function()
    local warnings = {}
    local saved = warn
    _G.warn = function(...) warnings[#warnings + 1] = table.concat {...} end
    local _ <close> = tasks.at_end(function() _G.warn = saved end)
    peers.served(streams.echo, function(host, port, server)
      local plain <close> = await(net.connect(host, port))
      await(plain:write "GET / HTTP/1.1\r\n\r\n")
      assert.equal("", await(plain:read "a"))
      local silent <close> = await(net.connect(host, port)) -- holds up nobody
      local s <close> = await(net.connect("localhost", port, {tls = trusts()}))
      await(s:write "still there\n")
      assert.equal("still there", await(s:read "l"))
      silent:close()
      s:close()
      tasks.wait_until(function() return tostring(server):find " 0 connections" end)
    end)
    table.sort(warnings)
    assert.equal(2, #warnings)
    assert.matches("^net: TLSError: handshake '127.0.0.1:%d+': http request %(HTTP_REQUEST%): "
      .. "a request of plain HTTP came$", warnings[1])
    assert.matches("^net: TLSError: handshake: unexpected eof while reading", warnings[2])
  end)

  it("gives a silent peer no more than its time", function()
    peers.served(streams.echo, function(host, port)
      local silent <close> = await(net.connect(host, port))
      assert.equal("", await(silent:read "a"))
    end, {timeout = 0.02})
    peers.served(streams.echo, function(host, port, server)
      local silent <close> = await(net.connect(host, port))
      tasks.wait_until(function() return tostring(server):find " 1 connections" end)
      server:close_clients()
      assert.equal("", await(silent:read "a"))
    end)
  end)
end)

describe("Both sides", function()
  it("agree on a protocol by the server's order", function()
    local client, server = outcomes(shows("localhost", {alpn = {"h2", "http/1.1"}}),
      trusts {alpn = {"http/1.1", "h2"}})
    assert.equal("h2", client.alpn)
    assert.equal("h2", server.alpn)
    assert.is_nil(outcomes(shows "localhost", trusts {alpn = {"h2"}}).alpn)
    assert.is_nil(outcomes(shows("localhost", {alpn = {"h2"}}), trusts()).alpn)
  end)

  it("that have no protocol in common end the handshake", function()
    local client, server = outcomes(shows("localhost", {alpn = {"h2"}}), trusts {alpn = {"x"}})
    assert.equal("ALERT_NO_APPLICATION_PROTOCOL", client.code)
    assert.matches("the peer speaks none of the protocols of alpn=$", client.message)
    assert.equal("NO_APPLICATION_PROTOCOL", server.code)
  end)

  it("agree on a version, or say that there is none", function()
    local client = outcomes(shows("localhost", {max_version = "1.2"}), trusts())
    assert.equal("TLSv1.2", client.version)
    local server
    client, server = outcomes(shows("localhost", {max_version = "1.2"}), trusts {min_version = "1.3"})
    assert.equal("ALERT_PROTOCOL_VERSION", client.code)
    assert.equal("UNSUPPORTED_PROTOCOL", server.code)
    assert.matches("both sides have no version of TLS in common %(min_version=%)$", client.message)
  end)

  for _, version in ipairs {"1.2", "1.3"} do
    it("resume a session (" .. version .. ")", function()
      local context = tls.context(shows("mixed", {max_version = version, verify = "optional", ca = file "ca.pem"}))
      local function handshake(options)
        return streams.ends(function(raw_client, raw_server)
          local client, server = peers.handshakes(raw_client, raw_server, {context = context}, options)
          if asyncio.isinstance(client, tls.TLSError) then
            if not asyncio.isinstance(server, tls.TLSError) then server:close() end
            return client
          end
          await(server:write "x")
          await(client:read()) -- the ticket of TLS 1.3 comes before it
          local info, session = tls.info(client), tls.session(client)
          assert.equal(info.resumed, tls.info(server).resumed)
          assert.is_true(info.verified or options.verify == false)
          assert.equal("CN=mixed", tls.peer_certificate(client).subject)
          client:close()
          server:close()
          return info, session
        end)
      end
      local info, session = handshake(trusts())
      assert.is_false(info.resumed)
      for _ = 1, 2 do
        info, session = handshake(trusts {session = session})
        assert.is_true(info.resumed)
      end
      -- what the first one did not look at, the second one does
      local err
      for _, name in ipairs {"other.example", "127.0.0.1"} do
        err = handshake(trusts {session = session, server_name = name})
        assert.equal("HOSTNAME_MISMATCH", err.code)
        assert.is_true(asyncio.isinstance(err, tls.CertificateVerifyError))
      end
      _, session = handshake {verify = false}
      err = handshake(trusts {session = session, ca = file "other_ca.pem"})
      assert.is_true(asyncio.isinstance(err, tls.CertificateVerifyError), tostring(err))
    end)
  end
end)

describe("A certificate", function()
  it("is told of with all that it says", function()
    local certificate = outcomes(shows "localhost", trusts()).certificate
    assert.equal("CN=localhost", certificate.subject)
    assert.equal("CN=Neap test CA", certificate.issuer)
    assert.same({"localhost", "127.0.0.1"}, certificate.names)
    assert.equal(2 * 24 * 3600, certificate.not_after - certificate.not_before)
    assert.is_true(math.abs(os.time() - certificate.not_before) < 3600)
    assert.equal(program.read(file "localhost.pem"), certificate.pem)
    local openssl = program.capture(("openssl x509 -in %s -noout -serial -fingerprint -sha256")
      :format(file "localhost.pem"))
    assert.equal(openssl:match "serial=(%x+)", certificate.serial)
    assert.equal(openssl:match "ingerprint=([%x:]+)":gsub(":", ""):lower(), certificate.fingerprint)
    assert.equal(certificate.der:byte(), 0x30)
  end)

  it("whose address has no length of addresses is told of without that", function()
    assert.same({"localhost"}, outcomes(shows "odd", trusts()).certificate.names)
  end)
end)

describe("Options", function()
  local function why(options)
    return (refused(function() tls.context(options) end):gsub(peers.file "", ""))
  end

  it("that are wrong are refused, and never asked for on the terminal", function()
    assert.equal("tls: unknown option 'certificate' of context (there are alpn, ca, cert, key, max_version, "
      .. "min_version, password, sni, verify)", why {certificate = 1})
    assert.equal("tls: key: the key is encrypted; give its password= (locked.key)",
      why {cert = file "localhost.pem", key = file "locked.key"})
    assert.equal("tls: key: the key cannot be decrypted by that password (locked.key)",
      why {cert = file "localhost.pem", key = file "locked.key", password = "guess"})
    assert.equal("tls: key: the key is not that of the certificate (client.key)",
      why {cert = file "localhost.pem", key = file "client.key"})
    assert.equal("tls: key: the key is not that of the certificate (other_kind.key)",
      why {cert = file "localhost.pem", key = file "other_kind.key"})
    assert.equal("tls: key: there is no private key in it (localhost.pem)", why {cert = file "localhost.pem"})
    assert.equal("tls: cert: there is no certificate in it (localhost.key)", why {cert = file "localhost.key"})
    assert.equal("tls: key: give cert= as well, the certificate that it belongs to", why {key = file "localhost.key"})
    assert.equal("tls: cert: cannot open none.pem: No such file or directory", why {cert = file "none.pem"})
    assert.equal("tls: ca: there is no certificate in it (localhost.key)", why {ca = file "localhost.key"})
    assert.equal("tls: ca: there is no certificate in it", why {ca = "-----BEGIN NONSENSE-----"})
    local damaged = program.read(file "ca.pem")
      .. "-----BEGIN CERTIFICATE-----\nTm9uZQ==\n-----END CERTIFICATE-----\n"
    assert.equal("tls: ca: a certificate in it cannot be read", why {ca = damaged})
    assert.equal("tls: cert: a certificate in it cannot be read", why {cert = damaged})
    program.run("openssl x509 -in localhost.pem -outform der -out cert.der; "
      .. "openssl pkey -in localhost.key -outform der -out key.der", {cwd = peers.file ""})
    assert.equal("tls: cert: cert.der is not PEM, but DER; openssl x509 and openssl pkey convert it",
      why {cert = file "cert.der"})
    assert.equal("tls: key: key.der is not PEM, but DER; openssl x509 and openssl pkey convert it",
      why {cert = file "localhost.pem", key = file "key.der"})
    for _, option in ipairs {"cert", "key", "ca"} do
      local options = {cert = file "localhost.pem", key = file "localhost.key", ca = file "ca.pem"}
      options[option] = options[option] .. "\0x"
      assert.equal(("tls: %s: a zero byte in the path"):format(option), why(options))
    end
    local names = {}
    for i = 1, 300 do names[i] = ("x"):rep(200) end
    assert.equal("tls: alpn: the list takes 60300 bytes, of at most 32768", why {alpn = names})
    assert.equal("tls: ca: a string expected, got a boolean", why {ca = true})
    assert.equal('tls: min_version: "1.2" or "1.3" expected, got 1.2', why {min_version = 1.2})
    assert.equal("tls: min_version: it is above max_version", why {min_version = "1.3", max_version = "1.2"})
    assert.equal('tls: verify: true, false or "optional" expected, got no', why {verify = "no"})
    assert.equal('tls: alpn: the list is empty; write {"h2", "http/1.1"}', why {alpn = {}})
    assert.equal("tls: alpn: a table expected, got a string", why {alpn = "h2"})
    assert.equal("tls: alpn: names of 1 to 255 bytes expected, got ", why {alpn = {""}})
    assert.equal('tls: sni: a table of names and contexts expected; write {["a.example"] = tls.context{...}}',
      why {sni = {["a.example"] = {}}})
    assert.equal('tls: sni: the context for "a.example" has no certificate; give it cert= and key=',
      why {sni = {["a.example"] = tls.context()}})
    assert.equal('tls: sni: verify= of the context for "a.example" would not count; give it, and ca=, beside sni=',
      why {sni = {["a.example"] = tls.context(shows("wild", {verify = true, ca = file "ca.pem"}))}})
  end)

  it("are checked in a program that has no other module", function()
    local result = program.run_script('print(pcall(require "tls".context, {ca = 1}))')
    assert.equal("false\ttls: ca: a string expected, got a number\n",
      (result.stdout:gsub("script.lua:%d+: ", "")), result.stderr)
  end)

  it("of a connection are refused as well, and leave the stream as it is", function()
    streams.ends(function(raw_client, raw_server)
      local function connect(options)
        return refused(function() await(tls.connect(raw_client, options)) end)
      end
      assert.equal("tls: connect: server_name, which the certificate is to be for, is missing; "
        .. "verify=false does without", connect())
      assert.equal('tls: server_name: "" is no name of a host', connect {server_name = "."})
      assert.equal('tls: server_name: "a\\0b" is no name of a host', connect {server_name = "a\0b"})
      assert.equal('tls: server_name: ".example" is no name of a host', connect {server_name = ".example"})
      assert.equal('tls: server_name: "*.example" is no name of a host', connect {server_name = "*.example"})
      assert.equal("tls: timeout is no number (NaN)", connect {timeout = 0 / 0, verify = false})
      assert.equal("tls: session: a string expected, got a number", connect {session = 1, verify = false})
      assert.equal("tls.connect: session: that is none; take one from tls.session()",
        connect {session = "x", verify = false})
      assert.equal("tls: context: a Context expected, got a table; write tls.context{...}", connect {context = {}})
      assert.equal("tls: ca: give it to tls.context, as there is a context",
        connect {context = tls.context(), ca = file "ca.pem"})
      assert.equal("tls: timeout: a number expected, got a string", connect {timeout = "1", verify = false})
      assert.equal("tls: timeout is -1.0, but cannot be negative", connect {timeout = -1, verify = false})
      local function accept(options)
        return refused(function() await(tls.accept(raw_server, options)) end)
      end
      assert.equal("tls: accept: a server needs a certificate; give cert= and key=", accept())
      assert.equal("tls: verify: give ca=, the authority that signs clients' certificates",
        accept(shows("localhost", {verify = true})))
      assert.equal("tls: options of accept: a table expected, got a string", accept "localhost.pem")
      assert.equal("tls: timeout is -1.0, but cannot be negative", refused(function()
        await(net.listen("127.0.0.1", 0, streams.echo, {tls = shows("localhost", {timeout = -1})}))
      end))
      assert.equal("tls.info: the stream has no TLS", refused(function() tls.info(raw_client) end))
      assert.equal("tls: a Stream expected, got number", refused(function()
        await(tls.connect(1, {verify = false}))
      end))
      local reading = tasks.started(function() return await(raw_client:read()) end)
      assert.equal("tls: tasks wait for the stream", connect {verify = false})
      await(raw_server:write "x")
      assert.equal("x", await(reading))
      raw_client:close()
      assert.equal("tls: the stream is closed", connect {verify = false})
    end)
  end)

  it("of net.connect are refused as well, and leave no connection", function()
    local got
    main(function()
      local server <close> = await(net.listen("127.0.0.1", 0, async(function(stream)
        got = await(stream:read "a")
      end)))
      local host, port = server:address()
      assert.equal("tls.connect: session: that is none; take one from tls.session()", refused(function()
        await(net.connect(host, port, {tls = {session = "x", verify = false}}))
      end))
      assert.equal("net: a string expected as host, got number", refused(function()
        await(net.connect(1, port, {tls = true}))
      end))
    end)
    assert.equal("", got)
  end)
end)
