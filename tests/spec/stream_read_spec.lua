-- stream_read_spec.lua: reading from streams: formats, limits, ends.

local asyncio = require "asyncio"
local net = require "net"
local program = require "program"
local stream = require "stream"
local streams = require "streams"
local tasks = require "tasks"

local co, begun, caught, refused = tasks.co, tasks.begun, tasks.caught, tasks.refused
local ends = streams.ends

-- Runs fn(s) on a stream where these pieces come, one in each turn or more,
-- and then the end.
local function reading(pieces, fn)
  return ends(function(from, s)
    local writer = create_task(co(function()
      for _, piece in ipairs(pieces) do
        await(from:write(piece))
        tasks.turns(3)
      end
      await(from:shutdown())
    end))
    local result = table.pack(fn(s))
    await(writer)
    return table.unpack(result, 1, result.n)
  end)
end

describe("stream:read", function()
  it("without a format gives what there is, and nil at the end", function()
    reading({"abc"}, function(s)
      assert.equal("abc", await(s:read()))
      assert.is_nil(await(s:read()))
      assert.is_nil(await(s:read()))
    end)
  end)

  it("gives at most so many bytes, as soon as there is one", function()
    reading({"abcdef"}, function(s)
      assert.equal("abcd", await(s:read(4)))
      assert.equal("ef", await(s:read(4)))
      assert.is_nil(await(s:read(4)))
    end)
  end)

  it('"l" gives lines without their ends, "L" with them', function()
    reading({"one\n\ntw", "o\nthree\r\nfo", "ur"}, function(s)
      assert.equal("one", await(s:read("l")))
      assert.equal("", await(s:read("l")))
      assert.equal("two\n", await(s:read("L")))
      assert.equal("three\r", await(s:read("*l")))
      assert.equal("four", await(s:read("L")))
      assert.is_nil(await(s:read("l")))
      assert.is_nil(await(s:read("L")))
    end)
  end)

  it('"a" gives all until the end, and "" there', function()
    local large = ("0123456789"):rep(50000)
    reading({"x", large, "y"}, function(s)
      assert.is_true("x" .. large .. "y" == await(s:read("a")))
      assert.equal("", await(s:read("a")))
      assert.is_nil(await(s:read()))
    end)
  end)

  it("keeps all bytes, zeros and those beyond ASCII", function()
    local bytes = {}
    for i = 0, 255 do bytes[i + 1] = string.char(i) end
    local all = table.concat(bytes)
    reading({all}, function(s) assert.equal(all, await(s:read("a"))) end)
  end)

  it("refuses other formats and limits", function()
    reading({}, function(s)
      local expected = 'read: "l", "L", "a" or a number of bytes expected, got '
      assert.equal(expected .. "n", refused(function() await(s:read("n")) end))
      assert.equal(expected .. "ll", refused(function() await(s:read("ll")) end))
      assert.equal(expected .. "l", refused(function() await(s:read("l\0x")) end))
      assert.equal(expected .. "", refused(function() await(s:read("")) end))
      assert.equal(expected .. "true", refused(function() await(s:read(true)) end))
      assert.equal("read: number of bytes is 0, but has to be from 1 to 1099511627776",
        refused(function() await(s:read(0)) end))
      assert.equal("read: an integer expected as number of bytes, got 1.5",
        refused(function() await(s:read(1.5)) end))
      assert.equal("read: an integer expected as limit, got string",
        refused(function() await(s:read("l", "1")) end))
      assert.equal("Stream.read: a Stream expected, got string; write stream:read()",
        refused(function() await(s.read("s")) end))
    end)
  end)
end)

describe("stream:readexactly", function()
  it("waits for all of them", function()
    reading({"ab", "c", "defg"}, function(s)
      assert.equal("abcde", await(s:readexactly(5)))
      assert.equal("", await(s:readexactly(0)))
      assert.equal("fg", await(s:readexactly(2)))
    end)
  end)

  it("gives more than is read ahead", function()
    local large = ("0123456789abcdef"):rep(40000)
    reading({large, "x"}, function(s)
      assert.is_true(large == await(s:readexactly(#large)))
      assert.equal("x", await(s:readexactly(1)))
    end)
  end)

  it("raises an IncompleteReadError at the end, with what there was", function()
    reading({"abc"}, function(s)
      local err = caught(await, s:readexactly(5))
      assert.is_true(asyncio.isinstance(err, stream.IncompleteReadError))
      assert.equal("IncompleteReadError: 3 bytes of 5 read, and the stream has ended", tostring(err))
      assert.same({"abc", 5}, {err.partial, err.expected})
      assert.equal("", caught(await, s:readexactly(1)).partial)
    end)
  end)
end)

describe("stream:readuntil", function()
  it("gives what ends with the separator, which may come in pieces", function()
    reading({"one\r", "\ntwo\r\r\n\r\nthree|", "four\n"}, function(s)
      assert.equal("one\r\n", await(s:readuntil("\r\n")))
      assert.equal("two\r\r\n", await(s:readuntil("\r\n")))
      assert.equal("\r\n", await(s:readuntil("\r\n")))
      assert.equal("three|", await(s:readuntil("|")))
      assert.equal("four\n", await(s:readuntil()))
    end)
  end)

  it("finds one that begins where another search ended", function()
    reading({"ab-", "-", "-cd"}, function(s)
      assert.equal("ab--", await(s:readuntil("--")))
      assert.equal("-cd", await(s:readuntil("cd")))
    end)
  end)

  it("raises an IncompleteReadError when there is none", function()
    reading({"ab"}, function(s)
      local err = caught(await, s:readuntil("|"))
      assert.is_true(asyncio.isinstance(err, stream.IncompleteReadError))
      assert.equal("ab", err.partial)
      assert.is_nil(err.expected)
    end)
  end)

  it("refuses separators that are none", function()
    reading({}, function(s)
      assert.equal("readuntil: the separator is empty", refused(function() await(s:readuntil("")) end))
      assert.equal("readuntil: a string expected as separator, got number",
        refused(function() await(s:readuntil(1)) end))
    end)
  end)
end)

describe("stream:lines", function()
  it("goes through all lines", function()
    reading({"a\nb", "\n\nc"}, function(s)
      local list = {}
      for line in s:lines() do list[#list + 1] = line end
      assert.same({"a", "b", "", "c"}, list)
    end)
  end)

  it("takes the formats of read", function()
    reading({"a\nbcd"}, function(s)
      assert.equal("a\n", s:lines("L")())
      local list = {}
      for piece in s:lines(2) do list[#list + 1] = piece end
      assert.same({"bc", "d"}, list)
    end)
  end)
end)

describe("a limit", function()
  local function overrun(limit, coro, text)
    local err = caught(await, coro)
    assert.is_true(asyncio.isinstance(err, stream.LimitOverrunError))
    assert.equal(limit, err.limit)
    assert.equal("LimitOverrunError: " .. text, tostring(err))
  end

  it("holds for lines, and what was read stays", function()
    reading({"12345\n1234", "56\nrest"}, function(s)
      assert.equal("12345", await(s:read("l", 5)))
      overrun(5, s:read("l", 5), "the line is longer than the limit, 5 bytes")
      overrun(5, s:read("L", 5), "the line is longer than the limit, 5 bytes")
      assert.equal("123456", await(s:read("l", 6)))
      assert.equal("rest", await(s:read("l", 4)))
    end)
  end)

  it("holds for separators, all there is, and iterators", function()
    reading({"123456||78\n"}, function(s)
      overrun(5, s:readuntil("||", 5), "no separator: what came is longer than the limit, 5 bytes")
      assert.equal("123456||", await(s:readuntil("||", 6)))
      overrun(2, s:read("a", 2), "what came is longer than the limit, 2 bytes")
      local err = caught(s:lines("l", 1))
      assert.equal(1, err.limit)
      assert.equal("78\n", await(s:read("a", 3)))
    end)
  end)

  it("is there for lines without being asked for", function()
    ends(function(from, s)
      local writer = begun(co(function() await(from:write(("x"):rep(1 << 23))) end))
      overrun(1 << 20, s:read("l"), "the line is longer than the limit, 1048576 bytes")
      assert.is_false(writer:done()) -- nor was more read than that
      writer:cancel()
    end)
  end)
end)

describe("a reader", function()
  it("is alone: a second one is refused", function()
    ends(function(from, s)
      local first = begun(s:read())
      assert.equal("read: another task reads this stream", refused(function() await(s:read()) end))
      await(from:write("x"))
      assert.equal("x", await(first))
      await(from:write("y"))
      assert.equal("y", await(s:read()))
    end)
  end)

  it("that is cancelled loses no bytes", function()
    ends(function(from, s)
      for _, coro in ipairs {s:read("l"), s:readexactly(100), s:read("a"), s:readuntil("x")} do
        local reader = begun(coro)
        await(from:write("abc"))
        tasks.turns(3)
        reader:cancel()
        tasks.is_a("CancelledError", caught(await, reader))
      end
      await(from:write("\n"))
      assert.equal("abcabcabcabc", await(s:read("l")))
    end)
  end)

  it("that is cancelled when the bytes come loses none", function()
    for turns = 0, 8 do
      ends(function(from, s)
        local reader = begun(s:read())
        await(from:write("abc"))
        tasks.turns(turns)
        reader:cancel()
        local ok, got = asyncio.catch(await, reader)
        await(from:shutdown())
        assert.equal("abc", (ok and got or "") .. await(s:read("a")))
      end)
    end
  end)

  it("tells of a reset that comes with the last bytes", function()
    -- who closes a socket that has unread bytes resets the connection
    local function resets(s)
      while tostring(s):find "closed" do await(sleep(0)) end
      await(s:write("half of"))
    end
    local folder <close> = program.folder()
    tasks.main(function()
      local unix <close> = await(net.listen_unix(folder:file "socket", async(resets)))
      local tcp <close> = await(net.listen("127.0.0.1", 0, async(resets)))
      for _, server in ipairs {unix, tcp} do
        for _, format in ipairs {"a", "l", 10} do
          local host, port = server:address()
          local s <close> = await(port and net.connect(host, port) or net.connect_unix(host))
          await(s:write("unread"))
          tasks.wait_until(function() return tostring(server):find " 0 connections" end)
          if format == 10 then assert.equal("half of", await(s:read(format))) end
          local err = caught(await, s:read(format))
          tasks.is_a("OSError", err)
          assert.same({"ECONNRESET", "read"}, {err.code, err.syscall})
        end
      end
    end)
  end)

  it("tells nothing of a reset that comes behind the end", function()
    ends(function(from, s)
      await(from:write("all"))
      await(from:shutdown())
      await(s:write("unread"))
      from:close() -- resets it
      assert.equal("all", await(s:read "a"))
    end)
  end)

  it("takes turns with timeouts", function()
    ends(function(from, s)
      tasks.is_a("TimeoutError", caught(await, asyncio.wait_for(s:read(), 0.01)))
      await(from:write("late"))
      assert.equal("late", await(s:read()))
    end)
  end)

  it("reads ahead so much, and then lets the writer wait", function()
    ends(function(from, s)
      local piece, sent = ("x"):rep(1 << 20), 0
      local writer = begun(co(function()
        for _ = 1, 64 do
          await(from:write(piece))
          sent = sent + #piece
        end
        await(from:shutdown())
      end))
      assert.equal("x", await(s:read(1)))
      local before
      repeat -- the kernel's buffers fill up
        before = sent
        for _ = 1, 50 do await(sleep(0)) end
        await(sleep(0.01))
      until before == sent
      assert.is_true(sent < 32 << 20, "the writer was never stopped")
      local got, most = 1, 0
      for data in s:lines(1 << 30) do
        got = got + #data
        most = math.max(most, #data)
      end
      assert.equal(64 << 20, got)
      assert.is_true(most <= 2 * 65536, most .. " bytes were read ahead")
      await(writer)
    end)
  end)
end)
