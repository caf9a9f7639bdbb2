-- class: output
-- Prints for as long as it can.
-- outcome: error the limit of output
while true do print(("x"):rep(1000)) end
