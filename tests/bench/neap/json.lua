-- JSON: decode a document n times, or encode what it holds; prints ms of processor time per document.
-- usage: json.lua N decode|encode FILE [cjson]
local n, way, path, library = math.tointeger(arg[1]), arg[2], arg[3], arg[4] or "json"
local json = require(library)

local file <close> = assert(io.open(path, "rb"))
local text = file:read("a")
local value, encoded = json.decode(text), nil

local start = os.clock()
if way == "decode" then
  for _ = 1, n do value = json.decode(text) end
else
  for _ = 1, n do encoded = json.encode(value) end
end
local spent = os.clock() - start

-- cjson has one kind of number, and keys in any order
assert(library == "cjson" or path:find("unicode", 1, true) or (encoded or json.encode(value)) == text)
print(spent * 1e3 / n)
