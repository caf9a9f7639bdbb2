--
-- http/body.lua - the body of a request: the options json, data, form and
-- files, made into what http.curl sends.
--
local fields = require "neap.http.fields"
local usage = require "neap.module.usage" "http"
local refuse, check, describe = usage.refuse, usage.check, usage.describe

local PIECE <const> = 64 * 1024 -- of a file

local M = {}

-- The functions below fill in a request: body, length, parts (see curl), and
-- for a body that is read while it is sent `source`, which gives the next
-- piece or nil, and `rewind`, if it can begin again. They give the
-- Content-Type.

local function put_json(request, value)
  local ok, text = pcall(require("json").encode, value)
  if not ok then refuse("json: %s", text) end
  request.body = text
  return "application/json"
end

-- From where it stands to its end; of known length if it has one. (A file of
-- the system's, such as those in /proc, says that its length is 0.)
local function put_file(request, file)
  if io.type(file) == "closed file" then refuse("data: the file is closed") end
  local _, why = file:read(0)
  if why then refuse("data: the file cannot be read: %s", why) end
  local from = file:seek("cur")
  local to = from and file:seek("end")
  if to then
    file:seek("set", from)
    request.length = to > from and to - from or nil
    request.rewind = function() file:seek("set", from) end
  end
  request.source = function()
    local piece, message = file:read(PIECE)
    if message then error("http: data: the file cannot be read: " .. message, 0) end
    return piece
  end
  request.body = true
end

local function is_file(value)
  return type(value) == "userdata" and io and io.type and io.type(value) ~= nil
end

local function is_callable(value)
  local meta = getmetatable(value)
  return type(value) == "function" or type(meta) == "table" and meta.__call ~= nil
end

local function put_data(request, data)
  if type(data) == "string" then
    request.body = data
  elseif is_file(data) then
    put_file(request, data)
  elseif is_callable(data) then
    request.source, request.body = data, true
  else
    refuse("data: a string, a function that gives the next piece, or an open file expected, "
      .. "got %s; use json= or form= for tables", describe(data))
  end
  return "application/octet-stream"
end

local file_options = usage.set "filename content path content_type"

-- What stands in a header of a part.
local function check_text(text, what)
  if check(text, "string", what) and text:find("[\r\n\0]") then
    refuse("%s: a line break or a NUL in it", what)
  end
  return text
end

local function file_part(name, given)
  local what = ("files: '%s'"):format(name)
  usage.check_options(given, file_options, what)
  local path = check_text(given.path, what .. ": path")
  local content = check(given.content, "string", what .. ": content")
  if (path == nil) == (content == nil) then refuse("%s: path= or content= expected", what) end
  if path then
    local file = usage.open(path, "rb", what)
    local _, why = file:read(0)
    file:close()
    if why then refuse("%s: cannot read %s: %s", what, path, why) end
  end
  return {
    name = name,
    path = path,
    content = content,
    filename = check_text(given.filename, what .. ": filename")
      or path and path:match("[^/]*$") or name,
    content_type = check_text(given.content_type, what .. ": content_type")
      or "application/octet-stream",
  }
end

local function put_files(request, files, form)
  local parts, names = {}, {}
  local flat = form and fields.flat(form, "form") or {}
  for i = 1, #flat, 2 do
    parts[#parts + 1] = {name = check_text(flat[i], "form"), content = flat[i + 1]}
  end
  for name in pairs(check(files, "table", "files")) do
    if type(name) ~= "string" then
      refuse("files: a table {name = {path=, content=, filename=, content_type=}} expected")
    end
    names[#names + 1] = check_text(name, "files")
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local given = check(files[name], "table", "files")
    for _, each in ipairs(given[1] and given or {given}) do
      parts[#parts + 1] = file_part(name, each)
    end
  end
  request.parts = parts
  -- curl writes the Content-Type, since it makes the boundary
end

local function put_form(request, form)
  request.body = fields.encode(form, "form", fields.FORM)
  return "application/x-www-form-urlencoded"
end

-- put(request, options) -> the Content-Type of the body, or nil
function M.put(request, options)
  local json, data, form, files = options.json, options.data, options.form, options.files
  local n = (json ~= nil and 1 or 0) + (data ~= nil and 1 or 0)
    + ((form ~= nil or files ~= nil) and 1 or 0)
  if n > 1 then
    refuse("more than one body: give json=, or data=, or form= with or without files=")
  elseif n == 0 then
    return
  elseif json ~= nil then
    return put_json(request, json)
  elseif data ~= nil then
    return put_data(request, data)
  elseif files ~= nil then
    return put_files(request, files, form)
  end
  return put_form(request, form)
end

-- check_length(request, given): the header Content-Length that the script
-- gave itself; for a body that is read while it is sent, its length.
function M.check_length(request, given)
  local length = given:find("^%d+$") and math.tointeger(tonumber(given))
  if request.source and not request.length then request.length = length end
  local actual = request.length or #(request.body or "")
  if request.parts or length ~= actual then
    refuse("headers: Content-Length %s is not the length of the body", given)
  end
end

return M
