--
-- module/usage.lua - usage errors: the caller's position, and what was wrong.
-- Loading it gives a function, which makes them for one module:
--     local usage = require "neap.module.usage" "http"
--
local DEEPEST <const> = 30 -- levels that are looked at

return function(module)
  local M = {}

  -- Raises the text with the position of the nearest function that is not the
  -- library's: what belongs to Neap has a name in brackets, and C has none.
  -- (Without `debug`, which a sandbox has not.)
  function M.refuse(format, ...)
    local level = 1
    local place
    repeat
      level = level + 1
      place = select(2, pcall(error, "", level + 1))
    until place:find("^[^[]") or place:find('^%[string "') or level == DEEPEST
    error(module .. ": " .. format:format(...), level)
  end

  -- open(path, mode, what) -> the file; refuses what cannot be opened.
  function M.open(path, mode, what)
    if not (io and io.open) then
      M.refuse("%s: the capability fs, which a file needs, is not granted", what)
    elseif path:find("\0", 1, true) then
      M.refuse("%s: a zero byte in the path", what)
    end
    local file, message = io.open(path, mode)
    if not file then M.refuse("%s: cannot open %s", what, message) end
    return file
  end

  -- The words for a value in such a text.
  function M.describe(value)
    if value == nil then return "nil" end
    local meta = getmetatable(value)
    local name = type(meta) == "table" and type(value) ~= "string" and meta.__name
    return "a " .. (type(name) == "string" and name or type(value))
  end

  -- Refuses what is not of the type, unless it is nil; gives what is.
  function M.check(value, expected, what)
    if value ~= nil and type(value) ~= expected then
      M.refuse("%s: a %s expected, got %s", what, expected, M.describe(value))
    end
    return value
  end

  -- Refuses what is no time in seconds, unless it is nil; gives what is.
  function M.check_seconds(value, what)
    if M.check(value, "number", what) ~= value then M.refuse("%s is no number (NaN)", what) end
    return value
  end

  -- Refuses what the method `name` got before its colon, unless it is of the
  -- class; `self` is a word for what it should be.
  function M.check_self(value, class, name, self)
    if getmetatable(value) ~= class then
      M.refuse("%s.%s: a %s expected, got %s; write %s:%s()", class.__name, name, self,
        M.describe(value), self, name)
    end
  end

  -- Refuses options that are not in `known`, a table with their names as keys.
  function M.check_options(options, known, of)
    M.check(options, "table", "options of " .. of)
    for name in pairs(options) do
      if not known[name] then
        local names = {}
        for each in pairs(known) do names[#names + 1] = tostring(each) end
        table.sort(names)
        M.refuse("unknown option '%s' of %s (there are %s)", tostring(name), of,
          table.concat(names, ", "))
      end
    end
  end

  -- A table with the given names as keys.
  function M.set(names)
    local set = {}
    for name in names:gmatch("%S+") do set[name] = true end
    return set
  end

  return M
end
