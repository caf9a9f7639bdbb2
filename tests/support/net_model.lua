-- net_model.lua - random traffic over streams, and what has to come of it:
-- what was written is read in that order, no byte is lost or comes twice; a
-- write that is cancelled comes whole or not at all.
--
-- A world has two sides. Each has writers, which number their writes and log
-- what became of them, and a reader, which keeps what it got. They are cancelled
-- at random, run out of time, dawdle. In the end both sides are shut down, or
-- one is closed in the middle. Each actor has random numbers of its own, so that
-- a seed gives the same actions again, whatever their order.

local asyncio = require "asyncio"
local net = require "net"
local process = require "process"
local program = require "program"
local stream = require "stream"
local tasks = require "tasks"

local isinstance = asyncio.isinstance

local MOST <const> = 200000 -- bytes of a write
local FILLER
do
  local random, list = tasks.random(1), {}
  for i = 1, MOST // 8 do
    list[i] = string.char(random(255), 0, 13) .. ("x"):rep(random(4)) .. (random(3) == 1 and "\n" or "|")
  end
  FILLER = table.concat(list):rep(2)
end

local function text_of(id, size)
  return ("<%d:%d>"):format(id, size) .. FILLER:sub(id * 7, id * 7 + size - 1) .. "\n"
end

local function dawdle(random)
  local how = random(8)
  if how == 1 then await(sleep(random(20) / 10000)) elseif how < 4 then tasks.turns(random(3)) end
end

-- Runs attempt(), as it is, or cancelled, or with little time. Whether it
-- succeeded, and its result, or error.
local function perhaps(random, attempt)
  local how = random(5)
  if how == 1 then
    local task = create_task(attempt())
    tasks.turns(random(4) - 1)
    task:cancel()
    return asyncio.catch(await, task)
  elseif how == 2 then
    return asyncio.catch(await, asyncio.wait_for(attempt(), random(20) / 10000))
  end
  return asyncio.catch(await, attempt())
end

local function is_given_up(err)
  return isinstance(err, asyncio.CancelledError) or isinstance(err, asyncio.TimeoutError)
end

-- What closing may raise, here or there.
local function is_end(err)
  if type(err) == "string" then return err:find("the stream is closed", 1, true) end
  local codes = {ECONNRESET = true, EPIPE = true, ECANCELED = true, ENOTCONN = true}
  return isinstance(err, asyncio.OSError) and codes[err.code]
end

-- Writes some times; what became of each is in side.log.
local function write_some(side, random)
  for _ = 1, random(12) do
    local size = random(10) == 1 and random(MOST) or random(300)
    local entry = {fate = "begun"}
    local ok, err = perhaps(random, async(function()
      entry.id = #side.log + 1
      side.log[entry.id] = entry
      entry.text = text_of(entry.id, size)
      local middle = random(#entry.text)
      await(side.writing:write(entry.text:sub(1, middle), entry.text:sub(middle + 1)))
    end))
    entry.fate = ok and "done" or is_given_up(err) and "cancelled" or "failed"
    if entry.fate == "failed" then
      if not is_end(err) then error(err, 0) end
      return
    end
    dawdle(random)
  end
end

local formats = {
  function(s) return s:read() end,
  function(s, random) return s:read(random(random(2) == 1 and 40 or 100000)) end,
  function(s) return s:read("l") end,
  function(s, random) return s:read("L", random(1000)) end,
  function(s, random) return s:readexactly(random(5000)) end,
  function(s, random) return s:readuntil(random(2) == 1 and "|" or "\n<", random(5000)) end,
  function(s, random) return s:read("a", random(100) == 1 and (1 << 26) or random(1000)) end,
}
local ANY <const>, LINE <const>, ALL <const> = 1, 3, 7

-- What a read may raise, and more can come.
local function is_passing(err)
  return is_given_up(err) or isinstance(err, stream.LimitOverrunError) or isinstance(err, stream.IncompleteReadError)
end

-- Reads to the end; side.got is what came.
local function read_all(side, random)
  local got, is_long = {}, false
  while true do
    local format = is_long and ANY or random(#formats)
    local ok, value = perhaps(random, async(function()
      return await(formats[format](side.reading, random))
    end))
    if ok and value then
      got[#got + 1] = value
      if format == LINE then got[#got + 1] = "\n" end
    elseif not ok and isinstance(value, stream.IncompleteReadError) then
      got[#got + 1] = value.partial
    end
    if ok and (value == nil or format == ALL) then break end
    is_long = not ok and isinstance(value, stream.LimitOverrunError)
    if not ok and not is_passing(value) then
      if not is_end(value) then error(value, 0) end
      break
    end
    dawdle(random)
  end
  side.got = table.concat(got)
end

-- Compares what one side wrote with what the other one got. `cut`: the end may
-- be missing.
local function check(log, got, cut)
  local at = 1
  for id, entry in ipairs(log) do
    local text = entry.text
    if got:sub(at, at + #text - 1) == text then
      at = at + #text
    elseif cut and text:sub(1, #got - at + 1) == got:sub(at) and (at <= #got or entry.fate ~= "cancelled") then
      return
    elseif entry.fate ~= "cancelled" then
      error(("write %d of %d bytes (%s) is not at %d of %d bytes read: %q"):format(id, #text, entry.fate, at,
        #got, got:sub(at, at + 40)), 0)
    end
  end
  -- a last line that ended without its newline
  if cut and got:sub(at) == "\n" then return end
  if at <= #got then error(("%d bytes more were read: %q"):format(#got - at + 1, got:sub(at, at + 40)), 0) end
end

-- {=====================================================
-- Worlds
-- ======================================================

-- Listens, and connects: two streams. What is to be closed goes to `closing`.
local function connected(closing, path)
  local other, over = asyncio.Future(), asyncio.Event()
  local handler = async(function(s)
    other:set_result(s)
    await(over:wait())
  end)
  local server = await(path and net.listen_unix(path, handler) or net.listen("127.0.0.1", 0, handler))
  local one = await(path and net.connect_unix(path) or net.connect(server:address()))
  closing[#closing + 1] = function()
    one:close()
    over:set()
    server:close()
    await(server:wait_closed())
  end
  return one, await(other)
end

local worlds = {}

function worlds.tcp(closing) return connected(closing) end

function worlds.unix(closing)
  local folder = program.folder()
  closing[#closing + 1] = function() folder:remove() end
  return connected(closing, folder:file("socket"))
end

-- All passes through two pipes from stream to stream.
function worlds.relay(closing)
  local one, near = connected(closing)
  local far, two = connected(closing)
  local pump = async(function(from, to)
    local ok, err = asyncio.catch(await, from:pipe(to))
    if ok then ok, err = asyncio.catch(await, to:shutdown()) end
    if not ok then
      if not is_end(err) then error(err, 0) end
      from:close()
      to:close()
    end
  end)
  local pumps = {create_task(pump(near, far)), create_task(pump(far, near))}
  closing[#closing + 1] = function()
    near:close()
    far:close()
    await(gather(pumps))
  end
  return one, two
end

-- What one side writes it gets back: by a pipe, or a program.
function worlds.echo(closing)
  local one, two = connected(closing)
  local task = create_task(async(function()
    local ok, err = asyncio.catch(await, two:pipe(two))
    if not ok and not is_end(err) then error(err, 0) end
    two:close()
  end)())
  closing[#closing + 1] = function()
    two:close()
    await(task)
  end
  return one
end

function worlds.cat(closing)
  local child = process.spawn {"cat", stdin = "pipe", stdout = "pipe"}
  closing[#closing + 1] = function()
    child.stdin:close()
    child.stdout:close()
    await(child:wait())
  end
  return child.stdin, nil, child.stdout
end

local kinds = {"tcp", "unix", "relay", "echo", "cat"}

-- ======================================================}

local M = {}

-- Plays what the seed says; raises an error when something is not as it has to
-- be. Gives how many bytes came.
function M.play(seed)
  local random = tasks.random(seed)
  random(1)
  local closing, sides, actors = {}, {}, {}
  local kind, cut = kinds[random(#kinds)], random(3) == 1
  local one, two, reading = worlds[kind](closing)
  sides[1] = {log = {}, writing = one, reading = reading or one}
  sides[2] = two and {log = {}, writing = two, reading = two}
  local function actor(fn, side)
    actors[#actors + 1] = create_task(async(fn)(side, tasks.random(seed * 31 + #actors)))
    return actors[#actors]
  end
  for _, side in ipairs(sides) do
    actor(read_all, side)
    local writers = {}
    for i = 1, random(3) do writers[i] = actor(write_some, side) end
    actors[#actors + 1] = create_task(async(function()
      await(gather(writers))
      if cut and random(2) == 1 then return end
      local ok, err = asyncio.catch(await, side.writing:shutdown())
      if not ok and not is_end(err) then error(err, 0) end
    end)())
  end
  if cut then
    tasks.turns(random(60))
    if random(2) == 1 then await(sleep(random(40) / 10000)) end
    sides[random(#sides)].writing:close()
    if kind == "echo" or kind == "cat" then sides[1].reading:close() end
  end
  local ok, err = asyncio.catch(await, asyncio.wait_for(gather(actors), 60))
  if not ok then
    for _, side in ipairs(sides) do
      side.writing:close()
      side.reading:close()
    end
    await(asyncio.wait(actors))
  end
  for i = #closing, 1, -1 do closing[i]() end
  if not ok then error(("%s%s: %s"):format(kind, cut and ", cut" or "", tostring(err)), 0) end
  for i, side in ipairs(sides) do
    check(side.log, (sides[3 - i] or side).got, cut)
  end
  return #sides[1].got
end

return M
