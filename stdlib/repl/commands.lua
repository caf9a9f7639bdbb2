--
-- repl/commands.lua - what a line does that begins with a dot and a letter.
--
local M = {}

M.names = {"cancel", "help", "load", "quit", "reset", "tasks", "time"}

return M
