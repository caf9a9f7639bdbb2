-- http_response_spec.lua: what a response has: its head, and its body as a
-- whole.

local asyncio = require "asyncio"
local http = require "http"
local requests = require "http_requests"
local servers = require "http_servers"

local faults, nginx

setup(function() faults, nginx = servers.faults(), servers.nginx() end)
teardown(servers.stop)

-- The response that /respond gives: a list of pairs, status, reason, body and
-- headers. fn(response) is called with it, as a task.
local function with_response(pairs_of_query, fn)
  return requests.with_session(nil, function(session)
    local response <close> = await(session:get(faults.url "respond", {params = pairs_of_query}))
    return fn(response)
  end)
end

describe("the head of a response", function()
  it("has status, reason, version, method and URL", function()
    with_response({{"status", 404}, {"reason", "Not Here"}}, function(response)
      assert.are.equal(404, response.status)
      assert.are.equal("Not Here", response.reason)
      assert.are.equal("1.1", response.version)
      assert.are.equal("GET", response.method)
      assert.are.equal(faults.url "respond?status=404&reason=Not+Here", response.url)
      assert.are.same({}, response.history)
      assert.are.equal(("<ClientResponse(%s) [404 Not Here]>"):format(response.url),
        tostring(response))
    end)
  end)

  it("is ok below 400", function()
    for _, status in ipairs {200, 304, 399, 400, 500} do
      with_response({status = status}, function(response)
        assert.are.equal(status < 400, response.ok)
      end)
    end
  end)

  it("of HTTP/2 has the version 2 and no reason", function()
    requests.with_session({ca = nginx.ca}, function(session)
      local response <close> = await(session:get(nginx.https .. "/small.txt"))
      assert.are.equal("2", response.version)
      assert.are.equal("", response.reason)
      assert.are.equal(("<ClientResponse(%s/small.txt) [200]>"):format(nginx.https),
        tostring(response))
    end)
  end)

  it("comes before the body", function()
    requests.with_session(nil, function(session)
      local response <close> = await(session:get(faults.url "hang-in-body"))
      assert.are.equal(200, response.status)
      assert.is_false(response.closed)
    end)
  end)
end)

describe("the headers of a response", function()
  it("are found whatever their case; the first of several", function()
    with_response({{"X-One", "1"}, {"X-Two", "a"}, {"x-two", "b"}}, function(response)
      local headers = response.headers
      assert.are.equal("1", headers["x-one"])
      assert.are.equal("1", headers["X-ONE"])
      assert.are.equal("a", headers["x-two"])
      assert.is_nil(headers["X-Three"])
      assert.is_nil(headers[1])
    end)
  end)

  it("give all values of a name, and all headers in order with their names as they came", function()
    with_response({{"X-B", "1"}, {"X-A", "2"}, {"x-b", "3"}}, function(response)
      assert.are.same({"1", "3"}, response.headers:get_all("X-b"))
      assert.are.same({}, response.headers:get_all("X-None"))
      local list = {}
      for name, value in pairs(response.headers) do
        if name:lower():find("^x%-") then list[#list + 1] = name .. "=" .. value end
      end
      assert.are.same({"X-B=1", "X-A=2", "x-b=3"}, list)
      assert.is_truthy(tostring(response.headers):find("X-B: 1\nX-A: 2\nx-b: 3", 1, true))
    end)
  end)

  it("cannot be changed", function()
    with_response({}, function(response)
      assert.has_error(function() response.headers.X = "y" end)
    end)
  end)

  it("have the cookies that they set in a table", function()
    with_response({
      {"Set-Cookie", "a=1; Path=/; HttpOnly"}, {"Set-Cookie", 'b="x y"'}, {"Set-Cookie", "c="},
      {"Set-Cookie", "nothing"},
    }, function(response)
      assert.are.same({a = "1", b = "x y", c = ""}, response.cookies)
    end)
  end)

  it("have the media type and the charset of the body", function()
    for value, expected in pairs {
      ["Text/HTML; Charset=\"UTF-8\""] = {"text/html", "utf-8"},
      ["text/plain;x=y; charset=latin1;z"] = {"text/plain", "latin1"},
      ["application/json"] = {"application/json"},
    } do
      with_response({["Content-Type"] = value}, function(response)
        assert.are.equal(expected[1], response.content_type)
        assert.are.equal(expected[2], response.charset)
      end)
    end
    with_response({}, function(response)
      assert.are.equal("application/octet-stream", response.content_type)
      assert.is_nil(response.charset)
    end)
  end)
end)

describe("the body of a response", function()
  it("is read as bytes, any number of times, also after close", function()
    with_response({body = "\0\xff\r\n"}, function(response)
      assert.are.equal("\0\xff\r\n", await(response:read()))
      assert.is_true(response.closed)
      response:close()
      assert.are.equal("\0\xff\r\n", await(response:read()))
    end)
  end)

  it("is read whole when it is large, over each protocol", function()
    requests.with_session({ca = nginx.ca}, function(session)
      local size = 3000001
      local response <close> = await(session:get(faults.url("bytes/" .. size)))
      assert.is_true(("x"):rep(size) == await(response:read()))
      for _, server in ipairs {nginx.http, nginx.https, nginx.https1} do
        local lines <close> = await(session:get(server .. "/gzip/lines.txt"))
        assert.are.equal("gzip", lines.headers["Content-Encoding"])
        local text = await(lines:text())
        assert.are.equal(2000, select(2, text:gsub("this is line %d+\n", "")))
      end
    end)
  end)

  it("is empty where there is none", function()
    requests.with_session(nil, function(session)
      for _, path in ipairs {"/status/204", "/status/304", "/empty.txt"} do
        local response <close> = await(session:get(nginx.http .. path))
        assert.are.equal("", await(response:read()))
      end
    end)
  end)

  it("is text by the charset of the head, or the one given", function()
    local head = "text/plain; charset=ISO-8859-1"
    with_response({body = "caf\xe9", ["Content-Type"] = head}, function(response)
      assert.are.equal("café", await(response:text()))
      assert.are.equal("caf\xe9", await(response:text("utf-8")))
    end)
    with_response({body = "café"}, function(response)
      assert.are.equal("café", await(response:text()))
      assert.are.equal("cafÃ©", await(response:text("latin1")))
    end)
  end)

  it("that is not in its charset, or in an unknown one, is a ClientPayloadError", function()
    with_response({body = "caf\xe9"}, function(response)
      for _, charset in ipairs {"ascii", "no-such-charset"} do
        local err = requests.failure(response.text, response, charset)
        assert.is_true(asyncio.isinstance(err, http.ClientPayloadError))
        assert.are.equal(response.url, err.url)
        assert.is_truthy(tostring(err):find(charset, 1, true))
      end
    end)
  end)

  it("is JSON when its type says so", function()
    for _, kind in ipairs {"json", "json; charset=utf-8", "x+json"} do
      local head = {"Content-Type", "application/" .. kind}
      with_response({head, {"body", '{"a": [1, 2]}'}}, function(response)
        assert.are.same({a = {1, 2}}, await(response:json()))
      end)
    end
  end)

  it("of another type is a ContentTypeError for json(), which can be told the type", function()
    with_response({body = "[1]", ["Content-Type"] = "text/plain"}, function(response)
      local err = requests.failure(response.json, response)
      assert.is_true(asyncio.isinstance(err, http.ContentTypeError))
      assert.is_true(asyncio.isinstance(err, http.ClientResponseError))
      assert.are.equal(200, err.status)
      assert.is_truthy(tostring(err):find("text/plain", 1, true))
      assert.are.same({1}, await(response:json{content_type = false}))
      assert.are.same({1}, await(response:json{content_type = "text/plain"}))
    end)
  end)

  it("that is empty is nil as JSON, and one that is none raises json's error", function()
    local head = {"Content-Type", "application/json"}
    with_response({head, {"body", " \n"}}, function(response)
      assert.is_nil(await(response:json()))
    end)
    with_response({head, {"body", "[1"}}, function(response)
      local err = requests.failure(response.json, response)
      assert.is_false(asyncio.isinstance(err, http.ClientError))
    end)
  end)
end)

describe("raise_for_status", function()
  it("does nothing below 400", function()
    with_response({status = 302}, function(response) response:raise_for_status() end)
  end)

  it("raises ClientResponseError with status, reason, URL and headers, and closes", function()
    local busy = {{"status", 503}, {"reason", "Busy"}, {"X-A", "b"}, {"body", "x"}}
    with_response(busy, function(response)
      local ok, err = pcall(response.raise_for_status, response)
      assert.is_false(ok)
      assert.is_true(asyncio.isinstance(err, http.ClientResponseError))
      assert.are.equal(503, err.status)
      assert.are.equal("Busy", err.reason)
      assert.are.equal(response.url, err.url)
      assert.are.equal("b", err.headers["x-a"])
      assert.are.equal(("ClientResponseError: 503 Busy (%s)"):format(response.url), tostring(err))
      assert.is_true(response.closed)
    end)
  end)
end)

describe("close", function()
  it("ends the transfer: what was not read cannot be any more", function()
    requests.with_session(nil, function(session)
      local response = await(session:get(faults.url "hang-in-body"))
      response:close()
      response:close()
      assert.is_true(response.closed)
      local err = requests.failure(response.read, response)
      assert.is_true(asyncio.isinstance(err, http.ClientConnectionError))
      assert.are.equal(response.url, err.url)
      requests.control(faults.control, "until?active=0")
    end)
  end)

  it("comes with the end of the block of a to-be-closed variable", function()
    requests.with_session(nil, function(session)
      do
        local response <close> = await(session:get(faults.url "hang-in-body"))
        assert.is_false(response.closed)
      end
      requests.control(faults.control, "until?active=0")
    end)
  end)

  it("comes when the response is collected", function()
    requests.with_session(nil, function(session)
      await(session:get(faults.url "hang-in-body"))
      collectgarbage()
      collectgarbage()
      requests.control(faults.control, "until?active=0")
    end)
  end)

  it("in another task fails the one that reads", function()
    requests.with_session(nil, function(session)
      local response = await(session:get(faults.url "hang-in-body"))
      local task = create_task(response:read())
      await(sleep(0))
      response:close()
      local ok, err = pcall(await, task)
      assert.is_false(ok)
      assert.is_true(asyncio.isinstance(err, http.ClientConnectionError))
    end)
  end)
end)

describe("a method of a response", function()
  it("called on something else says what to write", function()
    with_response({}, function(response)
      for _, name in ipairs {"read", "text", "json", "readline"} do
        local ok, err = pcall(function() await(response[name]("x")) end)
        assert.is_false(ok)
        local text = ("http_response_spec.lua:%%d+:.*write response:%s%%(%%)"):format(name)
        assert.is_truthy(err:find(text), err)
      end
      for _, name in ipairs {"close", "chunks", "lines", "raise_for_status"} do
        local ok, err = pcall(function() response[name]() end)
        assert.is_false(ok)
        assert.is_truthy(err:find(("write response:%s()"):format(name), 1, true), err)
      end
    end)
  end)

  it("json names an option that it does not have", function()
    with_response({}, function(response)
      local err = requests.failure(response.json, response, {type = "x"})
      assert.is_truthy(err:find("unknown option 'type'", 1, true))
    end)
  end)
end)
