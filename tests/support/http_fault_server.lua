-- http_fault_server.lua - a server of HTTP/1.1 that does what real ones do
-- only on bad days. `http_servers.lua` starts it:
--
--   lua5.4 http_fault_server.lua FOLDER
--
-- It writes FOLDER/ports when it listens: four numbers,
--   main     http_fault_paths.lua says what it does, by the path
--   control  /stats tells what main has seen; /until waits for it
--   full     never takes a connection, so that connecting takes for ever
--   refused  nobody listens there, and nobody else can
-- A connection is served by a coroutine, which waits in the methods below.

local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/?.lua;" .. package.path

local cjson = require "cjson"
local uv = require "luv"

local GONE = {} -- raised in a connection whose other end is gone

-- What main has seen since its start or the last /reset; `open` and `active`
-- are what there is now.
local stats
local waiting = {} -- coroutines of /until

local function reset_stats()
  stats = {
    connections = 0, -- taken
    open = stats and stats.open or 0,
    requests = 0, -- whose head has arrived
    active = stats and stats.active or 0, -- requests under way
    most_open = stats and stats.open or 0,
    most_active = stats and stats.active or 0,
    received = 0, -- bytes of bodies
    sent = 0, -- bytes, handed to the kernel
    log = {}, -- the last requests: {method=, target=, headers={{name, value}, ...}}
  }
end

reset_stats()

local function resume(co, ...)
  local ok, err = coroutine.resume(co, ...)
  if not ok and err ~= GONE then
    io.stderr:write(debug.traceback(co, "http_fault_server: " .. tostring(err)), "\n")
  end
end

-- To be called when a number of the stats has changed.
local function changed()
  local list = waiting
  waiting = {}
  for _, co in ipairs(list) do
    resume(co)
  end
end

-- {=====================================================
-- Connections
-- ======================================================

local methods = {}
local meta = {__index = methods}

-- One of main has `requests`, how many have come.
local function connection(handle)
  return setmetatable({handle = handle, buffer = ""}, meta)
end

-- Waits for more to read; gives false at the end of what is sent.
function methods:more()
  if self.ended then
    return false
  end
  self.reader = coroutine.running()
  self.handle:read_start(function(err, data)
    self.handle:read_stop()
    resume(self.reader, err, data)
  end)
  local err, data = coroutine.yield()
  self.reader = nil
  if err then
    error(GONE, 0)
  end
  self.ended = not data
  self.buffer = self.buffer .. (data or "")
  return data ~= nil
end

-- Up to n bytes of what is sent, at least one.
function methods:bytes(n)
  if self.buffer == "" and not self:more() then
    error(GONE, 0)
  end
  local data = self.buffer:sub(1, n)
  self.buffer = self.buffer:sub(#data + 1)
  return data
end

-- A line, without its end.
function methods:line()
  local start = 1
  while true do
    local at = self.buffer:find("\r\n", start, true)
    if at then
      local line = self.buffer:sub(1, at - 1)
      self.buffer = self.buffer:sub(at + 2)
      return line
    end
    start = math.max(#self.buffer, 1)
    if not self:more() then
      error(GONE, 0)
    end
  end
end

-- Sends the texts, and waits until the kernel has them.
function methods:send(...)
  local text = table.concat({...})
  local co = coroutine.running()
  if not self.handle:write(text, function(err) resume(co, err) end) or coroutine.yield() then
    error(GONE, 0)
  end
  if self.requests then
    stats.sent = stats.sent + #text
    changed()
  end
end

-- Waits so many seconds, or until the other end is gone, which ends the
-- connection.
function methods:sleep(seconds)
  local co, timer = coroutine.running(), uv.new_timer()
  local function over(gone)
    timer:close()
    self.handle:read_stop()
    resume(co, gone)
  end
  timer:start(math.floor(seconds * 1000), 0, function() over(false) end)
  self.handle:read_start(function(err, data)
    if err or not data then
      over(true)
    else
      self.buffer = self.buffer .. data
    end
  end)
  if coroutine.yield() then
    error(GONE, 0)
  end
end

-- The same, but looks neither at what the other end sends nor whether it is there.
function methods.pause(_, seconds)
  local co, timer = coroutine.running(), uv.new_timer()
  timer:start(math.floor(seconds * 1000), 0, function()
    timer:close()
    resume(co)
  end)
  coroutine.yield()
end

-- Says nothing until the other end is gone.
function methods:hang()
  while self:more() do
    self.buffer = ""
  end
  error(GONE, 0)
end

-- Also ends the wait of another coroutine for more to read.
function methods:close()
  if not self.handle:is_closing() then
    self.handle:close()
    if self.reader then
      resume(self.reader, "closed")
    end
  end
end

-- Ends the connection with RST instead of FIN.
function methods:reset()
  self.handle:close_reset(function() end) -- without one luv calls that of read_start
  error(GONE, 0)
end

-- Hands everything to and fro between two connections until both ends are gone.
local function pipe(a, b)
  local function copy(from, to)
    while from.buffer ~= "" or from:more() do
      to:send(from:bytes(#from.buffer))
    end
  end
  local back = coroutine.create(function()
    pcall(copy, b, a)
    a:close()
  end)
  resume(back)
  pcall(copy, a, b)
  b:close()
end

-- Connects to a port of this machine, for the proxy.
local function connect(port)
  local handle, co = uv.new_tcp(), coroutine.running()
  handle:connect("127.0.0.1", port, function(err) resume(co, err) end)
  if coroutine.yield() then
    handle:close()
    return nil
  end
  return connection(handle)
end

-- }=====================================================

-- {=====================================================
-- Requests
-- ======================================================

local request_methods = {}
local request_meta = {__index = request_methods}

local function decode(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- The next request of a connection; nil at its end.
local function read_request(c)
  if c.buffer == "" and not c:more() then
    return nil
  end
  if c.buffer:byte() == 0x16 then -- TLS, which is not spoken here
    c:hang()
  end
  local line = c:line()
  local method, target, version = line:match("^(%S+) (%S+) HTTP/(%d%.%d)$")
  if not method then
    error("no request: " .. line)
  end
  local request = setmetatable({
    connection = c, method = method, target = target, version = version,
    headers = {}, -- {{name, value}, ...}
    get = {}, -- lower-case name -> the last value
    query = {}, -- {{name, value}, ...}
  }, request_meta)
  for header in function() return c:line() end do
    if header == "" then
      break
    end
    local name, value = header:match("^([^:]*):%s*(.-)%s*$")
    table.insert(request.headers, {name, value})
    request.get[name:lower()] = value
  end
  local path, query = target:match("^([^?]*)%??(.*)$")
  request.path = path
  for pair in query:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    table.insert(request.query, {decode(name), decode((value:gsub("+", " ")))})
  end
  return request
end

-- The value of a parameter of the query.
function request_methods:parameter(name)
  for _, pair in ipairs(self.query) do
    if pair[1] == name then
      return pair[2]
    end
  end
end

local function received(data)
  stats.received = stats.received + #data
  changed()
  return data
end

-- for piece in request:body() do: the body as it arrives.
function request_methods:body()
  local c = self.connection
  if (self.get.expect or ""):lower() == "100-continue" then
    c:send("HTTP/1.1 100 Continue\r\n\r\n")
  end
  if self.get["transfer-encoding"] then
    local left = 0
    return function()
      if self.body_read then
        return nil
      end
      if left == 0 then
        left = tonumber(c:line():match("^%x+"), 16)
        if left == 0 then
          repeat until c:line() == ""
          self.body_read = true
          return nil
        end
      end
      local data = c:bytes(left)
      left = left - #data
      if left == 0 then
        c:line()
      end
      return received(data)
    end
  end
  local left = tonumber(self.get["content-length"]) or 0
  return function()
    if left == 0 or self.body_read then
      self.body_read = true
      return nil
    end
    local data = c:bytes(left)
    left = left - #data
    return received(data)
  end
end

-- Reads the rest of the body; gives it, and its length.
function request_methods:whole_body()
  local list, length = {}, 0
  for data in self:body() do
    length = length + #data
    list[#list + 1] = length <= 1 << 20 and data or nil
  end
  return table.concat(list), length
end

-- Answers with a text; headers: a list of lines, or nil.
function request_methods:answer(status, headers, text)
  if not self.body_read then
    self:whole_body()
  end
  local lines = {("HTTP/1.1 %s"):format(status)}
  table.move(headers or {}, 1, #(headers or {}), 2, lines)
  if not status:find("^[123]04") then
    lines[#lines + 1] = "Content-Length: " .. #text
  end
  lines[#lines + 1] = "\r\n"
  self.connection:send(table.concat(lines, "\r\n"), self.method == "HEAD" and "" or text)
end

function request_methods:answer_json(value)
  self:answer("200 OK", {"Content-Type: application/json"}, cjson.encode(value))
end

-- }=====================================================

-- {=====================================================
-- The two servers
-- ======================================================

-- Serves every connection to a listening socket by a coroutine.
local function listen(handle, serve)
  assert(handle:listen(512, function(err)
    assert(not err, err)
    local c = connection(uv.new_tcp())
    assert(handle:accept(c.handle))
    c.handle:nodelay(true)
    resume(coroutine.create(serve), c)
  end))
end

-- Calls fn(c) and closes the connection at its end.
local function guarded(c, fn)
  local ok, err = xpcall(fn, function(err)
    return err == GONE and GONE or debug.traceback(tostring(err))
  end, c)
  c:close()
  if not ok and err ~= GONE then
    io.stderr:write("http_fault_server: ", err, "\n")
  end
end

local control = {}

function control.stats(request)
  request:answer_json(stats)
end

function control.reset(request)
  reset_stats()
  request:answer_json(stats)
end

-- /until?requests=3&open=0: answers when that many requests have come, and no
-- connection is open. Those that only grow may be more.
control["until"] = function(request)
  local function reached()
    for _, pair in ipairs(request.query) do
      local name, wanted = pair[1], tonumber(pair[2])
      if name == "open" or name == "active" then
        if stats[name] ~= wanted then return false end
      elseif stats[name] < wanted then
        return false
      end
    end
    return true
  end
  while not reached() do
    table.insert(waiting, (coroutine.running()))
    coroutine.yield()
  end
  request:answer_json(stats)
end

local function serve_control(c)
  guarded(c, function()
    for request in read_request, c do
      control[request.path:sub(2)](request)
    end
  end)
end

local paths = require("http_fault_paths") {connect = connect, pipe = pipe}

local function serve_request(request)
  stats.requests = stats.requests + 1
  stats.active = stats.active + 1
  stats.most_active = math.max(stats.most_active, stats.active)
  table.insert(stats.log, {
    method = request.method, target = request.target, headers = request.headers,
  })
  if #stats.log > 1000 then
    table.remove(stats.log, 1)
  end
  changed()
  local _ <close> = setmetatable({}, {__close = function()
    stats.active = stats.active - 1
    changed()
  end})
  paths(request)
end

local function serve_main(c)
  stats.connections = stats.connections + 1
  stats.open = stats.open + 1
  stats.most_open = math.max(stats.most_open, stats.open)
  changed()
  c.requests = 0
  guarded(c, function()
    for request in read_request, c do
      c.requests = c.requests + 1
      serve_request(request)
      if (request.get.connection or ""):lower() == "close" or c.handle:is_closing() then
        return
      end
    end
  end)
  stats.open = stats.open - 1
  changed()
end

-- }=====================================================

local function bound()
  local handle = uv.new_tcp()
  assert(handle:bind("127.0.0.1", 0))
  return handle, handle:getsockname().port
end

local main, main_port = bound()
listen(main, serve_main)
local controls, control_port = bound()
listen(controls, serve_control)

local refused, refused_port = bound() -- and never listens
assert(refused)

-- Once its queue is full, the kernel answers no more attempts to connect. The
-- first connection luv takes, and waits for us to accept it; two fit in the
-- queue.
local full, full_port = bound()
local filling = {}

local function fill()
  filling[#filling + 1] = uv.new_tcp()
  filling[#filling]:connect("127.0.0.1", full_port, function() end)
end

local function all_listen()
  for _ = 1, 4 do
    fill()
  end
  local file = assert(io.open(arg[1] .. "/ports.new", "w"))
  file:write(("%d %d %d %d\n"):format(main_port, control_port, full_port, refused_port))
  file:close()
  assert(os.rename(arg[1] .. "/ports.new", arg[1] .. "/ports"))
end

assert(full:listen(1, all_listen))
fill()

assert(uv.new_signal():start("sigpipe", function() end)) -- the write that meets it fails, too
uv.run()
