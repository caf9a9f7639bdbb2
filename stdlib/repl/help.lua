--
-- repl/help.lua - what the library's pages say of each function.
--
local M = {}

-- The names of all entries, sorted.
function M.names() return {} end

return M
