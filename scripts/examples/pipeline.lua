-- pipeline.lua - which words are the most frequent in some files: programs
-- with pipes between them, as a shell makes them, and a Lua program behind.
-- usage: neap scripts/examples/pipeline.lua [-n COUNT] FILE ...
--
-- It does what `cat FILE ... | tr ... | sort | uniq -c` does; the kernel moves
-- the bytes. When the block is left, for whatever reason, the programs end.
local process = require "process"

-- Starts the programs, each with the output of the one before as its input;
-- gives the last one's output, and a list of all, to be closed.
local function pipeline(...)
  local children = setmetatable({}, {__close = function(all)
    for _, child in ipairs(all) do child:__close() end
  end})
  local output = "null"
  for _, command in ipairs {...} do
    command.stdin, command.stdout = output, "pipe"
    local child = process.spawn(command)
    children[#children + 1] = child
    output = child.stdout
  end
  return output, children
end

function async.main(count, files)
  local lines, children = pipeline(
    {"cat", "--", table.unpack(files)},
    {"tr", "-cs", "[:alpha:]", "\n"},
    {"tr", "[:upper:]", "[:lower:]"},
    {"sort"},
    {"uniq", "-c"})
  local _ <close> = children
  local words = {}
  for line in lines:lines() do
    local n, word = line:match "(%d+) (%a+)"
    if word then words[#words + 1] = {n = tonumber(n), word = word} end
  end
  table.sort(words, function(a, b) return a.n > b.n or a.n == b.n and a.word < b.word end)
  for i = 1, math.min(count, #words) do print(words[i].n, words[i].word) end
  for _, child in ipairs(children) do
    if await(child:wait()) ~= 0 then process.exit(1) end -- it has said why
  end
end

local count, files = 10, {table.unpack(arg)}
if files[1] == "-n" then
  count = math.tointeger(files[2])
  files = {table.unpack(files, 3)}
end
if not (count and files[1]) then
  io.stderr:write("usage: neap pipeline.lua [-n COUNT] FILE ...\n")
  os.exit(2)
end
run(main(count, files))
