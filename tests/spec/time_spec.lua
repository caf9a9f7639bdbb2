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
    assert.are.same({"iso", "monotonic", "parse", "sleep", "time"}, names)
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

  describe("iso", function()
    it("writes UTC with milliseconds", function()
      assert.are.equal("1970-01-01T00:00:00.000Z", time.iso(0))
      assert.are.equal("1969-12-31T23:59:59.500Z", time.iso(-0.5))
      assert.are.equal("2000-02-29T12:34:56.789Z", time.iso(951827696.789))
    end)

    it("rounds to so many digits", function()
      assert.are.equal("1970-01-01T00:00:02Z", time.iso(1.5, {digits = 0}))
      assert.are.equal("1970-01-01T00:00:01.500000000Z", time.iso(1.5, {digits = 9}))
      assert.are.equal("2000-01-01T00:00:00.0Z", time.iso(946684799.96, {digits = 1}))
    end)

    it("writes local time with its offset", function()
      for zone, expected in pairs {
        ["UTC0"] = "1970-01-01T00:00:00.000+00:00",
        ["EST5"] = "1969-12-31T19:00:00.000-05:00",
        ["NPT-5:45"] = "1970-01-01T05:45:00.000+05:45",
        ["LMT-0:53:28"] = "1970-01-01T00:53:00.000+00:53", -- the same moment
        ["MMT0:44:30"] = "1969-12-31T23:16:00.000-00:44",
      } do
        local result = program.run_script('print(require("time").iso(0, {utc = false}))', {env = {TZ = zone}})
        assert.are.equal(expected .. "\n", result.stdout, result.stderr)
      end
    end)

    it("is now without a moment", function()
      local before = time.time()
      local now = time.parse(time.iso(nil, {digits = 9}))
      assert.is_true(before - 1e-6 <= now and now <= time.time() + 1e-6)
    end)

    it("writes the years 0 to 9999 and no others", function()
      assert.are.equal("0000-01-01T00:00:00.000Z", time.iso(-62167219200))
      assert.are.equal("9999-12-31T23:59:59.999Z", time.iso(253402300799.999))
      for _, t in ipairs {-62167219201, 253402300800, 253402300799.9999, 1e300, -math.huge, 0 / 0} do
        assert.has_error(function() time.iso(t) end)
      end
    end)

    it("tells what is wrong", function()
      local function message(...) return select(2, pcall(time.iso, ...)) end
      assert.matches("time_spec.lua:%d+: time.iso: a number of seconds expected, got string$", message "0")
      assert.matches("time.iso: a table expected as options, got boolean$", message(0, true))
      assert.matches("time.iso: unknown option 'zone' %(there are digits, utc%)$", message(0, {zone = "utc"}))
      assert.matches("time.iso: a boolean expected as utc, got string$", message(0, {utc = "local"}))
      assert.matches("time.iso: digits is 10, but has to be from 0 to 9$", message(0, {digits = 10}))
    end)
  end)

  describe("parse", function()
    it("reads what iso writes", function()
      for _, t in ipairs {0, -1, 951782400, 951868800, 4107542400, -62162121600, -62167219200, 253402300799} do
        local seconds = time.parse(time.iso(t, {digits = 0}))
        assert.are.equal(t, seconds)
        assert.are.equal("integer", math.type(seconds))
      end
      for _ = 1, 1000 do
        local t = math.random(-62167219200, 253402300799)
        assert.are.equal(t, time.parse(time.iso(t)))
        assert.are.equal(t, time.parse(time.iso(t, {utc = false, digits = 0})))
      end
    end)

    it("reads the other forms of RFC 3339", function()
      assert.are.equal(1795339800, time.parse "2026-11-22t09:30:00z")
      assert.are.equal(1795339800, time.parse "2026-11-22 10:30:00+0100")
      assert.are.equal(1795339800.125, time.parse "2026-11-22T04:00:00.125-05:30")
      assert.are.equal(1795339800.25, time.parse "2026-11-22T09:30:00,25000000000000000001Z")
      assert.are.equal(1483228800, time.parse "2016-12-31T23:59:60Z")
    end)

    it("gives nil for anything else", function()
      for _, text in ipairs {
        "", "2026", "2026-11-22", "2026-11-22T09:30Z", "2026-13-22T09:30:00Z", "2023-02-29T09:30:00Z",
        "1900-02-29T09:30:00Z", "2026-11-22T24:00:00Z", "2026-11-22T09:60:00Z", "2026-11-22T09:30:61Z",
        "2026-11-22T09:30:00.Z", "2026-11-22T09:30:00+1", "2026-11-22T09:30:00+24:00",
        "2026-11-22T09:30:00Z ", "2026-11-22T09:30:00Z\0", " 2026-11-22T09:30:00Z", "+2026-11-22T09:30:00Z",
      } do
        local seconds, message = time.parse(text)
        assert.is_nil(seconds)
        assert.matches("': no moment as in '2026%-11%-22T09:30:00Z'$", message)
      end
      assert.are.equal("'2026-11-22T09:30:00': no time zone: 'Z' or '+01:00' belongs at the end",
        select(2, time.parse "2026-11-22T09:30:00"))
      assert.has_error(function() time.parse(1795339800) end)
    end)
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
