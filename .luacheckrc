-- .luacheckrc - what luacheck knows of Neap's Lua.

stds.neap = {
  -- `function async.name() ... end` sets a field of async
  globals = {"async"},
  read_globals = {"await", "sleep", "create_task", "gather", "run"},
}
std = "lua54+neap"

exclude_files = {"build"}

-- The statement `function async.main() ... end` defines the global `main`,
-- which luacheck cannot know: each file may use those that it defines.
local defining = io.popen([[
  grep -rE --include='*.lua' '^ *function async\.[A-Za-z_0-9]+ *\(' \
    vm stdlib scripts tests 2>/dev/null]])
if defining then
  for line in defining:lines() do
    local file, name = line:match "^([^:]+): *function async%.([%w_]+)"
    if file then
      files[file].globals = files[file].globals or {}
      table.insert(files[file].globals, name)
    end
  end
  defining:close()
end

files["tests/spec"].std = "lua54+neap+busted"
files[".busted"].std = "lua54"
