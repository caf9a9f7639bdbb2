-- http_redirect_spec.lua: redirects: which are followed, and what goes along.

local asyncio = require "asyncio"
local http = require "http"
local requests = require "http_requests"
local servers = require "http_servers"

local faults, nginx, ECHO, OTHER

setup(function()
  faults, nginx = servers.faults(), servers.nginx()
  ECHO = faults.url "echo"
  OTHER = nginx.http .. "/echo" -- another origin: another port
end)
teardown(servers.stop)

-- The URL that redirects to another.
local function redirect(status, to)
  return ("%s?status=%d&to=%s"):format(faults.url "redirect", status, to or "/echo")
end

-- What the echo was sent at the end of redirects.
local function arrived(method, url, options, of_session)
  return requests.with_session(of_session, function(session)
    return requests.sent(session, method, url, options)
  end)
end

local function failure(url, options, method)
  return requests.with_session(nil, function(session)
    return requests.failure(session.request, session, method or "GET", url, options)
  end)
end

describe("a redirect", function()
  it("is followed: the response is the last one, and history has the others, closed", function()
    requests.with_session(nil, function(session)
      local response <close> = await(session:get(nginx.http .. "/redirect/3"))
      assert.are.equal("arrived", await(response:text()))
      assert.are.equal(nginx.http .. "/redirect/0", response.url)
      assert.are.equal(3, #response.history)
      for i, earlier in ipairs(response.history) do
        assert.are.equal(302, earlier.status)
        assert.are.equal(("%s/redirect/%d"):format(nginx.http, 4 - i), earlier.url)
        assert.are.equal(i - 1, #earlier.history)
        assert.is_true(earlier.closed)
      end
    end)
  end)

  it("is given as it is when allow_redirects is false, and for HEAD unless it is true", function()
    requests.with_session(nil, function(session)
      local url = nginx.http .. "/redirect/1"
      local response <close> = await(session:get(url, {allow_redirects = false}))
      assert.are.equal(302, response.status)
      assert.are.equal("/redirect/0", response.headers.location)
      local head <close> = await(session:head(url))
      assert.are.equal(302, head.status)
      local followed <close> = await(session:head(url, {allow_redirects = true}))
      assert.are.equal(200, followed.status)
      assert.are.equal("HEAD", followed.method)
    end)
  end)

  it("without a Location is given as it is", function()
    requests.with_session(nil, function(session)
      local response <close> = await(session:get(faults.url "redirect-nowhere"))
      assert.are.equal(302, response.status)
      assert.are.same({}, response.history)
    end)
  end)

  it("goes to a URL that is relative, and to one with blanks", function()
    assert.are.equal("/echo", arrived("GET", redirect(302, "echo")).target)
    assert.are.equal("/echo?a", arrived("GET", redirect(302, "/x/../echo?a")).target)
    assert.are.equal("/echo?a%20b", arrived("GET", redirect(302, "/echo?a%20b")).target)
  end)

  it("keeps the fragment, unless it brings one", function()
    requests.with_session(nil, function(session)
      local response <close> = await(session:get(redirect(302) .. "#one"))
      assert.are.equal(ECHO .. "#one", response.real_url)
      assert.are.equal(ECHO, response.url)
      local other <close> = await(session:get(redirect(302, "/echo%23two") .. "#one"))
      assert.are.equal(ECHO .. "#two", other.real_url)
    end)
  end)

  it("does not repeat params", function()
    assert.are.equal("/echo", arrived("GET", redirect(302), {params = {a = 1}}).target)
  end)

  it("that is no URL, or has another scheme, is an InvalidURL", function()
    for _, to in ipairs {
      "file:///etc/passwd", "ftp://127.0.0.1/", "http://", "http://u:secret@h:99999/",
    } do
      local err = failure(redirect(302, to))
      assert.is_true(asyncio.isinstance(err, http.InvalidURL), tostring(err))
      assert.is_nil(tostring(err):find("secret", 1, true))
    end
  end)

  it("too many times raises TooManyRedirects, with the history", function()
    for max = 0, 2 do
      local err = failure(nginx.http .. "/redirect/loop", {max_redirects = max})
      assert.is_true(asyncio.isinstance(err, http.TooManyRedirects))
      assert.is_true(asyncio.isinstance(err, http.ClientResponseError))
      assert.are.equal(302, err.status)
      assert.are.equal(max, #err.history)
      assert.are.equal(nginx.http .. "/redirect/loop", err.url)
    end
    assert.are.equal(10, #failure(nginx.http .. "/redirect/loop").history)
    requests.with_session(nil, function(session)
      local response <close> = await(session:get(nginx.http .. "/redirect/10"))
      assert.are.equal(10, #response.history)
    end)
  end)
end)

describe("the method", function()
  -- Calls check(echo, method) after each redirect: "301 POST" and so on.
  local function after(cases, check)
    for status, method in cases:gmatch "(%d+) (%u+)" do
      check(arrived(method, redirect(status), {data = "body"}), method)
    end
  end

  it("becomes GET, without a body, by 303, and by 301 and 302 after POST", function()
    after("301 POST, 302 POST, 303 POST, 303 PUT, 303 DELETE", function(echo)
      assert.are.equal("GET", echo.method)
      assert.are.equal("", echo.body)
      assert.is_nil(echo.get["content-type"])
      assert.is_nil(echo.get["content-length"])
    end)
  end)

  it("stays, with the body, by 307 and 308, and by 301 and 302 but after POST", function()
    after("307 POST, 308 POST, 307 PUT, 301 PUT, 302 DELETE", function(echo, method)
      assert.are.equal(method, echo.method)
      assert.are.equal("body", echo.body)
      assert.are.equal("application/octet-stream", echo.get["content-type"])
      assert.are.equal("4", echo.get["content-length"])
    end)
  end)

  it("with form and files stays with them", function()
    local echo = arrived("POST", redirect(307), {files = {a = {content = "text of a"}}})
    assert.is_truthy(echo.body:find("text of a", 1, true))
  end)

  it("with a body read from a file reads it again", function()
    local file <close> = assert(io.tmpfile())
    file:write("skipped, and sent")
    file:seek("set", 9)
    local echo = arrived("POST", redirect(307), {data = file})
    assert.are.equal("and sent", echo.body)
    assert.are.equal("8", echo.get["content-length"])
  end)

  it("with a body from a function cannot be repeated: an error says so", function()
    local calls = 0
    local err = failure(redirect(307), {data = function()
      calls = calls + 1
      return calls == 1 and "body" or nil
    end}, "POST")
    assert.is_true(asyncio.isinstance(err, http.ClientPayloadError))
    assert.is_truthy(tostring(err):find("cannot follow the redirect", 1, true))
    assert.are.equal("GET", arrived("POST", redirect(303), {data = function() end}).method)
  end)
end)

describe("what is secret", function()
  local secrets = {
    headers = {
      Authorization = "Bearer x", Cookie = "a=b", ["Proxy-Authorization"] = "y", ["X-A"] = "kept",
    },
    cookies = {c = "d"},
  }

  it("goes along to the same origin", function()
    local get = arrived("GET", redirect(302), secrets).get
    assert.are.equal("Bearer x", get.authorization)
    assert.are.equal("a=b; c=d", get.cookie)
    assert.are.equal("Basic dXNlcjpzZWNyZXQ=",
      arrived("GET", redirect(302), {auth = {"user", "secret"}}).get.authorization)
  end)

  local function check_nothing(get)
    assert.is_nil(get.authorization)
    assert.is_nil(get.cookie)
    assert.is_nil(get["proxy-authorization"])
  end

  it("does not go to another origin", function()
    local get = arrived("GET", redirect(302, OTHER), secrets).get
    check_nothing(get)
    assert.are.equal("kept", get["x-a"])
    check_nothing(arrived("GET", redirect(302, OTHER), {auth = {"user", "secret"}}).get)
    check_nothing(arrived("GET", (redirect(302, OTHER):gsub("//", "//user:secret@", 1))).get)
  end)

  it("of the session does not go there either", function()
    check_nothing(arrived("GET", redirect(302, OTHER), nil, secrets).get)
    check_nothing(arrived("GET", redirect(302, OTHER), nil, {auth = {"user", "secret"}}).get)
  end)

  -- libcurl takes its cookies by the Host that a request names.
  it("does not follow a Host to another origin: no cookies of the host that it names", function()
    requests.with_session(nil, function(session)
      local host = nginx.http:match("//([^:]+)")
      await(session:get(nginx.http .. "/cookies/set?a=1")):close()
      local other = OTHER:gsub("127%.0%.0%.1", "localhost")
      local url = ("%s/redirect/302?to=%s"):format(nginx.http, other)
      local get = requests.sent(session, "GET", url, {headers = {Host = host}}).get
      assert.are.equal(other:match("//([^/]+)"), get.host)
      assert.is_nil(get.cookie)
    end)
  end)

  it("does not come back to the first origin", function()
    check_nothing(arrived("GET", redirect(302, ("%s/redirect/302?to=%s"):format(nginx.http, ECHO)),
      secrets).get)
  end)

  it("does not go from https to http", function()
    check_nothing(arrived("GET", ("%s/redirect/302?to=%s"):format(nginx.https, OTHER), secrets,
      {ca = nginx.ca}).get)
  end)

  it("of the Location is used, and not shown", function()
    requests.with_session(nil, function(session)
      local to = OTHER:gsub("//", "//user:secret@")
      local response <close> = await(session:get(redirect(302, to)))
      assert.are.equal("Basic dXNlcjpzZWNyZXQ=", requests.echo(response).get.authorization)
      assert.are.equal(OTHER, response.url)
    end)
  end)
end)
