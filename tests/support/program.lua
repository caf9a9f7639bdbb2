-- program.lua - runs programs for the specs: words, input, environment
-- in; output, exit code, signal out. And folders for a test's files.
--
--   local result = program.run({program.neap, "-e", "print(1)"})
--   assert.equal("1\n", result.stdout)
--
-- Each program gets a limit of time, no standard input unless some is
-- given, and none of the variables that change what Lua does.

local M = {}

local LIMIT = 60 -- seconds that a program may take
local GRACE = 5 -- seconds from SIGTERM to SIGKILL after that

local LUA_VARIABLES = {
  "LUA_INIT", "LUA_INIT_5_4", "LUA_PATH", "LUA_PATH_5_4",
  "LUA_CPATH", "LUA_CPATH_5_4", "NEAP_DEBUG",
}

-- A statement for a script that interrupts it, as Ctrl-C does. When it
-- ends the signal has arrived.
M.INTERRUPT = [[io.popen("kill -INT $PPID"):close()]]

-- `word` as one word of the shell, whatever is in it but "\0".
function M.quote(word)
  word = tostring(word)
  if word:find("\0", 1, true) then
    error("a word of a command cannot contain \\0", 2)
  end
  if word:find("^[%w_./=:,+-]+$") then
    return word
  end
  return "'" .. word:gsub("'", [['\'']]) .. "'"
end

local function quote_all(words)
  local quoted = {}
  for i, word in ipairs(words) do
    quoted[i] = M.quote(word)
  end
  return table.concat(quoted, " ")
end

-- The text of a file.
function M.read(path)
  local file = assert(io.open(path, "rb"))
  local text = assert(file:read("a"))
  file:close()
  return text
end

-- Makes a file, or replaces it.
function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

-- What a command of the shell prints, without the newline at its end;
-- nil when it fails.
function M.capture(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("a")
  return pipe:close() and (text:gsub("\n$", "")) or nil
end

local folder_methods = {}
local folder_meta = {__name = "folder", __index = folder_methods}

function folder_meta.__close(folder)
  folder:remove()
end

function folder_methods.remove(folder)
  assert(os.execute("rm -rf -- " .. M.quote(folder.path)))
end

-- The path of a file in the folder.
function folder_methods.file(folder, name)
  return folder.path .. "/" .. name
end

-- Makes a file in the folder; gives its path.
function folder_methods.write(folder, name, text)
  local path = folder:file(name)
  M.write(path, text)
  return path
end

-- A new folder that is removed, with all in it, when the variable that
-- holds it goes out of scope: local folder <close> = program.folder()
function M.folder()
  local path = assert(M.capture("mktemp -d"), "cannot make a folder")
  return setmetatable({path = path}, folder_meta)
end

-- A list of temporary files, removed when closed.
local function temporary_files()
  return setmetatable({}, {
    __index = {
      new = function(files)
        files[#files + 1] = os.tmpname()
        return files[#files]
      end,
    },
    __close = function(files)
      for _, name in ipairs(files) do
        os.remove(name)
      end
    end,
  })
end

-- The words that set the environment: env -u NAME ... NAME=value ...
local function environment_words(variables)
  local unset, set = {}, {}
  local function is_given(name)
    return variables[name] ~= nil
  end
  for _, name in ipairs(LUA_VARIABLES) do
    if not is_given(name) then
      unset[#unset + 1] = "-u"
      unset[#unset + 1] = name
    end
  end
  for name, value in pairs(variables) do
    if value == false then
      unset[#unset + 1] = "-u"
      unset[#unset + 1] = name
    else
      set[#set + 1] = name .. "=" .. value
    end
  end
  table.sort(set)
  return quote_all({"env", table.unpack(unset)}) .. " " .. quote_all(set)
end

-- A command of the shell that runs a program, a list of words, with that
-- environment (as M.run's).
function M.command(words, env)
  return "exec " .. environment_words(env or {}) .. " " .. quote_all(words)
end

-- Runs a program and waits until it ends.
--   command: a list of words, the program first; or, as a string, a
--     command of the shell (`exec` before a program in it keeps the shell
--     out of the way of signals)
--   options.stdin: text for standard input; none: nothing to read
--   options.env: table of variables, false for one that must not be set
--   options.cwd: the folder to run in
--   options.timeout: seconds; a program that takes longer is an error here
-- Gives a table with stdout, stderr, and either code (the exit code) or
-- signal (the number of the signal that ended it).
function M.run(command, options)
  options = options or {}
  local files <close> = temporary_files()
  local stdin = "/dev/null"
  if options.stdin then
    stdin = files:new()
    M.write(stdin, options.stdin)
  end
  local stdout, stderr = files:new(), files:new()
  local limit = options.timeout or LIMIT
  local words = type(command) == "string" and {"sh", "-c", command} or command
  local lines = {
    ("exec <%s >%s 2>%s"):format(stdin, stdout, stderr),
    "ulimit -c 0", -- a crash that is expected leaves no core file
    "cd -- " .. M.quote(options.cwd or ".") .. " || exit",
    ("exec timeout -k %d %s %s %s"):format(GRACE, limit,
      environment_words(options.env or {}), quote_all(words)),
  }
  local start = os.time()
  local _, how, number = os.execute(table.concat(lines, "\n"))
  local result = {stdout = M.read(stdout), stderr = M.read(stderr)}
  if how == "signal" then
    result.signal = number
  else
    result.code = number
  end
  if os.time() - start >= limit
    and (number == 124 or number == 137 or result.signal == 9) then
    error(("no end after %s s: %s\nstdout: %s\nstderr: %s"):format(limit,
      quote_all(words), result.stdout, result.stderr), 2)
  end
  return result
end

-- Runs Lua code as the file script.lua in a folder of its own.
--   options.stdin, options.env, options.timeout: as for run
--   options.args: list of arguments for the script
--   options.options: list of options of the program itself
--   options.program: the program, when it is not Neap
function M.run_script(code, options)
  options = options or {}
  local folder <close> = M.folder()
  folder:write("script.lua", code)
  local words = {options.program or M.neap}
  table.move(options.options or {}, 1, #(options.options or {}), 2, words)
  words[#words + 1] = "script.lua"
  table.move(options.args or {}, 1, #(options.args or {}), #words + 1, words)
  return M.run(words, {
    stdin = options.stdin, env = options.env, timeout = options.timeout,
    cwd = folder.path,
  })
end

-- Is there a program of that name to run?
function M.exists(name)
  return M.capture("command -v " .. M.quote(name) .. " 2>/dev/null") ~= nil
end

-- A path that stays right in any folder; a bare name is looked up in PATH.
local function absolute(path)
  if path:find("^/") or not path:find("/", 1, true) then
    return path
  end
  return assert(M.capture("pwd")) .. "/" .. path:gsub("^%./", "")
end

-- The Neap under test: $NEAP, or what was built here.
M.neap = absolute(os.getenv("NEAP") or "./build/neap")

return M
