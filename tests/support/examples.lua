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
--
-- examples.read_c(page) does the same for the blocks ```c. What they print
-- stands in the block ```output behind each.
--
-- Runs of blanks and tabs count as one blank, and those at the beginning of a
-- line do not count: examples.squeeze(text) leaves them out.

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

-- The blocks of a page, in its order: lists of lines, with kind, name, and
-- the line where they begin.
local function blocks(path)
  local list, heading, counts, number = {}, path, {}, 0
  local block -- that we are in
  for line in program.read(path):gmatch("([^\n]*)\n") do
    local fence = line:match("^```(.*)$")
    number = number + 1
    if block and fence then
      local count = (counts[block.kind] or 0) + 1
      counts[block.kind] = count
      block.name = count == 1 and heading or ("%s (%d)"):format(heading, count)
      list[#list + 1] = block
      block = nil
    elseif block then
      block[#block + 1] = line
    elseif fence then
      block = {kind = fence, line = number + 1}
    elseif line:find("^#") then
      heading, counts = line:gsub("^#+ ", ""):gsub("`", ""), {}
    end
  end
  assert(not block, path .. ": the last block has no end")
  return list
end

-- The lines as one text.
local function text_of(lines)
  return table.concat(lines, "\n") .. "\n"
end

function M.squeeze(text)
  return (("\n" .. text):gsub("[ \t]+", " "):gsub("\n ", "\n"))
end

-- The examples of a page, in its order.
function M.read(path)
  local list = {}
  for _, block in ipairs(blocks(path)) do
    if block.kind == "lua" then
      local output = {}
      for _, line in ipairs(block) do
        output[#output + 1] = line:match("%-%-> (.*)$")
      end
      list[#list + 1] = {
        name = block.name, code = text_of(block), line = block.line,
        output = output[1] and text_of(output),
      }
    end
  end
  return list
end

function M.read_c(path)
  local list, all = {}, blocks(path)
  for i, block in ipairs(all) do
    if block.kind == "c" then
      local output = all[i + 1]
      assert(output and output.kind == "output", path .. ": no output of " .. block.name)
      list[#list + 1] = {
        name = block.name, code = text_of(block), line = block.line, output = text_of(output),
      }
    end
  end
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
