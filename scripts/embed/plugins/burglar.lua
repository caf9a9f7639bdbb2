-- burglar.lua - looks for what the host has not granted.

local function try(path)
  local value = _G
  for name in path:gmatch "%w+" do
    value = value and value[name]
  end
  if value then
    print("has found " .. path)
  end
end

return function()
  for _, path in ipairs {"io.open", "os.execute", "os.getenv", "os.exit", "debug.sethook", "dofile", "load"} do
    try(path)
  end
  print("can load http: " .. tostring((pcall(require, "http"))))
end
