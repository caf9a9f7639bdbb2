--
-- several.lua - what wait and as_completed take: a list, and a table of
-- options.
--
local asyncio, core = ...

local iscoroutine, isfuture = asyncio.iscoroutine, asyncio.isfuture
local isawaitable = core.is_awaitable

local error, pairs, tostring, type = error, pairs, tostring, type

local function describe(value)
  if isfuture(value) then return "a Task or Future" end
  if iscoroutine(value) then return "a coroutine object" end
  return value == nil and "nil" or "a " .. type(value)
end

-- check(name, list, options, known, is_item, item) -> options, {} for none.
-- Raises a usage error of the function `name`, with the position of its
-- caller, unless is_item is true of what is in the list (`item`, to
-- people), and the options are among the keys of `known`.
local function check(name, list, options, known, is_item, item)
  local function refuse(text, ...)
    error(("%s: " .. text):format(name, ...), 4)
  end
  if type(list) ~= "table" or isawaitable(list) then
    refuse("a list expected, got %s: write %s{...}", describe(list), name)
  end
  for i = 1, #list do
    if not is_item(list[i]) then
      refuse("item %d of the list: %s expected, got %s", i, item, describe(list[i]))
    end
  end
  if options == nil then return {} end
  if type(options) ~= "table" then
    refuse("a table of options such as {timeout=1.5} expected, got %s", describe(options))
  end
  for key in pairs(options) do
    if not known[key] then refuse("unknown option '%s'", tostring(key)) end
  end
  local timeout = options.timeout
  if timeout ~= nil and type(timeout) ~= "number" then
    refuse("the option timeout: a number of seconds expected, got %s", describe(timeout))
  elseif timeout ~= timeout then
    refuse("the option timeout is not a number (NaN)")
  end
  return options
end

return {check = check, isawaitable = isawaitable}
