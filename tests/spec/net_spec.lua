-- net_spec.lua: the module `net`: connections, servers, names.

local net = require "net"
local tasks = require "tasks"

local main = tasks.main

-- Sends everything back.
local echo = async(function(s)
  while true do
    local data = await(s:read())
    if not data then return end
    await(s:write(data))
  end
end)

-- Runs fn(stream) on one side of a connection, with handler(stream) on the
-- other; gives the results of fn.
local function connected(handler, fn)
  return main(function()
    local server <close> = await(net.listen("127.0.0.1", 0, handler))
    local s <close> = await(net.connect(server:address()))
    return fn(s)
  end)
end

describe("net", function()
  it("sends lines and gets them back", function()
    connected(echo, function(s)
      await(s:write("hello\n", 7, "\nrest"))
      assert.equal("hello", await(s:read("l")))
      assert.equal("7\n", await(s:read("L")))
      await(s:shutdown())
      assert.equal("rest", await(s:read("a")))
      assert.is_nil(await(s:read()))
    end)
  end)

  it("sends and gets more than any buffer holds", function()
    local sent = ("0123456789abcdef"):rep(1 << 17)
    connected(echo, function(s)
      local writer = create_task(tasks.co(function()
        await(s:write(sent))
        await(s:shutdown())
      end))
      assert.is_true(sent == await(s:read("a")))
      await(writer)
    end)
  end)
end)
