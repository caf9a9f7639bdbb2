-- tls_peers.lua - what the specs of TLS share: certificates, two ends of a
-- connection, other programs as peers.

local certificates = require "certificates"
local net = require "net"
local process = require "process"
local program = require "program"
local streams = require "streams"
local tasks = require "tasks"
local tls = require "tls"

local M = {}

local folder

-- The path of a file in the folder of certificates, which is made when it is
-- first asked for.
function M.file(name)
  if not folder then
    folder = program.folder()
    certificates.make_more(folder.path)
  end
  return folder:file(name)
end

-- Removes it, at the end of a spec file.
function M.stop()
  if folder then folder:remove() end
  folder = nil
end

local function with(options, more)
  for key, value in pairs(more or {}) do options[key] = value end
  return options
end

-- The options for a certificate of that name, and for trusting in ca.pem; with
-- what is in `more`.
function M.shows(name, more)
  return with({cert = M.file(name .. ".pem"), key = M.file(name .. ".key")}, more)
end

function M.trusts(more)
  return with({ca = M.file "ca.pem", server_name = "localhost"}, more)
end

-- Runs fn(client, server, raw client, raw server) on the two ends of a
-- connection with TLS, as the main task; gives its results.
function M.ends(fn, server_options, client_options)
  local function body(raw_client, raw_server)
    local accepting = create_task(tls.accept(raw_server, M.shows("localhost", server_options)))
    local client <close> = await(tls.connect(raw_client, M.trusts(client_options)))
    local server <close> = await(accepting)
    return fn(client, server, raw_client, raw_server)
  end
  return streams.ends(body)
end

-- Both handshakes on two raw ends: what each comes to, a stream or an error.
function M.handshakes(raw_client, raw_server, server_options, client_options)
  local function outcome(side, stream, options)
    return create_task(tasks.co(function()
      local _, result = pcall(await, side(stream, options))
      return result
    end))
  end
  local accepting = outcome(tls.accept, raw_server, server_options)
  local connecting = outcome(tls.connect, raw_client, client_options)
  return await(connecting), await(accepting)
end

-- The same in a connection of its own, which is closed then: what there is to
-- know of streams, errors as they are.
function M.outcomes(server_options, client_options)
  return streams.ends(function(raw_client, raw_server)
    local results = {M.handshakes(raw_client, raw_server, server_options, client_options)}
    for i, result in ipairs(results) do
      if require "stream".is_stream(result) then
        local info = tls.info(result)
        info.certificate = tls.peer_certificate(result)
        result:close()
        results[i] = info
      end
    end
    return results[1], results[2]
  end)
end

-- Runs fn(host, port, server) beside a server of net with TLS.
function M.served(handler, fn, options)
  return tasks.main(function()
    local server <close> = await(net.listen("127.0.0.1", 0, async(handler),
      {tls = M.shows("localhost", options)}))
    local host, port = server:address()
    return fn(host, port, server)
  end)
end

-- Starts openssl's server with these words; gives the process and its port.
function M.s_server(...)
  local command = {"stdbuf", "-oL", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", M.file "localhost.pem",
    "-key", M.file "localhost.key", ...}
  command.stdin, command.stdout, command.stderr = "pipe", "pipe", "stdout"
  local peer = process.spawn(command)
  for line in peer.stdout:lines() do
    local port = line:match "^ACCEPT .-:(%d+)$"
    if port then return peer, tonumber(port) end
  end
  error "openssl s_server does not start"
end

-- Runs a program of Python with ssl, CA (a path) and ARGUMENTS at hand; gives
-- the process, whose stdin and stdout are pipes.
function M.python(code, ...)
  local command = {"python3", "-c", "import socket, ssl, sys\n" .. code, ...}
  command.stdin, command.stdout = "pipe", "pipe"
  return process.spawn(command)
end

return M
