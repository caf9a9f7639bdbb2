-- class: memory
-- A metatable that is weak, and its own, alone holds the table which takes the
-- new fields: an emergency collection while one comes in would free that
-- (Lua 5.4.4). There must be none before the kill.
-- outcome: EMEMORY
local meta = {__mode = "v"}
setmetatable(meta, meta)
local source, list = {}, {}
for i = 1, 1000 do source[i] = i end
while true do
  pcall(function()
    meta.__newindex = {}
    local t = setmetatable({}, meta)
    for i = 1, 200 do
      t[i] = {}
      t[i .. "x"] = i
    end
    local copy = {}
    coroutine.wrap(table.move)(source, 1, #source, 1, copy)
    list[#list + 1] = copy
  end)
end
