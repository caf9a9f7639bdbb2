-- class: error objects
-- A group of exceptions that holds itself, many times; one collection tells
-- of several such errors.
-- outcome: error
local asyncio = require "asyncio"
local group = asyncio.ExceptionGroup("x", {asyncio.Exception("y")})
local list = {}
for i = 1, 1000 do list[i] = group end
rawset(group, "exceptions", list)
rawset(group, "message", ("\n"):rep(10000))
for _ = 1, 8 do create_task(async(function() error(group) end)()) end
await(sleep(0))
collectgarbage()
error(group)
