-- Says what `make bench` measured: medians with their spread, ratios to Neap, targets met or missed; as text for a
-- terminal and as a Markdown table for the README.
local M = {}

-- The median, least and greatest of a list of numbers.
local function summary(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local middle = #sorted // 2
  local median = #sorted % 2 == 1 and sorted[middle + 1] or (sorted[middle] + sorted[middle + 1]) / 2
  return { median = median, least = sorted[1], greatest = sorted[#sorted] }
end

-- How many times `ours` `theirs` is: the median of the ratios of one round each. Of a round's two runs, one just after
-- the other, the machine has slowed down neither or both; two medians may come from different hours of it.
local function ratio_of(theirs, ours)
  local ratios = {}
  for i = 1, math.min(#theirs, #ours) do ratios[i] = theirs[i] / ours[i] end
  return summary(ratios).median
end

-- Three digits that count, thousands with commas.
local function number(value)
  if value < 10 then return ("%.2f"):format(value) end
  if value < 100 then return ("%.1f"):format(value) end
  local digits = ("%.0f"):format(value)
  return (digits:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

-- The entries of one metric that were measured, each with its summary and its ratio to Neap; and Neap's median. Without
-- Neap, which comes first in every row, no ratios. (Where Neap takes part twice, the first is meant.)
local function measured(result, index)
  local list, neap, ours = {}, nil, nil
  for i, entry in ipairs(result.row.entries) do
    local values = result.values[i] and result.values[i][index]
    if values and #values > 0 then
      local item = { entry = entry, stats = summary(values) }
      if i == 1 then neap, ours = item.stats.median, values end
      item.ratio = ours and ratio_of(values, ours)
      list[#list + 1] = item
    end
  end
  return list, neap
end

-- The verdict on one target: its text, then "0.93, met".
local function verdict(target, list, neap)
  if not neap then return "not measured" end
  if target.limit then
    return ("%s, %s"):format(number(neap), neap <= target.limit and "met" or "missed")
  end
  if target.growth then
    local growth = list[2] and list[2].ratio * target.factor
    if not growth then return "not measured" end
    return ("%s, %s"):format(number(growth), growth <= target.growth and "met" or "missed")
  end
  local best, least
  for _, item in ipairs(list) do
    if item.entry.peer == target.peer then
      best = math.min(best or math.huge, item.ratio)
      least = math.min(least or math.huge, item.stats.median)
    end
  end
  if not best then return "not measured" end
  if target.more then
    local more = neap - least
    return ("%s, %s"):format(number(more), more <= target.more and "met" or "missed")
  end
  local ratio = 1 / best
  return ("%.3f, %s"):format(ratio, ratio <= target.ratio and "met" or "missed")
end

local function question(result)
  return (result.row.what:gsub("%%n", number(result.n)))
end

local function name_of(entry, titles)
  return titles[entry.peer] .. (entry.note and ", " .. entry.note or "")
end

-- One row as text for a terminal: a list of lines.
function M.text(result, titles)
  local lines = {}
  for index, metric in ipairs(result.row.metrics) do
    local list, neap = measured(result, index)
    lines[#lines + 1] = ("%s: %s (%s %s)"):format(result.row.name, question(result), metric.unit, metric.what)
    for _, item in ipairs(list) do
      local stats = item.stats
      local ratio = item.ratio and ("%8.2f"):format(item.ratio) or ""
      lines[#lines + 1] = ("  %-28s %10s  %-22s %s"):format(name_of(item.entry, titles), number(stats.median),
        number(stats.least) .. ".." .. number(stats.greatest), ratio)
    end
    for _, target in ipairs(metric.targets) do
      lines[#lines + 1] = ("  target: %s: %s"):format(target.text, verdict(target, list, neap))
    end
  end
  return lines
end

-- Peers that share the column of another: lua5.4 is the limit, as the C API is, and so is lua-cjson, which asks less;
-- aiohttp runs on asyncio.
local shared = { lua = "raw", cjson = "raw", aiohttp = "python" }
local headings = { raw = "limit (C API, lua5.4, lua-cjson)", python = "asyncio, aiohttp" }

-- All rows as one Markdown table: a list of lines. Each peer is a column, or shares one.
function M.markdown(results, peers)
  local columns = {}
  for _, peer in ipairs(peers.names) do
    if not shared[peer] then columns[#columns + 1] = peer end
  end
  local heads, rules = { "what, unit" }, { "---" }
  for _, peer in ipairs(columns) do
    heads[#heads + 1] = headings[peer] or peers.titles[peer]
    rules[#rules + 1] = "---:"
  end
  local lines = {
    "| " .. table.concat(heads, " | ") .. " | target | result |",
    "| " .. table.concat(rules, " | ") .. " | --- | --- |",
  }
  for _, result in ipairs(results) do
    for index, metric in ipairs(result.row.metrics) do
      local list, neap = measured(result, index)
      local cells = { ("%s: %s, %s"):format(result.row.name, question(result), metric.unit) }
      for _, peer in ipairs(columns) do
        local cell = {}
        for _, item in ipairs(list) do
          local entry, stats = item.entry, item.stats
          local column = shared[entry.peer] or entry.peer
          if column == peer then
            local about = peer == "neap" and ("%s..%s"):format(number(stats.least), number(stats.greatest))
              or item.ratio and ("%.2f x"):format(item.ratio) or "-"
            cell[#cell + 1] = ("%s (%s)%s"):format(number(stats.median), about,
              entry.note and peer ~= "neap" and " " .. entry.note or "")
          end
        end
        cells[#cells + 1] = #cell > 0 and table.concat(cell, "<br>") or "-"
      end
      local texts, verdicts = {}, {}
      for i, target in ipairs(metric.targets) do
        texts[i], verdicts[i] = target.text, verdict(target, list, neap)
      end
      cells[#cells + 1] = table.concat(texts, "<br>")
      cells[#cells + 1] = table.concat(verdicts, "<br>")
      lines[#lines + 1] = "| " .. table.concat(cells, " | ") .. " |"
    end
  end
  return lines
end

return M
