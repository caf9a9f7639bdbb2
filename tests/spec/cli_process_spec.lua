-- cli_process_spec.lua - neap as a process: descriptors that are closed,
-- Ctrl-C.

local dropin = require "dropin"
local program = require "program"

local NEAP = program.neap
local run_both, same = dropin.run_both, dropin.same

local function neap(arguments, options)
  return program.run({NEAP, table.unpack(arguments)}, options)
end

describe("descriptors that are closed at the start", function()
  it("standard input fails to read", function()
    local code = "print(io.read()) print(io.read(0)) print(io.stdin:read(5))"
    same([[exec "$LUA" -e "$CODE" <&-]], {env = {CODE = code}})
    local result = same([[exec "$LUA" <&-]])
    assert.matches("cannot read stdin", result.stderr)
  end)

  it("standard error swallows errors", function()
    local result = same([[exec "$LUA" -e "print(1) error('x')" 2>&-]])
    assert.same({code = 1, stdout = "1\n", stderr = ""}, result)
    same([[exec "$LUA" -x 2>&-]])
  end)

  it("no file that the program opens takes their place", function()
    local folder <close> = program.folder()
    local code = "f = io.open('f', 'w') print('lost') f:write('kept')"
    local result = program.run([[exec "$LUA" -e "$CODE" >&-]],
      {env = {LUA = NEAP, CODE = code}, cwd = folder.path})
    assert.equal(0, result.code)
    assert.equal("kept", program.read(folder:file("f")))
  end)

  it("the event loop works without all three", function()
    local folder <close> = program.folder()
    folder:write("script.lua", [[
      local function main()
        await(sleep(0.001))
        print("lost")
        io.open("done", "w"):close()
      end
      run(async(main)())]])
    local result = program.run([[exec "$LUA" script.lua <&- >&- 2>&-]],
      {env = {LUA = NEAP}, cwd = folder.path})
    assert.equal(0, result.code)
    assert.equal("", program.read(folder:file("done")))
  end)
end)

describe("Ctrl-C", function()
  local INTERRUPT = program.INTERRUPT

  it("raises an error in synchronous code", function()
    local ours, stock = run_both{"-e", INTERRUPT .. " while true do end"}
    -- where the signal strikes is not certain, so the place is left out
    for _, result in ipairs{ours, stock} do
      assert.matches("^lua5%.4: [^\n]*interrupted!\nstack traceback:\n",
        result.stderr)
      assert.equal(1, result.code)
    end
  end)

  it("can be caught by synchronous code", function()
    local result = same{"-e", "print(pcall(function() " .. INTERRUPT ..
      " while true do end end) == false)"}
    assert.equal("true\n", result.stdout)
  end)

  it("a second time ends synchronous code, as in lua5.4", function()
    local result = same{"-e", "for i = 1, 4 do pcall(function() " ..
      INTERRUPT .. " end) io.write(i, ' ') io.flush() end"}
    assert.equal(2, result.signal)
    assert.equal("1 ", result.stdout)
  end)

  it("a third time ends a run that does not react", function()
    local result = neap{"-e", "run(async(function() for i = 1, 4 do " ..
      "pcall(string.rep, 'x', 10) io.write(i, ' ') io.flush() " ..
      "debug.sethook() require'asyncio'.catch(function() " .. INTERRUPT ..
      " end) end end)())"}
    assert.equal(2, result.signal)
  end)

  it("counts for each chunk anew", function()
    local once = "pcall(function() " .. INTERRUPT .. " end) io.write('.')"
    local result = neap{"-e", once, "-e", once, "-e", once, "-e", once}
    assert.same({code = 0, stdout = "....", stderr = ""}, result)
  end)

  it("in run ends the program with 130 and one line", function()
    local result = program.run_script(([[
      run(async(function()
        local x <close> = setmetatable({}, {__close = function()
          await(sleep(0)) print("cleaned up") end})
        %s
        await(sleep(30))
        print("not reached")
      end)())]]):format(INTERRUPT))
    assert.equal("cleaned up\n", result.stdout)
    assert.equal("KeyboardInterrupt\n", result.stderr)
    assert.equal(130, result.code)
  end)

  it("in run leaves the interactive mode going", function()
    local result = neap({"-i"}, {
      stdin = "run(async(function() " .. INTERRUPT ..
        " await(sleep(30)) end)())\nprint('alive')\n",
    })
    assert.equal(0, result.code)
    assert.equal("KeyboardInterrupt\n", result.stderr)
    assert.matches("> alive\n> \n$", result.stdout)
  end)
end)
