-- http_requests.lua - what the specs of http share: sessions for a test, and
-- requests to a server that tells what it was asked (/echo).

local cjson = require "cjson"
local http = require "http"
local tasks = require "tasks"

local M = {}

-- Runs fn(session) as the main task; the session, with these options, ends
-- with it.
function M.with_session(options, fn)
  return tasks.main(function()
    local session <close> = http.ClientSession(options)
    return fn(session)
  end)
end

-- The echo of a response: the fields of /echo's JSON, and `get`, a table from
-- the names of headers, in lower case, to the last value.
function M.echo(response)
  local echo = cjson.decode(await(response:read()))
  echo.get = {}
  for _, header in ipairs(echo.headers) do echo.get[header[1]:lower()] = header[2] end
  return echo
end

-- What the server was sent for a request.
function M.sent(session, method, url, options)
  local response <close> = await(session:request(method, url, options))
  return M.echo(response)
end

-- What is raised by awaiting fn(...)'s result.
function M.failure(fn, ...)
  local ok, err = pcall(await, fn(...))
  assert(not ok, "no error")
  return err
end

-- The numbers that the control port of the fault server tells, or those of
-- /until?QUERY; an error when that does not come true.
function M.control(control, path)
  local response <close> = await(http.get(control .. "/" .. path, {timeout = 30}))
  return cjson.decode(await(response:read()))
end

return M
