-- time_spec.lua: the module `time`: its clocks, and the sleep that blocks.

local asyncio = require "asyncio"
local program = require "program"
local time = require "time"

describe("time", function()
  it("has exactly the functions it documents", function()
    local names = {}
    for name, value in pairs(time) do
      assert.is_function(value)
      names[#names + 1] = name
    end
    table.sort(names)
    assert.are.same({"monotonic", "sleep", "time"}, names)
  end)

  it("time() is os.time() with a fraction", function()
    local before = os.time()
    local now = time.time()
    local afterwards = os.time()
    assert.are.equal("float", math.type(now))
    assert.is_true(before <= now and now < afterwards + 1)
  end)

  it("monotonic() is a float that never goes back", function()
    local last = time.monotonic()
    assert.are.equal("float", math.type(last))
    for _ = 1, 1000 do
      local now = time.monotonic()
      assert.is_true(now >= last)
      last = now
    end
  end)

  describe("sleep", function()
    it("lasts at least as long as asked", function()
      for _, seconds in ipairs {0.05, 0.0301, 0.001, 1e-6} do
        local start = time.monotonic()
        time.sleep(seconds)
        assert.is_true(time.monotonic() - start >= seconds)
      end
    end)

    it("returns nothing, and at once for 0", function()
      assert.are.equal(0, select("#", time.sleep(0)))
      assert.are.equal(0, select("#", time.sleep(0.0)))
      assert.are.equal(0, select("#", time.sleep(-0.0)))
    end)

    it("takes integers, floats, and strings that read as numbers", function()
      local start = time.monotonic()
      time.sleep("0.02")
      assert.is_true(time.monotonic() - start >= 0.02)
    end)

    it("blocks every task of the loop", function()
      local order = {}
      local other = async(function()
        order[#order + 1] = "other"
      end)
      local main = async(function()
        local task = create_task(other())
        asyncio.call_soon(function() order[#order + 1] = "callback" end)
        time.sleep(0.02)
        order[#order + 1] = "slept"
        await(task)
      end)
      run(main())
      assert.are.same({"slept", "other", "callback"}, order)
    end)

    it("refuses what is no duration, with the caller's position", function()
      local function message(...)
        local arguments = table.pack(...)
        local ok, err = pcall(function()
          time.sleep(table.unpack(arguments, 1, arguments.n))
        end)
        assert.is_false(ok)
        assert.matches("^[^\n]*time_spec%.lua:%d+: ", err)
        return err:match("%((.*)%)$")
      end
      assert.are.equal("number expected, got no value", message())
      assert.are.equal("number expected, got nil", message(nil))
      assert.are.equal("number expected, got table", message({}))
      assert.are.equal("number expected, got string", message("soon"))
      assert.are.equal("seconds is NaN", message(0 / 0))
      assert.are.equal("seconds must not be negative", message(-1))
      assert.are.equal("seconds must not be negative", message(-1e-9))
      assert.are.equal("seconds must not be negative", message(-math.huge))
    end)
  end)

  describe("sleep and signals", function()
    -- Statements that send a signal to the script once it sleeps; one that
    -- comes before that does what it should as well.
    local function later(signal)
      return ('local signal = io.popen("sleep 0.2; kill -%s $PPID")\n'):format(signal)
    end

    local function slept(code)
      return program.run_script('local time = require "time"\n' .. code
        .. "\nlocal start = time.monotonic() time.sleep(0.6)\n"
        .. "print(time.monotonic() - start >= 0.6)")
    end

    -- A handler interrupts the sleep's system call.
    local handler = [[
      local uv = require "luv"
      local watcher = uv.new_signal()
      watcher:start("sigusr1")
    ]]

    it("ends at Ctrl-C, with the usual error", function()
      local result = program.run_script(later "INT"
        .. 'require("time").sleep(math.huge)')
      assert.is_truthy(result.stderr:find("interrupted!", 1, true), result.stderr)
      assert.are.equal(1, result.code)
    end)

    it("ends at Ctrl-C in a task, whose cleanup runs", function()
      local result = program.run_script(later "INT" .. [[
        local time = require "time"
        run(async(function()
          local guard <close> = setmetatable({}, {__close = function()
            print("cleanup")
          end})
          time.sleep(math.huge)
          await(sleep(math.huge))
        end)())
      ]])
      assert.are.equal("cleanup\n", result.stdout)
      assert.are.equal(130, result.code)
    end)

    it("goes on after a signal that does not concern it", function()
      local result = slept(handler .. later "USR1")
      assert.are.equal("", result.stderr)
      assert.are.equal("true\n", result.stdout)
    end)

    it("goes on after the program was stopped and continued", function()
      local result = slept(later "STOP $PPID; kill -CONT")
      assert.are.equal("", result.stderr)
      assert.are.equal("true\n", result.stdout)
    end)

    it("ends early for a hook to run, as documented", function()
      local result = program.run_script(handler .. later "USR1" .. [[
        local ran = false
        debug.sethook(function() ran = true end, "l")
        require("time").sleep(math.huge)
        print(ran)
      ]])
      assert.are.equal("", result.stderr)
      assert.are.equal("true\n", result.stdout)
    end)
  end)
end)
