-- http_fault_paths.lua - what http_fault_server.lua does, by the first part of
-- the path: /drip/10 is paths.drip(request, "10"). For a request whose target
-- is a whole URL, and for CONNECT, it is a proxy.

local cjson = require "cjson"

local HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

return function(server)
  local paths = {}

  -- {====================================================
  -- Well-behaved ones
  -- =====================================================

  -- What has been asked, as JSON: method, target, version, headers (a list of
  -- names with values), body_length, and body, when it is short and UTF-8.
  function paths.echo(request)
    local body, length = request:whole_body()
    request:answer_json {
      method = request.method, target = request.target, version = request.version,
      headers = request.headers, body_length = length,
      body = #body == length and length <= 65536 and utf8.len(body) and body or nil,
    }
  end

  -- The body of the request as that of the answer, byte for byte.
  function paths.mirror(request)
    local c, body = request.connection, request:body()
    c:send(HEAD:gsub("text/plain", request.get["content-type"] or "%0"),
      "Transfer-Encoding: chunked\r\n\r\n")
    for data in body do
      c:send(("%x\r\n"):format(#data), data, "\r\n")
    end
    c:send("0\r\n\r\n")
  end

  -- An answer as the query wants it: ?status=404&reason=No&body=text, and
  -- every other parameter a header, in that order.
  function paths.respond(request)
    local status, reason, body, headers = "200", "OK", "", {}
    for _, pair in ipairs(request.query) do
      local name, value = pair[1], pair[2]
      if name == "status" then
        status = value
      elseif name == "reason" then
        reason = value
      elseif name == "body" then
        body = value
      else
        headers[#headers + 1] = name .. ": " .. value
      end
    end
    request:answer(status .. " " .. reason, headers, body)
  end

  -- /bytes/N: N times the letter x, no faster than they are taken.
  function paths.bytes(request, n)
    local c, left, piece = request.connection, math.tointeger(tonumber(n)), ("x"):rep(65536)
    c:send(HEAD, "Content-Length: ", left, "\r\n\r\n")
    while left > 0 do
      c:send(piece:sub(1, left))
      left = left - math.min(left, #piece)
    end
  end

  -- /drip/N?every=0.01: N letters, one by one.
  function paths.drip(request, n)
    local c = request.connection
    c:send(HEAD, "Content-Length: ", n, "\r\n\r\n")
    for _ = 1, tonumber(n) do
      c:sleep(tonumber(request:parameter "every" or 0.01))
      c:send("x")
    end
  end

  -- /after/N: answers after N seconds.
  function paths.after(request, seconds)
    request.connection:sleep(tonumber(seconds))
    request:answer("200 OK", nil, "late")
  end

  -- /wait/NAME answers when somebody has asked for /release/NAME.
  local gates = {}

  function paths.wait(request, name)
    gates[name] = gates[name] or {}
    while not gates[name].open do
      request.connection:sleep(0.01)
    end
    request:answer("200 OK", nil, name)
  end

  function paths.release(request, name)
    gates[name] = {open = true}
    request:answer("200 OK", nil, name)
  end

  -- 1xx before the answer.
  paths["early-hints"] = function(request)
    request.connection:send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    request:answer("200 OK", nil, "at last")
  end

  paths.trailers = function(request)
    request.connection:send(HEAD, "Transfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n",
      "5\r\nhello\r\n0\r\nX-Late: yes\r\n\r\n")
  end

  -- The end of the connection is that of the body.
  paths["until-close"] = function(request)
    request.connection:send("HTTP/1.0 200 OK\r\n\r\nto the end")
    request.connection:close()
  end

  -- Answers, and closes the connection without having said so.
  paths["then-close"] = function(request)
    request:answer("200 OK", nil, "and away")
    request.connection:close()
  end

  -- Answers the first request of a connection and resets it at the second.
  paths.once = function(request)
    if request.connection.requests > 1 then
      request.connection:reset()
    end
    request:answer("200 OK", nil, "once")
  end

  -- }====================================================

  -- {====================================================
  -- Faults
  -- =====================================================

  -- Closes at once, and resets at once.
  paths["close-at-once"] = function(request)
    request.connection:close()
  end

  paths["reset-at-once"] = function(request)
    request.connection:reset()
  end

  paths["close-in-headers"] = function(request)
    request.connection:send("HTTP/1.1 200 OK\r\nContent-Ty")
    request.connection:close()
  end

  paths["reset-in-headers"] = function(request)
    request.connection:send("HTTP/1.1 200 OK\r\nContent-Ty")
    request.connection:reset()
  end

  paths["reset-in-body"] = function(request)
    request.connection:send(HEAD, "Content-Length: 1000\r\n\r\nbegun")
    request.connection:reset()
  end

  -- Never answers; never finishes its headers, its body.
  function paths.hang(request)
    request.connection:hang()
  end

  paths["hang-in-headers"] = function(request)
    request.connection:send("HTTP/1.1 200 OK\r\nContent-Ty")
    request.connection:hang()
  end

  paths["hang-in-body"] = function(request)
    request.connection:send(HEAD, "Content-Length: 1000\r\n\r\nbegun")
    request.connection:hang()
  end

  -- Promises more than it sends.
  paths["too-short"] = function(request)
    request.connection:send(HEAD, "Content-Length: 1000\r\n\r\nbegun")
    request.connection:close()
  end

  paths["bad-length"] = function(request)
    request.connection:send(HEAD, "Content-Length: many\r\n\r\nbegun")
    request.connection:close()
  end

  paths["bad-chunk"] = function(request)
    request.connection:send(HEAD, "Transfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\nno number\r\n")
    request.connection:hang()
  end

  paths["cut-chunk"] = function(request)
    request.connection:send(HEAD, "Transfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n5\r\nth")
    request.connection:close()
  end

  paths["no-last-chunk"] = function(request)
    request.connection:send(HEAD, "Transfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n")
    request.connection:close()
  end

  paths["endless-headers"] = function(request)
    local c, many = request.connection, {}
    for i = 1, 500 do
      many[i] = ("X-%03d: and one more\r\n"):format(i)
    end
    c:send(HEAD)
    while true do
      c:send(table.concat(many))
    end
  end

  paths["endless-header"] = function(request)
    local c, piece = request.connection, ("x"):rep(16384)
    c:send(HEAD, "X-Long: ")
    while true do
      c:send(piece)
    end
  end

  paths["endless-interim"] = function(request)
    local many = ("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"):rep(500)
    while true do
      request.connection:send(many)
    end
  end

  -- Lines behind the last chunk, and what may stand behind a chunk's size.
  for name, begin in pairs {trailer = "0\r\n", extension = "5;x="} do
    paths["endless-" .. name] = function(request)
      local c = request.connection
      local piece = name == "trailer" and ("X-Trailer: and one more\r\n"):rep(500)
        or ("x"):rep(16384)
      c:send(HEAD, "Transfer-Encoding: chunked\r\n\r\n", begin)
      while true do
        c:send(piece)
      end
    end
  end

  paths["endless-body"] = function(request)
    local c, piece = request.connection, ("x"):rep(65536)
    c:send(HEAD, "\r\n")
    while true do
      c:send(piece)
    end
  end

  function paths.garbage(request)
    request.connection:send("this is no HTTP\r\nat all\r\n\r\n")
    request.connection:close()
  end

  paths["bad-status"] = function(request)
    request.connection:send("HTTP/1.1 wrong OK\r\nContent-Length: 0\r\n\r\n")
    request.connection:close()
  end

  paths["bad-gzip"] = function(request)
    request:answer("200 OK", {"Content-Encoding: gzip"},
      "\x1f\x8b\b\0\0\0\0\0\0\3" .. ("\xff"):rep(50))
  end

  -- One stored block of 100 bytes, of which five are there.
  paths["cut-gzip"] = function(request)
    request:answer("200 OK", {"Content-Encoding: gzip"},
      "\x1f\x8b\b\0\0\0\0\0\0\3\1" .. ("<I2I2"):pack(100, ~100 & 0xffff) .. "begun")
  end

  -- To itself; to where the query says (?to=URL, ?status=307).
  function paths.loop(request)
    request:answer("302 Found", {"Location: /loop"}, "")
  end

  function paths.redirect(request)
    request:answer((request:parameter "status" or "302") .. " Redirect",
      {"Location: " .. (request:parameter "to" or "/echo")}, "")
  end

  paths["redirect-nowhere"] = function(request)
    request:answer("302 Found", nil, "")
  end

  -- /early/413 answers without having read the body; `received` of the stats
  -- tells how much of it has been read after all. For a second it reads none.
  function paths.early(request, status)
    local c = request.connection
    c:send("HTTP/1.1 ", status, " Early\r\nConnection: close\r\nContent-Length: 5\r\n\r\nearly")
    c:pause(1)
    c:hang()
  end

  -- }====================================================

  -- {====================================================
  -- A proxy, for hosts that are this machine
  -- =====================================================

  local function connect_or_fail(request, port)
    local upstream = server.connect(tonumber(port))
    if not upstream then
      request:answer("502 Bad Gateway", nil, "nobody is there")
    end
    return upstream
  end

  local function tunnel(request)
    local upstream = connect_or_fail(request, request.target:match(":(%d+)$"))
    if upstream then
      request.connection:send("HTTP/1.1 200 Connected\r\n\r\n")
      server.pipe(request.connection, upstream)
    end
  end

  local function forward(request)
    local port, path = request.target:match("^http://[^/]*:(%d+)(.*)$")
    local upstream = connect_or_fail(request, port or 80)
    if not upstream then
      return
    end
    local lines = {("%s %s HTTP/1.1"):format(request.method, path)}
    for _, header in ipairs(request.headers) do
      if not header[1]:lower():find("^proxy%-") and header[1]:lower() ~= "connection" then
        lines[#lines + 1] = header[1] .. ": " .. header[2]
      end
    end
    upstream:send(table.concat(lines, "\r\n"), "\r\nConnection: close\r\n\r\n")
    server.pipe(request.connection, upstream)
  end

  -- }====================================================

  return function(request)
    if request.method == "CONNECT" then
      return tunnel(request)
    elseif request.target:find("^http://") then
      return forward(request)
    end
    local name, rest = request.path:match("^/([^/]*)/?(.*)$")
    local fn = paths[name]
    if not fn then
      return request:answer("404 Not Found", nil, cjson.encode {path = request.path})
    end
    return fn(request, rest)
  end
end
