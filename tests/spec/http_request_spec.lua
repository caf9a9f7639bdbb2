-- http_request_spec.lua: what http sends: query, headers, credentials, cookies,
-- and the kinds of bodies.

local cjson = require "cjson"
local http = require "http"
local program = require "program"
local requests = require "http_requests"
local servers = require "http_servers"
local sent = requests.sent

local faults, nginx, ECHO

setup(function()
  faults, nginx = servers.faults(), servers.nginx()
  ECHO = faults.url "echo"
end)
teardown(servers.stop)

-- What /echo was sent.
local function what(options, method, of_session)
  return requests.with_session(of_session, function(session)
    return sent(session, method or "GET", ECHO, options)
  end)
end

local function target(params, url)
  return requests.with_session(nil, function(session)
    return sent(session, "GET", url or ECHO, {params = params}).target
  end)
end

describe("the query", function()
  it("has the names of params sorted, and a list repeats its name", function()
    assert.are.equal("/echo?a=1.5&b=x&b=2&c=", target {c = "", b = {"x", 2}, a = 1.5})
  end)

  it("has a list of pairs in its order", function()
    assert.are.equal("/echo?b=1&a=2&b=3", target {{"b", 1}, {"a", 2}, {"b", 3}})
  end)

  it("has what RFC 3986 reserves encoded, blanks as +, UTF-8 by the byte", function()
    assert.are.equal("/echo?a%26b%3D=c+d%2Be%23%C3%A9%25", target {["a&b="] = "c d+e#é%"})
    assert.are.equal("/echo?a=%0D%0AX:%00", target {a = "\r\nX:\0"})
  end)

  it("comes behind that of the URL, before the fragment", function()
    assert.are.equal("/echo?x=1&a=2", target({a = 2}, ECHO .. "?x=1#part"))
    assert.are.equal("/echo?a=2", target({a = 2}, ECHO .. "?"))
    assert.are.equal("/echo?x=1", target({}, ECHO .. "?x=1"))
  end)
end)

describe("the URL", function()
  it("has blanks and bytes beyond ASCII encoded", function()
    assert.are.equal("/echo?caf%C3%A9%20au=lait", target(nil, ECHO .. "?café au=lait"))
  end)

  it("is relative to base_url", function()
    requests.with_session({base_url = faults.http .. "/dir/x"}, function(session)
      assert.are.equal("/echo?a", sent(session, "GET", "/echo?a").target)
      assert.are.equal(faults.http .. "/dir/y", await(session:get("y")).url)
      assert.are.equal("/echo", sent(session, "GET", nginx.http .. "/echo").target)
    end)
  end)

  it("that the response has is without credentials and fragment", function()
    requests.with_session(nil, function(session)
      local url = ECHO:gsub("//", "//user:secret@") .. "#part"
      local response = await(session:get(url))
      assert.are.equal(ECHO, response.url)
      assert.are.equal(ECHO .. "#part", response.real_url)
      assert.are.equal("Basic dXNlcjpzZWNyZXQ=", requests.echo(response).get.authorization)
    end)
  end)
end)

describe("the method", function()
  it("is that of the function, or the one given, in capitals", function()
    requests.with_session(nil, function(session)
      for _, name in ipairs {"get", "post", "put", "patch", "delete", "options"} do
        local response <close> = await(session[name](session, ECHO))
        assert.are.equal(name:upper(), response.method)
        assert.are.equal(name:upper(), requests.echo(response).method)
      end
      assert.are.equal("REPORT", sent(session, "report", ECHO).method)
      local response <close> = await(session:head(ECHO))
      assert.are.equal("HEAD", response.method)
      assert.are.equal("", await(response:read()))
    end)
  end)
end)

describe("headers", function()
  it("are by default User-Agent and Accept", function()
    local get = what().get
    assert.is_truthy(get["user-agent"]:find("^neap/%d"))
    assert.are.equal("*/*", get.accept)
    assert.is_nil(get["content-type"])
  end)

  it("of a request replace those of the session and the defaults, whatever their case", function()
    local own = {["x-one"] = "request", ACCEPT = "text/html", ["User-agent"] = "me"}
    local echo = what({headers = own}, "GET", {
      headers = {["X-One"] = "session", ["X-Two"] = "session"},
    })
    assert.are.equal("request", echo.get["x-one"])
    assert.are.equal("session", echo.get["x-two"])
    assert.are.equal("text/html", echo.get.accept)
    assert.are.equal("me", echo.get["user-agent"])
    local count = 0
    for _, header in ipairs(echo.headers) do
      count = count + (header[1]:lower() == "x-one" and 1 or 0)
    end
    assert.are.equal(1, count)
  end)

  it("can have colons at the end, and blanks alone are none", function()
    local get = what({headers = {["X-A"] = "a:b:", Referer = "http:", ["X-B"] = " \t"}}).get
    assert.are.equal("a:b:", get["x-a"])
    assert.are.equal("http:", get.referer)
    assert.are.equal("", get["x-b"])
  end)

  it("can have several values, a number, and none", function()
    local list = {}
    for _, header in ipairs(what({headers = {["X-A"] = {"1", 2}, ["X-B"] = ""}}).headers) do
      if header[1]:find("^X%-") then list[#list + 1] = header[1] .. "=" .. header[2] end
    end
    assert.are.same({"X-A=1", "X-A=2", "X-B="}, list)
    list = {}
    for _, header in ipairs(what({headers = {{"X-B", 1}, {"X-A", 2}, {"x-b", 3}}}).headers) do
      if header[1]:lower():find("^x%-") then list[#list + 1] = header[1] .. "=" .. header[2] end
    end
    assert.are.same({"X-B=1", "X-A=2", "x-b=3"}, list)
  end)
end)

describe("credentials", function()
  local BASIC = "Basic dXNlcjpzZWNyZXQ=" -- user:secret

  local function authorization(options, of_session)
    return what(options, "GET", of_session).get.authorization
  end

  it("are sent as Basic, from both forms of auth", function()
    assert.are.equal(BASIC, authorization {auth = {"user", "secret"}})
    assert.are.equal(BASIC, authorization {auth = {user = "user", password = "secret"}})
    assert.are.equal("Basic dXNlcjo=", authorization {auth = {"user"}})
  end)

  it("open what a server protects", function()
    requests.with_session({auth = {"user", "secret"}}, function(session)
      local url = nginx.http .. "/private/small.txt"
      assert.are.equal(200, await(session:get(url)).status)
      assert.are.equal(401, await(session:get(url, {auth = false})).status)
    end)
  end)

  it("of a request go before those of the session", function()
    local of_session = {auth = {"a", "b"}}
    local own = {auth = {"user", "secret"}}
    assert.are.equal("Basic YTpi", authorization(nil, of_session))
    assert.are.equal(BASIC, authorization(own, of_session))
    local header = {headers = {authorization = "Bearer x"}}
    assert.are.equal("Bearer x", authorization(header, of_session))
    assert.is_nil(authorization({auth = false}, of_session))
    of_session = {headers = {Authorization = "Bearer y"}}
    assert.are.equal("Bearer y", authorization(nil, of_session))
    assert.are.equal(BASIC, authorization(own, of_session))
  end)

  it("of a session with a base_url go to its origin alone", function()
    requests.with_session({
      base_url = faults.http, auth = {"a", "b"}, cookies = {sid = "1"}, headers = {["X-A"] = "1"},
    }, function(session)
      local get = sent(session, "GET", "/echo").get
      assert.are.equal("Basic YTpi", get.authorization)
      assert.are.equal("sid=1", get.cookie)
      get = sent(session, "GET", nginx.http .. "/echo").get
      assert.is_nil(get.authorization)
      assert.is_nil(get.cookie)
      assert.are.equal("1", get["x-a"])
    end)
  end)
end)

describe("cookies", function()
  it("of the session and the request are sent together", function()
    local get = what({cookies = {b = "2", a = "1"}, headers = {Cookie = "x=y"}}, "GET",
      {cookies = {s = "0"}}).get
    assert.are.equal("s=0; x=y; a=1; b=2", get.cookie)
    get = what({headers = {Cookie = {"x=y", "z=1"}}}, "GET", {headers = {cookie = "s=0"}}).get
    assert.are.equal("s=0; x=y; z=1", get.cookie)
  end)

  it("that a server sets are sent with the next request, to that host alone", function()
    requests.with_session({ca = nginx.ca}, function(session)
      local response <close> = await(session:get(nginx.http .. "/cookies/two"))
      assert.are.same({one = "1", two = "2"}, response.cookies)
      local again <close> = await(session:get(nginx.http .. "/cookies"))
      local text = await(again:text())
      assert.is_truthy(text == "one=1; two=2" or text == "two=2; one=1", text)
      local names = {}
      for _, cookie in ipairs(session:cookies()) do names[cookie.name] = cookie end
      assert.are.equal("2", names.two.value)
      assert.are.equal("127.0.0.1", names.two.domain)
      assert.are.equal("/", names.two.path)
      assert.is_true(names.two.http_only)
      assert.is_false(names.one.http_only)
      assert.is_nil(sent(session, "GET", nginx.https .. "/echo").get.cookie) -- localhost
    end)
  end)
end)

describe("a body", function()
  it("of json= is encoded, with its type", function()
    local echo = what({json = {list = {1, "x"}}}, "POST")
    assert.are.same({list = {1, "x"}}, cjson.decode(echo.body))
    assert.are.equal("application/json", echo.get["content-type"])
    assert.are.equal("false", what({json = false}, "POST").body)
  end)

  it("of data= is sent as it is", function()
    local echo = what({data = "a\r\nb"}, "PUT")
    assert.are.equal("a\r\nb", echo.body)
    assert.are.equal("4", echo.get["content-length"])
    assert.are.equal("application/octet-stream", echo.get["content-type"])
    requests.with_session(nil, function(session)
      local bytes = "\0\1\xff" .. ("x"):rep(300000)
      local response <close> = await(session:post(faults.url "mirror", {data = bytes}))
      assert.is_true(bytes == await(response:read()))
    end)
  end)

  it("has the type that the headers name", function()
    assert.are.equal("text/x", what({data = "x", headers = {["content-type"] = "text/x"}},
      "POST").get["content-type"])
    assert.are.equal("text/y", what({json = 1}, "POST",
      {headers = {["Content-type"] = "text/y"}}).get["content-type"])
  end)

  it("of form= is encoded as HTML does, with its type", function()
    local echo = what({form = {["a b"] = "c&d=é", n = {1, 2}}}, "POST")
    assert.are.equal("a+b=c%26d%3D%C3%A9&n=1&n=2", echo.body)
    assert.are.equal("application/x-www-form-urlencoded", echo.get["content-type"])
  end)

  it("that is empty has a length of 0 where a body is expected", function()
    for _, method in ipairs {"POST", "PUT", "PATCH"} do
      local echo = what(nil, method)
      assert.are.equal("0", echo.get["content-length"])
      assert.is_nil(echo.get["content-type"])
    end
    assert.is_nil(what(nil, "DELETE").get["content-length"])
  end)

  local function post(options)
    return function()
      local ok, err = pcall(what, options, "POST")
      assert.is_false(ok)
      return tostring(err)
    end
  end

  it("that is not as long as its Content-Length is an error, not a wait", function()
    local function pieces(n)
      return function()
        n = n - 1
        return n >= 0 and "abc" or nil
      end
    end
    local length = {["Content-Length"] = "9"}
    assert.are.equal("abcabcabc", what({data = pieces(3), headers = length}, "POST").body)
    assert.matches("^ClientPayloadError: .*shorter than its Content%-Length",
      post {data = pieces(2), headers = length} ())
    assert.matches("^ClientPayloadError: .*longer than its Content%-Length",
      post {data = pieces(3), headers = {["Content-Length"] = "8"}} ())
  end)

  it("of data= from a file that cannot be read is refused", function()
    local folder <close> = program.folder()
    assert.matches("http: data: the file cannot be read: Bad file descriptor",
      post {data = assert(io.open(folder:write("a", ""), "w"))} ())
    assert.matches("http: data: the file cannot be read: Is a directory",
      post {data = assert(io.open(folder.path))} ())
    assert.matches("http: files: 'a': cannot read .*: Is a directory",
      post {files = {a = {path = folder.path}}} ())
  end)

  it("of data= from a file that does not know its length is sent", function()
    local file = io.open("/proc/self/status")
    if not file then
      pending("no /proc")
      return
    end
    assert.matches("^Name:", what({data = file}, "POST").body)
  end)

  it("of json= that cannot be encoded is a usage error where the request is made", function()
    assert.matches("http_requests%.lua:%d+: http: json: .*NaN", post {json = {a = 0 / 0}} ())
  end)

  it("of files= makes its type itself, whatever the session says", function()
    local session = {headers = {["Content-Type"] = "application/json"}}
    local get = what({files = {a = {content = "x"}}}, "POST", session).get
    assert.matches("^multipart/form%-data; boundary=", get["content-type"])
  end)

  it("of files= has the fields of the form and the files, one part each", function()
    local folder <close> = program.folder()
    local path = folder:write("letter.txt", "dear\r\nall")
    local echo = what({
      form = {title = "two words"},
      files = {
        a = {path = path, content_type = "text/plain"},
        b = {{content = "one", filename = "1.bin"}, {content = "two"}},
      },
    }, "POST")
    local boundary = echo.get["content-type"]:match("^multipart/form%-data; boundary=(.+)$")
    assert.is_string(boundary)
    local parts = {}
    for part in echo.body:gmatch("\r\n(.-)\r\n%-%-" .. boundary:gsub("%p", "%%%0")) do
      parts[#parts + 1] = part
    end
    assert.are.equal(4, #parts)
    local function has(part, ...)
      for _, text in ipairs {...} do
        assert.is_truthy(parts[part]:find(text, 1, true), parts[part])
      end
    end
    has(1, 'form-data; name="title"', "\r\n\r\ntwo words")
    has(2, 'name="a"; filename="letter.txt"', "Content-Type: text/plain", "\r\n\r\ndear\r\nall")
    has(3, 'name="b"; filename="1.bin"', "application/octet-stream", "\r\n\r\none")
    has(4, 'name="b"; filename="b"', "\r\n\r\ntwo")
  end)
end)

describe("a request without a session", function()
  it("has every method as a function", function()
    requests.with_session(nil, function()
      for _, name in ipairs {"get", "post", "put", "patch", "delete", "options"} do
        local response <close> = await(http[name](ECHO, {headers = {["X-A"] = 1}}))
        local echo = requests.echo(response)
        assert.are.equal(name:upper(), echo.method)
        assert.are.equal("1", echo.get["x-a"])
      end
      assert.are.equal("REPORT", requests.echo(await(http.request("REPORT", ECHO))).method)
      assert.are.equal(200, await(http.head(ECHO)).status)
    end)
  end)

  it("takes verify and ca as a session does", function()
    requests.with_session(nil, function()
      local url = nginx.https .. "/small.txt"
      local err = requests.failure(http.get, url)
      assert.are.equal(http.ClientSSLError, getmetatable(err))
      assert.are.equal("small\n", await(await(http.get(url, {ca = nginx.ca})):text()))
      assert.are.equal("small\n", await(await(http.get(url, {verify = false})):text()))
    end)
  end)

  it("ends its connection with the response", function()
    requests.with_session(nil, function()
      requests.control(faults.control, "until?open=0")
      await(await(http.get(ECHO)):read())
      requests.control(faults.control, "until?open=0")
      local response <close> = await(http.get(faults.url "hang-in-body"))
      response:close()
      requests.control(faults.control, "until?open=0")
    end)
  end)
end)
