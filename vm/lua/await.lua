--
-- await.lua - the Lua half of await, and of xpcall.
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
    if object then return f(arguments(object)) end
    return f()
  end
  if single then return object end
  if object then return result(object) end
end

-- A message handler that leaves errors alone which pcall lets pass. The
-- tail call leaves no frame between the error and the user's handler.
local function wrap_handler(handler, passes)
  return function(err)
    if passes(err) then return err end
    return handler(err)
  end
end

return await, wrap_handler
