-- What `make bench` measures: one row a question, with the programs that answer it side by side and the
-- targets Neap has to meet. A row has
--   name      for --only, and the base name of its programs (see `program`)
--   program   the programs' base name, where it is not the row's
--   folder    where Neap's program lies, and lua5.4's: "neap" unless said otherwise; what is in "embed" is a host
--             in C, linked with libneap.a
--   what      the question; %n in it stands for n
--   document  the name of a text in documents.lua; its path is the programs' last argument
--   files     true: the programs' last argument is a folder with the files 1 to n, of 1000 bytes each
--   server    what nginx is asked by: "http" or "https"; the programs' last arguments are a URL and the CA's file
--   load      the programs are servers, which raw/load.c starts and measures: what it does to them
--   memory    MiB that are touched before each run: see raw/touch.c
--   n         how many operations; quick_n is for --quick (a tenth unless given, false: left out)
--   runs      how many runs from the usual number of runs (as many, unless given)
--   entries   who takes part: peer, note (what exactly it does), arg (a further argument), n (its own count:
--             a slow peer needs fewer to be measured as well)
--   metrics   one for each number a program prints: unit, what, targets
-- A target compares Neap with another: `ratio` says how many times the peer's figure its own may be at most (where
-- the peer takes part several times, its best), `more` how much more it may be, `limit` is an absolute bound. Or it
-- compares the row's second entry with its first: `growth` says how many times as long it may take, `factor` how many
-- times as much it does of what the figure is for. The text is for people.

local function half(runs) return runs // 2 + 1 end

-- what is near its target
local function more(runs) return 2 * runs + 1 end

-- a single run of the same program differs from another by more than 2 %: it takes many short ones
local function many(runs) return 12 * runs + 1 end

-- MiB touched beforehand: more than any program takes; more than one of 100,000 tasks takes
local MOST_MEMORY <const>, MEMORY <const> = 4096, 512

local rows = {
  {
    name = "switch", what = "1000 tasks, each awaiting sleep(0) in a loop", n = 5000000, runs = more,
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
    n = 100000, quick_n = 100000, runs = half, memory = MOST_MEMORY,
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
    runs = half, memory = MOST_MEMORY,
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
    runs = half, memory = MOST_MEMORY,
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
  {
    name = "prompt", startup = true, prompt = true, what = "start -i on a terminal and wait for the first prompt",
    n = 100, quick_n = 50,
    entries = { { peer = "neap" }, { peer = "lua" } },
    metrics = { { unit = "ms", what = "a prompt", targets = {
      { peer = "lua", ratio = 1.5, text = "at most 1.5 x lua5.4" },
    } } },
  },
}

-- asyncio's own functions and classes
for _, row in ipairs {
  { name = "lock", what = "take and give back a lock that nobody else wants", n = 1000000, unit = "a round trip" },
  { name = "pingpong", what = "two tasks, a Queue(1) each way", n = 200000, unit = "a round trip" },
  { name = "semaphore", what = "1000 tasks wait for one of 10 places, hold it for a turn", n = 200000,
    unit = "an acquire" },
  { name = "gather", what = "gather 100,000 coroutines that do not suspend", n = 300000, quick_n = 100000,
    unit = "a coroutine", memory = MEMORY },
  { name = "wait_for", what = "wait_for around a coroutine that does not suspend", n = 300000, unit = "a wait_for",
    other = { peer = "python", note = "timeout()", arg = "timeout" } },
  { name = "taskgroup", what = "a TaskGroup of 1000 tasks that do not suspend", n = 300000, unit = "a task" },
  { name = "cancel", what = "cancel and join 100,000 tasks that sleep", n = 300000, quick_n = 100000,
    unit = "a task", memory = MEMORY },
} do
  row.entries = { { peer = "neap" }, { peer = "python" }, { peer = "uvloop" }, row.other }
  row.metrics = { { unit = "ns", what = row.unit, targets = {
    { peer = "python", ratio = 1 / 3, text = "at most 1/3 of asyncio" },
  } } }
  rows[#rows + 1] = row
end

-- Linear cost: Neap with n operations among `size` tasks, waiters or timers, then 10 times as many of both. Where there
-- is no `size`, n is the size.
local function grows(factor)
  return { { growth = 12, factor = factor, text = "10 times as many take at most 12 times as long" } }
end
local each = { { unit = "ns", what = "each", targets = grows(10) } }
local together = {
  { unit = "bytes", what = "each", targets = {} },
  { unit = "s", what = "to create them", targets = grows(1) },
}
for _, linear in ipairs {
  { "create", 100000, 1000, "1000 tasks", each },
  { "sleeping", 100000, nil, "%n tasks", together },
  { "timers", 100000, nil, "%n timers", each },
  { "lock", 20000, 1000, "1000 waiters", each },
  { "pingpong", 20000, 1000, "1000 pairs of tasks at two queues", each },
  { "semaphore", 20000, 1000, "1000 waiters", each },
  { "gather", 100000, 10000, "10,000 coroutines", each },
  { "wait_for", 20000, 1000, "1000 other tasks with a deadline", each },
  { "taskgroup", 50000, 1000, "1000 tasks", each },
  { "cancel", 50000, 10000, "10,000 tasks", each },
} do
  local program, n, size, things, metrics = table.unpack(linear, 1, 5)
  rows[#rows + 1] = {
    name = "linear-" .. program, program = program, n = n, quick_n = n // 5, metrics = metrics, runs = more,
    memory = program == "sleeping" and MOST_MEMORY or MEMORY,
    what = things .. ", then 10 times as many",
    entries = {
      { peer = "neap", arg = size },
      { peer = "neap", note = "10 times as many", n = 10 * n, arg = size and 10 * size },
    },
  }
end

-- JSON: the same documents for all. Python's column is its json here, Node's JSON.parse and JSON.stringify.
for _, json in ipairs {
  { "todos", 15, "10,000 records, 1.2 MB" },
  { "numbers", 20, "50,000 integers and 50,000 floats, 1.1 MB" },
  { "strings", 80, "1000 long strings with escapes and other scripts, 1.1 MB" },
  { "unicode", 40, "the same in ASCII, with \\u escapes, 1.5 MB" },
  { "nested", 20, "50 values nested 900 levels deep, 0.2 MB" },
} do
  local document, n, what = table.unpack(json)
  for _, way in ipairs(document == "unicode" and { "decode" } or { "decode", "encode" }) do
    rows[#rows + 1] = {
      name = ("json-%s-%s"):format(way, document), program = "json", document = document, n = n, quick_n = n // 4,
      what = ("%s JSON: %s"):format(way, what),
      entries = {
        { peer = "neap", arg = way }, { peer = "cjson", arg = way }, { peer = "python", note = "json", arg = way },
        { peer = "node", arg = way },
      },
      metrics = { { unit = "ms", what = "a document", targets = {
        { peer = "python", ratio = 1, text = "faster than Python" },
      } } },
    }
  end
end

-- Files
rows[#rows + 1] = {
  name = "files", files = true, what = "read %n files of 1000 bytes, 16 at a time", n = 10000,
  entries = {
    { peer = "neap" },
    { peer = "raw", note = "one uv_queue_work a file", arg = "work" },
    { peer = "raw", note = "uv_fs_open, fstat, read, close", arg = "fs" },
    { peer = "python", note = "run_in_executor" },
    { peer = "python", note = "threads alone", arg = "threads" },
    { peer = "uvloop", note = "run_in_executor" },
    { peer = "node", note = "readFile" },
    { peer = "go", note = "ReadFile" },
  },
  metrics = { { unit = "us", what = "a file", targets = {
    { peer = "python", ratio = 1, text = "less than asyncio and threads" },
    { peer = "node", ratio = 1, text = "less than Node" },
  } } },
}

-- HTTP requests
-- servers that send back what they get
for _, row in ipairs {
  { name = "net-echo", load = "echo", n = 300000, unit = "us", what = "a message",
    question = "%n messages of 64 bytes there and back, over 64 connections",
    targets = {
      { peer = "raw", ratio = 1.6, text = "at most 1.6 x libuv in C" },
      { peer = "uvloop", ratio = 1, text = "less than uvloop" },
      { peer = "node", ratio = 1, text = "less than Node" },
    } },
  { name = "net-stream", load = "stream", n = 2000, unit = "us", what = "1 MiB",
    question = "1 MiB there and back, %n times, over 4 connections",
    targets = { { peer = "raw", ratio = 1.2, text = "at most 1.2 x libuv in C" } } },
  { name = "net-accept", load = "accept", n = 12800, unit = "us", what = "a connection",
    question = "%n connections, each for a message there and back", targets = {} },
  { name = "net-idle", load = "idle", n = 10000, quick_n = 10000, unit = "bytes", what = "a connection",
    question = "%n connections, open and idle: resident memory",
    targets = { { limit = 4096, text = "at most 4,096" } } },
} do
  local streaming = row.load == "stream"
  rows[#rows + 1] = {
    name = row.name, program = "echo", load = row.load, what = row.question, n = row.n, quick_n = row.quick_n,
    entries = {
      { peer = "neap", note = streaming and "pipe" or nil, arg = streaming and "pipe" or "write" },
      { peer = "raw", note = "libuv" },
      { peer = "uvloop", note = "Protocol", arg = "protocol" },
      { peer = "uvloop", note = "streams", arg = "streams" },
      { peer = "python", note = "streams", arg = "streams", n = row.load == "idle" and row.n or row.n // 4 },
      { peer = "node", note = streaming and "pipe" or nil, arg = streaming and "pipe" or "write" },
      { peer = "go", note = streaming and "splice" or nil, arg = streaming and "copy" or "small" },
      { peer = "luv" },
      streaming and { peer = "neap", note = "read, write", arg = "write" } or nil,
    },
    metrics = { { unit = row.unit, what = row.what, targets = row.targets } },
  }
end

for _, server in ipairs { "http", "https" } do
  rows[#rows + 1] = {
    name = server, program = "fetch", server = server, n = 10000,
    what = ("%%n requests to nginx by %s, 100 at a time"):format(server),
    entries = {
      { peer = "neap", note = server == "https" and "HTTP/2" or nil },
      { peer = "aiohttp" },
      { peer = "node", note = "fetch" },
    },
    metrics = { { unit = "us", what = "a request", targets = {
      { peer = "aiohttp", ratio = 1, text = "less than aiohttp" },
      { peer = "node", ratio = 1, text = "less than Node" },
    } } },
  }
end

-- Embedding: hosts in C, beside the same on Lua's API alone
for _, row in ipairs {
  { name = "vm-create", program = "newstate", what = "create a VM and close it", n = 5000,
    entries = {
      { peer = "neap", note = "sandbox" }, { peer = "neap", note = "all granted", arg = "all" },
      { peer = "neap", note = "with limits", arg = "limits" }, { peer = "raw", note = "newstate, openlibs, close" },
    },
    metrics = { { unit = "us", what = "a VM", targets = {
      { peer = "raw", ratio = 1.5, text = "at most 1.5 x a Lua state" },
    } } } },
  { name = "vm-idle", program = "idle", what = "%n VMs that do nothing", n = 1000, quick_n = 1000,
    entries = {
      { peer = "neap" }, { peer = "neap", note = "with limits", arg = "limits" }, { peer = "raw", note = "Lua state" },
    },
    metrics = { { unit = "bytes", what = "a VM", targets = {
      { peer = "raw", more = 40960, text = "at most 40 KiB more than a Lua state" },
    } } } },
  { name = "vm-many", program = "many", what = "%n VMs on one loop, each with a task asleep", n = 1000, quick_n = 1000,
    entries = { { peer = "neap" } },
    metrics = {
      { unit = "bytes", what = "a VM", targets = {} },
      { unit = "us", what = "to make each", targets = {} },
      { unit = "us", what = "to close each", targets = {} },
    } },
  { name = "vm-cycles", program = "cycles", what = "create VMs, run a script, close: %n times", n = 10000,
    entries = { { peer = "neap" } }, runs = half,
    metrics = { { unit = "times", what = "as much memory at the end as after a tenth", targets = {
      { limit = 1.1, text = "flat: at most 1.1" },
    } } } },
  { name = "vm-call", program = "call", what = "call a Lua function that adds two integers from C", n = 5000000,
    layouts = 8,
    entries = {
      { peer = "neap" }, { peer = "neap", note = "with limits", arg = "limits" }, { peer = "raw", note = "lua_pcall" },
    },
    metrics = { { unit = "ns", what = "a call", targets = {
      { peer = "raw", ratio = 1.3, text = "at most 1.3 x lua_pcall" },
    } } } },
  { name = "vm-native", program = "native", what = "call a C function that adds two integers from Lua", n = 10000000,
    layouts = 8,
    entries = { { peer = "neap" }, { peer = "raw", note = "lua_CFunction" } },
    metrics = { { unit = "ns", what = "a call", targets = {
      { peer = "raw", ratio = 1.3, text = "at most 1.3 x a lua_CFunction" },
    } } } },
  { name = "vm-settle", program = "settle", what = "a promise settled by another thread", n = 5000, quick_n = 2000,
    entries = { { peer = "neap" }, { peer = "raw", note = "uv_async_t, resume" } },
    metrics = { { unit = "us", what = "until the task goes on", targets = {
      { limit = 20, text = "at most 20" },
    } } } },
} do
  row.folder = "embed"
  rows[#rows + 1] = row
end

for _, limits in ipairs {
  { "fib", 160, "calls and integers" },
  { "loops", 240, "loops, tables, floats" },
  { "strings", 400, "string building" },
} do
  local name, n, what = table.unpack(limits)
  rows[#rows + 1] = {
    name = "vm-limits-" .. name, program = "limits", folder = "embed", n = n, quick_n = n // 4, runs = many,
    what = "limits that are not reached: " .. what,
    entries = { { peer = "neap", arg = name }, { peer = "neap", note = "with limits", arg = name .. "+limits" } },
    metrics = { { unit = "ms", what = "a run", targets = {
      { growth = 1.05, factor = 1, text = "with limits at most 1.05 x" },
    } } },
  }
end

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
