--
-- tls/contexts.lua - contexts: made of options, once for many connections.
--
local c = require "neap.tls.c"
local usage = require "neap.module.usage" "tls"

local M = {}

-- The options of a context.
M.known = usage.set "alpn ca cert key max_version min_version password sni verify"

local EISDIR <const> = 21

local function is_text(value) return value:find("-----BEGIN", 1, true) end

-- A text in PEM, or what is in the file of that name; nil: that is a folder.
local function text_of(value, what)
  usage.check(value, "string", what)
  if is_text(value) then return value end
  local file <close> = usage.open(value, "rb", what)
  local text, message, code = file:read("a")
  if not text and code ~= EISDIR then usage.refuse("%s: cannot read %s", what, message) end
  if text and text:sub(1, 1) == "0" and not is_text(text) then
    usage.refuse("%s: %s is not PEM, but DER; openssl x509 and openssl pkey convert it", what, value)
  end
  return text
end

-- Refuses an option when there is something wrong with it.
local function check(wrong, what, value)
  if not wrong then return end
  usage.refuse("%s: %s%s", what, wrong, value and not is_text(value) and (" (%s)"):format(value) or "")
end

local function use_certificate(context, options)
  local cert, key = options.cert, options.key
  if not cert then
    if key then usage.refuse "key: give cert= as well, the certificate that it belongs to" end
    return
  end
  local text = text_of(cert, "cert")
  check(c.use_certificate(context, text or ""), "cert", cert)
  local password = usage.check(options.password, "string", "password")
  if key then text = text_of(key, "key") end
  check(c.use_key(context, text or "", password), "key", key or cert)
end

local function trust(context, ca)
  local text = text_of(ca, "ca")
  check(text and c.trust(context, text) or not text and c.trust_folder(context, ca), "ca", ca)
end

local versions = {["1.2"] = c.TLS1_2, ["1.3"] = c.TLS1_3}

local function version(options, name, default)
  local value = options[name]
  if value == nil then return default end
  return versions[value] or usage.refuse('%s: "1.2" or "1.3" expected, got %s', name, tostring(value))
end

local verifications = {[false] = 1, optional = 2, [true] = 3}

local function verification(value)
  if value == nil then return 0 end
  return verifications[value] or usage.refuse('verify: true, false or "optional" expected, got %s', tostring(value))
end

-- In one message of at most 64 KiB there is more than these.
local MOST <const> = 1 << 15

-- The names of protocols as TLS writes them, each after its length.
local function set_protocols(context, names)
  local list = {}
  for i, name in ipairs(usage.check(names, "table", "alpn")) do
    if type(name) ~= "string" or #name < 1 or #name > 255 then
      usage.refuse("alpn: names of 1 to 255 bytes expected, got %s", tostring(name))
    end
    list[i] = string.pack("s1", name)
  end
  if #list == 0 then usage.refuse 'alpn: the list is empty; write {"h2", "http/1.1"}' end
  local protocols = table.concat(list)
  if #protocols > MOST then usage.refuse("alpn: the list takes %d bytes, of at most %d", #protocols, MOST) end
  check(c.set_protocols(context, protocols), "alpn")
end

-- What each context was made of: context -> options that the sides look at.
M.options_of = setmetatable({}, {__mode = "k"})

-- C looks at the name that was added last first: "*" sorts before all others.
local function add_names(context, contexts)
  local names = {}
  for name, each in pairs(usage.check(contexts, "table", "sni")) do
    if type(name) ~= "string" or not c.is_context(each) then
      usage.refuse('sni: a table of names and contexts expected; write {["a.example"] = tls.context{...}}')
    end
    local own = M.options_of[each]
    if not own.cert then
      usage.refuse("sni: the context for %q has no certificate; give it cert= and key=", name)
    elseif own.verify then
      usage.refuse("sni: verify= of the context for %q would not count; give it, and ca=, beside sni=", name)
    end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do check(c.add_name(context, name, contexts[name]), "sni") end
end

-- new(options) -> a context of options that are known
function M.new(options)
  local least, most = version(options, "min_version", c.TLS1_2), version(options, "max_version", c.TLS1_3)
  if least > most then usage.refuse "min_version: it is above max_version" end
  local context = c.context(verification(options.verify), least, most, options.ca == nil)
  use_certificate(context, options)
  if options.ca ~= nil then trust(context, options.ca) end
  if options.alpn then set_protocols(context, options.alpn) end
  if options.sni then add_names(context, options.sni) end
  M.options_of[context] = {ca = options.ca, cert = options.cert, verify = options.verify}
  return context
end

return M
