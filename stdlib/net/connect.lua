--
-- net/connect.lua - connections to names: all addresses are tried, each a
-- little later than the one before (RFC 8305, "happy eyeballs").
--
local asyncio = require "asyncio"
local c = require "neap.net.c"
local usage = require "neap.module.usage" "net"

local STAGGER <const> = 0.25 -- seconds until the next address is tried

local async, create_task = asyncio.async, asyncio.create_task
local look_up = async(c.resolve, "net.resolve")

local M = {}

local families = {inet = true, inet6 = true}

function M.check_family(family)
  if family ~= nil and not families[family] then
    usage.refuse('family: "inet" or "inet6" expected, got %s', tostring(family))
  end
  return family
end

-- The addresses of a host, which may be numeric: a list.
function M.addresses(host, family)
  if c.is_numeric(host) and not family then return {host} end
  return await(look_up(host, family))
end

-- The first address' family and the other one, by turns.
local function interleave(addresses)
  local first = addresses[1]:find(":", 1, true)
  local one, other, list = {}, {}, {}
  for _, address in ipairs(addresses) do
    local of = address:find(":", 1, true) == first and one or other
    of[#of + 1] = address
  end
  for i = 1, math.max(#one, #other) do
    list[#list + 1] = one[i]
    list[#list + 1] = other[i]
  end
  return list
end

-- A list of attempts that ends with its scope: who connected too late is closed.
local attempts = {__close = function(list)
  for _, task in ipairs(list) do
    if not task:done() then
      task:cancel()
    elseif not task:cancelled() and not task:exception() then
      task:result():close()
    end
  end
end}

local function remove(list, value)
  for i = #list, 1, -1 do
    if list[i] == value then table.remove(list, i) end
  end
end

-- The first of the addresses to which attempt(address) succeeds: its stream.
local function race(addresses, attempt)
  local errors, left <close>, started = {}, setmetatable({}, attempts), 0
  while true do
    if started < #addresses then
      started = started + 1
      left[#left + 1] = create_task(attempt(addresses[started]))
    end
    if #left == 0 then break end
    local done = await(asyncio.wait(left, {
      timeout = started < #addresses and STAGGER or nil,
      return_when = asyncio.FIRST_COMPLETED,
    }))
    local winner
    for _, task in ipairs(done) do
      local err = task:exception()
      errors[#errors + 1] = err
      winner = winner or not err and task
      if err or task == winner then remove(left, task) end
    end
    if winner then return winner:result() end
  end
  errors[1].errors = #errors > 1 and errors or nil
  error(errors[1], 0)
end

-- What local_addr says: a host, or {host, port}.
local function check_local(address)
  if type(address) == "table" then return address[1] or "", address[2] or 0 end
  return usage.check(address, "string", "local_addr"), address and 0
end

-- A scope with the option's seconds.
local function time_limit(seconds)
  return usage.check_seconds(seconds, "timeout") and asyncio.timeout(seconds)
end

local known = usage.set "family local_addr nodelay timeout tls"
local connect = async(c.connect, "net.connect")

-- One side of TLS, "client" or "server": what puts it on top of a stream; nil
-- when the options have none.
function M.secured(side, options, host)
  return options.tls and require "neap.tls.sides"[side](options.tls, host)
end

-- await(net.connect(host, port [, options])) -> a stream
M.connect = async(function(host, port, options)
  options = options or {}
  usage.check_options(options, known, "connect")
  local own, own_port = check_local(options.local_addr)
  local nodelay = usage.check(options.nodelay, "boolean", "nodelay") ~= false
  local family = M.check_family(options.family)
  -- here, not in the tasks of attempts
  c.check_address(c.is_numeric(host) and host or "0.0.0.0", port)
  if own then c.check_address(own, own_port) end
  local _ <close> = time_limit(options.timeout)
  local function attempt(address)
    return connect(address, port, nodelay, own, own_port)
  end
  local addresses = M.addresses(host, family)
  local secured = M.secured("client", options, host)
  local stream = #addresses == 1 and await(attempt(addresses[1])) or race(interleave(addresses), attempt)
  if not secured then return stream end
  local _ <close> = stream -- it is left where the handshake does not begin
  return await(secured(stream))
end, "net.connect")

local unix_known = usage.set "timeout"
local connect_unix = async(c.connect_unix, "net.connect_unix")

-- await(net.connect_unix(path [, options])) -> a stream
M.connect_unix = async(function(path, options)
  options = options or {}
  usage.check_options(options, unix_known, "connect_unix")
  local _ <close> = time_limit(options.timeout)
  return await(connect_unix(path))
end, "net.connect_unix")

return M
