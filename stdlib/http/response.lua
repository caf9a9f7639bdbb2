--
-- http/response.lua - a response: its head, and its body, which comes as it
-- is read.
--
-- Fields that are not for scripts:
--   transfer: false once the body has come or the response was closed
--   list: the headers, {name, value, name, value ...}
--   target: the URL as curl.url gave it
--   timeout, deadline, idle: the limits
--   upload: the sending of the body of the request, or nil
--   owner: a session that ends with this response, or nil
--   buffer, from: what was received and is not read yet: from there on
--   body: what read() gave
--   complete: the whole body has come
--   failure: why it did not
--
local asyncio = require "asyncio"
local cookies = require "neap.http.cookies"
local curl = require "neap.http.curl"
local errors = require "neap.http.errors"
local headers = require "neap.http.headers"
local upload_of = require "neap.http.upload"
local usage = require "neap.module.usage" "http"
local refuse, check = usage.refuse, usage.check

local catch, method = asyncio.catch, asyncio.async
local concat, find, sub = table.concat, string.find, string.sub

local MAX_LINE <const> = 128 * 1024
local WHOLE <const> = 1 << 40 -- more than a chunk can have

local methods = {}
local Response = {__name = "ClientResponse", __dir = methods} -- for the REPL's completion

-- Fields that are made when they are first asked for.
local later = {}

function later.headers(response) return headers.new(response.list) end
function later.cookies(response) return cookies.set_by(response.headers) end
function later.history() return {} end
function later.ok(response) return response.status < 400 end

function later.real_url(response)
  local fragment = response.target.fragment
  return fragment and response.url .. "#" .. fragment or response.url
end

function later.content_type(response)
  local value = response.headers["Content-Type"] or ""
  return (value:match("^%s*([^;%s]+)") or "application/octet-stream"):lower()
end

function later.charset(response)
  local value = (response.headers["Content-Type"] or ""):lower()
  return value:match(';%s*charset%s*=%s*"([^"]*)"') or value:match(";%s*charset%s*=%s*([^;%s]+)")
end

function Response.__index(response, name)
  local value = methods[name]
  if value ~= nil then return value end
  local make = later[name]
  if make == nil then return nil end
  value = make(response)
  response[name] = value
  return value
end

local function check_response(value, name)
  usage.check_self(value, Response, name, "response")
end

-- Nothing more will come.
local function finish(response)
  response.transfer, response.closed = false, true
  if response.upload then upload_of.stop(response.upload) end
  if response.owner then response.owner:close() end
end

-- response:close(): ends the transfer if the body has not come yet. Does not
-- suspend.
function methods.close(response)
  check_response(response, "close")
  local transfer = response.transfer
  if not transfer then return end
  transfer:close()
  finish(response)
end

methods.release = methods.close
Response.__close = methods.close

local function fail(response, err)
  response:close()
  response.failure = err
  error(err, 0)
end

-- The next chunk as it comes; nil at the end. Suspends.
local function receive(response)
  local transfer = response.transfer
  if not transfer then
    if response.complete then return nil end
    error(response.failure or errors.of_response(errors.ClientConnectionError, response,
      "the response was closed before its body had come"), 0)
  elseif transfer:is_waiting() then
    refuse("another task is reading this response already")
  end
  local ok, chunk, failure = catch(transfer.receive, transfer, response.deadline, response.idle)
  if ok and chunk then return chunk end
  if ok and chunk == false then
    response.complete = true
    return finish(response)
  elseif not ok then -- cancelled, for instance
    response:close()
    error(chunk, 0)
  end
  local upload = response.upload
  fail(response, upload and upload.failed and upload.error
    or errors.from_failure(failure, response))
end

-- The next bytes, at most so many; nil at the end.
local function piece(response, size)
  local buffer, from = response.buffer, response.from
  if from > #buffer then
    response.buffer, response.from = "", 1
    buffer, from = receive(response), 1
    if buffer == nil then return nil end
    if #buffer <= size then return buffer end
    response.buffer = buffer
  end
  response.from = from + size
  return sub(buffer, from, from + size - 1)
end

-- The whole body, or what is left of it.
local function whole(response)
  local body = response.body
  if body then return body end
  local first = piece(response, WHOLE)
  local second = first and receive(response)
  body = first or ""
  if second then
    local parts = {first, second}
    for chunk in receive, response do parts[#parts + 1] = chunk end
    body = concat(parts)
  end
  response.body = body
  return body
end

-- await(response:read()) -> the body, as bytes
methods.read = method(function(response)
  check_response(response, "read")
  return whole(response)
end, "ClientResponse.read")

local plain = usage.set "utf-8 utf8"

local function text(response, encoding)
  local body = whole(response)
  encoding = (encoding or response.charset or "utf-8"):lower()
  if plain[encoding] then return body end
  local converted, message = curl.convert(body, encoding)
  if converted then return converted end
  error(errors.of_response(errors.ClientPayloadError, response,
    ("cannot make text of the body, as %s: %s"):format(encoding, message)), 0)
end

-- await(response:text([encoding])) -> the body as UTF-8
methods.text = method(function(response, encoding)
  check_response(response, "text")
  return text(response, check(encoding, "string", "ClientResponse.text: encoding"))
end, "ClientResponse.text")

local json_options = usage.set "content_type encoding"

local function is_json(content_type)
  return content_type == "application/json" or content_type:find("^application/.+%+json$")
end

-- await(response:json([options])) -> the value that the body stands for; nil
-- when it is empty
methods.json = method(function(response, options)
  check_response(response, "json")
  options = options or {}
  usage.check_options(options, json_options, "ClientResponse.json")
  local got, expected = response.content_type, options.content_type
  if expected == nil and not is_json(got) or expected and got ~= expected then
    error(errors.of_response(errors.ContentTypeError, response,
      ("JSON expected, got %s; json{content_type=false} takes any type"):format(got)), 0)
  end
  local document = text(response, options.encoding)
  if not find(document, "%S") then return nil end
  return require("json").decode(document)
end, "ClientResponse.json")

-- "404 Not Found"; HTTP/2 has the number alone.
local function outcome(response)
  local status, reason = response.status, response.reason
  return reason == "" and tostring(status) or status .. " " .. reason
end

-- response:raise_for_status(): an error when the status is 400 or more.
function methods.raise_for_status(response)
  check_response(response, "raise_for_status")
  if response.ok then return end
  response:close()
  error(errors.of_response(errors.ClientResponseError, response,
    outcome(response)), 0)
end

-- Of the functions that read bit by bit.
local function check_unread(response, name)
  check_response(response, name)
  if response.body then
    refuse("ClientResponse.%s: the body was read by read() before, and is its result", name)
  end
end

local function check_size(size, name)
  if size ~= nil and (math.type(size) ~= "integer" or size < 1) then
    refuse("ClientResponse.%s: a number of bytes, at least 1, expected, got %s", name,
      math.type(size) and size or usage.describe(size))
  end
  return size
end

-- for chunk in response:chunks([size]) do: the body as it comes, at most
-- `size` bytes at a time. The loop suspends.
function methods.chunks(response, size)
  check_unread(response, "chunks")
  size = check_size(size, "chunks") or WHOLE
  return function() return piece(response, size) end
end

-- The bytes up to the next line feed, with it; nil at the end.
local function line(response, limit)
  local parts, length = nil, 0
  while true do
    local buffer, from = response.buffer, response.from
    local to = find(buffer, "\n", from, true) or #buffer
    length = length + to - from + 1
    if length > limit then
      fail(response, errors.of_response(errors.ClientPayloadError, response,
        ("a line of more than %d bytes"):format(limit)))
    end
    local part = sub(buffer, from, to)
    response.from = to + 1
    if sub(part, -1) == "\n" then
      return parts and concat(parts) .. part or part
    elseif part ~= "" then
      parts = parts or {}
      parts[#parts + 1] = part
    end
    response.buffer, response.from = "", 1
    buffer = receive(response)
    if buffer == nil then return parts and concat(parts) end
    response.buffer = buffer
  end
end

-- await(response:readline([limit])) -> the next line, with its line feed, or
-- nil at the end
methods.readline = method(function(response, limit)
  check_unread(response, "readline")
  return line(response, check_size(limit, "readline") or MAX_LINE)
end, "ClientResponse.readline")

-- for line in response:lines([limit]) do: without the line feeds. The loop
-- suspends.
function methods.lines(response, limit)
  check_unread(response, "lines")
  limit = check_size(limit, "lines") or MAX_LINE
  return function()
    local next_line = line(response, limit)
    return next_line and (next_line:gsub("\n$", ""))
  end
end

function Response.__tostring(response)
  return ("<ClientResponse(%s) [%s]>"):format(response.url, outcome(response))
end

local guard_meta = {__gc = function(guard) upload_of.stop(guard.upload) end}

-- What ends an upload when its response is dropped; or nil, as a sandbox has
-- no __gc: there it ends with its time, its source, or the session.
local function guard_of(upload)
  local ok, guard = pcall(setmetatable, {upload = upload}, guard_meta)
  return ok and guard or nil
end

local M = {}

-- new(request, transfer, head, deadline, upload) -> a response
function M.new(request, transfer, head, deadline, upload)
  local timeout = request.timeout
  return setmetatable({
    status = head.status,
    reason = head.reason,
    version = head.version,
    method = request.method,
    url = request.url,
    closed = false,
    transfer = transfer,
    list = head.headers,
    target = request.target,
    timeout = timeout,
    deadline = deadline,
    idle = timeout.idle,
    buffer = "",
    from = 1,
    upload = upload,
    guard = upload and guard_of(upload),
  }, Response)
end

return M
