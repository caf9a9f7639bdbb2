-- class: spinning
-- In metamethods that the machine calls itself.
-- outcome: EDEADLINE
local function spin() while true do end end
local meta = {__index = spin, __newindex = spin, __eq = spin, __concat = spin,
              __lt = spin, __le = spin, __call = spin, __len = spin, __unm = spin}
local a, b = setmetatable({}, meta), setmetatable({}, meta)
for _, f in ipairs {
  function() return a.x end, function() a.x = 1 end, function() return a == b end,
  function() return a .. b end, function() return a < b end, function() return a <= b end,
  function() a() end, function() return #a end, function() return -a end,
} do
  create_task(async(function() pcall(f) end)())
end
await(sleep(60))
