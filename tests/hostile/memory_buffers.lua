-- class: memory
-- Long texts of concat, format and gsub, which are thrown away: to take them
-- is no crime, but they are taken in one piece.
-- outcome: EDEADLINE or EMEMORY
local piece = ("x"):rep(1 << 16)
local list = {}
for i = 1, 100 do list[i] = piece end
while true do
  pcall(table.concat, list, piece)
  pcall(string.format, ("%s"):rep(100), table.unpack(list))
  pcall(string.gsub, piece, "x", piece)
end
