-- String building: concatenation, rep, format, gsub with all kinds of replacement, table.concat, sort, pack.
local parts = {}
for i = 1, 50 do parts[#parts + 1] = ("%d:%s"):format(i, string.rep("ab", i, ",")) end
local text = table.concat(parts, "\n")
assert(#text > 3000)

local count = select(2, text:gsub("%a+", { ab = "AB" }))
assert(count == 1275)
assert(text:gsub("(%d+):", function(n) return n .. "=" end):sub(1, 4) == "1=ab")
assert(text:gsub("\n.*", "%0%0"):find("\n2:"))
assert(text:upper():lower() == text and text:reverse():reverse() == text)

local words = {}
for word in text:gmatch("[^,\n]+") do words[#words + 1] = word end
table.sort(words)
table.sort(words, function(a, b) return a > b end)
table.move(words, 1, 10, #words + 1)
assert(table.remove(words) and table.unpack(words, 1, 3))

local packed = string.pack("s4 i8 z", text, 42, "zero")
local a, b, c = string.unpack("s4 i8 z", packed)
assert(a == text and b == 42 and c == "zero")
assert(utf8.char(228, 8364, 0x10348) == "ä€𐍈")
local all = ""
for i = 1, 30 do all = all .. i .. "," end
assert(#all == 81)
