-- Who takes part in `make bench`: finds the programs that are installed, compiles those that need it, and says
-- what command runs a given benchmark on a given peer.
local M = {}

-- in the order of the table's columns
M.names = { "neap", "raw", "lua", "cjson", "python", "uvloop", "aiohttp", "node", "go", "luv" }
M.titles = {
  neap = "Neap", raw = "C API", lua = "lua5.4", cjson = "lua-cjson", python = "asyncio", uvloop = "uvloop",
  aiohttp = "aiohttp", node = "Node", go = "Go", luv = "luv", nginx = "nginx",
}

function M.quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function words(list)
  local quoted = {}
  for i, word in ipairs(list) do quoted[i] = M.quote(tostring(word)) end
  return table.concat(quoted, " ")
end

-- The command's output without its last newline, or nil and what it said, when it fails.
function M.capture(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local output = pipe:read("a"):gsub("%s+$", "")
  if pipe:close() then return output end
  return nil, output
end

local function installed(program)
  return M.capture("command -v " .. M.quote(program)) ~= nil
end

-- The interpreter that can import a module, if there is one, else the first on the path: the real program, since a
-- version manager's stand-in would be measured with it.
local function find_python(module)
  local folders = os.getenv("PATH") or "/usr/bin"
  local first
  for folder in folders:gmatch("[^:]+") do
    local path = M.capture(words { folder .. "/python3", "-c", "import sys; print(sys.executable)" })
    if path and path ~= "" then
      first = first or path
      if M.capture(words { path, "-c", "import " .. module }) then return path, true end
    end
  end
  return first, false
end

-- taskset for the last processor this process may use, so that no run migrates
local function find_pin()
  local file <close> = io.open("/proc/self/status")
  local cpu = file and file:read("a"):match("Cpus_allowed_list:%s*%S-(%d+)\n")
  local pin = cpu and "taskset -c " .. cpu
  return pin and M.capture(pin .. " true") and pin or nil
end

-- Compiles the C programs of a folder into the folder `temp`, with Lua linked as Neap links it, and `more`: what else
-- the compiler is to be told. A program's name may end in "@" and the number of a layout. Returns nil and why not.
local function compile_c(here, temp, folder, programs, more)
  local cc = os.getenv("CC") or "cc"
  if not installed(cc) then return nil, "no C compiler" end
  local flags = M.capture("pkg-config --cflags lua5.4 libuv") or "-I/usr/include/lua5.4"
  for _, program in ipairs(programs) do
    local name, layout = program:match("^([^@]*)@?(.*)$")
    local command = ("%s -std=gnu11 -O2 -DLAYOUT=%s %s %s -o %s %s"):format(cc, layout == "" and 0 or layout, flags,
      M.quote(("%s/%s/%s.c"):format(here, folder, name)), M.quote(("%s/%s-%s"):format(temp, folder, program)), more)
    local libraries = " -luv -lm -ldl -lpthread"
    local ok, said = M.capture(command .. " -l:liblua5.4.a" .. libraries)
    if not ok then ok, said = M.capture(command .. " -llua5.4" .. libraries) end
    if not ok then return nil, said end
  end
  return true
end

local function compile_raw(here, temp, programs) return compile_c(here, temp, "raw", programs, "") end

local function compile_go(here, temp, programs)
  if not installed("go") then return nil, "not installed" end
  local set = "GO111MODULE=off GOTOOLCHAIN=local GOFLAGS= "
  if not os.getenv("HOME") then set = set .. "GOCACHE=" .. M.quote(temp .. "/go-cache") .. " " end
  for _, program in ipairs(programs) do
    local ok, said = M.capture(set .. words { "go", "build", "-o", temp .. "/go-" .. program,
      ("%s/go/%s.go"):format(here, program), here .. "/go/common.go" })
    if not ok then return nil, said end
  end
  return true
end

-- The servers of the tests.
local function servers(here)
  package.path = here .. "/../support/?.lua;" .. package.path
  return require("http_servers")
end

-- Finds everybody. `wanted` is a set of peers, with "nginx" when it is to be started; `programs` the base names to
-- compile for them, `here` this folder, `temp` a folder for what is compiled. Raises an error when Neap itself is
-- missing. The result has the paths, what http_servers says of nginx, and `missing`: a list of { peer, why }.
function M.find(here, temp, wanted, programs)
  local found = { here = here, temp = temp, missing = {}, pin = find_pin() }
  local function miss(peer, why) table.insert(found.missing, { peer, why }) end

  found.neap = os.getenv("NEAP") or here .. "/../../build/neap"
  if not installed(found.neap) then
    error(found.neap .. " is missing: run `make` first, or set NEAP to the program to measure", 0)
  end
  found.timeout = M.capture("timeout --foreground 9 true") and "timeout --foreground 300" or nil

  if wanted.lua then
    found.lua = installed("lua5.4") and "lua5.4" or nil
    if not found.lua then miss("lua", "not installed") end
  end
  if wanted.cjson then
    found.cjson = M.capture("lua5.4 -l cjson -e ''") and "lua5.4" or nil
    if not found.cjson then miss("cjson", "no lua5.4 that finds it") end
  end
  if wanted.luv then
    found.luv = M.capture("lua5.4 -l luv -e ''") and "lua5.4" or nil
    if not found.luv then miss("luv", "no lua5.4 that finds it") end
  end
  if wanted.python or wanted.uvloop then
    local python, has_uvloop = find_python("uvloop")
    found.python = python
    found.uvloop = has_uvloop and python or nil
    if not python then miss("python", "no python3") end
    if not has_uvloop then miss("uvloop", "no python3 that can import it") end
  end
  if wanted.aiohttp then
    local python, has_aiohttp = find_python("aiohttp")
    found.aiohttp = has_aiohttp and python or nil
    if not has_aiohttp then miss("aiohttp", "no python3 that can import it") end
  end
  if wanted.nginx then
    local ready = installed("openssl") and M.capture("PATH=$PATH:/usr/sbin command -v nginx")
    found.nginx = ready and servers(here).nginx()
    if not ready then miss("nginx", "it or openssl is not installed") end
  end
  if wanted.node then
    found.node = installed("node") and "node" or nil
    if not found.node then miss("node", "not installed") end
  end
  for peer, compile in pairs { raw = compile_raw, go = compile_go } do
    if wanted[peer] then
      local ok, why = compile(here, temp, programs[peer])
      found[peer] = ok
      if not ok then miss(peer, why) end
    end
  end
  if #programs.embed > 0 then  -- the library lies beside the program
    assert(compile_c(here, temp, "embed", programs.embed, words { "-I" .. here .. "/../../vm/include",
      (found.neap:gsub("[^/]*$", "libneap.a")) }))
  end
  table.sort(found.missing, function(a, b) return a[1] < b[1] end)
  return found
end

-- `environment`: assignments to make first, or nil
local function pinned(found, command, environment)
  local prefix = { environment }
  prefix[#prefix + 1] = found.timeout
  prefix[#prefix + 1] = found.pin
  prefix[#prefix + 1] = command
  return table.concat(prefix, " ")
end

-- The path of the document `name` of documents.lua, which is made when it is first asked for.
local function document(found, name)
  local path = found.temp .. "/" .. name .. ".json"
  if not M.capture("test -e " .. M.quote(path)) then
    local file <close> = assert(io.open(path, "w"))
    assert(file:write(dofile(found.here .. "/documents.lua")[name]()))
  end
  return path
end

-- The path of a folder with the files 1 to n, of 1000 bytes each, which is made when it is first asked for.
local function files(found, n)
  local path = ("%s/files-%d"):format(found.temp, n)
  if not M.capture("test -e " .. M.quote(path)) then
    assert(M.capture("mkdir " .. M.quote(path)))
    for i = 1, n do
      local file <close> = assert(io.open(path .. "/" .. i, "w"))
      assert(file:write(("x"):rep(1000)))
    end
  end
  return path
end

-- The name of a row's C program in this round: each has another layout, where that matters.
function M.laid_out(row, round)
  local program = row.program or row.name
  return row.layouts and ("%s@%d"):format(program, round % row.layouts) or program
end

-- The command that runs one benchmark on one peer with count n.
function M.command(found, row, entry, n, round)
  local peer, program = entry.peer, M.laid_out(row, round)
  local count = not row.load and n or nil -- servers count nothing
  local list
  if peer == "neap" and row.folder == "embed" then
    list = { ("%s/embed-%s"):format(found.temp, program), count }
  elseif peer == "raw" or peer == "go" then
    list = { ("%s/%s-%s"):format(found.temp, peer, program), count }
  elseif peer == "neap" or peer == "lua" or peer == "cjson" then
    list = { found[peer], ("%s/%s/%s.lua"):format(found.here, row.folder or "neap", program), count }
  elseif peer == "luv" then
    list = { found.luv, ("%s/luv/%s.lua"):format(found.here, program), count }
  elseif peer == "node" then
    list = { found.node, ("%s/node/%s.js"):format(found.here, program), count }
  else  -- -B: leave no compiled files in the source tree
    list = { found[peer], "-B", ("%s/python/%s.py"):format(found.here, program), count }
    if peer == "uvloop" then list[#list + 1] = "uvloop" end
  end
  if peer == "aiohttp" then table.insert(list, 2, "-I") end  -- its `import json` is not for our json.py
  if row.load then list = { found.temp .. "/raw-load", row.load, n, table.unpack(list) } end
  list[#list + 1] = entry.arg
  if row.document then list[#list + 1] = document(found, row.document) end
  if row.files then list[#list + 1] = files(found, n) end
  if peer == "cjson" then list[#list + 1] = peer end
  local environment
  if row.server then
    list[#list + 1] = found.nginx[row.server] .. "/small.txt"
    list[#list + 1] = found.nginx.ca
    environment = peer == "node" and "NODE_EXTRA_CA_CERTS=" .. M.quote(found.nginx.ca) or nil
  end
  -- everybody else runs on one thread, so Go does
  return pinned(found, words(list), peer == "go" and "GOMAXPROCS=1" or environment)
end

local function first_match(path, pattern)
  local file <close> = io.open(path)
  return file and file:read("a"):match(pattern)
end

-- The command that makes the host of a virtual machine give it the memory that a program of the row is to take.
function M.touch_command(found, row)
  local free = tonumber(first_match("/proc/meminfo", "MemAvailable:%s*(%d+)")) or 0
  return pinned(found, words { found.temp .. "/raw-touch", math.max(1, math.min(row.memory, free // 2048)) })
end

-- The command that starts each of the entries' programs `rounds` times in turn.
function M.startup_command(found, row, entries, rounds)
  local list = { found.temp .. "/raw-spawn", rounds, row.prompt and "prompt" }
  for _, entry in ipairs(entries) do
    list[#list + 1] = "--"
    list[#list + 1] = found[entry.peer]
    if row.prompt then
      list[#list + 1] = "-i"
    else
      list[#list + 1] = entry.peer == "python" and "-c" or "-e"
      list[#list + 1] = ""
    end
  end
  return pinned(found, words(list))
end

-- What was measured, on what, and when: a list of lines.
function M.facts(found)
  local function version(command) return (M.capture(command) or "?"):match("^[^\n]*") end
  local lines = {
    ("%s: %s, %s processors, %d GiB, %s %s"):format(os.date("!%Y-%m-%d"),
      first_match("/proc/cpuinfo", "model name%s*:%s*([^\n]*)") or version("uname -m"), version("nproc --all"),
      (tonumber(first_match("/proc/meminfo", "MemTotal:%s*(%d+)")) or 0) // 1048576,
      version("uname -sr"), found.pin and "(each run on one processor: " .. found.pin .. ")" or "(runs not pinned)"),
    version(words { found.neap, "--version" }),
  }
  local function add(line) lines[#lines + 1] = line end
  if found.lua then add(version(found.lua .. " -v")) end
  if found.raw then add("libuv " .. version("pkg-config --modversion libuv")) end
  if found.python then add(version(words { found.python, "-V" })) end
  if found.uvloop then
    add("uvloop " .. version(words { found.uvloop, "-c", "import uvloop; print(uvloop.__version__)" }))
  end
  if found.aiohttp then
    add("aiohttp " .. version(words { found.aiohttp, "-c", "import aiohttp; print(aiohttp.__version__)" }))
  end
  if found.nginx then
    add(version(words { found.neap, "-e", "print(require 'http'.libraries)" }))
    add(version("PATH=$PATH:/usr/sbin nginx -v"))
  end
  if found.node then add("Node " .. version("node --version")) end
  if found.go then add(version("go version") .. ", GOMAXPROCS=1") end
  for _, missing in ipairs(found.missing) do
    add(("skipped: %s (%s)"):format(M.titles[missing[1]], missing[2]:match("^[^\n]*")))
  end
  return lines
end

return M
