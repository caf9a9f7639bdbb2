-- class: budgets
-- Callbacks that make callbacks have no new deadline.
-- outcome: EDEADLINE
local asyncio = require "asyncio"
local function again() asyncio.call_soon(again) end
local function later() asyncio.call_later(0, later) end
again()
later()
await(sleep(60))
