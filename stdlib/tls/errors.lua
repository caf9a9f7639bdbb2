--
-- tls/errors.lua - the classes of errors, and their texts: what has failed,
-- and what to do about it.
--
local asyncio = require "asyncio"
local c = require "neap.tls.c"

local M = {}

M.TLSError = asyncio.OSError:subclass("TLSError")
M.CertificateVerifyError = M.TLSError:subclass("CertificateVerifyError")

-- "certificate has expired" -> "CERTIFICATE_HAS_EXPIRED"
local function code_of(text) return (text:upper():gsub("%W+", "_")) end

local function date(seconds) return os.date("!%Y-%m-%d", seconds) end

local UNTRUSTED <const> = "no authority that is trusted has signed it; if that is as it should be, give the "
  .. "authority's certificate as ca="

local MOST <const> = 10 -- names that are shown

-- The hosts that a certificate is for, in words.
local function hosts_of(certificate)
  local names = certificate.names
  if #names == 0 then return certificate.subject .. ", which names no host" end
  return table.concat(names, ", ", 1, math.min(#names, MOST))
    .. (#names > MOST and (" and %d more"):format(#names - MOST) or "")
end

-- What OpenSSL says of a certificate -> what it means; a function is called
-- with the failure.
local of_certificates = {
  HOSTNAME_MISMATCH = function(failure)
    return "it is for " .. hosts_of(failure.certificate):gsub("%c", "?")
  end,
  CERTIFICATE_HAS_EXPIRED = function(failure)
    return "its last day was " .. date(failure.certificate.not_after)
  end,
  CERTIFICATE_IS_NOT_YET_VALID = function(failure)
    return ("its first day is %s; is the clock right?"):format(date(failure.certificate.not_before))
  end,
  SELF_SIGNED_CERTIFICATE = "it vouches for itself; if that is as it should be, give it as ca=",
  SELF_SIGNED_CERTIFICATE_IN_CERTIFICATE_CHAIN = UNTRUSTED,
  UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE = UNTRUSTED,
  UNABLE_TO_VERIFY_THE_FIRST_CERTIFICATE = UNTRUSTED .. ", or let the peer send the whole chain",
}
of_certificates.IP_ADDRESS_MISMATCH = of_certificates.HOSTNAME_MISMATCH

local NO_TLS <const> = "what came is no TLS; is it a port for plain text?"
local NO_VERSION <const> = "both sides have no version of TLS in common (min_version=)"

-- What OpenSSL says -> what it means.
local of_connections = {
  ALERT_CERTIFICATE_REQUIRED = "the peer asks for a certificate: give cert= and key=",
  ALERT_HANDSHAKE_FAILURE = "the peer refuses: no cipher in common, or it asks for a certificate",
  ALERT_NO_APPLICATION_PROTOCOL = "the peer speaks none of the protocols of alpn=",
  ALERT_PROTOCOL_VERSION = NO_VERSION,
  ALERT_UNKNOWN_CA = "the peer does not trust who signed the certificate",
  HTTP_REQUEST = "a request of plain HTTP came",
  NO_SHARED_CIPHER = "no cipher in common; has the server a certificate?",
  NO_SUITABLE_SIGNATURE_ALGORITHM = "the certificate's kind of key does not suit the peer",
  PACKET_LENGTH_TOO_LONG = NO_TLS,
  PEER_DID_NOT_RETURN_A_CERTIFICATE = "the client has shown no certificate",
  UNSUPPORTED_PROTOCOL = NO_VERSION,
  WRONG_VERSION_NUMBER = NO_TLS,
}

-- Where the connection ends though nobody said that it would.
local function of_end(failure)
  return failure.syscall == "handshake" and "the peer has closed the connection"
    or "the connection has ended without the peer's word (close_notify): something may be missing"
end

local function explain(explanations, code, failure)
  local text = explanations[code]
  if type(text) == "function" then text = failure.certificate and text(failure) end
  return text and ": " .. text or ""
end

-- The error of a failure as failure.c tells it.
c.describe_by(function(failure)
  local fields = {syscall = failure.syscall, address = failure.address}
  local at = failure.syscall .. (failure.address and (" '%s'"):format(failure.address) or "")
  if failure.timeout then
    return asyncio.TimeoutError(at .. ": no end of the TLS handshake in time")
  end
  if failure.verify then
    fields.code = code_of(failure.verify)
    fields.certificate = failure.certificate
    local whose = failure.is_server and "the client's certificate is refused"
      or ("the certificate is refused for '%s'"):format(failure.server_name)
    return M.CertificateVerifyError(("%s: %s: %s (%s)%s"):format(at, whose, failure.verify, fields.code,
      explain(of_certificates, fields.code, failure)), fields)
  end
  local reason = (failure.reason or "out of memory"):gsub("^%l+v%d+ ", "")
  fields.code = code_of(reason)
  local text = fields.code == "UNEXPECTED_EOF_WHILE_READING" and ": " .. of_end(failure)
    or explain(of_connections, fields.code, failure)
  return M.TLSError(("%s: %s (%s)%s"):format(at, reason, fields.code, text), fields)
end)

return M
