--
-- tls.lua - TLS over any stream, for clients and servers.
--
local asyncio = require "asyncio"
require "stream" -- C's half asks it for streams
local c = require "neap.tls.c"
local contexts = require "neap.tls.contexts"
local errors = require "neap.tls.errors"
local sides = require "neap.tls.sides"
local usage = require "neap.module.usage" "tls"

return {
  CertificateVerifyError = errors.CertificateVerifyError,
  TLSError = errors.TLSError,

  -- await(tls.connect(stream, options)) -> a stream
  connect = asyncio.async(function(stream, options)
    return await(sides.client(options)(stream))
  end, "tls.connect"),

  -- await(tls.accept(stream, options)) -> a stream
  accept = asyncio.async(function(stream, options)
    return await(sides.server(options)(stream))
  end, "tls.accept"),

  -- tls.context(options) -> a context
  context = function(options)
    options = options or {}
    usage.check_options(options, contexts.known, "context")
    return contexts.new(options)
  end,

  info = c.info,
  peer_certificate = c.peer_certificate,
  session = c.session,
}
