-- class: memory
-- Callbacks to be called some day, with arguments.
-- outcome: EMEMORY
local asyncio = require "asyncio"
while true do asyncio.call_later(3600, print, {}, {}, {}) end
