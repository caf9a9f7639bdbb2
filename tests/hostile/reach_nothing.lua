-- class: tampering
-- What was not granted is not there.
-- outcome: ended
for _, name in ipairs {"io", "package", "debug", "dofile", "loadfile", "load", "loadstring",
                       "execute", "popen"} do
  assert(rawget(_G, name) == nil, name)
end
for _, name in ipairs {"execute", "exit", "getenv", "remove", "rename", "setlocale", "tmpname"} do
  assert(os[name] == nil, name)
end
for _, name in ipairs {"io", "package", "debug", "http", "time", "os.execute", "../x", "/etc/passwd", "lfs"} do
  assert(not pcall(require, name), name)
end
assert(string.dump == nil or not pcall(string.dump, function() end) or load == nil)
