--
-- repl/names.lua - which strings are names of Lua, and which its keywords.
--
local M = {}

local find, type = string.find, type

-- The keywords, sorted.
M.keywords = {
  "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
  "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
}

local is_keyword = {}
for _, word in ipairs(M.keywords) do is_keyword[word] = true end

-- Whether the value, of any type, can stand behind a dot.
function M.is_name(value)
  return type(value) == "string" and not is_keyword[value]
    and find(value, "^[%a_][%w_]*$") ~= nil
end

return M
