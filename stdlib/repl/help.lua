--
-- repl/help.lua - what the modules' pages say of each name of the library.
-- entries.lua is made from the pages when Neap is built (entries.awk).
--
local entries = require "neap.repl.entries"

local M = {}

local names = {}
for name in pairs(entries) do names[#names + 1] = name end

-- The globals are fields of asyncio, too.
for i = 1, #names do
  local name = names[i]
  if not string.find(name, "[.:]") then
    names[#names + 1] = "asyncio." .. name
    entries["asyncio." .. name] = entries[name]
  end
end
table.sort(names)

-- The names of all entries, "fs.read", "task:cancel", sorted.
function M.names() return names end

-- What there is about a name: a table with `signature`, `summary` (one
-- sentence) and `module`; nil: nothing.
function M.lookup(name) return entries[name] end

return M
