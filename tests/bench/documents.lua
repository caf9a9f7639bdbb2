-- The documents of the json rows: functions that give a text, the same in each run. All but `unicode` are as
-- json.encode writes them, keys sorted, so that who decodes one and encodes it again can compare.
local json = require "json"

local M = {}

-- An array of `count` values, made by fn(i).
local function array(count, fn)
  local list = {}
  for i = 1, count do list[i] = fn(i) end
  return json.encode(list)
end

function M.todos()
  return array(10000, function(i)
    return {
      completed = i % 3 == 0, due = json.null, id = i, tags = { "home", "list " .. i % 7 },
      title = "delectus aut autem, number " .. i, userId = i % 10 + 1,
    }
  end)
end

-- Integers of 1 to 9 digits, and floats of all lengths.
function M.numbers()
  local state = 1
  return array(100000, function(i)
    state = state * 6364136223846793005 + 1442695040888963407
    local random = state >> 14
    if i % 2 == 0 then return random % math.tointeger(10 ^ (i // 2 % 9 + 1)) end
    return random / 10 ^ (i // 2 % 12 + 4)
  end)
end

local function text(i)
  return ('line %d\n\t"quoted" \\ back/slash é ü 漢字 😀 '):format(i):rep(20)
end

function M.strings()
  return array(1000, text)
end

function M.unicode()
  return (array(1000, text):gsub("[\xC2-\xF4][\x80-\xBF]*", function(character)
    local code = utf8.codepoint(character)
    if code < 0x10000 then return ("\\u%04x"):format(code) end
    code = code - 0x10000
    return ("\\u%04x\\u%04x"):format(0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF))
  end))
end

function M.nested()
  return array(50, function(i)
    local value = i
    for level = 1, 900 do value = level % 2 == 0 and { value } or { a = value } end
    return value
  end)
end

return M
