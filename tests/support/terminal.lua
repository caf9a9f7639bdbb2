-- terminal.lua - drives a program in a real terminal, which is tmux's: what
-- is typed goes in, what the screen shows comes out.
--
--   local terminal = require "terminal"
--   local t <close> = terminal.open({program.neap, "-i"})
--   t:type("1 + 1\n")
--   t:expect("\n2\n> ")
--
-- Nothing here waits for time to pass: `expect` looks at the screen until it
-- shows what it has to, and fails when it does not for long.

local program = require "program"
local time = require "time"

local M = {}

local LIMIT = 30 -- seconds until the screen has to show something

M.exists = program.exists("tmux")

local Terminal = {}
Terminal.__index = Terminal

local function tmux(self, words, stdin)
  local result = program.run({"tmux", "-S", self.folder:file("socket"), "-f", "/dev/null", table.unpack(words)},
    {stdin = stdin, env = {TMUX = false}})
  if result.code ~= 0 then
    error("tmux " .. table.concat(words, " ") .. ": " .. result.stderr, 3)
  end
  return result.stdout
end

-- Starts a program. options: env (as program.run's), width, height, cwd;
-- before: what the shell that starts it does first. Its folder for state is
-- the terminal's own, unless env says otherwise.
function M.open(words, options)
  options = options or {}
  local self = setmetatable({folder = program.folder()}, Terminal)
  local env = {XDG_STATE_HOME = self.folder:file("state"), NO_COLOR = "1"}
  for name, value in pairs(options.env or {}) do env[name] = value end
  local command = program.command(words, env)
  local width, height = tostring(options.width or 80), tostring(options.height or 24)
  tmux(self, {"new-session", "-d", "-x", width, "-y", height, "-c", options.cwd or self.folder.path,
    "(" .. (options.before or "") .. command .. "); echo \"ended: $?\"; exec cat"})
  return self
end

function Terminal:__close()
  tmux(self, {"kill-server"})
  self.folder:remove()
end

-- What is on the screen, without spaces at the ends of lines, and without
-- empty lines at its end. `all`: with what has left it at the top.
function Terminal:screen(all)
  local text = tmux(self, {"capture-pane", "-p", "-J", table.unpack(all and {"-S", "-"} or {})})
  return (text:gsub(" +\n", "\n"):gsub("%s*$", ""))
end

-- Types a text, as it is; "\n" is the Enter key.
function Terminal:type(text)
  for line, newline in text:gmatch "([^\n]*)(\n?)" do
    if line ~= "" then tmux(self, {"send-keys", "-l", "--", line}) end
    if newline ~= "" then tmux(self, {"send-keys", "Enter"}) end
  end
end

-- Presses keys by tmux's names: "C-c", "Tab", "Up".
function Terminal:press(...)
  tmux(self, {"send-keys", ...})
end

-- Sends bytes that are no text.
function Terminal:send(bytes)
  self:paste(bytes, true)
end

-- Pastes; `plain`: as a terminal that does not tell so.
function Terminal:paste(text, plain)
  tmux(self, {"load-buffer", "-"}, text)
  tmux(self, {"paste-buffer", "-d", plain and "-r" or "-p"})
end

function Terminal:resize(width, height)
  tmux(self, {"resize-window", "-x", tostring(width), "-y", tostring(height)})
end

-- Waits until the screen, behind a newline, passes a test; gives it.
local function wait_for(self, what, test)
  local deadline = time.monotonic() + LIMIT
  local screen
  repeat
    screen = self:screen()
    if test("\n" .. screen) then return screen end
    time.sleep(0.01)
  until time.monotonic() > deadline
  error(("the screen does not show %q but\n%s"):format(what, screen), 3)
end

-- Waits until the screen shows a text; gives the screen.
function Terminal:expect(text)
  return wait_for(self, text, function(screen) return screen:find(text, 1, true) end)
end

-- The same at the end of what the screen shows.
function Terminal:expect_last(text)
  return wait_for(self, text, function(screen) return screen:sub(-#text) == text end)
end

-- Starts Neap, and waits for the prompt of its interactive mode. options: as
-- of open; words: behind the program's name.
function M.open_repl(options)
  options = options or {}
  local t = M.open({program.neap, table.unpack(options.words or {})}, options)
  t:expect_last("\n>")
  return t
end

return M
