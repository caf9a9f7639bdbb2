-- streams.lua - what specs of streams and sockets share: two ends of a
-- connection, servers that end with the test.

local asyncio = require "asyncio"
local net = require "net"
local tasks = require "tasks"

local M = {}

-- Runs fn(client, server) on the two ends of a connection, in a task; gives its
-- results.
function M.connected(fn)
  local other, over = asyncio.Future(), asyncio.Event()
  local server = await(net.listen("127.0.0.1", 0, async(function(stream)
    other:set_result(stream)
    await(over:wait())
  end)))
  local client <close> = await(net.connect(server:address()))
  local stream = await(other)
  local _ <close> = tasks.at_end(function()
    over:set()
    server:close()
    await(server:wait_closed())
  end)
  return fn(client, stream)
end

-- The same as the main task.
function M.ends(fn) return tasks.main(M.connected, fn) end

-- Runs fn(stream, server) as the main task, connected to a server with this
-- handler; gives its results.
function M.served(handler, fn, options)
  return tasks.main(function()
    local server <close> = await(net.listen("127.0.0.1", 0, async(handler), options))
    local stream <close> = await(net.connect(server:address()))
    return fn(stream, server)
  end)
end

-- A handler that sends everything back.
function M.echo(stream)
  while true do
    local data = await(stream:read())
    if not data then return end
    await(stream:write(data))
  end
end

-- The code and the system call of the OSError that fn(...) raises.
function M.os_error(...)
  local err = tasks.caught(...)
  tasks.is_a("OSError", err)
  return err.code, err.syscall, err.address
end

return M
