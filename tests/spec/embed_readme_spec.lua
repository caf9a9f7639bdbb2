-- embed_readme_spec.lua: the documentation of the C API holds. The programs
-- on its pages build against the library under test, without a warning, and
-- print what the page shows. The manual page names all that neap.h declares,
-- and the maps of the runtime's folders name all files.

local examples = require "examples"
local program = require "program"

local GUIDE = "vm/embed/README.md"
local MANUAL = "vm/include/neap.h.3"

-- Compiles and links a program; what `cc` says is an error.
local function build(folder, code)
  local place = assert(program.neap:match "^(.*)/")
  local needs = program.read(place .. "/neap.pc"):match "Requires: ([^\n]*)"
  local sanitizers = os.getenv "SAN" or ""
  local source, host = folder:write("host.c", code), folder:file "host"
  local command = table.concat({
    os.getenv "CC" or "cc", "-Wall -Wextra -Wpedantic -Werror",
    sanitizers ~= "" and "-fsanitize=" .. sanitizers or "",
    "-o", program.quote(host), program.quote(source), "-Ivm/include",
    program.quote(place .. "/libneap.a"),
    assert(program.capture("pkg-config --cflags --libs " .. needs)), "-lm",
  }, " ")
  local result = program.run(command)
  assert.are.equal("", result.stdout .. result.stderr)
  return host
end

local function check(example, page)
  local folder <close> = program.folder()
  local result = program.run("exec " .. build(folder, example.code) .. " 2>&1", {cwd = folder.path})
  assert.are.equal(examples.squeeze(example.output), examples.squeeze(result.stdout),
    ("%s:%d: its output"):format(page, example.line))
  assert.are.equal(0, result.code)
end

-- The text of a manual page's example: the first between .EX and .EE.
local function manual_example()
  local code = program.read(MANUAL):match "\n%.EX\n(.-)%.EE\n"
  return (code:gsub("\\e", "\\"):gsub("\\%-", "-"):gsub("\\&", ""):gsub("\\%(aq", "'"):gsub("\\%(dq", '"'))
end

describe(GUIDE .. ":", function()
  for _, example in ipairs(examples.read_c(GUIDE)) do
    it(example.name, function()
      check(example, GUIDE)
    end)
  end
end)

describe(MANUAL .. ":", function()
  local page = program.read(MANUAL):gsub("\\%-", "-")
  local header = program.read "vm/include/neap.h"

  it("its example", function()
    check({code = manual_example(), output = "hello\n", line = 0}, MANUAL)
  end)

  it("names every function", function()
    local count = 0
    for name in header:gmatch "[ *](neap_[a-z_]+)%(" do
      count = count + 1
      assert.is_truthy(page:find(name .. "%f[^%w_]"), name)
    end
    assert.is_true(count > 50)
  end)

  it("names every error", function()
    for name in header:gmatch "\n  X%((%u+)," do
      assert.is_truthy(page:find("NEAP_" .. name .. "%f[^%w_]"), name)
    end
  end)
end)

describe("the map of", function()
  local function names_all(page, folder)
    local text = program.read(page)
    for file in program.capture("ls " .. folder):gmatch "[^\n]+" do
      if file:find "%.[ch]$" then
        assert.is_truthy(text:find("`" .. file .. "`", 1, true), file)
      end
    end
  end

  it("vm/core names every file", function()
    names_all("vm/README.md", "vm/core")
  end)

  it("vm/embed names every file", function()
    names_all(GUIDE, "vm/embed")
  end)
end)
