-- http_servers.lua - servers for the specs of HTTP, started when one is asked
-- for: a real nginx, and http_fault_server.lua, which misbehaves.
--
--   local servers = require "http_servers"
--   local nginx = servers.nginx()   -- URLs: http, https, https1 (no HTTP/2) ...
--   local faults = servers.faults() -- faults.url "hang"
--   teardown(servers.stop)          -- at the end of the spec file
--
-- Each is the child of a shell that waits for the end of a pipe from this
-- process: when it ends, however it does, they end, and their folder goes.

local certificates = require "certificates"
local program = require "program"
local time = require "time"

local M = {}

local here = debug.getinfo(1, "S").source:match "^@(.*)/[^/]*$"

local PATIENCE = 60 -- seconds for a server to start
local STATUS = {200, 201, 204, 304, 400, 401, 403, 404, 409, 429, 500, 502, 503}
local REDIRECT = {301, 302, 303, 307, 308}

-- What runs: folder (with a path), faults, nginx (tables for the specs), and
-- the pipes.
local running

-- {=====================================================
-- Processes
-- ======================================================

-- Runs a command of the shell until the pipe that it gives is closed, and
-- then another, if there is one.
local function keep(command, at_end)
  return assert(io.popen(([[
    trap : ABRT HUP INT QUIT TERM
    exec 2>>%s/stderr
    %s &
    read -r _
    kill -KILL $!
    wait $!
    %s]]):format(running.folder, command, at_end or ""), "w"))
end

-- Waits until ready() gives something; `what` is what it waits for.
local function wait_for(what, ready)
  local start = os.time()
  while true do
    local result = ready()
    if result then
      return result
    end
    if os.time() - start > PATIENCE then
      error(what .. " does not start: " .. program.read(running.folder .. "/stderr"), 0)
    end
    time.sleep(0.01)
  end
end

-- What a file says, if it is there.
local function contents(name)
  local file <close> = io.open(running.folder .. "/" .. name)
  local text = file and file:read "a"
  return text ~= "" and text or nil
end

local function start_folder()
  if not running then
    running = {pipes = {}}
    running.folder = assert(program.capture "mktemp -d")
  end
end

-- }=====================================================

-- {=====================================================
-- nginx
-- ======================================================

-- What nginx serves from files/: text that compresses, a small file, an empty
-- one, 1 GiB of zeros that take no room.
local function make_files(folder)
  local lines = {}
  for i = 1, 2000 do
    lines[i] = ("this is line %d\n"):format(i)
  end
  assert(os.execute(("cd %s && mkdir -p temp files/upload && truncate -s 1G files/big")
    :format(folder)))
  program.write(folder .. "/files/lines.txt", table.concat(lines))
  program.write(folder .. "/files/small.txt", "small\n")
  program.write(folder .. "/files/empty.txt", "")
  program.write(folder .. "/passwords", "user:{PLAIN}secret\n")
end

-- Ports that are free now, by the names that the configuration has for them.
local function free_ports()
  local names = {"http", "https", "https1", "wrong_name", "expired", "self_signed"}
  local ports = assert(program.capture(([[lua5.4 -e '
    local list = {}
    for i = 1, %d do
      list[i] = require("luv").new_tcp()
      assert(list[i]:bind("127.0.0.1", 0))
      print(list[i]:getsockname().port)
    end']]):format(#names)))
  local result = {}
  for port in ports:gmatch "%d+" do
    result[table.remove(names, 1)] = port
  end
  return result
end

local function write_configuration(ports)
  local status, redirect = {}, {}
  for i, code in ipairs(STATUS) do
    status[i] = ('location = /status/%d { return %d "status %d"; }'):format(code, code, code)
  end
  for i, code in ipairs(REDIRECT) do
    redirect[i] = ("location = /redirect/%d { return %d $to; }"):format(code, code)
  end
  for i = 1, 20 do -- /redirect/N: N redirects, then an answer
    table.insert(redirect, ("location = /redirect/%d { return 302 /redirect/%d; }")
      :format(i, i - 1))
  end
  local values = {
    status = table.concat(status, "\n"), redirect = table.concat(redirect, "\n"),
    faults = running.faults.port,
  }
  local text = program.read(here .. "/http_nginx.conf"):gsub("%${([%w_]+)}", function(name)
    return values[name] or assert(ports[name], name)
  end)
  program.write(running.folder .. "/nginx.conf", text)
end

-- Starts nginx with ports that were free a moment ago; tries again when one no
-- longer is. Gives its ports.
local function start_nginx()
  local ports = free_ports()
  write_configuration(ports)
  os.remove(running.folder .. "/error.log")
  local pipe = keep(("PATH=$PATH:/usr/sbin nginx -p %s/ -e error.log -c nginx.conf")
    :format(running.folder))
  local started = wait_for("nginx", function()
    if contents "nginx.pid" then
      return "yes"
    end
    local said = contents "error.log"
    return said and said:find("Address already in use", 1, true) and "no"
      or said and said:find("[emerg]", 1, true) and error(said, 0)
  end)
  if started == "no" then
    pipe:close()
    return start_nginx()
  end
  table.insert(running.pipes, pipe)
  return ports
end

-- The running nginx: http, https and https1 (URLs without a slash at the end),
-- ca (path of the CA's PEM file), wrong_name, expired and self_signed (URLs
-- with such a certificate), folder (files/upload has what was put).
function M.nginx()
  M.faults()
  if not running.nginx then
    certificates.make(running.folder)
    make_files(running.folder)
    local ports = start_nginx()
    running.nginx = {
      http = "http://127.0.0.1:" .. ports.http,
      ca = running.folder .. "/ca.pem",
      folder = running.folder,
    }
    for name, port in pairs(ports) do
      running.nginx[name] = running.nginx[name] or "https://localhost:" .. port
    end
  end
  return running.nginx
end

-- }=====================================================

-- The running fault server: url(path), and the URLs http (without a slash at
-- the end; the proxy, too), control, full and refused.
function M.faults()
  start_folder()
  if not running.faults then
    table.insert(running.pipes, keep(("lua5.4 %s/http_fault_server.lua %s"):format(
      program.quote(here), running.folder), "rm -rf " .. running.folder))
    local ports = wait_for("the fault server", function() return contents "ports" end)
    local function url(port)
      return "http://127.0.0.1:" .. port
    end
    local main, control, full, refused = ports:match "(%d+) (%d+) (%d+) (%d+)"
    running.faults = {
      port = main, http = url(main), control = url(control), full = url(full),
      refused = url(refused),
      url = function(path) return url(main) .. "/" .. path end,
    }
  end
  return running.faults
end

-- Ends what runs.
function M.stop()
  local pipes = running and running.pipes or {}
  running = nil
  for i = #pipes, 1, -1 do
    pipes[i]:close()
  end
end

return M
