-- json_decode_spec.lua: json.decode: which texts it takes and what for, which
-- it refuses and where.

local asyncio = require "asyncio"
local json = require "json"

local decode = json.decode

-- The error of a text that is refused.
local function refused(text, options)
  local ok, err = pcall(decode, text, options)
  assert(not ok, ("%q was taken"):format(text))
  assert(asyncio.isinstance(err, json.JSONDecodeError), tostring(err))
  return err
end

-- Its text, without its class.
local function message(text, options)
  return (tostring(refused(text, options)):gsub("^JSONDecodeError: ", ""))
end

describe("json.decode", function()
  it("takes each kind of value", function()
    assert.are.equal(true, decode "true")
    assert.are.equal(false, decode "false")
    assert.are.equal(json.null, decode "null")
    assert.are.equal("text", decode '"text"')
    assert.are.equal("", decode '""')
    assert.are.equal(12, decode "12")
    assert.are.same({1, {2, {}}}, decode "[1,[2,[]]]")
    assert.are.same({a = 1, b = {c = {}}}, decode '{"a":1,"b":{"c":{}}}')
    assert.are.same({[""] = 1}, decode '{"":1}')
  end)

  it("takes white space around everything, and nothing else", function()
    assert.are.same({1, {a = 2}}, decode ' \t\r\n[ 1\n,\r{ "a"\t: 2 } ]\n ')
    for _, space in ipairs {"\f", "\v", "\0", "\u{A0}", "\u{FEFF}", "/**/", "//\n", "#"} do
      refused(space .. "1")
      refused("1" .. space)
      refused("[1" .. space .. "]")
    end
  end)

  describe("numbers:", function()
    local function number(text, expected)
      local value = decode(text)
      assert.are.equal(expected, value)
      assert.are.equal(math.type(expected), math.type(value), text)
      local list = decode("[" .. text .. "," .. text .. "]")
      assert.are.same({expected, expected}, list)
    end

    it("those without point and exponent are integers", function()
      number("0", 0)
      number("-0", 0)
      number("1234567890", 1234567890)
      number("9223372036854775807", math.maxinteger)
      number("-9223372036854775808", math.mininteger)
      number("-9223372036854775807", -math.maxinteger)
    end)

    it("all others are floats", function()
      number("0.0", 0.0)
      number("1.0", 1.0)
      number("1e2", 100.0)
      number("1E+2", 100.0)
      number("25e-1", 2.5)
      number("0.1", 0.1)
      number("9007199254740993.0", 9007199254740992.0)
      number("123456789012345678901234567890.0", 123456789012345678901234567890.0)
      number("1.7976931348623157e308", 1.7976931348623157e308)
      number("5e-324", 5e-324)
      number("1e-400", 0.0)
      number("0e999999999999", 0.0)
      number("0." .. ("0"):rep(400) .. "1e401", 1.0)
      number("2.2250738585072011e-308", 2.2250738585072011e-308)
      assert.are.equal(-math.huge, 1 / decode "-0.0")
    end)

    it("those out of range are refused", function()
      for _, text in ipairs {
        "9223372036854775808", "-9223372036854775809", "18446744073709551616",
        "10000000000000000000",
        "100000000000000000000", ("9"):rep(1000),
      } do
        assert.matches("^an integer of more than 64 bits near '%-?%d+': line 2 column 3 %(byte 5%)$",
          message("[\n  " .. text .. "]"))
      end
      for _,
        text in ipairs {"1e309", "-1e309", "1e999999999999999999999", ("9"):rep(400) .. ".0"} do
        assert.matches("^a number that is too great for a float near ", message(text))
      end
    end)

    it("the decimal point is that of JSON in every locale", function()
      for _, locale in ipairs {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8"} do
        if os.setlocale(locale, "numeric") then
          local value, long = decode "1.5", decode "0.12345678901234567"
          local text = json.encode {0.1, 1.5e300}
          os.setlocale("C", "numeric")
          assert.are.same({1.5, 0.12345678901234567, "[0.1,1.5e+300]"}, {value, long, text})
          return
        end
      end
      pending "no locale with another decimal point is installed"
    end)
  end)

  describe("strings:", function()
    it("have the escapes of JSON", function()
      assert.are.equal('"\\/\b\f\n\r\t', decode [["\"\\\/\b\f\n\r\t"]])
      assert.are.equal("A\u{E9}\u{20AC}\u{FFFF}", decode [["\u0041\u00e9\u20AC\uffff"]])
      assert.are.equal("\u{7F}\u{80}\u{7FF}\u{800}", decode [["\u007f\u0080\u07ff\u0800"]])
      assert.are.equal("\u{1F600}\u{10000}\u{10FFFF}",
        decode [["\uD83D\ude00\ud800\udc00\udbff\udfff"]])
      assert.are.equal("a\0b", decode [["a\u0000b"]])
      assert.are.same({["a\0b"] = 1}, decode [[{"a\u0000b": 1}]])
    end)

    it("are UTF-8, and stay as they are", function()
      for _, text in ipairs {
        "é", "漢字", "😀", "\u{80}", "\u{7FF}", "\u{800}", "\u{D7FF}", "\u{E000}", "\u{FFFF}",
        "\u{10000}", "\u{10FFFF}",
        "\127", "\u{2028}", ("x"):rep(5000), ("é"):rep(5000), ("1234567é"):rep(9),
      } do
        assert.are.equal(text, decode('"' .. text .. '"'))
        assert.are.equal(text .. "\n", decode('"' .. text .. '\\n"'))
      end
    end)

    it("of every length end where they do", function()
      for length = 0, 40 do
        local text = ("0123456789"):rep(4):sub(1, length)
        assert.are.same({text, text .. "\n" .. text},
          decode(('["%s","%s\\n%s"]'):format(text, text, text)))
        assert.are.equal(text .. '\\"', decode(('"%s\\\\\\""'):format(text)))
      end
    end)

    it("that are not UTF-8 are refused", function()
      for _, bytes in ipairs {
        "\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC3", "\xC3(", "\xE0\x80\x80", "\xE0\x9F\xBF",
        "\xE2\x82", "\xE2(\xA1",
        "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF0\x9F\x98",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80", "\xF8\x88\x80\x80\x80", "\xFE", "\xFF",
      } do
        for _, prefix in ipairs {"", "0123456789", "\\n", "é"} do
          local text = prefix .. bytes
          assert.matches("^a string that is not UTF%-8: ", message('"' .. text .. '"'))
          assert.are.equal(#prefix + 2, refused('"' .. text .. '"').pos)
          assert.matches("^a string that is not UTF%-8: ", message('{"' .. text .. '":1}'))
        end
      end
    end)

    it("with bad escapes are refused", function()
      for _,
        escape in ipairs {"\\x41", "\\a", "\\'", "\\0", "\\U0041", "\\\n", "\\ ", "\\\0", "\\é"} do
        assert.matches("^an escape that JSON does not have: line 1 column 3",
          message('"a' .. escape .. '"'))
      end
      for _,
        escape in ipairs {"\\u", "\\u1", "\\u123", "\\u123g", "\\u 123", "\\u+123", "\\u12 4"} do
        assert.matches("^four hexadecimal digits expected", message('"a' .. escape .. '"'))
      end
      for _, escape in ipairs {
        "\\ud800", "\\udfff", "\\ud800x", "\\ud800\\n", "\\ud800\\u0041", "\\ud800\\ud800",
        "\\udc00\\ud800", "\\ud800\\u",
      } do
        assert.matches("^half of a surrogate pair: ", message('"a' .. escape .. '"'))
      end
    end)

    it("with control characters are refused", function()
      for byte = 0, 31 do
        local text = '"ab' .. string.char(byte) .. '"'
        assert.matches("^a control character in a string", message(text))
        assert.are.equal(4, refused(text).pos)
      end
    end)
  end)

  it("refuses what is no JSON", function()
    for _, text in ipairs {
      "", " ", "[", "]", "{", "}", ",", ":", '"', "\\", "[1", "[1,", "[1,]", "[,1]", "[,]",
      "[1,,2]", "[1 2]", "[1:2]",
      "[1}", "{1}", "{]", '{"a"}', '{"a":}', '{"a":1', '{"a":1,', '{"a":1,}', '{,"a":1}',
      '{"a":1,,"b":2}', '{"a" 1}',
      '{"a":1 "b":2}', '{"a":1]', "{a:1}", "{'a':1}", "{1:1}", "{null:1}", '{"a"::1}', '{"a":1:2}',
      "[1]]", "[1][2]",
      "1 2", "1,", "{}}", "[]{}", "tru", "True", "TRUE", "trues", "nul", "nulll", "Null", "None",
      "nil", "fals", "falsee",
      "undefined", "NaN", "-NaN", "nan", "Infinity", "-Infinity", "inf", "+1", "-", "--1", "- 1",
      "01", "-01", "00", "1.",
      ".1", "-.1", "1.e1", "1e", "1e+", "1e-", "1ee1", "1.2.3", "1e1.5", "0x10", "1_000", "1a",
      "0b1", "1L", "'a'", "a",
      "[a]", "*", "!", "\xFF", "\u{FEFF}", "\xFF\xFE1\0", "1\0", "[\0]", "[1\0]", "\0", "é", "[é]",
      "/* */ 1", "1 // x",
      "[1, /* */ 2]", '["a" "b"]', '["a\\"]', '"a" "b"', '"a', '"a\\', '"a\\"', '"a\\u00', "[[[[",
      '{"a":{"b":{"c":',
      "<json>", "(1)", "[1;2]", "$", "@", "\\u0041", '\\"a\\"',
    } do
      refused(text)
    end
  end)

  it("refuses a text that was cut, wherever", function()
    local text = ' {"a": [1, -2.5e+10, "x\\n\\ud83d\\ude00é", true, false, null, {}, []], "é": {"b": ""}}'
    decode(text)
    for length = 0, #text - 1 do
      refused(text:sub(1, length))
    end
  end)

  it("takes the last of equal keys", function()
    assert.are.same({a = 3, b = 2}, decode '{"a":1,"b":2,"a":3}')
    local many = {}
    for i = 1, 200 do many[i] = ('"%d":%d'):format(i % 50, i) end
    assert.are.equal(200, decode("{" .. table.concat(many, ",") .. "}")["0"])
  end)

  it("takes arrays and objects of every size", function()
    for size = 0, 300 do
      local list, pairs_ = {}, {}
      for i = 1, size do
        list[i] = i
        pairs_[i] = ('"%d":[%d]'):format(i, i)
      end
      assert.are.same(list, decode("[" .. table.concat(list, ",") .. "]"))
      local object = decode("{" .. table.concat(pairs_, ",") .. "}")
      for i = 1, size do assert(object[tostring(i)][1] == i) end
    end
  end)

  describe("errors:", function()
    it("are JSONDecodeErrors, which are Exceptions, with the place", function()
      local err = refused '{\n  "é": [1,\n  "日本", }'
      assert.is_true(asyncio.isinstance(err, asyncio.Exception))
      assert.are.equal("JSONDecodeError: a value expected near '}': line 3 column 9 (byte 27)",
        tostring(err))
      assert.are.equal("a value expected near '}': line 3 column 9 (byte 27)", err.message)
      assert.are.same({3, 9, 27}, {err.lineno, err.colno, err.pos})
    end)

    it("say what is expected, and what is there", function()
      assert.are.equal("a value expected near the end: line 1 column 1 (byte 1)", message "")
      assert.are.equal("a value expected near 'nil': line 1 column 2 (byte 2)", message "[nil]")
      assert.are.equal("',' or ']' expected near 'x': line 1 column 4 (byte 4)", message "[1 x]")
      assert.are.equal("',' or '}' expected near ']': line 1 column 7 (byte 7)", message '{"a":1]')
      assert.are.equal("':' expected near a string: line 1 column 6 (byte 6)", message '{"a" "b"}')
      assert.are.equal("a key in double quotes expected near 'a': line 1 column 2 (byte 2)",
        message "{a: 1}")
      assert.are.equal("the end expected near ',': line 1 column 2 (byte 2)", message "1,2")
      assert.are.equal("a value expected near the byte 0x1F: line 1 column 1 (byte 1)",
        message "\31")
      assert.are.equal("a digit expected near 'x': line 1 column 3 (byte 3)", message "1.x")
      assert.are.equal("a number must not begin with 0 near '01': line 1 column 1 (byte 1)",
        message "01")
      assert.are.equal("a string without an end: line 1 column 4 (byte 4)", message '"ab')
      assert.are.equal("a byte order mark, which JSON does not have: line 1 column 1 (byte 1)",
        message "\u{FEFF}1")
      assert.are.equal("a value expected near '" .. ("x"):rep(20) .. "': line 1 column 1 (byte 1)",
        message(("x"):rep(99)))
    end)

    it("of a wrong use are texts, with the caller's position", function()
      local function usage(...)
        local arguments = table.pack(...)
        local ok, err = pcall(function() decode(table.unpack(arguments, 1, arguments.n)) end)
        assert.is_false(ok)
        return err:match("^[^\n]*json_decode_spec%.lua:%d+: bad argument #%d to '%a+' %((.*)%)$")
      end
      assert.are.equal("string expected, got no value", usage())
      assert.are.equal("string expected, got nil", usage(nil))
      assert.are.equal("string expected, got number", usage(1))
      assert.are.equal("table expected, got number", usage("1", 5))
      assert.are.equal("unknown option 'max_deep'", usage("1", {max_deep = 1}))
      assert.are.equal("unknown option '1'", usage("1", {true}))
      assert.are.equal("max_depth must be a number, zero or more", usage("1", {max_depth = "1"}))
      assert.are.equal("max_depth must be a number, zero or more", usage("1", {max_depth = -1}))
      assert.are.equal("max_size must be a number, zero or more", usage("1", {max_size = 0 / 0}))
    end)
  end)

  describe("limits:", function()
    local function nested(depth)
      return ("["):rep(depth) .. ("]"):rep(depth)
    end

    it("1000 levels unless max_depth says otherwise", function()
      decode(nested(1000))
      assert.are.equal("nested more than 1000 levels deep: line 1 column 1001 (byte 1001)",
        message(nested(1001)))
      assert.are.equal("nested more than 1000 levels deep: line 1 column 5001 (byte 5001)",
        message(('{"a":'):rep(1001)))
      decode(nested(5000), {max_depth = 5000})
      decode("1", {max_depth = 0})
      assert.matches("^nested more than 0 levels deep", message("[]", {max_depth = 0}))
      assert.matches("^nested more than 2 levels deep", message('[1,{"a":[]}]', {max_depth = 2}))
      assert.are.same({{1}, {2}}, decode("[[1],[2]]", {max_depth = 2}))
    end)

    it("100,000 levels whatever max_depth says", function()
      for _, text in ipairs {"[", '{"a":', "[1,", '{"a":1,"b":', '[{"a":1,"b":2,"c":'} do
        assert.matches("^nested more than 100000 levels deep",
          message(text:rep(100001), {max_depth = math.huge}))
      end
      local value = decode(('{"a":[1,'):rep(50000) .. "7" .. ("]}"):rep(50000),
        {max_depth = math.huge})
      for _ = 1, 50000 do value = value.a[2] end
      assert.are.equal(7, value)
    end)

    it("max_size bytes", function()
      assert.are.equal(12, decode("12", {max_size = 2}))
      local err = refused("[1,\n2]", {max_size = 4})
      assert.are.equal("6 bytes are more than max_size: line 2 column 1 (byte 5)", err.message)
      decode("[]", {max_size = math.huge})
      refused("1", {max_size = 0})
    end)
  end)

  it("works in tasks, and its errors pass through await", function()
    local function parse(text)
      await(sleep(0))
      return decode(text)
    end
    local main = async(function()
      local ok, err = pcall(await, async(parse)("[1"))
      assert.is_false(ok)
      assert.is_true(asyncio.isinstance(err, json.JSONDecodeError))
      return await(async(parse)("[1]"))
    end)
    assert.are.same({1}, run(main()))
  end)
end)
