-- class: memory
-- The collector is not the script's.
-- outcome: EDEADLINE
for _, option in ipairs {"stop", "generational", "incremental", "setpause",
                         "setstepmul", "restart", "isrunning", "x"} do
  assert(not pcall(collectgarbage, option), option)
end
while true do
  collectgarbage()
  collectgarbage("step", -1 << 40)
  collectgarbage("step", 1 << 40)
end
