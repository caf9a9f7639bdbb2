-- certificates.lua - certificates for the specs of TLS, which the program
-- openssl makes in a folder of the test.

local program = require "program"

local M = {}

local EC = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

local LOCALHOST = "DNS:localhost,IP:127.0.0.1"

-- The commands for NAME.pem and NAME.key: for those hosts, as openssl writes
-- them, valid for so many days, signed by ca.pem or another one. `extension`
-- is one more.
local function certificate(name, hosts, days, signer, extension)
  return ([[
    openssl req -new %s -keyout %s.key -out %s.csr -subj /CN=%s -addext subjectAltName=%s %s
    openssl x509 -req -in %s.csr -CA %s.pem -CAkey %s.key -CAcreateserial \
      -copy_extensions copy -days %d -out %s.pem
  ]]):format(EC, name, name, name, hosts, extension and "-addext " .. extension or "", name,
    signer or "ca", signer or "ca", days, name)
end

local function authority(name, words)
  return ("openssl req -x509 %s -keyout %s.key -out %s.pem -days 2 -subj '/CN=%s'\n")
    :format(EC, name, name, words)
end

local function run(commands, folder)
  local result = program.run("set -e\n" .. table.concat(commands), {cwd = folder})
  assert(result.code == 0, result.stderr)
end

-- Makes the certificates of servers, which all are of one authority, ca.pem,
-- but one: localhost, wrong_name, expired, self_signed; with their keys.
function M.make(folder)
  run({
    authority("ca", "Neap test CA"),
    "openssl req -x509 ", EC, " -keyout self_signed.key -out self_signed.pem -days 2 ",
    "-subj /CN=localhost -addext subjectAltName=", LOCALHOST, "\n",
    certificate("localhost", LOCALHOST, 2),
    certificate("wrong_name", "DNS:elsewhere.example", 2),
    certificate("expired", LOCALHOST, -1),
  }, folder)
end

-- Besides: client, of ca.pem; stranger, of other_ca.pem; chain.pem, for
-- localhost, whose second certificate is of ca.pem; wild, for *.wild.example;
-- locked.key, that of localhost with the password "secret"; both.pem, with the
-- certificate and the key; v6, for ::1; many, with twelve names; nobody, with none;
-- odd, with an address of two bytes; mixed, where an address is the name of a
-- host; other_kind.key, a key that is not of an elliptic curve as the others are.
function M.make_more(folder)
  M.make(folder)
  run({
    authority("other_ca", "Another CA"),
    certificate("client", "DNS:client.example", 2),
    certificate("stranger", "DNS:stranger.example", 2, "other_ca"),
    certificate("wild", "DNS:*.wild.example", 2),
    certificate("v6", "IP:::1", 2),
    certificate("many", "DNS:a.example" .. (",DNS:b.example"):rep(11), 2),
    authority("nobody", "localhost"),
    certificate("odd", "DER:30:0F:82:09:6C:6F:63:61:6C:68:6F:73:74:87:02:7F:00", 2),
    certificate("mixed", "DNS:localhost,DNS:127.0.0.1", 2),
    "openssl genpkey -algorithm ed25519 -out other_kind.key\n",
    certificate("middle", "DNS:middle.example", 2, "ca", "basicConstraints=critical,CA:true"),
    certificate("leaf", LOCALHOST, 2, "middle"),
    "cat leaf.pem middle.pem >chain.pem\n",
    "openssl pkcs8 -topk8 -in localhost.key -passout pass:secret -out locked.key\n",
    "cat localhost.pem localhost.key >both.pem\n",
    "mkdir hashed && cp ca.pem hashed/ && openssl rehash hashed\n",
  }, folder)
end

return M
