-- class: error objects
-- Names in messages: of chunks, functions, fields.
-- capabilities: load
-- outcome: error
local long = ("%s%n"):rep(10000)
local t = setmetatable({[long] = 1}, {__name = long})
pcall(function() return t .. t end)
pcall(function() return t[long].x.y end)
pcall(load("x.y = 1", long))
pcall(load("x.y = 1", "=" .. long))
pcall(load("x.y = 1", "@" .. long))
load("local function f() error('" .. ("x"):rep(50000) .. "') end f()", "=\27[31m\n" .. long)()
