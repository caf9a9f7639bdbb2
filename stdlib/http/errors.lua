--
-- http/errors.lua - the classes of what can go wrong with a request.
--
-- Each object has `url`, never with credentials in it, and a text that
-- contains it. A failure is what http.curl tells of a transfer that failed:
-- a table with kind, message and code.
--
local asyncio = require "asyncio"

local M = {}

M.ClientError = asyncio.Exception:subclass("ClientError")
M.ClientConnectionError = M.ClientError:subclass("ClientConnectionError")
M.ClientConnectorError = M.ClientConnectionError:subclass("ClientConnectorError")
M.ClientProxyConnectionError = M.ClientConnectorError:subclass("ClientProxyConnectionError")
M.ClientSSLError = M.ClientConnectorError:subclass("ClientSSLError")
M.ServerDisconnectedError = M.ClientConnectionError:subclass("ServerDisconnectedError")
M.ServerTimeoutError = M.ClientConnectionError:subclass("ServerTimeoutError",
  asyncio.TimeoutError)
M.ClientResponseError = M.ClientError:subclass("ClientResponseError")
M.TooManyRedirects = M.ClientResponseError:subclass("TooManyRedirects")
M.ContentTypeError = M.ClientResponseError:subclass("ContentTypeError")
M.ClientPayloadError = M.ClientError:subclass("ClientPayloadError")
M.InvalidURL = M.ClientError:subclass("InvalidURL")

-- kind of failure -> class, text; in the text %u is the URL and %m what curl
-- says; %c the system's code for it, if there is one.
local kinds = {
  connect = {M.ClientConnectorError, "cannot connect to %u (%c)"},
  ssl = {M.ClientSSLError, "cannot connect to %u (%m)"},
  proxy = {M.ClientProxyConnectionError, "cannot connect to %u through the proxy (%c)"},
  disconnected = {M.ServerDisconnectedError, "the server of %u closed the connection (%c)"},
  response = {M.ClientResponseError, "what came from %u is not a valid response (%m)"},
  payload = {M.ClientPayloadError, "the body of the response from %u is broken (%m)"},
  request = {M.ClientPayloadError, "cannot send the body of the request to %u (%m)"},
  url = {M.InvalidURL, "%u is not a URL (%m)"},
  closed = {M.ClientConnectionError, "the request to %u was given up (%m)"},
}

local timeouts = {
  connect = "no connection to %s within %g s (timeout.connect)",
  total = "no whole response from %s within %g s (timeout.total)",
  idle = "no byte from or to %s for %g s (timeout.idle)",
}

-- from_failure(failure, of) -> the error to raise; `of`, a request or a
-- response, has url, timeout (the limits that held) and proxy.
function M.from_failure(failure, of)
  local kind, code, url = failure.kind, failure.code, of.url
  if kind == "timeout" then
    local text = timeouts[code]:format(url, of.timeout[code])
    return M.ServerTimeoutError(text, {url = url, code = code})
  elseif kind == "connect" and of.proxy then
    kind = "proxy"
  end
  local class, text = table.unpack(kinds[kind])
  local words = {["%u"] = url, ["%m"] = failure.message, ["%c"] = code or failure.message}
  return class(text:gsub("%%[umc]", words), {url = url, code = code})
end

-- of_response(class, response, text) -> an error about a response; its URL
-- is put behind the text.
function M.of_response(class, response, text)
  return class(("%s (%s)"):format(text, response.url), {
    url = response.url,
    status = response.status,
    reason = response.reason,
    headers = response.headers,
    history = response.history,
  })
end

return M
