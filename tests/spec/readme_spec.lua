-- readme_spec.lua: the examples on the modules' pages (stdlib/*/README.md)
-- run without an error, and print what the page shows.
--
-- An example is a block ```lua. The texts behind `-->` in it are all that it
-- prints, in that order, reports on standard error included; without one it
-- may print what it likes, but no report.

local examples = require "examples"
local servers = require "http_servers"

local squeeze = examples.squeeze

teardown(servers.stop)

local total = 0

for _, path in ipairs(examples.pages("stdlib")) do
  describe(path .. ":", function()
    for _, example in ipairs(examples.read(path)) do
      total = total + 1
      it(example.name, function()
        local result = examples.run(example)
        local place = ("%s:%d: "):format(path, example.line)
        if example.output then
          assert.are.equal(squeeze(example.output), squeeze(result.stdout), place .. "its output")
        end
        assert.are.equal("", result.stderr, place .. "standard error")
        assert.are.equal(0, result.code, place .. "its exit code, after " .. result.stdout)
      end)
    end
  end)
end

describe("the modules' pages", function()
  it("have examples", function()
    assert.is_true(total > 0)
  end)
end)
