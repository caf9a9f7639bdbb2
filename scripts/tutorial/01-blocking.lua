-- 01: a synchronous program. While foo sleeps, nothing else in the whole
-- program can happen: the last line has to wait for it, 10 seconds long.
-- An argument sets another number of seconds.

local time = require "time"

local seconds = tonumber(arg[1]) or 10

local function foo()
  print("in foo")
  time.sleep(seconds) -- stands for anything slow: a query, a download
  print("end foo")
end

foo()
print("Termination of the program")
