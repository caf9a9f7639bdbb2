-- class: budgets
-- Waits for what never comes: the deadline is for those who wait, too.
-- outcome: EDEADLINE
await(require "asyncio".Future())
