-- json_spec.lua: the module `json` as a whole: what it has, marks of arrays
-- and objects, round trips, and that failing costs nothing.
--
-- NEAP_SEED=n repeats the random tests of a run that printed that seed.

local asyncio = require "asyncio"
local json = require "json"
local tasks = require "tasks"

local seed = math.tointeger(os.getenv "NEAP_SEED") or os.time()

-- Runs fn with random numbers from the seed, which a failure shows.
local function randomly(fn)
  math.randomseed(seed)
  local ok, err = xpcall(fn, debug.traceback)
  assert.is_true(ok, ("NEAP_SEED=%d: %s"):format(seed, err))
end

local function pick(list)
  return list[math.random(#list)]
end

-- Are two values that JSON has the same, with kinds of numbers and tables?
local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b and math.type(a) == math.type(b)
  end
  if json.is_array(a) ~= json.is_array(b) then return false end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

-- A random float: any bits that are a number, or one of everyday size.
local function random_float()
  if math.random(2) == 1 then return math.random() * 10.0 ^ math.random(-8, 18) end
  local x
  repeat x = string.unpack("d", string.pack("j", math.random(0))) until x - x == 0
  return x
end

local CHARACTERS = {
  "a", "Z", " ", '"', "\\", "/", "\0", "\n", "\t", "\31", "\127", "é", "\u{7FF}", "\u{800}", "漢",
  "\u{D7FF}", "\u{E000}", "\u{FFFF}", "😀", "\u{10FFFF}", "\u{2028}", "plain text of some length",
}

local function random_string()
  local list = {}
  for i = 1, pick {0, 1, 5, 60} do list[i] = pick(CHARACTERS) end
  return table.concat(list)
end

local function random_value(depth)
  local kind = math.random(depth > 0 and 9 or 7)
  if kind == 1 then return json.null end
  if kind == 2 then return math.random(2) == 1 end
  if kind == 3 then return math.random(0) end
  if kind == 4 then return math.random(-100, 100) end
  if kind == 5 then return random_float() end
  if kind <= 7 then return random_string() end
  local t = kind == 8 and json.array() or json.object()
  for i = 1, pick {0, 1, 3, 40, 150} do
    local key = kind == 8 and i or random_string()
    t[key] = random_value(i > 3 and 0 or depth - 1)
  end
  return t
end

describe("json", function()
  it("has exactly what it documents", function()
    local names = {}
    for name, value in pairs(json) do names[#names + 1] = name .. ": " .. type(value) end
    table.sort(names)
    assert.are.same({
      "JSONDecodeError: table", "array: function", "decode: function", "encode: function",
      "is_array: function", "null: userdata", "object: function",
    }, names)
  end)

  it("null is one true value whose text is null", function()
    assert.are.equal("null", tostring(json.null))
    assert.is_true(rawequal(json.null, json.decode("null")))
    assert.is_true(rawequal(json.null, json.decode("[null]")[1]))
    assert.is_truthy(json.null)
    assert.are.equal("null", json.encode(json.null))
  end)

  describe("marks:", function()
    it("array and object give the table that they got, or a new one", function()
      local t = {1}
      assert.is_true(rawequal(t, json.array(t)))
      assert.is_true(rawequal(t, json.object(t)))
      assert.are.equal("[]", json.encode(json.array()))
      assert.are.equal("{}", json.encode(json.object()))
    end)

    it("tell empty arrays from empty objects", function()
      assert.are.equal("{}", json.encode({}))
      assert.are.equal("[]", json.encode(json.array {}))
      assert.are.equal("{}", json.encode(json.object(json.array {})))
    end)

    it("show in a table's text", function()
      assert.matches("^json%.array: ", tostring(json.array()))
      assert.matches("^json%.object: ", tostring(json.object()))
    end)

    it("is_array tells what would be written as an array", function()
      for _, array in ipairs {{1}, {1, 2, 3}, json.array(), json.array {1}, json.decode "[]"} do
        assert.is_true(json.is_array(array))
      end
      for _, other in ipairs {
        {}, {x = 1}, {1, x = 1}, {[2] = 1}, {[0] = 0, 1}, json.object(), json.object {1},
        json.decode "{}",
        1, "text", true, json.null, print,
      } do
        assert.is_false(json.is_array(other))
      end
      assert.is_false(json.is_array(nil))
    end)

    it("refuse what is no table, or has a metatable of its own", function()
      local function message(fn, ...)
        local arguments = table.pack(...)
        local _, err = pcall(function() fn(table.unpack(arguments, 1, arguments.n)) end)
        return err:match("json_spec%.lua:%d+: (.*)$")
      end
      assert.matches("table expected, got nil", message(json.array, nil))
      assert.matches("table expected, got string", message(json.object, "text"))
      assert.matches("metatable of its own", message(json.array, setmetatable({}, {})))
      assert.matches("value expected", message(json.is_array))
    end)

    it("are on all that was decoded", function()
      local value = json.decode '{"a": [[], {}, [1]], "b": {"c": {}}}'
      assert.are.equal('{"a":[[],{},[1]],"b":{"c":{}}}', json.encode(value))
    end)
  end)

  describe("a round trip", function()
    it("gives the same values", function()
      randomly(function()
        for _ = 1, tasks.sanitized and 100 or 500 do
          local value = random_value(3)
          local options = {indent = pick {false, 0, 2} or nil, sort_keys = math.random(2) == 1}
          local text = json.encode(value, options)
          assert(same(value, json.decode(text)), text)
        end
      end)
    end)

    it("gives the same floats", function()
      randomly(function()
        for _ = 1, tasks.sanitized and 5000 or 50000 do
          local x = random_float()
          local text = json.encode(x)
          assert(same(x, json.decode(text)) and #text <= 25, text)
          assert(tonumber(text) == x, text)
        end
      end)
    end)

    it("gives the same integers", function()
      for shift = 0, 63 do
        for difference = -1, 1 do
          local i = (1 << shift) + difference
          assert.are.equal(tostring(i), json.encode(i))
          assert.is_true(same(i, json.decode(tostring(i))))
        end
      end
    end)

    it("gives the same text, however large", function()
      local list = {}
      for i = 1,
        100000 do list[i] = {id = i, name = "name " .. i, [("key %d"):format(i)] = json.null} end
      local text = json.encode(list)
      assert.are.equal(text, json.encode(json.decode(text)))
      local object = {}
      for i = 1, 100000 do object["key " .. i] = i end
      text = json.encode(object)
      assert.are.equal(text, json.encode(json.decode(text)))
      local long = ("long \n é "):rep(1000000)
      assert.are.equal(long, json.decode(json.encode(long)))
    end)
  end)

  it("does not crash on random bytes", function()
    local parts = {
      "{", "}", "[", "]", ",", ":", '"', "\\", "\\u", "d800", "1", "-", ".", "e", "0", "true",
      "null", " ", "\n",
      '"a"', '"a":', "\0", "\xC3", "\xA9", "\xFF", "9223372036854775807", "1e308",
    }
    randomly(function()
      for _ = 1, tasks.sanitized and 10000 or 100000 do
        local list = {}
        for i = 1,
          math.random(20) do list[i] = math.random(8) == 1 and string.char(math.random(0,
          255)) or pick(parts) end
        local text = table.concat(list)
        local ok, result = pcall(json.decode, text)
        if ok then
          assert(same(result, json.decode(json.encode(result))), text)
        else
          assert(asyncio.isinstance(result, json.JSONDecodeError), text)
        end
      end
    end)
  end)

  it("keeps no memory when it fails", function()
    local bad = '[{"a": [1, "x\\n", {"b": ' .. ("[1, "):rep(100) .. '"' .. ("text\\n"):rep(500) .. '"'
    local deep = {}
    for _ = 1, 40 do deep = {deep, ("text"):rep(100), {b = 1, a = 2}} end
    deep[3].c = 0 / 0
    local function fail(n)
      for _ = 1, n do
        assert(not pcall(json.decode, bad))
        assert(not pcall(json.encode, deep))
      end
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    local before = fail(100)
    assert.is_true(fail(tasks.sanitized and 1000 or 10000) < before + 100)
  end)

  it("frees what encode needed, at once, also when that fails", function()
    if tasks.sanitized then return pending "a sanitizer keeps what was freed" end
    local function resident()
      for line in io.lines "/proc/self/status" do
        local kb = line:match("VmRSS:%s*(%d+)")
        if kb then return tonumber(kb) end
      end
    end
    if not io.open "/proc/self/status" then return pending "no /proc" end
    local list = {}
    for i = 1, 1000 do list[i] = ("text"):rep(1000) end
    list[1001] = "\xFF"
    assert(not pcall(json.encode, list))
    local before = resident()
    collectgarbage "stop"
    for _ = 1, 100 do assert(not pcall(json.encode, list)) end
    collectgarbage "restart"
    assert.is_true(resident() < before + 100000)
  end)
end)
