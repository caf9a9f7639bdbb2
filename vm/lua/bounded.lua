--
-- bounded.lua - table.sort for a sandbox (embed/bounded_table.c): in Lua, so
-- that a comparator can await, and a long sort be preempted and killed.
--
-- It compares and swaps as Lua's own does, so that equal elements end up
-- where they do there, and most orders that are none are found out by the
-- same error. Where that takes too many partitions it goes on as heapsort:
-- at most n log n comparisons, whatever the elements are.
--
local error = ...

-- Where error says a sort went wrong: the caller of table.sort. Below it are
-- the C function, and a quicksort for each level of the recursion.
local CALLER = 3

-- Lets the value sink to its place in the heap below `i` in t[lo .. up], whose
-- root is at lo and has the largest value.
local function sink(t, less, lo, up, i, value)
  while true do
    local child = 2 * i - lo + 1
    if child > up then break end
    local a = t[child]
    if child < up then
      local b = t[child + 1]
      if less(a, b) then child, a = child + 1, b end
    end
    if not less(value, a) then break end
    t[i] = a
    i = child
  end
  t[i] = value
end

local function heapsort(t, less, lo, up)
  for i = lo + (up - lo - 1) // 2, lo, -1 do sink(t, less, lo, up, i, t[i]) end
  for last = up, lo + 1, -1 do
    local value = t[last]
    t[last] = t[lo]
    sink(t, less, lo, last - 1, lo, value)
  end
end

-- Puts what is less than the pivot, in t[up - 1], before it, and what is
-- greater behind. t[lo] is not greater, t[up] not less. Returns its place.
local function partition(t, less, lo, up, pivot, level)
  local i, j = lo, up - 1
  while true do
    i = i + 1
    local a = t[i]
    while less(a, pivot) do
      if i == up - 1 then error("invalid order function for sorting", level + 1) end
      i = i + 1
      a = t[i]
    end
    j = j - 1
    local b = t[j]
    while less(pivot, b) do
      if j < i then error("invalid order function for sorting", level + 1) end
      j = j - 1
      b = t[j]
    end
    if j < i then
      t[up - 1] = a
      t[i] = pivot
      return i
    end
    t[i] = b
    t[j] = a
  end
end

-- Sorts t[lo .. up] in at most so many partitions of partitions.
local function quicksort(t, less, lo, up, partitions, level)
  while lo < up do
    local a, b = t[lo], t[up]
    if less(b, a) then
      t[lo] = b
      t[up] = a
    end
    if up - lo == 1 then return end
    local middle = (lo + up) // 2
    local pivot = t[middle]
    a = t[lo]
    if less(pivot, a) then
      t[middle] = a
      t[lo] = pivot
    else
      b = t[up]
      if less(b, pivot) then
        t[middle] = b
        t[up] = pivot
      end
    end
    if up - lo == 2 then return end
    if partitions == 0 then return heapsort(t, less, lo, up) end
    partitions = partitions - 1
    pivot = t[middle]
    t[middle] = t[up - 1]
    t[up - 1] = pivot
    local place = partition(t, less, lo, up, pivot, level)
    if place - lo < up - place then -- the smaller part first: few levels
      quicksort(t, less, lo, place - 1, partitions, level + 1)
      lo = place + 1
    else
      quicksort(t, less, place + 1, up, partitions, level + 1)
      up = place - 1
    end
  end
end

-- sort(t, n, less): sorts t[1 .. n].
return function(t, n, less)
  local partitions, rest = 0, n
  repeat partitions, rest = partitions + 2, rest >> 1 until rest == 0
  return quicksort(t, less, 1, n, partitions, CALLER)
end
