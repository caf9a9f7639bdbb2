-- Strings, patterns and tables: count the words of a text n times; prints milliseconds of processor time.
local n = math.tointeger(arg[1])

local start = os.clock()
for round = 1, n do
  local text = ("the quick brown fox jumps over the lazy dog " .. round .. " times; "):rep(40)
  local counts, words = {}, {}
  for word in text:gmatch("%a+") do
    if not counts[word] then words[#words + 1] = word end
    counts[word] = (counts[word] or 0) + 1
  end
  table.sort(words)
  local lines = {}
  for i, word in ipairs(words) do lines[i] = ("%s=%d"):format(word:upper(), counts[word]) end
  assert(table.concat(lines, " "):gsub("=40", "") == "BROWN DOG FOX JUMPS LAZY OVER QUICK THE=80 TIMES")
end
print((os.clock() - start) * 1e3)
