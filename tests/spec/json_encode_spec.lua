-- json_encode_spec.lua: json.encode: what it writes, and what it refuses and
-- with which path.

local json = require "json"
local program = require "program"

local encode = json.encode

-- Why a value is refused; the place is that of the call.
local function refused(...)
  local arguments = table.pack(...)
  local ok, err = pcall(function() return (encode(table.unpack(arguments, 1, arguments.n))) end)
  assert.is_false(ok)
  return (assert(err:match("^[^\n]*json_encode_spec%.lua:%d+: (.*)$"), err):gsub("^cannot encode ",
    ""))
end

describe("json.encode", function()
  it("writes each kind of value", function()
    assert.are.equal("true", encode(true))
    assert.are.equal("false", encode(false))
    assert.are.equal("null", encode(json.null))
    assert.are.equal('"text"', encode("text"))
    assert.are.equal('""', encode(""))
    assert.are.equal("12", encode(12))
    assert.are.equal("[1,[2,{}],{\"a\":null}]", encode({1, {2, {}}, {a = json.null}}))
  end)

  describe("numbers:", function()
    it("integers are exact", function()
      for _, i in ipairs {0, 1, -1, 9, 10, 99, 100, 2 ^ 53 | 0, math.maxinteger, math.mininteger} do
        assert.are.equal(tostring(i), encode(i))
      end
    end)

    it("floats have the fewest digits that read back, and show that they are floats", function()
      for text in ([[
        0.0 -0.0 1.0 -1.0 0.1 0.2 0.3 0.30000000000000004 1.5 -2.25 100.0 123456789.125 0.001
        0.0001 1e-05 1.5e-07
        3.141592653589793 2.718281828459045 0.3333333333333333 0.6666666666666666 1000000.0
        123456789012345.0
        999999999999999.9 1000000000000000.0 9007199254740992.0 9007199254740993.0 1e+16
        1.2345678901234568e+17
        1e+22 1e+23 1e+100 1.7976931348623157e+308 2.2250738585072014e-308 2.225073858507201e-308
        5e-324 1.5e-323
        5.684341886080802e-14 5.960464477539063e-08 9.5367431640625e-07 6.189700196426902e+26
        7.120236347223045e-307
        4.35 0.000244140625 8.41e+21 9.409340012568248e+18 1234567890.1234567 0.00012345678901234567
      ]]):gmatch "%S+" do
        local x = tonumber(text)
        assert.are.equal(text == "9007199254740993.0" and "9007199254740992.0" or text, encode(x))
      end
    end)

    it("floats are written as Python's repr writes them", function()
      if not program.capture "command -v python3" then return pending "no python3" end
      local packed = {}
      math.randomseed(42)
      for i = 1, 3000 do
        local x = string.unpack("d", string.pack("j", math.random(0)))
        packed[i] = i % 2 == 0 and x - x == 0 and x or math.random() * 10.0 ^ math.random(-7, 17)
      end
      for e = -1074, 1023 do packed[#packed + 1] = 2.0 ^ e end
      local folder <close> = program.folder()
      folder:write("floats", string.pack(("d"):rep(#packed), table.unpack(packed)))
      local expected = program.run({"python3", "-c", [[
import struct, sys
data = open(sys.argv[1], "rb").read()
print(*struct.unpack("%dd" % (len(data) // 8), data), sep="\n")]], folder:file("floats")}).stdout
      local i = 0
      for text in expected:gmatch "[^\n]+" do
        i = i + 1
        assert.are.equal(text, encode(packed[i]))
      end
      assert.are.equal(#packed, i)
    end)

    it("NaN and infinity are refused", function()
      assert.are.equal("the value: JSON has no NaN", refused(0 / 0))
      assert.are.equal("the value: JSON has no infinity", refused(math.huge))
      assert.are.equal("[2].x: JSON has no infinity", refused({1, {x = -math.huge}}))
    end)
  end)

  describe("strings:", function()
    it("have the escapes that JSON asks for, and no others", function()
      assert.are.equal([["\"\\/\b\f\n\r\t"]], encode('"\\/\b\f\n\r\t'))
      assert.are.equal([["\u0000\u0001\u000b\u001f]] .. '\127"', encode("\0\1\v\31\127"))
      assert.are.equal('"é漢😀\u{2028}"', encode("é漢😀\u{2028}"))
      assert.are.equal([[{"a\u0000\n\"":1}]], encode({['a\0\n"'] = 1}))
    end)

    it("of every length are whole, with an escape anywhere", function()
      for length = 0, 40 do
        local text = ("x"):rep(length)
        assert.are.equal('"' .. text .. '"', encode(text))
        assert.are.equal('"' .. text .. '\\n' .. text .. '"', encode(text .. "\n" .. text))
      end
      assert.are.equal('"' .. ("\\u0001"):rep(5000) .. '"', encode(("\1"):rep(5000)))
    end)

    it("that are not UTF-8 are refused", function()
      for _,
        bytes in ipairs {"\x80", "\xC0\x80", "\xC3", "\xE2\x82", "\xED\xA0\x80", "\xF0\x9F\x98",
        "\xF4\x90\x80\x80", "\xFF"} do
        assert.are.equal("the value: a string that is not UTF-8", refused(bytes))
        assert.are.equal("a[1]: a string that is not UTF-8",
          refused({a = {"long enough " .. bytes .. " text"}}))
      end
      assert.are.equal('a["\\xFFé\\x0A"]: a key that is not UTF-8',
        refused({a = {["\xFFé\n"] = 1}}))
      assert.are.equal('["\\xFF"]: a key that is not UTF-8',
        refused({["\xFF"] = 1}, {sort_keys = false}))
    end)
  end)

  describe("tables:", function()
    it("with the keys 1 to n are arrays, in whatever order these were set", function()
      assert.are.equal("[1,2,3]", encode({1, 2, 3}))
      local t = {}
      for i = 50, 1, -1 do t[i] = {i} end
      local expected = {}
      for i = 1, 50 do expected[i] = "[" .. i .. "]" end
      assert.are.equal("[" .. table.concat(expected, ",") .. "]", encode(t))
      assert.are.equal("[1,2]", encode({[2] = 2, [1] = 1}))
      assert.are.equal("[1,2]", encode({[1.0] = 1, [2.0] = 2}))
    end)

    it("with keys that are strings are objects", function()
      assert.are.equal('{"1":1}', encode({["1"] = 1}))
      assert.are.equal("{}", encode({}))
    end)

    it("with other keys, or both kinds, or holes are refused", function()
      assert.are.equal("[0]: the key of an object must be a string", refused({[0] = 1}))
      assert.are.equal("a[1.5]: the key of an object must be a string", refused({a = {[1.5] = 1}}))
      assert.are.equal("a[true]: the key of an object must be a string",
        refused({a = {[true] = 1, b = 2}}))
      assert.are.equal("[a table]: the key of an object must be a string",
        refused({[{}] = 1}, {sort_keys = false}))
      assert.are.equal("items.name: an array of 2 elements has no such key",
        refused({items = {1, 2, name = 3}}))
      assert.are.equal("items[9]: an array of 2 elements has no such key",
        refused({items = {1, 2, [9] = 3}}))
      assert.are.equal("items[3]: a hole in an array", refused({items = {1, 2, nil, 4}}))
      assert.are.equal("x: an array of 0 elements has no such key", refused(json.array {x = 1}))
      assert.are.equal("[1]: the key of an object must be a string", refused(json.object {1}))
    end)

    it("with other metatables are written as they are, and run no Lua", function()
      local t = setmetatable({1, 2}, {
        __index = error, __len = error, __pairs = error, __tostring = error, __name = "mine",
          __call = error, __eq = error,
      })
      assert.are.equal("[1,2]", encode(t))
      assert.are.equal('{"a":1}', encode(setmetatable({a = 1}, getmetatable(t))))
      assert.are.equal("{}", encode(setmetatable({}, {__index = {a = 1}})))
    end)

    it("may come in several places", function()
      local t = {1}
      assert.are.equal("[[1],[1],{\"a\":[1]}]", encode({t, t, {a = t}}))
    end)
  end)

  it("refuses what JSON does not have, with the path to it", function()
    assert.are.equal("the value: JSON has no nil", refused(nil))
    assert.are.equal("the value: JSON has no function", refused(print))
    assert.are.equal("items[3].name: JSON has no function",
      refused({items = {1, 2, {name = print}}}))
    assert.are.equal("[1][1][1]: JSON has no thread", refused({{{coroutine.create(print)}}}))
    assert.are.equal('["two words"].a_1["1st"][""]: JSON has no userdata',
      refused({["two words"] = {a_1 = {["1st"] = {[""] = io.stdout}}}}))
    local u = {}
    u[3], u[2], u[1] = print, 1, 1
    assert.are.equal("[3]: JSON has no function", refused(u))
  end)

  it("names a table that contains itself", function()
    local t = {}
    t.self = t
    assert.are.equal("self: a table that contains itself", refused(t))
    t = {a = {{b = {}}}}
    t.a[1].b.c = t.a
    assert.matches("^a%[1%]%.b%.c.*: a table that contains itself$", refused(t))
    assert.matches("^a%[1%]%.b%.c.*: a table that contains itself$",
      refused(t, {max_depth = 10, sort_keys = false}))
  end)

  it("cuts a path that is too long to read, between characters", function()
    local t = {}
    local inner = t
    for _ = 1, 200 do
      inner["é"] = {}
      inner = inner["é"]
    end
    inner.x = print
    local path = refused(t):match("^(.*): JSON has no function$")
    assert.is_true(#path < 200)
    assert.is_truthy(utf8.len(path))
    assert.matches('^%["é"%].*%.%.%..*%["é"%]%.x$', path)
  end)

  describe("options:", function()
    it("indent sets children on lines of their own", function()
      local value = {a = {1, {b = 2}}, c = {}, d = json.array(), e = "x"}
      assert.are.equal([[
{
  "a": [
    1,
    {
      "b": 2
    }
  ],
  "c": {},
  "d": [],
  "e": "x"
}]], encode(value, {indent = 2}))
      assert.are.equal('[\n1,\n{\n"a": 2\n}\n]', encode({1, {a = 2}}, {indent = 0}))
      assert.are.equal("1", encode(1, {indent = 4}))
      assert.are.equal("[\n" .. (" "):rep(100) .. "1\n]", encode({1}, {indent = math.huge}))
    end)

    it("sort_keys, which is on, sorts by bytes", function()
      local t, keys = {}, {}
      for i = 1, 100 do
        keys[i] = ("%x%d"):format(i * 7919 % 101, i)
        t[keys[i]] = i
      end
      table.sort(keys)
      local i = 0
      for key in encode(t):gmatch '"(.-)":' do
        i = i + 1
        assert.are.equal(keys[i], key)
      end
      assert.are.equal(100, i)
      assert.are.equal('{"":1,"A":2,"a":3,"a\\u0000":4,"aa":5,"b":6,"é":7}',
        encode({[""] = 1, A = 2, a = 3, ["a\0"] = 4, aa = 5, b = 6, ["é"] = 7}))
    end)

    it("sort_keys = false writes all keys as they come", function()
      local t = {a = 1, b = {c = 2, d = {}}, e = {1, {f = 3}}}
      assert.are.same(t, json.decode(encode(t, {sort_keys = false})))
    end)

    it("max_depth is 1000 unless given, 100,000 at most", function()
      local function nested(depth)
        local t = {}
        for i = 2, depth do t = i % 2 == 0 and {t} or {a = t} end
        return t
      end
      encode(nested(1000))
      assert.matches(": nested more than 1000 levels deep$", refused(nested(1001)))
      assert.are.equal("[]", encode(json.array(), {max_depth = 1}))
      assert.are.equal("[1]: nested more than 1 levels deep", refused({{}}, {max_depth = 1}))
      assert.are.equal("1", encode(1, {max_depth = 0}))
      assert.are.equal(#"[]" * 50000 + #'{"a":}' * 49999,
        #encode(nested(99999), {max_depth = math.huge}))
      assert.matches(": nested more than 100000 levels deep$",
        refused(nested(100001), {max_depth = 1e9}))
      assert.matches(": nested more than 100000 levels deep$",
        refused(nested(100001), {max_depth = math.huge, sort_keys = false}))
    end)

    it("sort_keys says what to do about too many keys", function()
      local t = {}
      for i = 1, 600000 do t["k" .. i] = true end
      assert.are.equal("the value: too many keys to sort; see the option sort_keys", refused(t))
      assert.are.equal("a: too many keys to sort; see the option sort_keys", refused({a = t}))
      assert.are.equal(600000, select(2, encode(t, {sort_keys = false}):gsub("true", "")))
    end)

    it("that are wrong are usage errors", function()
      local function usage(options)
        return refused({}, options):match("^bad argument #2 to '%a+' %((.*)%)$")
      end
      assert.are.equal("table expected, got number", usage(2))
      assert.are.equal("unknown option 'ident'", usage({ident = 2}))
      assert.are.equal("indent must be a number, zero or more", usage({indent = true}))
      assert.are.equal("indent must be a number, zero or more", usage({indent = -1}))
      assert.are.equal("max_depth must be a number, zero or more", usage({max_depth = "9"}))
      assert.are.equal("sort_keys must be true or false", usage({sort_keys = 1}))
      assert.matches("value expected", refused())
    end)
  end)
end)
