-- What `make bench` measures: one row a question, with the programs that answer it side by side and the
-- targets Neap has to meet. A row has
--   name      for --only, and the base name of its programs (see `program`)
--   program   the programs' base name, where it is not the row's
--   folder    where Neap's program lies, and lua5.4's: "neap" unless said otherwise
--   what      the question; %n in it stands for n
--   n         how many operations; quick_n is for --quick (a tenth unless given, false: left out)
--   runs      how many runs from the usual number of runs (as many, unless given)
--   entries   who takes part: peer, note (what exactly it does), arg (a further argument), n (its own count:
--             a slow peer needs fewer to be measured as well)
--   metrics   one for each number a program prints: unit, what, targets
-- A target compares Neap with another: `ratio` says how many times the peer's figure its own may be at most (where
-- the peer takes part several times, its best), `limit` is an absolute bound. The text is for people.

local function half(runs) return runs // 2 + 1 end

-- a single run of the same program differs from another by more than 2 %: it takes many short ones
local function many(runs) return 12 * runs + 1 end

local rows = {
  {
    name = "switch", what = "1000 tasks, each awaiting sleep(0) in a loop", n = 5000000,
    entries = {
      { peer = "neap" },
      { peer = "raw", note = "resume/yield" },
      { peer = "python", n = 500000 },
      { peer = "uvloop", n = 500000 },
      { peer = "node", note = "await null", arg = "null" },
      { peer = "node", note = "setImmediate", arg = "immediate", n = 1000000 },
      { peer = "go", note = "Gosched" },
    },
    metrics = { { unit = "ns", what = "a switch", targets = {
      { peer = "raw", ratio = 1.5, text = "at most 1.5 x raw resume/yield" },
      { peer = "uvloop", ratio = 1 / 5, text = "at most 1/5 of uvloop" },
    } } },
  },
  {
    name = "create", what = "create trivial tasks in batches of 1000, await each", n = 3000000,
    entries = {
      { peer = "neap" },
      { peer = "raw", note = "reused thread" },
      { peer = "python", n = 200000 },
      { peer = "uvloop", n = 200000 },
      { peer = "node" },
      { peer = "go", note = "WaitGroup", arg = "group" },
      { peer = "go", note = "channel", arg = "channel", n = 2000000 },
    },
    metrics = { { unit = "ns", what = "a task", targets = {
      { peer = "go", ratio = 1, text = "faster than Go" },
    } } },
  },
  {
    name = "await", what = "await in line an async function that does not suspend", n = 5000000,
    entries = {
      { peer = "neap" },
      { peer = "raw", note = "plain call", n = 20000000 },
      { peer = "python" },
      { peer = "node" },
    },
    metrics = { { unit = "ns", what = "an await", targets = {
      { peer = "python", ratio = 1.3, text = "at most 1.3 x asyncio" },
    } } },
  },
  {
    name = "sleeping-100k", program = "sleeping", what = "%n tasks asleep at once",
    n = 100000, quick_n = 100000, runs = half,
    entries = {
      { peer = "neap" }, { peer = "raw", note = "thread + uv_timer_t" }, { peer = "python" }, { peer = "uvloop" },
      { peer = "node" }, { peer = "go" },
    },
    metrics = {
      { unit = "bytes", what = "a task", targets = { { limit = 1500, text = "at most 1,500" } } },
      { unit = "s", what = "to create them", targets = {} },
    },
  },
  {
    name = "sleeping-1m", program = "sleeping", what = "%n tasks asleep at once", n = 1000000, quick_n = false,
    runs = half,
    entries = {  -- asyncio takes 16 seconds for as many
      { peer = "neap" }, { peer = "raw", note = "thread + uv_timer_t" }, { peer = "node" }, { peer = "go" },
    },
    metrics = {
      { unit = "bytes", what = "a task", targets = { { limit = 1500, text = "at most 1,500" } } },
      { unit = "s", what = "to create them", targets = {} },
    },
  },
  {
    name = "timers", what = "set %n timers at 1,000 distinct times, let them fire", n = 1000000,
    runs = half,
    entries = {
      { peer = "neap", note = "call_later" },
      { peer = "raw", note = "uv_timer_t" },
      { peer = "python", note = "call_later" },
      { peer = "uvloop", note = "call_later" },
      { peer = "node", note = "setTimeout" },
      { peer = "go", note = "AfterFunc" },
    },
    metrics = { { unit = "ns", what = "a timer", targets = {} } },
  },
  {
    name = "startup", startup = true, what = "start an empty program (-e '') and wait for its end",
    n = 100, quick_n = 50,
    entries = {
      { peer = "neap" }, { peer = "lua" }, { peer = "python" }, { peer = "node" },
    },
    metrics = { { unit = "ms", what = "a start", targets = {
      { peer = "lua", ratio = 1.5, text = "at most 1.5 x lua5.4" },
    } } },
  },
}

-- synchronous Lua: the same program on both
for _, sync in ipairs {
  { "fib", 90, "calls and integers" },
  { "strings", 750, "strings, patterns, tables" },
  { "trees", 40, "allocation and garbage" },
  { "nbody", 15000, "floats and fields" },
  { "pcall", 750000, "protected calls" },
  { "coroutines", 200000, "coroutines" },
} do
  local name, n, what = table.unpack(sync)
  rows[#rows + 1] = {
    name = "sync-" .. name, program = name, folder = "sync", n = n, quick_n = n // 4, runs = many,
    what = "synchronous Lua: " .. what,
    entries = { { peer = "neap" }, { peer = "lua" } },
    metrics = { { unit = "ms", what = "a run", targets = {
      { peer = "lua", ratio = 1.02, text = "within 2 % of lua5.4" },
    } } },
  }
end

return rows
