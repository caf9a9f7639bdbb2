-- class: closing
-- A chain of coroutines, each closed by the one before: C calls in C calls.
-- outcome: ended
local last = nil
for _ = 1, 2000 do
  local next_ = last
  last = coroutine.create(function()
    local _ <close> = setmetatable({}, {__close = function()
      if next_ then assert(coroutine.close(next_)) end
    end})
    coroutine.yield()
  end)
  coroutine.resume(last)
end
local ok, message = coroutine.close(last)
assert(not ok and message:find("C stack overflow", 1, true), message)
