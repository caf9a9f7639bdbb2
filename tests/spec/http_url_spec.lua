-- http_url_spec.lua: what http refuses before anything is sent: URLs, options,
-- headers, bodies. No server is asked: port 1 would give another error.

local asyncio = require "asyncio"
local http = require "http"
local requests = require "http_requests"

local URL = "http://127.0.0.1:1/"

-- What session:METHOD(url, options) raises.
local function refusal(url, options, method, of_session)
  return requests.with_session(of_session, function(session)
    return requests.failure(session[method or "get"], session, url, options)
  end)
end

local function is_usage_error(text, err)
  assert.is_string(err)
  assert.is_truthy(err:find(text, 1, true), err)
end

describe("a URL", function()
  for name, url in pairs {
    ["that is empty"] = "",
    ["without a scheme, when there is no base_url"] = "/path",
    ["with another scheme"] = "ftp://127.0.0.1/",
    ["of a file"] = "file:///etc/passwd",
    ["without a host"] = "http:///path",
    ["with a port that is none"] = "http://127.0.0.1:99999/",
    ["with a blank in the host"] = "http://local host/",
    ["with a line break"] = URL .. "a\r\nX-Injected: yes",
    ["with a NUL"] = URL .. "a\0b",
    ["with a host that is too long"] = "http://" .. ("x"):rep(100000) .. "/",
  } do
    it(name .. " is an InvalidURL", function()
      local err = refusal(url)
      assert.is_true(asyncio.isinstance(err, http.InvalidURL), tostring(err))
      assert.is_true(asyncio.isinstance(err, http.ClientError))
      assert.are.equal(url, err.url)
    end)
  end

  it("that is refused is shown without its credentials", function()
    local err = refusal("http://user:secret@127.0.0.1:99999/")
    assert.are.equal("http://127.0.0.1:99999/", err.url)
    assert.is_nil(tostring(err):find("secret", 1, true))
  end)

  it("that is no string is a usage error", function()
    is_usage_error("a URL, a string, expected, got nil", refusal(nil))
    is_usage_error("got a table", refusal({}))
  end)
end)

describe("params", function()
  it("with a value that is neither string nor number are a usage error", function()
    is_usage_error("'a', got a boolean", refusal(URL, {params = {a = true}}))
    is_usage_error("not a finite number", refusal(URL, {params = {a = 0 / 0}}))
    is_usage_error("not a finite number", refusal(URL, {params = {a = {1, -1 / 0}}}))
  end)

  it("that are no table, or have a name that is no string, are a usage error", function()
    is_usage_error("params: a table expected, got a string", refusal(URL, {params = "a=1"}))
    is_usage_error("pair {name, value}", refusal(URL, {params = {"a"}}))
    is_usage_error("name expected", refusal(URL, {params = {{1, 2}}}))
    is_usage_error("name expected", refusal(URL, {params = {[true] = 2}}))
  end)
end)

describe("headers", function()
  for name, value in pairs {CR = "a\rb", LF = "a\nX: y", NUL = "a\0b"} do
    it(("with a %s in the value are refused, and the header is named"):format(name), function()
      is_usage_error("'X-Name'", refusal(URL, {headers = {["X-Name"] = value}}))
      is_usage_error("'X-Name'", refusal(URL, {headers = {["X-Name"] = {"good", value}}}))
      is_usage_error("'X-Name'", refusal(URL, {headers = {{"X-Name", value}}}))
    end)
  end

  it("with a name that is none are refused", function()
    for _, name in ipairs {"", "a b", "a:b", "a\nb", "é"} do
      is_usage_error("not the name of a header", refusal(URL, {headers = {[name] = "x"}}))
    end
  end)

  it("of a session are refused when it is made", function()
    local ok, err = pcall(http.ClientSession, {headers = {["X-Name"] = "a\r\nb"}})
    assert.is_false(ok)
    is_usage_error("'X-Name'", err)
  end)

  it("cannot set how the body is sent", function()
    local headers = {["transfer-encoding"] = "chunked"}
    is_usage_error("Transfer-Encoding", refusal(URL, {headers = headers}))
    is_usage_error("Content-Length 4", refusal(URL, {
      data = "abc", headers = {["Content-Length"] = 4},
    }, "post"))
    is_usage_error("Content-Length", refusal(URL, {
      files = {a = {content = "x"}}, headers = {["Content-Length"] = 1},
    }, "post"))
  end)
end)

describe("a body", function()
  it("given twice is a usage error", function()
    for _, options in ipairs {
      {json = {1}, data = "x"}, {data = "x", form = {a = 1}}, {json = {1}, form = {a = 1}},
      {data = "x", files = {a = {content = "x"}}},
    } do
      is_usage_error("more than one body", refusal(URL, options, "post"))
    end
  end)

  it("that json cannot encode is refused", function()
    local err = refusal(URL, {json = {f = print}}, "post")
    assert.is_false(asyncio.isinstance(err, http.ClientError))
    assert.is_truthy(tostring(err):find("function"))
  end)

  it("that is neither string, function nor file is a usage error", function()
    is_usage_error("use json= or form=", refusal(URL, {data = {a = 1}}, "post"))
    is_usage_error("got a number", refusal(URL, {data = 5}, "post"))
  end)

  it("of a file that is closed, or is not there, is a usage error", function()
    local file = assert(io.tmpfile())
    file:close()
    is_usage_error("closed", refusal(URL, {data = file}, "post"))
    is_usage_error("/nonexistent", refusal(URL, {files = {a = {path = "/nonexistent"}}}, "post"))
  end)

  it("of files needs path or content for each, and no line break in a name", function()
    local function check(text, files)
      is_usage_error(text, refusal(URL, {files = files}, "post"))
    end
    check("path= or content=", {a = {}})
    check("path= or content=", {a = {path = "x", content = "x"}})
    check("unknown option 'name'", {a = {content = "", name = ""}})
    check("line break", {a = {content = "", filename = "a\nb"}})
    check("line break", {["a\r"] = {content = ""}})
  end)

  it("is nothing for HEAD", function()
    is_usage_error("HEAD", refusal(URL, {data = "x"}, "head"))
  end)
end)

describe("an option", function()
  it("that is unknown is named, with the position of the caller", function()
    local err = requests.with_session(nil, function(session)
      local ok, err = pcall(function()
        await(session:get(URL, {header = {}}))
      end)
      assert.is_false(ok)
      return err
    end)
    assert.is_truthy(err:find "http_url_spec.lua:%d+: http: unknown option 'header'", err)
    local ok
    ok, err = pcall(http.ClientSession, {base = URL})
    assert.is_false(ok)
    is_usage_error("unknown option 'base' of ClientSession", err)
  end)

  it("of a wrong type is a usage error", function()
    is_usage_error("options of a request: a table expected", refusal(URL, "x"))
    for name, value in pairs {
      allow_redirects = 1, max_redirects = -1, auth = "user:password", cookies = "a=b",
      proxy = 8080, headers = "X: y", timeout = "1", files = "x", form = "a=b",
    } do
      is_usage_error(name, refusal(URL, {[name] = value}, "post"))
    end
    for name, value in pairs {limit = -1, limit_per_host = 1.5, verify = "no", ca = true} do
      local ok, err = pcall(http.ClientSession, {[name] = value})
      assert.is_false(ok)
      is_usage_error(name, err)
    end
  end)

  it("timeout takes seconds of at least 0, and total, connect and idle", function()
    is_usage_error("timeout", refusal(URL, {timeout = -1}))
    is_usage_error("timeout", refusal(URL, {timeout = 0 / 0}))
    is_usage_error("timeout.idle", refusal(URL, {timeout = {idle = true}}))
    is_usage_error("unknown option 'read'", refusal(URL, {timeout = {read = 1}}))
  end)

  it("auth is refused with a colon in the user, and when it is given twice", function()
    is_usage_error("':'", refusal(URL, {auth = {"a:b", "c"}}))
    is_usage_error("':'", refusal(URL, {auth = {user = "a:b"}}))
    is_usage_error("auth: user", refusal(URL, {auth = {}}))
    local with_user = "http://user:secret@127.0.0.1:1/"
    is_usage_error("auth= and a user in the URL", refusal(with_user, {auth = {"a", "b"}}))
    local headers = {authorization = "Bearer x"}
    is_usage_error("Authorization", refusal(URL, {auth = {"a", "b"}, headers = headers}))
    is_usage_error("Authorization", refusal(with_user, {headers = headers}))
    assert.has_error(function() http.ClientSession{auth = {"a", "b"}, headers = headers} end)
  end)

  it("cookies is refused with what ends a cookie in it", function()
    is_usage_error("cookie", refusal(URL, {cookies = {["a=b"] = "c"}}))
    is_usage_error("'a'", refusal(URL, {cookies = {a = "b; c=d"}}))
    is_usage_error("'a'", refusal(URL, {cookies = {a = "b\r\nX: y"}}))
  end)

  it("ca that is not there is a usage error", function()
    local ok, err = pcall(http.ClientSession, {ca = "/nonexistent.pem"})
    assert.is_false(ok)
    is_usage_error("/nonexistent.pem", err)
  end)
end)

describe("a method", function()
  it("that is no word of HTTP is a usage error", function()
    for _, method in ipairs {"", "GET /", "GE\nT", "CONNECT"} do
      local err = requests.with_session(nil, function(session)
        return requests.failure(session.request, session, method, URL)
      end)
      is_usage_error("is not a method", err)
    end
  end)

  it("called on something else than a session says what to write", function()
    requests.with_session(nil, function(session)
      is_usage_error("write session:get()", requests.failure(session.get, URL))
    end)
  end)
end)
