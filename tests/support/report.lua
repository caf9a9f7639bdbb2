-- report.lua - busted's output: a line a file, every failure in full where
-- it happens, every skipped test with its reason, and the count at the end.
--
-- A test counts once: it failed when its body, a `finally` or an
-- after_each did. What fails outside a test (a file that does not load, a
-- before_each, a leak at the end of a file) counts as one failure.
--
-- For tests/support/check, the file that NEAP_TEST_LOG names gets a line
-- "run NAME" before each test and "total PASSED FAILED SKIPPED" at the end.

local busted = require "busted"
local pretty = require "pl.pretty"

local M = {}

local count = {passed = 0, failed = 0, skipped = 0}
local in_file = {passed = 0, failed = 0, skipped = 0}
local file    -- the file that runs: its name, and when it started
local current -- the last test that started: {element, status, failed, reason}
local verbose = false

local function log(...)
  local path = os.getenv "NEAP_TEST_LOG"
  if path then
    local out = assert(io.open(path, "a"))
    assert(out:write(table.concat({...}, " "), "\n"))
    assert(out:close())
  end
end

local function say(...)
  io.write(table.concat({...}), "\n")
  io.flush()
end

local function add(outcome)
  count[outcome] = count[outcome] + 1
  in_file[outcome] = in_file[outcome] + 1
end

-- "describe names test name"
local function full_name(element)
  local names = {}
  while element and element.descriptor ~= "file" do
    if element.name then
      table.insert(names, 1, element.name)
    end
    element = busted.parent(element)
  end
  return table.concat(names, " ")
end

-- Counts the test that is over, once nothing more can fail in it.
local function settle()
  local test = current
  current = nil
  if not test then
    return
  end
  local name = full_name(test.element)
  if test.failed then
    add "failed"
  elseif test.status == "pending" then
    add "skipped"
    say("  skipped: ", name, test.reason and " (" .. test.reason .. ")" or "")
  else
    add "passed"
    if verbose then
      say("  ok: ", name)
    end
  end
end

local function settle_file()
  settle()
  if not file then
    return
  end
  local parts = {("%d passed"):format(in_file.passed)}
  if in_file.failed > 0 then
    parts[#parts + 1] = ("%d FAILED"):format(in_file.failed)
  end
  if in_file.skipped > 0 then
    parts[#parts + 1] = ("%d skipped"):format(in_file.skipped)
  end
  say(("%s: %s (%.2f s)"):format(file.name, table.concat(parts, ", "),
    busted.monotime() - file.start))
  in_file = {passed = 0, failed = 0, skipped = 0}
  file = nil
end

local function indented(text)
  return "    " .. text:gsub("\n", "\n    ")
end

local function failed(element, _, message, trace)
  local descriptor = element.descriptor or "run"
  if current and (element == current.element or descriptor == "after_each") then
    element = current.element
    current.failed = true
  else
    settle()
    add "failed"
  end
  local name = full_name(element)
  if name == "" then
    name = element.name or "tests"
  end
  say("  FAILED: ", name, descriptor ~= "it" and " (" .. descriptor .. ")" or "")
  if message == nil then
    message = "error without a value"
  elseif type(message) ~= "string" then
    message = pretty.write(message)
  end
  say(indented(message))
  if verbose and trace and trace.traceback then
    say(indented(trace.traceback))
  end
  return nil, true
end

-- busted publishes these; each handler lets the others have the event, too.
local handlers = {
  [{"file", "start"}] = function(element)
    settle_file()
    file = {name = element.name, start = busted.monotime()}
    return nil, true
  end,
  [{"test", "start"}] = function(element)
    settle()
    current = {element = element}
    log("run", (full_name(element):gsub("%s+", " ")))
    return nil, true
  end,
  [{"test", "end"}] = function(_, _, status)
    current.status = status
    return nil, true
  end,
  [{"pending"}] = function(_, _, message)
    -- busted puts a place before it, which is not always the test's
    current.reason = message and tostring(message):gsub("^[^\n]-:%d+: ", "")
    return nil, true
  end,
  [{"failure"}] = failed,
  [{"error"}] = failed,
  [{"suite", "end"}] = function()
    settle_file()
    if count.passed + count.failed == 0 then
      say "no test ran"
      count.failed = 1
    end
    log("total", count.passed, count.failed, count.skipped)
    if not os.getenv "NEAP_TEST_LOG" then
      say(M.summary(count.passed, count.failed, count.skipped))
    end
    return nil, true
  end,
}

-- The line that every run of tests ends with.
function M.summary(n_passed, n_failed, n_skipped)
  return ("%d passed, %d failed"):format(n_passed, n_failed)
    .. (n_skipped > 0 and (", %d skipped"):format(n_skipped) or "")
end

-- Whether nothing failed; no test at all is a failure, too.
function M.passed()
  return count.failed == 0
end

-- What busted calls to start the output.
return setmetatable(M, {
  __call = function(_, options)
    verbose = options.verbose
    return {
      subscribe = function()
        for channel, handler in pairs(handlers) do
          busted.subscribe(channel, handler, {priority = 1})
        end
      end,
    }
  end,
})
