-- class: forged handles
-- Each method of each object, on every other object.
-- outcome: ended
local asyncio = require "asyncio"
local objects = {asyncio.Future(), create_task(sleep(0)), gather(sleep(0)), sleep(0), sleep(1, 2),
                 asyncio.call_later(60, print), asyncio.Lock(), asyncio.Semaphore(2), asyncio.Queue(),
                 asyncio.Event(), asyncio.Condition(), asyncio.timeout(60),
                 asyncio.Lock():acquire(), coroutine.create(print), {}, print, 1, "x", true, await,
                 asyncio.Exception, asyncio.Exception("x"), _G}
local names = {"done", "cancelled", "result", "exception", "cancel", "set_result", "set_exception",
               "add_done_callback", "remove_done_callback", "get_name", "set_name", "get_coro",
               "get_stack", "cancelling", "uncancel", "acquire", "release", "locked", "put_nowait",
               "get_nowait", "set", "clear", "is_set", "notify", "notify_all", "close", "send", "when",
               "expired", "reschedule"}
local methods = {}
for _, object in ipairs(objects) do
  for _, name in ipairs(names) do
    local ok, method = pcall(function() return object[name] end)
    if ok and type(method) == "function" then methods[#methods + 1] = method end
  end
end
for _, method in ipairs(methods) do
  for _, a in ipairs(objects) do
    if a ~= objects[2] then
      asyncio.catch(method, a)
      asyncio.catch(method, a, a)
      asyncio.catch(method, a, print)
    end
  end
  asyncio.catch(method)
end
for _, f in pairs(asyncio) do
  -- a deadline that is over would cancel this task
  if type(f) == "function" and f ~= asyncio.run and f ~= asyncio.dump and f ~= asyncio.timeout_at then
    for _, a in ipairs(objects) do asyncio.catch(f, a) end
  end
end
await(sleep(0))
