--
-- await.lua - the Lua half of await.
--
-- await calls the body of a coroutine object by a tail call: the body runs
-- in the frame of await, in the same Lua thread, at no C stack level.
-- What `enter` answers stands at the head of core/await.c.
--
local enter, arguments, result = ...

-- await(awaitable) -> its results; raises its error. Suspends the task.
local function await(awaitable)
  local f, object, single = enter(awaitable)
  if f then
    if single then return f(object) end
    if object then return f(arguments(object)) end
    return f()
  end
  if single then return object end
  if object then return result(object) end
end

return await
