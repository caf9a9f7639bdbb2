--
-- process.lua - other programs: run to their end, or started, with pipes; and
-- this program: its standard streams, environment, folder, end.
--
local asyncio = require "asyncio"
local stream = require "stream" -- C's half asks it for streams
local c = require "neap.process.c"
local usage = require "neap.module.usage" "process"

local async, await, gather, current_task = asyncio.async, asyncio.await, asyncio.gather, asyncio.current_task
local refuse, check = usage.refuse, usage.check
local error, ipairs, math, pairs, pcall, rawset = error, ipairs, math, pairs, pcall, rawset
local isyieldable = coroutine.isyieldable
local setmetatable, table, tostring, type = setmetatable, table, tostring, type

local GRACE <const> = 5 -- seconds from TERM to KILL
local LIMIT <const> = 64 << 20 -- bytes that `run` keeps of stdout, and of stderr
local MOST <const> = 1 << 40 -- as much as can be read from a stream

local M = {
  pid = c.pid,
  chdir = c.chdir,
  cwd = c.cwd,
  environ = c.environ,
  getenv = c.getenv,
  kill = c.kill,
  setenv = c.setenv,
}

-- The error of run{check=true}: code, signal, stdout, stderr, command.
M.ProcessError = asyncio.Exception:subclass "ProcessError"

-- {=====================================================
-- Children
-- ======================================================

local Process = {__name = "Process"}
Process.__index = Process

local function check_self(self, name) usage.check_self(self, Process, name, "process") end

-- The words for how it has ended.
local function ending(code, signal)
  return code and "exit code " .. code or "signal " .. signal
end

function Process:__tostring()
  local code, signal = c.poll(self.child)
  return ("<Process %d '%s' %s>"):format(self.pid, self.command,
    (code or signal) and "ended: " .. ending(code, signal) or "running")
end

-- await(process:wait()) -> exit code; or nil, name of the signal
Process.wait = async(function(self)
  check_self(self, "wait")
  return c.wait(self.child)
end, "Process.wait")

-- As wait; nothing while it runs.
function Process:poll()
  check_self(self, "poll")
  return c.poll(self.child)
end

-- Sends a signal; gives whether the child was there to get it.
function Process:kill(signal)
  check_self(self, "kill")
  return c.kill_child(self.child, signal or "KILL")
end

function Process:terminate()
  check_self(self, "terminate")
  return c.kill_child(self.child, "TERM")
end

local function close_pipes(self)
  for _, name in ipairs {"stdin", "stdout", "stderr"} do
    local pipe = self[name]
    if pipe then pipe:close() end
  end
end

-- await(process:stop([grace])): TERM, and KILL when it has not ended then;
-- gives what wait gives.
Process.stop = async(function(self, grace)
  check_self(self, "stop")
  local code, signal = c.finish(self.child, check(grace, "number", "grace") or self.grace)
  close_pipes(self)
  return code, signal
end, "Process.stop")

-- Where no task can wait there is no time.
function Process:__close()
  local _ <close> = setmetatable({}, {__close = function() close_pipes(self) end})
  if self.is_over then return end
  c.finish(self.child, current_task() and isyieldable() and self.grace or nil)
end

-- The variables as C wants them.
local function environment(variables)
  if variables == nil then return nil end
  local list = {}
  for name, value in pairs(check(variables, "table", "env")) do
    if type(name) ~= "string" or name == "" or name:find "=" then
      refuse("env: a variable cannot be called '%s'", tostring(name))
    elseif type(value) ~= "string" and type(value) ~= "number" then
      refuse("env: a string expected as %s, got %s", name, usage.describe(value))
    end
    list[#list + 1] = name .. "=" .. value
  end
  return list
end

-- The words of the command, which stand in the list part of the options;
-- for a shell the first one is its command, the others its $1 ...
local function words(options, name)
  local list, shell = {}, options.shell
  if options[1] == nil then refuse("%s: a program expected at [1]", name) end
  for i = 1, #options do -- a nil does not end the list
    local word = options[i]
    if math.type(word) and not (shell and i == 1) then
      word = tostring(word)
    elseif type(word) ~= "string" then
      refuse("%s: a string expected as %s, got %s", name,
        i == 1 and (shell and "the command" or "the program") or "argument " .. i - 1, usage.describe(word))
    end
    list[i] = word
  end
  if shell then
    table.move(list, 2, #list, 5)
    list[1], list[2], list[3], list[4] = "/bin/sh", "-c", list[1], "sh"
  end
  return list
end

-- An option that is a number, but not NaN, nor less than `least`.
local function number_option(options, name, least)
  local value = check(options[name], "number", name)
  if value and (value < least or value ~= value) then refuse("%s cannot be %s", name, tostring(value)) end
  return value
end

-- Refuses names that are not known, and what is no list.
local function check_options(options, known, name)
  if type(options) ~= "table" then
    refuse("%s: a table expected, got %s; write %s{\"program\", \"argument\"}", name,
      usage.describe(options), name)
  end
  local named, count = {}, #options
  for key, value in pairs(options) do
    if math.type(key) ~= "integer" or key < 1 or key > count then named[key] = value end
  end
  usage.check_options(named, known, name)
end

local function start(options, name, group, stdin, stdout, stderr)
  local argv, grace = words(options, name), number_option(options, "grace", 0) or GRACE
  local child, pid, input, output, errors = c.spawn(argv, environment(options.env), options.cwd,
    options.stdin or stdin, options.stdout or stdout, options.stderr or stderr, options.detached, group)
  return setmetatable({
    child = child,
    pid = pid,
    stdin = input,
    stdout = output,
    stderr = errors,
    command = options.shell and argv[3] or argv[1],
    grace = grace,
  }, Process)
end

local spawn_options = usage.set "cwd env stdin stdout stderr shell grace detached group"

-- spawn{program, argument, ..., options} -> process
function M.spawn(options)
  check_options(options, spawn_options, "spawn")
  return start(options, "spawn", check(options.group, "boolean", "group"), "inherit", "inherit", "inherit")
end

-- ====================================================== }

-- {=====================================================
-- run
-- ======================================================

-- Writes the input; a child need not read all of it.
local feed = async(function(pipe, text)
  local ok, err = pcall(await, pipe:write(text))
  if not ok and err.code ~= "EPIPE" and err.code ~= "ECONNRESET" then error(err, 0) end
  pipe:close()
end, "process.run")

local collect = async(function(pipe, child, name, limit)
  local ok, text = pcall(await, pipe:read("a", limit))
  if ok then return text end
  if asyncio.isinstance(text, stream.LimitOverrunError) then
    text = stream.LimitOverrunError(("run: '%s' wrote more to %s than the limit, %d bytes"):format(
      child.command, name, limit), {limit = limit})
  end
  error(text, 0)
end, "process.run")

-- The last line with something in it; nil: there is none. (In linear time.)
local function last_line(text)
  text = text:match "^(.*[^\n])\n*$"
  return text and (text:match "^.*\n(.*)$" or text)
end

local run_options = usage.set "cwd env stdin stdout stderr shell grace group input timeout check limit"

-- await(run{program, argument, ..., options}) -> {code=, signal=, stdout=, stderr=}
M.run = async(function(options)
  check_options(options, run_options, "run")
  local input, timeout = check(options.input, "string", "input"), usage.check_seconds(options.timeout, "timeout")
  local limit = number_option(options, "limit", 1) or LIMIT
  if not math.tointeger(limit) then refuse("limit: an integer expected, got %s", tostring(limit)) end
  if limit > MOST then refuse("limit is %d, but cannot be above %d", limit, MOST) end
  if input and options.stdin then refuse("run: input and stdin exclude each other") end
  if options.stdin == "pipe" then refuse("run: nobody would write to the pipe; give input") end
  local group = check(options.group, "boolean", "group")
  if group == nil then group = options.stdin ~= "inherit" end -- else the terminal may be its
  local child <close> = start(options, "run", group, input and "pipe" or "null", "pipe", "pipe")
  local result, names, parts = {}, {}, {}
  for _, name in ipairs {"stdout", "stderr"} do
    if child[name] then
      names[#names + 1] = name
      parts[#parts + 1] = collect(child[name], child, name, limit)
    end
  end
  if input then parts[#parts + 1] = feed(child.stdin, input) end
  do
    local _ <close> = timeout and asyncio.timeout(timeout)
    local texts = await(gather(parts))
    for i, name in ipairs(names) do result[name] = texts[i] end
    result.code, result.signal = c.wait(child.child)
    child.is_over = true -- what it has left behind may stay
  end
  if options.check and result.code ~= 0 then
    local last = result.stderr and last_line(result.stderr)
    result.command = child.command
    error(M.ProcessError(("'%s' failed: %s%s"):format(child.command, ending(result.code, result.signal),
      last and ": " .. last or ""), result))
  end
  return result
end, "process.run")

-- await(process.shell(command [, options])): run, of a command of the shell
function M.shell(command, options)
  local all = {}
  for key, value in pairs(check(options, "table", "options of shell") or {}) do all[key] = value end
  all.shell = true
  table.insert(all, 1, command)
  return M.run(all)
end

-- ====================================================== }

-- {=====================================================
-- This process
-- ======================================================

local SystemExit = asyncio.KeyboardInterrupt:subclass "SystemExit"

-- Ends the program: as Ctrl-C does, with all cleanup, but with this exit code.
function M.exit(code)
  if code == nil or code == true then code = 0 elseif code == false then code = 1 end
  if math.type(code) ~= "integer" then
    refuse("exit: an integer or boolean expected, got %s", usage.describe(code))
  end
  error(SystemExit("exit code " .. code, {code = code}), 0)
end

local numbers = {stdin = 0, stdout = 1, stderr = 2}

-- The standard streams are opened when they are first asked for.
return setmetatable(M, {
  __index = function(_, name)
    local number = numbers[name]
    if number == nil then return nil end
    local standard = c.standard(number)
    rawset(M, name, standard)
    return standard
  end,
})

-- ====================================================== }
