-- Allocation and garbage: build and walk n binary trees of depth 12; prints milliseconds of processor time.
local n = math.tointeger(arg[1])

local function grow(depth)
  if depth == 0 then return {} end
  return { left = grow(depth - 1), right = grow(depth - 1) }
end

local function count(tree)
  if not tree.left then return 1 end
  return 1 + count(tree.left) + count(tree.right)
end

local start = os.clock()
local kept = grow(14)
for _ = 1, n do assert(count(grow(12)) == 8191) end
assert(count(kept) == 32767)
print((os.clock() - start) * 1e3)
