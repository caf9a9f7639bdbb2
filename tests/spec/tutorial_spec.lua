-- tutorial_spec.lua: the programs of scripts/tutorial print what they
-- print in Python, line by line, and take the time they should.
--
-- Lower bounds on times are exact; upper bounds leave room for a machine
-- that is busy, but less than what the programs are there to save.

local asyncio = require "asyncio"
local program = require "program"
local servers = require "http_servers"

local folder = "scripts/tutorial/"

-- Those that take a second or more: they run side by side.
local slow = {
  "05-await", "07-task-awaited", "09-one-after-another",
  "10-interleaving", "11-say-hello", "12-downloads",
}

local function path(name)
  return folder .. name .. ".lua"
end

-- The lines as one text, as a program writes them.
local function lines(list)
  return table.concat(list, "\n") .. "\n"
end

-- The number of the line of a program that holds `text`.
local function line_of(name, text)
  local number = 0
  for line in program.read(path(name)):gmatch("([^\n]*)\n") do
    number = number + 1
    if line:find(text, 1, true) then
      return number
    end
  end
  error(name .. " has no line with " .. text)
end

-- Runs one program; the result has a field `seconds`.
local function run_program(name, ...)
  local start = asyncio.time()
  local result = program.run {program.neap, path(name), ...}
  result.seconds = asyncio.time() - start
  return result
end

-- Prints the seconds since the machine was started, cut to 1/100: a clock
-- that the shell can read and nobody sets.
local UPTIME = "read up idle </proc/uptime; echo $up"

-- Runs programs side by side; gives a table of results by name.
local function run_together(names)
  local files <close> = program.folder()
  local script = {}
  for _, name in ipairs(names) do
    local out = program.quote(files:file(name))
    script[#script + 1] = table.concat({
      "{ " .. UPTIME .. " >" .. out .. ".start",
      program.quote(program.neap) .. " " .. path(name) .. " >" .. out .. ".out 2>" .. out .. ".err",
      "echo $? >" .. out .. ".code",
      UPTIME .. " >" .. out .. ".end; } &",
    }, "; ")
  end
  script[#script + 1] = "wait"
  local shell = program.run(table.concat(script, "\n"))
  assert(shell.code == 0 and shell.stderr == "", shell.stderr)

  local results = {}
  for _, name in ipairs(names) do
    local function read(what)
      return program.read(files:file(name .. what))
    end
    results[name] = {
      stdout = read ".out",
      stderr = read ".err",
      code = tonumber(read ".code"),
      seconds = tonumber(read ".end") - tonumber(read ".start"),
    }
  end
  return results
end

describe("tutorial", function()
  local finished -- results of the slow programs, by name

  setup(function()
    finished = run_together(slow)
  end)

  local function succeeds(result, stdout)
    assert.are.equal("", result.stderr)
    assert.are.equal(lines(stdout), result.stdout)
    assert.are.equal(0, result.code)
  end

  local function takes(result, at_least, less_than)
    -- the shell's clock is cut to 1/100 s
    assert.is_true(result.seconds > at_least - 0.01, "only " .. result.seconds .. " s")
    assert.is_true(result.seconds < less_than, "as long as " .. result.seconds .. " s")
  end

  it("01: a blocking sleep holds up the lines after it", function()
    local result = run_program("01-blocking", "0.2")
    succeeds(result, {"in foo", "end foo", "Termination of the program"})
    takes(result, 0.2, 5)
  end)

  it("02: a call gives a coroutine object, and a warning at the end", function()
    local name = "02-coroutine-object"
    local result = run_program(name)
    assert.matches("^<coroutine object main at 0x%x+>\n$", result.stdout)
    local warning, place = result.stderr:match("^([^\n]*)\n(.*)$")
    assert.are.equal("RuntimeWarning: coroutine 'main' was never awaited", warning)
    local line = path(name) .. ":" .. line_of(name, "print(main())")
    assert.is_truthy(place:find(line, 1, true), place)
    assert.is_nil(place:find("RuntimeWarning", 1, true), "the warning comes once")
    assert.are.equal(0, result.code)
  end)

  it("03: await at the top level is an error that names run()", function()
    local result = run_program("03-top-level-await")
    local line = line_of("03-top-level-await", "await(main())")
    local message = result.stderr:match("^[^\n]*")
    assert.are.equal("", result.stdout)
    assert.is_truthy(message:find(path("03-top-level-await") .. ":" .. line .. ":", 1, true), message)
    assert.is_truthy(message:find("await", 1, true), message)
    assert.is_truthy(message:find("run(", 1, true), message)
    assert.are.equal(1, result.code)
  end)

  it("04: run runs the coroutine object", function()
    succeeds(run_program("04-run"), {"hello world"})
  end)

  it("05: await runs foo and waits for its second", function()
    local result = finished["05-await"]
    succeeds(result, {"awaiting foo...", "inside foo", "finished awaiting foo"})
    takes(result, 1, 5)
  end)

  it("06: a task that nobody awaits is cut short, and costs no time", function()
    local result = run_program("06-task-cut-short")
    succeeds(result, {"awaiting foo...", "finished awaiting foo", "inside foo"})
    takes(result, 0, 1)
  end)

  it("07: a task that is awaited comes to its end", function()
    local result = finished["07-task-awaited"]
    succeeds(result, {"awaiting foo...", "finished awaiting foo", "inside foo", "Ending foo"})
    takes(result, 1, 5)
  end)

  it("08: a task printed too early is pending, and says where it is", function()
    local name = "08-task-pending"
    local result = run_program(name)
    local place = path(name) .. ":" .. line_of(name, "function async.fetch_data()")
    succeeds(result, {
      "<Task pending name='Task-2' coro=<fetch_data() running at " .. place .. ">>",
      "Start fetching",
      "0",
    })
    takes(result, 0, 2)
  end)

  it("09: two plain awaits come one after the other", function()
    local result = finished["09-one-after-another"]
    local seconds = tonumber(result.stdout:match("took (%d+%.%d) seconds\n$"))
    assert.is_truthy(seconds and seconds >= 4.5 and seconds < 9, result.stdout)
    succeeds(result, {
      "Start fetching", "Done fetching", "{data = 1}",
      "0", "1", "2", "3", "4", "5", "6", "7", "8", "9",
      string.format("took %.1f seconds", seconds),
    })
    takes(result, 4.5, 10)
  end)

  it("10: two tasks interleave: eight numbers, the value, two numbers", function()
    local expected = {
      "Start fetching",
      "0", "1", "2", "3", "4", "5", "6", "7",
      "Done fetching", "{data = 1}",
      "8", "9",
    }
    local result = finished["10-interleaving"]
    -- On a machine that stood still for a moment, timers a quarter of a
    -- second apart come due together. Only then, look again.
    for _ = 1, 2 do
      if result.stdout == lines(expected) then
        break
      end
      result = run_program("10-interleaving")
    end
    succeeds(result, expected)
    takes(result, 2.5, 6)
  end)

  it("11: say_hello lets two seconds pass between its lines", function()
    local result = finished["11-say-hello"]
    succeeds(result, {"Hello, Alice", "Goodbye, Alice"})
    takes(result, 2, 6)
  end)

  it("12: three downloads of 2 seconds take 2 seconds together, not 6", function()
    local result = finished["12-downloads"]
    local seconds = tonumber(result.stdout:match("took (%d+) seconds\n$"))
    assert.is_truthy(seconds and seconds >= 2 and seconds < 5, result.stdout)
    succeeds(result, {
      "Starting download for file1.pdf",
      "Starting download for file2.pdf",
      "Starting download for file3.pdf",
      "Finished downloading file1.pdf",
      "Finished downloading file2.pdf",
      "Finished downloading file3.pdf",
      string.format("took %d seconds", seconds),
    })
    takes(result, 2, 5)
  end)

  describe("against a server", function()
    local nginx, faults

    setup(function()
      nginx, faults = servers.nginx(), servers.faults()
    end)

    teardown(servers.stop)

    local function todo(id)
      return ('{"completed":false,"id":%d,"title":"todo %d","userId":1}'):format(id, id)
    end

    it("13: two requests over TLS give two todos", function()
      succeeds(run_program("13-fetch-several", nginx.https, nginx.ca), {todo(1), todo(2)})
    end)

    it("13: the error of a request that nobody catches ends the program", function()
      local result = run_program("13-fetch-several", faults.refused)
      assert.equal(1, result.code)
      assert.equal("", result.stdout)
      assert.matches("ClientConnectorError: .*/todos/[12].*\n.*async function 'fetch_data'",
        result.stderr)
    end)

    it("14: prints the todo when nothing goes wrong", function()
      succeeds(run_program("14-error-handling", nginx.https, nginx.ca), {todo(1)})
    end)

    for _, case in ipairs {
      {"a server that nobody runs", function() return faults.refused end,
        "ClientConnectorError"},
      -- a label of more than 63 letters: no server of names is asked
      {"a host that there is not",
        function() return "https://" .. ("x"):rep(64) .. ".invalid" end,
        "ClientConnectorError"},
      {"a certificate for another host", function() return nginx.wrong_name end,
        "ClientSSLError"},
      {"a page that is not found", function() return nginx.https .. "/nowhere" end,
        "ClientResponseError: 404"},
    } do
      local name, server, expected = table.unpack(case)
      it("14: catches the error of " .. name, function()
        local url = server()
        local result = run_program("14-error-handling", url, nginx.ca)
        succeeds(result, {result.stdout:match "[^\n]*"})
        assert.equal("An error occurred: " .. expected, result.stdout:sub(1, 19 + #expected))
        assert.is_truthy(result.stdout:find(url .. "/todos/1", 1, true), result.stdout)
      end)
    end

    it("14: does not trust an authority that nobody named", function()
      local result = run_program("14-error-handling", nginx.https)
      succeeds(result, {result.stdout:match "[^\n]*"})
      assert.matches("^An error occurred: ClientSSLError: ", result.stdout)
    end)
  end)

  it("has a test for every program, and a line in scripts/README.md", function()
    local readme = program.read("scripts/README.md")
    local spec = program.read("tests/spec/tutorial_spec.lua")
    local count = 0
    for file in program.capture("ls " .. folder):gmatch("[^\n]+") do
      count = count + 1
      assert.is_truthy(readme:find("`" .. file .. "`", 1, true), file .. " is not in README.md")
      local name = file:match("^(%d%d%-.+)%.lua$")
      assert.is_truthy(name and spec:find('"' .. name .. '"', 1, true), file .. " has no test")
    end
    assert.are.equal(14, count)
  end)
end)
