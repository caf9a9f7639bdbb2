-- class: closing
-- The __close of a scope that ends as it should, but for this.
-- outcome: EDEADLINE
do
  local _ <close> = setmetatable({}, {__close = function() while true do end end})
end
