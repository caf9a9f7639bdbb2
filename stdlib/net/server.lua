--
-- net/server.lua - servers: listeners, and a task for each connection.
--
local asyncio = require "asyncio"
local c = require "neap.net.c"
local connections = require "neap.net.connect"
local usage = require "neap.module.usage" "net"

local async, create_task = asyncio.async, asyncio.create_task
local accept = async(c.accept, "net.accept")

local Server = {__name = "Server"}
Server.__index = Server

-- {=====================================================
-- Connections
-- ======================================================

-- The task of one connection. It gives its place back by itself, too: there
-- may be no memory for the callback.
local connection = async(function(server, stream)
  local _ <close> = server.place
  local _ <close> = stream
  local result = server.handler(stream)
  if result ~= nil then return await(result) end
end, "net.connection")

-- The same with TLS. A peer that fails the handshake is none of the handler's.
local secure_connection = async(function(server, stream)
  local _ <close> = server.place
  local ok, secured = pcall(await, server.secured(stream))
  if not ok then return warn("net: ", tostring(secured)) end
  return await(connection(server, secured))
end, "net.connection")

-- It has ended, however that was; perhaps before it began.
local function ended(server, task)
  local stream = server.tasks[task]
  if not stream then return end -- it was noted before, or could not be
  stream:close()
  server.tasks[task] = nil
  server.count = server.count - 1
  if server.changed then server.changed:set() end
end

-- Waits until ready(): a connection has ended, or the server is closed.
local function wait_until(server, ready)
  server.changed = server.changed or asyncio.Event()
  while not ready(server) do
    server.changed:clear()
    await(server.changed:wait())
  end
end

local function has_room(server) return server.closed or server.count < server.max end
local function is_closed(server) return server.closed end

-- Begins the next one, when there is room.
local function begin(server, stream)
  if server.max then wait_until(server, has_room) end
  if server.closed then return stream:close() end
  local task = create_task(server.secured and secure_connection(server, stream)
    or connection(server, stream))
  task:add_done_callback(server.ended)
  server.tasks[task] = stream
  server.count = server.count + 1
end

-- The next one; nil: the listener is closed.
local function next_connection(listener) return await(accept(listener)) end

local PAUSE <const> = 0.01 -- seconds, for the system to recover

local function pause() await(asyncio.sleep(PAUSE)) end

-- Where the system has no descriptor or no memory for a connection, that one is
-- lost, and not the server.
local function is_passing(err)
  return asyncio.isinstance(err, asyncio.OSError) or err == "not enough memory"
end

-- Accepts on one listener until that is closed; the server is, when this ends.
local serve = async(function(server, listener)
  while true do
    local ok, stream = pcall(next_connection, listener)
    if not ok then
      if not is_passing(stream) or not pcall(pause) then error(stream, 0) end
    elseif not stream then
      return
    else
      local begun, err = asyncio.catch(begin, server, stream)
      if not begun then
        stream:close()
        pcall(error, err, 0) -- goes on unless it is a cancellation
      end
    end
  end
end, "net.serve")
-- ======================================================}

-- {=====================================================
-- Methods
-- ======================================================

-- server:address([i]) -> host, port (or path) of the first or i-th listener
function Server:address(i)
  usage.check_self(self, Server, "address", "server")
  local listener = self.listeners[i or 1]
  if listener then return c.listener_address(listener) end
end

-- server:close(): no more connections; those that there are go on.
function Server:close()
  usage.check_self(self, Server, "close", "server")
  self.closed = true
  for _, listener in ipairs(self.listeners) do c.close_listener(listener) end
  if self.changed then self.changed:set() end
end

-- server:close_clients(): cancels the tasks of all connections.
function Server:close_clients()
  usage.check_self(self, Server, "close_clients", "server")
  for task in pairs(self.tasks) do task:cancel() end
end

-- await(server:wait_closed()): until it is closed, and no connection is left.
Server.wait_closed = async(function(self)
  usage.check_self(self, Server, "wait_closed", "server")
  if self.tasks[asyncio.current_task()] then
    usage.refuse("wait_closed: this task serves a connection, for whose end it would wait")
  end
  wait_until(self, is_closed)
  for task in pairs(self.tasks) do -- there come no more
    if not task:done() then await(asyncio.wait {task}) end
    ended(self, task) -- perhaps there was no memory for the callback
  end
end, "Server.wait_closed")

-- Leaving the scope waits for all connections, and by an error ends them; so
-- does a cancellation while it waits. Where no task can wait, they go on.
function Server:__close(err)
  self:close()
  if err ~= nil then self:close_clients() end
  if not asyncio.current_task() or not coroutine.isyieldable() then return end
  local ok, why = asyncio.catch(await, self:wait_closed())
  if not ok then
    self:close_clients()
    await(self:wait_closed())
    error(why, 0)
  end
end

function Server:__tostring()
  local host, port = self:address()
  if port then host = (host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(host, port) end
  return ("<Server %s, %d connections>"):format(self.closed and "closed" or host, self.count)
end
-- ======================================================}

-- {=====================================================
-- Listening
-- ======================================================

-- Makes a server of listeners.
local function new(listeners, handler, max, secured)
  local server = setmetatable({
    listeners = listeners,
    handler = handler,
    secured = secured, -- puts TLS on top of a stream, or nil
    max = max,
    count = 0,
    tasks = {}, -- of connections: task -> stream
    closed = false,
    changed = false, -- an Event, once somebody waits
  }, Server)
  server.ended = function(task) ended(server, task) end
  server.place = setmetatable({}, {__close = function() ended(server, asyncio.current_task()) end})
  local function over() server:close() end
  for _, listener in ipairs(listeners) do
    create_task(serve(server, listener)):add_done_callback(over)
  end
  return server
end

local function check_handler(handler, of)
  local meta = getmetatable(handler)
  if type(handler) ~= "function" and not (type(meta) == "table" and meta.__call) then
    usage.refuse("%s: a function expected as handler, got %s; write async(function(stream) ... end)",
      of, usage.describe(handler))
  end
end

local BACKLOG <const> = 511

local function check_options(options, known, of)
  usage.check_options(options, known, of)
  local max = options.max_connections
  if max ~= nil and not (math.type(max) == "integer" and max > 0) then
    usage.refuse("max_connections: a positive integer expected, got %s", tostring(max))
  end
  usage.check(options.nodelay, "boolean", "nodelay")
  usage.check(options.reuseport, "boolean", "reuseport")
  local backlog = options.backlog
  if backlog == nil then backlog = BACKLOG end
  return backlog, max
end

-- The addresses to listen on; nil or "*": all of this machine.
local function own_addresses(host, family)
  if host ~= nil and host ~= "*" then return connections.addresses(host, family) end
  return family == "inet" and {"0.0.0.0"} or family == "inet6" and {"::"} or {"0.0.0.0", "::"}
end

local known = usage.set "backlog family max_connections nodelay reuseport tls"

-- A machine without IPv6 may have addresses of it.
local absent = {EADDRNOTAVAIL = true, EAFNOSUPPORT = true}

local TRIES <const> = 10 -- the port that is free on one address may be taken on another

local function code_of(err) return type(err) == "table" and err.code end

-- A list of listeners, one for each address that the machine has, on one port;
-- or nil, the error.
local function listen_on(addresses, port, ...)
  local listeners, failure = {}, nil
  for _, address in ipairs(addresses) do
    local ok, listener = pcall(c.listen, address, port, ...)
    if ok then
      listeners[#listeners + 1] = listener
      if port == 0 then port = select(2, c.listener_address(listener)) end
    else
      failure = failure or listener
      if not absent[code_of(listener)] then
        for _, each in ipairs(listeners) do c.close_listener(each) end
        return nil, listener
      end
    end
  end
  return listeners[1] and listeners, failure
end

-- await(net.listen(host, port, handler [, options])) -> a server
local listen = async(function(host, port, handler, options)
  options = options or {}
  local backlog, max = check_options(options, known, "listen")
  check_handler(handler, "listen")
  local family = connections.check_family(options.family)
  local secured = connections.secured("server", options)
  local addresses = own_addresses(host, family)
  local listeners, err
  for _ = 1, port == 0 and #addresses > 1 and TRIES or 1 do
    listeners, err = listen_on(addresses, port, backlog, max, options.nodelay ~= false, options.reuseport)
    if listeners or code_of(err) ~= "EADDRINUSE" then break end
  end
  if not listeners then error(err, 0) end
  return new(listeners, handler, max, secured)
end, "net.listen")

local unix_known = usage.set "backlog max_connections"

-- await(net.listen_unix(path, handler [, options])) -> a server
local listen_unix = async(function(path, handler, options)
  options = options or {}
  local backlog, max = check_options(options, unix_known, "listen_unix")
  check_handler(handler, "listen_unix")
  return new({c.listen_unix(path, backlog, max)}, handler, max)
end, "net.listen_unix")
-- ======================================================}

return {listen = listen, listen_unix = listen_unix}
