-- class: long builtins
-- A format of a million conversions.
-- outcome: EDEADLINE
while true do
  pcall(os.date, ("%c"):rep(1000000))
  pcall(os.time, {year = 1 << 40, month = 1, day = 1})
end
