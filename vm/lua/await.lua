--
-- await.lua - the Lua half of await.
--
-- await calls the body of a coroutine object by a tail call: the body runs
-- in the frame of await, in the same Lua thread, at no C stack level.
-- What `enter` answers stands at the head of core/await.c.
--
local enter, arguments = ...

-- await(awaitable) -> its results; raises its error. Suspends the task.
return function(awaitable)
  local f, object, argument = enter(awaitable)
  if f then
    if object == true then return f(argument) end
    if object then return f(arguments(object)) end
    return f()
  end
  if object then return object end
end
