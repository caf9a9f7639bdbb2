-- A text of JSON and back, with errors, and more than fits at first.
local json = require "json"

local value = { { a = 1, b = {} }, ("text\n"):rep(200) }
for i = 3, 40 do value[i] = { [tostring(i)] = i / 3, list = { true, false, json.null } } end
for _ = 1, 30 do value = { value } end
local text = json.encode(value)
assert(json.encode(json.decode(text)) == text)
local ok, err = pcall(json.decode, text .. ",")
assert(not ok)
if type(err) ~= "table" or not err.pos then error(err, 0) end
ok, err = pcall(json.encode, { print })
assert(not ok)
if tostring(err) == "not enough memory" then error(err, 0) end
