--
-- net/server.lua - servers: listeners, and a task for each connection.
--
local asyncio = require "asyncio"
local c = require "neap.net.c"

local accept, create_task = asyncio.async(c.accept, "net.accept"), asyncio.create_task

local Server = {__name = "Server"}
Server.__index = Server

-- One connection: it is closed when its handler ends, however that is.
local connection = asyncio.async(function(server, stream)
  local open <close> = stream -- luacheck: ignore 211
  local result = server.handler(stream)
  if result ~= nil then await(result) end
end, "net.connection")

local function ended(server, task)
  server.tasks[task] = nil
  server.count = server.count - 1
  if server.room then server.room:set() end
  if server.count == 0 and server.drained then server.drained:set() end
end

local function begin(server, stream)
  local task = create_task(connection(server, stream))
  server.tasks[task] = true
  server.count = server.count + 1
  task:add_done_callback(server.ended)
end

-- Accepts on one listener until that is closed.
local serve = asyncio.async(function(server, listener)
  while true do
    if server.max and server.count >= server.max then
      server.room:clear()
      await(server.room:wait())
    else
      local ok, stream = pcall(await, accept(listener))
      if ok then
        if not stream then return end
        begin(server, stream)
      end
      -- else the system has no descriptor or memory for it: the next ones
    end
  end
end, "net.serve")

-- Makes a server of listeners.
function Server.new(listeners, handler, max)
  local server = setmetatable({
    listeners = listeners,
    handler = handler,
    max = max,
    room = max and asyncio.Event(), -- for one more connection
    count = 0,
    tasks = {},
  }, Server)
  server.ended = function(task) ended(server, task) end
  server.acceptors = {}
  for i, listener in ipairs(listeners) do
    server.acceptors[i] = create_task(serve(server, listener))
  end
  return server
end

-- server:address([i]) -> host, port (or path) of the first or i-th listener
function Server:address(i)
  return c.listener_address(self.listeners[i or 1])
end

-- server:close(): no more connections; those that there are go on.
function Server:close()
  for i, listener in ipairs(self.listeners) do
    c.close_listener(listener)
    self.acceptors[i]:cancel()
  end
end

-- server:close_clients(): cancels the tasks of all connections.
function Server:close_clients()
  for task in pairs(self.tasks) do task:cancel() end
end

-- await(server:wait_closed()): until all connections have ended.
Server.wait_closed = asyncio.async(function(self)
  while self.count > 0 do
    self.drained = self.drained or asyncio.Event()
    self.drained:clear()
    await(self.drained:wait())
  end
end, "Server.wait_closed")

-- Leaving the scope: by an error, all connections end.
function Server:__close(err)
  self:close()
  if err ~= nil then self:close_clients() end
  if asyncio.current_task() then await(self:wait_closed()) end
end

function Server:__tostring()
  local host, port = self:address()
  return ("<Server %s, %d connections>"):format(
    host and (port and host .. ":" .. port or host) or "closed", self.count)
end

return Server
