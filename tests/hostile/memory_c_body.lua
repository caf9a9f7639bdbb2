-- class: memory
-- The memory is taken in coroutines that end in the same C function.
-- outcome: EMEMORY
local source, list = {}, {}
for i = 1, 10000 do source[i] = i end
coroutine.wrap(function()
  while true do
    local t = {}
    pcall(coroutine.wrap(table.move), source, 1, #source, 1, t)
    list[#list + 1] = t
  end
end)()
