-- net_examples_spec.lua: the programs of scripts/examples that use `net`.

local net = require "net"
local program = require "program"
local tasks = require "tasks"

local folder = "scripts/examples/"

-- Runs an example that is a server, and fn(port, its output) while it runs; then
-- interrupts it.
local function served(name, arguments, fn)
  local files <close> = program.folder()
  local child <close> = assert(io.popen(("echo $$; exec %s %s%s %s 2>%s"):format(
    program.quote(program.neap), folder, name, arguments, files:file("stderr"))))
  local pid = child:read("l")
  local port = math.tointeger(assert(child:read("l")):match("^listening on 127%.0%.0%.1, port (%d+)$"))
  do
    local _ <close> = tasks.at_end(function() os.execute("kill -INT " .. pid) end)
    fn(port, child)
  end
  local _, how, code = child:close()
  assert.same({"exit", 130}, {how, code})
  assert.equal("KeyboardInterrupt\n", program.read(files:file("stderr")))
end

-- A function for `served` that runs fn(port) as the main task.
local function within_task(fn)
  return function(port) tasks.main(fn, port) end
end

describe("the example", function()
  it("echo-server sends back what it gets", function()
    served("echo-server.lua", "0", within_task(function(port)
      local one <close> = await(net.connect("127.0.0.1", port))
      local two <close> = await(net.connect("127.0.0.1", port))
      await(one:write("from one"))
      await(two:write("from two"))
      assert.equal("from two", await(two:readexactly(8)))
      await(one:shutdown())
      assert.equal("from one", await(one:read("a")))
    end))
  end)

  it("chat-server lets clients talk", function()
    served("chat-server.lua", "0", within_task(function(port)
      local function joined(name)
        local s = await(net.connect("127.0.0.1", port))
        assert.equal("your name? ", await(s:readuntil("? ")))
        await(s:write(name, "\n"))
        return s
      end
      local ann <close> = joined("ann")
      await(ann:write("to nobody\n"))
      local bob <close> = joined("bob")
      assert.equal("bob comes", await(ann:read("l")))
      await(ann:write("hello\n"))
      assert.equal("ann: hello", await(bob:read("l")))
      local other <close> = joined(" ann ")
      assert.equal("that will not do; your name? ", await(other:readuntil("? ")))
      await(other:write("cy\n"))
      assert.equal("cy comes", await(bob:read("l")))
      assert.equal("cy comes", await(ann:read("l")))
      bob:close()
      assert.equal("bob goes", await(ann:read("l")))
      assert.equal("bob goes", await(other:read("l")))
    end))
  end)

  it("tcp-proxy moves bytes both ways", function()
    local large = ("0123456789"):rep(200000)
    served("echo-server.lua", "0", function(behind)
      served("tcp-proxy.lua", "127.0.0.1 " .. behind, function(front, output)
        tasks.main(function()
          local s <close> = await(net.connect("127.0.0.1", front))
          local writer = create_task(tasks.co(function()
            await(s:write(large))
            await(s:shutdown())
          end))
          assert.is_true(large == await(s:read("a")))
          await(writer)
        end)
        -- it may still be on its way to this line
        assert.matches("^127%.0%.0%.1:%d+: 2000000 bytes there, 2000000 back$", output:read("l"))
      end)
    end)
  end)

  it("programs say how they are used", function()
    for _, case in ipairs {
      {"tcp-proxy.lua HOST PORT [own port]", "localhost", "localhost 80 x", "localhost 80 65536"},
      {"echo-server.lua [port]", "x", "0.5", "99999"},
      {"chat-server.lua [port]", "0.5", "-1"},
      {"port-scanner.lua [first [last]]", "127.0.0.1", "x", "-1", "5 4", "5 65536"},
    } do
      for i = 2, #case do
        local result = program.run(("exec %s %s%s %s"):format(program.quote(program.neap), folder,
          case[1]:match "%S+", case[i]), {timeout = 20})
        assert.same({code = 2, stdout = "", stderr = ("usage: %s\n"):format(case[1])}, result)
      end
    end
  end)

  it("port-scanner finds a port that is open", function()
    tasks.main(function()
      local server <close> = await(net.listen("127.0.0.1", 0, function() end))
      local _, port = server:address()
      local result = program.run {program.neap, folder .. "port-scanner.lua", port - 1, port + 1}
      assert.equal(0, result.code)
      assert.matches("port " .. port .. " is open\n", result.stdout)
      assert.matches("^%d of 3 ports, in ", result.stderr)
    end)
  end)
end)
