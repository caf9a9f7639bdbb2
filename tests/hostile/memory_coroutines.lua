-- class: memory
-- Suspended coroutines; a generator's yield must not lose the hook.
-- outcome: EMEMORY
local list = {}
_G.kept = list
while true do
  local co = coroutine.wrap(function() coroutine.yield(1) end)
  co()
  list[#list + 1] = co
end
