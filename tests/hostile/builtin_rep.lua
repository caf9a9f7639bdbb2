-- class: long builtins
-- Nothing, so many times.
-- outcome: ended
assert(string.rep("", 1 << 60) == "")
assert(("").rep("", math.maxinteger, "") == "")
