-- class: closing
-- Closed far down in C calls, each coroutine brings the count of them that it
-- had long ago: together they are more than the C stack holds.
-- outcome: ended
local function deep(n, f)
  if n == 0 then return f() end
  return (("x"):gsub("x", function() deep(n - 1, f) end))
end
local threads, message = {}, nil
local function close(i)
  if threads[i] == nil then return end
  local ok, e = coroutine.close(threads[i])
  if not ok then message = message or e end
end
for i = 1, 189 do
  threads[i] = coroutine.create(function()
    local _ <close> = setmetatable({}, {__close = function()
      deep(60, function() close(i + 1) end)
    end})
    coroutine.yield()
  end)
  coroutine.resume(threads[i])
end
close(1)
assert(message:find("C stack overflow", 1, true), message)
