--
-- path.lua - paths as text, by the rules of POSIX. Nothing here looks at a disk.
--
local usage = require "neap.module.usage" "path"

local M = {}

local function check(path, of)
  if type(path) ~= "string" then
    usage.refuse("%s: a string expected as path, got %s", of, usage.describe(path))
  end
  return path
end

-- The path without slashes at its end; nil where there is nothing else. (From
-- its beginning: a pattern that looks for its start takes quadratic time.)
local function trimmed(path) return path:match "^(.*[^/])/*$" end

-- is_absolute(path) -> whether it begins at the root
function M.is_absolute(path)
  return check(path, "is_absolute"):sub(1, 1) == "/"
end

-- join(path, ...) -> the paths one behind the other; an absolute one begins
-- anew
function M.join(first, ...)
  local joined = check(first, "join")
  for i = 1, select("#", ...) do
    local path = check((select(i, ...)), "join")
    if path:sub(1, 1) == "/" or joined == "" then
      joined = path
    elseif path ~= "" then
      joined = (trimmed(joined) or "") .. "/" .. path
    end
  end
  return joined
end

-- split(path) -> what dirname and basename give
function M.split(path)
  local text = trimmed(check(path, "split"))
  if not text and path ~= "" then return "/", "/" end
  local folder, name = (text or ""):match "^(.*)/([^/]*)$"
  if not folder then return ".", text or "" end
  return trimmed(folder) or "/", name
end

-- dirname(path) -> the folder it is in
function M.dirname(path)
  return (M.split(check(path, "dirname")))
end

-- basename(path) -> its last name
function M.basename(path)
  return (select(2, M.split(check(path, "basename"))))
end

-- Its last name as stem and extension.
local function stem_and_extension(path, of)
  local name = M.basename(check(path, of))
  local stem, extension = name:match "^(.*)(%.[^.]*)$"
  if not stem or not stem:find "[^.]" then return name, "" end
  return stem, extension
end

-- extension(path) -> the end of its last name from its last point on
function M.extension(path)
  return (select(2, stem_and_extension(path, "extension")))
end

-- stem(path) -> its last name without its extension
function M.stem(path)
  return (stem_and_extension(path, "stem"))
end

-- The names in a path, without "." and, as far as they can be, "..".
local function names_of(path)
  local names, absolute = {}, path:sub(1, 1) == "/"
  for name in path:gmatch "[^/]+" do
    if name == ".." and names[1] and names[#names] ~= ".." then
      names[#names] = nil
    elseif name ~= "." and not (name == ".." and absolute) then
      names[#names + 1] = name
    end
  end
  return names, absolute
end

-- normalize(path) -> the same path without what is superfluous
function M.normalize(path)
  local names, absolute = names_of(check(path, "normalize"))
  local text = table.concat(names, "/")
  if absolute then return "/" .. text end
  return text == "" and "." or text
end

-- relative(path [, start]) -> how it is reached from the folder `start`, "."
-- unless given
function M.relative(path, start)
  start = start or "."
  local names, absolute = names_of(check(path, "relative"))
  local from, from_root = names_of(check(start, "relative"))
  if absolute ~= from_root then
    usage.refuse("relative: '%s' and '%s': both have to be absolute, or neither", path, start)
  end
  local same = 0
  while from[same + 1] and from[same + 1] == names[same + 1] do same = same + 1 end
  if from[same + 1] == ".." then
    usage.refuse("relative: the way from '%s' to '%s' goes through folders without a name", start,
      path)
  end
  local way = table.move(names, same + 1, #names, 1 + #from - same, {})
  for i = 1, #from - same do way[i] = ".." end
  return way[1] and table.concat(way, "/") or "."
end

return M
