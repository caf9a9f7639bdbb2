-- `make bench`: measures Neap beside its peers and says which targets it meets. README.md tells how.
-- usage: run.lua [--quick] [--only NAME]... [--runs N] [--markdown]
local here = arg[0]:match("^(.*)/[^/]*$") or "."
local peers = dofile(here .. "/peers.lua")
local report = dofile(here .. "/report.lua")
local rows = dofile(here .. "/rows.lua")

-- A line on stderr, where it does not disturb the table.
local function progress(...)
  io.stderr:write(string.format(...), "\n")
end

local function usage(message)
  local names = {}
  for i, row in ipairs(rows) do names[i] = row.name end
  progress("run.lua: %s\nusage: run.lua [--quick] [--only NAME]... [--runs N] [--markdown]\nnames: %s\n"
    .. "a name's beginning stands for all that begin so", message, table.concat(names, " "))
  os.exit(2)
end

local function parse(arguments)
  local options = { only = {} }
  local i = 1
  while arguments[i] do
    local option, value = arguments[i], arguments[i + 1]
    if option == "--quick" or option == "--markdown" then
      options[option:sub(3)] = true
    elseif option == "--only" and value then
      table.insert(options.only, value)
      i = i + 1
    elseif option == "--runs" and math.tointeger(value) and math.tointeger(value) > 0 then
      options.runs = math.tointeger(value)
      i = i + 1
    else
      usage("bad argument " .. option)
    end
    i = i + 1
  end
  options.runs = options.runs or (options.quick and 3 or 5)
  return options
end

-- The rows the options ask for.
local function choose(options)
  local chosen = {}
  for _, row in ipairs(rows) do
    local wanted = #options.only == 0
    for _, name in ipairs(options.only) do
      wanted = wanted or row.name:sub(1, #name) == name
    end
    if wanted and options.quick and row.quick_n == false then
      progress("%s: left out by --quick", row.name)
    elseif wanted then
      chosen[#chosen + 1] = row
    end
  end
  if #chosen == 0 then usage("nothing to measure") end
  return chosen
end

-- What these rows need: the set of peers, and the programs to compile for each.
local function needs(chosen)
  local wanted, programs, seen = {}, { raw = {}, go = {}, embed = {} }, {}
  local function compile(peer, program)
    if programs[peer] and not seen[peer .. program] then
      seen[peer .. program] = true
      table.insert(programs[peer], program)
    end
  end
  for _, row in ipairs(chosen) do
    for _, entry in ipairs(row.entries) do
      wanted[entry.peer] = true
      for round = 1, row.layouts or 1 do
        compile(entry.peer == "neap" and row.folder or entry.peer, peers.laid_out(row, round))
      end
    end
    if row.server then wanted.nginx = true end
    local helper = row.startup and "spawn" or row.load and "load" or row.memory and "touch"
    if helper then
      wanted.raw = true
      compile("raw", helper)
    end
  end
  return wanted, programs
end

-- How many operations an entry does.
local function count(row, entry, options)
  if not options.quick then return entry.n or row.n end
  if row.quick_n then return entry.n and entry.n * row.quick_n // row.n or row.quick_n end
  return (entry.n or row.n) // 10
end

-- Runs the command; returns its output. On failure returns nil and says why.
local function run(command, found)
  local errors = found.temp .. "/stderr"
  local pipe = assert(io.popen(("%s 2>%s"):format(command, peers.quote(errors))))
  local output = pipe:read("a")
  local ok, how, code = pipe:close()
  if ok then return output end
  local file <close> = io.open(errors)
  progress("\nFAILED (%s %d): %s\n%s", how, code, command, file and file:read("a") or "")
  return nil
end

local function numbers(line)
  local list = {}
  for text in line:gmatch("%S+") do list[#list + 1] = tonumber(text) end
  return list
end

-- One after the other, so that whatever else the machine does meets all of them. Returns the result and how many
-- programs failed; one that failed is not run again.
local function measure(row, found, options)
  local result, failed = { row = row, n = count(row, row.entries[1], options), values = {} }, {}
  local runs = (row.runs or function(usual) return usual end)(math.max(options.runs, row.layouts or 1))
  local failures = 0
  if row.server and not found.nginx or row.load and not found.raw then return result, failures end
  io.stderr:write(row.name)
  for round = 1, runs do
    io.stderr:write(" .")
    for i, entry in ipairs(row.entries) do
      if found[entry.peer] and not failed[i] then
        if row.memory and found.raw then run(peers.touch_command(found, row), found) end
        local output = run(peers.command(found, row, entry, count(row, entry, options), round), found)
        local list = output and numbers(output) or {}
        if output and #list ~= #row.metrics then
          progress("\nFAILED: %s of %s printed %q", row.name, peers.titles[entry.peer], output)
        end
        if #list == #row.metrics then
          result.values[i] = result.values[i] or {}
          for index, value in ipairs(list) do
            result.values[i][index] = result.values[i][index] or {}
            table.insert(result.values[i][index], value)
          end
        else
          failed[i] = true
          failures = failures + 1
        end
      end
    end
  end
  io.stderr:write("\n")
  return result, failures
end

-- Start-up takes a program that is quicker than this one to start others and to read the clock.
local function measure_startup(row, found, options)
  local rounds = count(row, row.entries[1], options)
  local result, taking_part, places = { row = row, n = rounds, values = {} }, {}, {}
  if not found.raw then return result, 0 end
  for i, entry in ipairs(row.entries) do
    if found[entry.peer] then
      taking_part[#taking_part + 1] = entry
      places[#places + 1] = i
    end
  end
  progress("%s: %d rounds", row.name, rounds)
  local output = run(peers.startup_command(found, row, taking_part, rounds), found)
  if not output then return result, 1 end
  local which = 0
  for line in output:gmatch("[^\n]+") do
    which = which + 1
    result.values[places[which]] = { numbers(line) }
  end
  return result, 0
end

local function main(temp, options, chosen)
  local found = peers.find(here, temp, needs(chosen))
  for _, missing in ipairs(found.missing) do
    progress("skipped: %s: %s", peers.titles[missing[1]], missing[2])
  end

  local results, failures = {}, 0
  for i, row in ipairs(chosen) do
    local result, failed = (row.startup and measure_startup or measure)(row, found, options)
    results[i], failures = result, failures + failed
    if not options.markdown then
      print(table.concat(report.text(result, peers.titles), "\n"))
    end
  end

  if options.markdown then
    print(table.concat(report.markdown(results, peers), "\n"))
  end
  print("\n" .. table.concat(peers.facts(found), options.markdown and "; " or "\n"))
  if failures > 0 then progress("programs that failed: %d", failures) end
  return failures == 0
end

local options = parse(arg)
local chosen = choose(options)
local temp = assert(peers.capture("mktemp -d"))
local ok, result = xpcall(main, function(err)
  return type(err) == "string" and err or debug.traceback(tostring(err))
end, temp, options, chosen)
os.execute("rm -rf " .. peers.quote(temp))
if not ok then progress("run.lua: %s", result) end
os.exit(ok and result, true)
