-- process_examples_spec.lua: a program of scripts/examples that runs others.

local program = require "program"

local function example(name) return program.capture "pwd" .. "/scripts/examples/" .. name .. ".lua" end

describe("pipeline.lua", function()
  it("prints the most frequent words", function()
    local folder <close> = program.folder()
    local one = folder:write("one", "The sea, the moon;\nthe tide! a sea\n")
    local two = folder:write("-two", ("tide "):rep(1000))
    local result = program.run({program.neap, example "pipeline", "-n", "3", one, two})
    assert.are.same({code = 0, stdout = "1001\ttide\n3\tthe\n2\tsea\n", stderr = ""}, result)
    result = program.run({program.neap, example "pipeline", folder:file "none"})
    assert.are.equal(1, result.code)
    assert.matches("^cat: ", result.stderr)
    assert.are.equal(2, program.run({program.neap, example "pipeline"}).code)
  end)
end)
