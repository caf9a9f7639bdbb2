-- examples.lua - the programs in a page of documentation, and what the page
-- says that they print.
--
--   for _, example in ipairs(examples.read("stdlib/time/README.md")) do
--     example.name    -- the heading above it; the second has "(2)" behind it
--     example.code    -- a block ```lua: a whole program
--     example.output  -- its lines of output; nil: it shows none
--     example.line    -- where the code begins in the page
--   end
--
-- In the code, `--> text` is one line of output, behind a statement or
-- alone. Blocks of other kinds are no examples. An example that uses arg[1]
-- gets the URL of a server (http_servers.lua).

local program = require "program"
local servers = require "http_servers"

local M = {}

-- The pages of the modules in a folder.
function M.pages(folder)
  local list = {}
  for path in program.capture("ls " .. program.quote(folder) .. "/*/README.md"):gmatch("[^\n]+") do
    list[#list + 1] = path
  end
  return list
end

-- The examples of a page, in its order.
function M.read(path)
  local list, heading, count, number = {}, path, 0, 0
  local kind, code, output -- of the block that we are in
  for line in program.read(path):gmatch("([^\n]*)\n") do
    local fence = line:match("^```(.*)$")
    number = number + 1
    if kind and not fence then
      code[#code + 1] = line .. "\n"
      output[#output + 1] = line:match("%-%-> (.*)$")
    elseif kind == "lua" then
      count = count + 1
      list[#list + 1] = {
        name = count == 1 and heading or ("%s (%d)"):format(heading, count),
        code = table.concat(code),
        output = output[1] and table.concat(output, "\n") .. "\n",
        line = number - #code,
      }
      kind = nil
    elseif kind then
      kind = nil
    elseif fence then
      kind, code, output = fence, {}, {}
    elseif line:find("^#") then
      heading, count = line:gsub("^#+ ", ""):gsub("`", ""), 0
    end
  end
  assert(not kind, path .. ": the last block has no end")
  return list
end

-- Runs an example, as the file example.lua in a folder of its own. Gives
-- what program.run gives; where the page shows output, standard error is in
-- stdout too, as on a terminal.
function M.run(example)
  local folder <close> = program.folder()
  local command = "exec " .. program.quote(program.neap) .. " example.lua"
  if example.code:find("arg[1]", 1, true) then
    command = command .. " " .. servers.nginx().http
  end
  folder:write("example.lua", example.code)
  return program.run(example.output and command .. " 2>&1" or command, {cwd = folder.path})
end

return M
