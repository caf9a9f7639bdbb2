--
-- http/upload.lua - a body that is read while it is sent: a task that takes
-- pieces from the request's source and hands them to the transfer.
--
-- The task ends with the body, with the transfer, or when the server wants
-- no more. If the source fails, the transfer is closed, and whoever waits
-- for the response gets that error.
--
local asyncio = require "asyncio"
local usage = require "neap.module.usage" "http"

local M = {}

-- Fields of an upload:
--   transfer, source, deadline, idle
--   task: that of run
--   ended: nobody wants to hear of it any more
--   failed, error: what the source raised

local function send_all(upload)
  local transfer, source = upload.transfer, upload.source
  local deadline, idle = upload.deadline, upload.idle
  while true do
    local piece = source()
    if piece == nil then break end
    if type(piece) ~= "string" then
      error(("http: data: a string or nil expected as the next piece of the body, got %s"):format(
        usage.describe(piece)), 0)
    end
    -- what went wrong with the transfer, the response tells
    if piece ~= "" and not transfer:send(piece, deadline, idle) then return end
  end
  transfer:send(nil, deadline, idle)
end

local run = asyncio.async(function(upload)
  local ok, err = asyncio.catch(send_all, upload)
  if ok or upload.ended then return end
  upload.failed, upload.error = true, err
  upload.transfer:close()
end, "http.upload")

-- start(session, transfer, request, deadline) -> the upload
function M.start(session, transfer, request, deadline)
  local upload = {
    transfer = transfer,
    source = request.source,
    deadline = deadline,
    idle = request.timeout.idle,
  }
  upload.task = asyncio.create_task(run(upload), {name = "http.upload"})
  session.uploads[upload] = true
  return upload
end

-- stop(upload): no more of it.
function M.stop(upload)
  upload.ended = true
  upload.task:cancel()
end

return M
