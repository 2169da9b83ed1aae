-- Look at the right end of a foreign list, without taking anything.
-- KEYS: 1 list (LIST)
-- ARGV: 1 most items, 2 most bytes of all items but the first
-- returns items, the rightmost first
local items, bytes = {}, 0
for i = 1, tonumber(ARGV[1]) do
  local item = redis.call('LINDEX', KEYS[1], -i)
  if not item then break end
  bytes = bytes + #item
  if i > 1 and bytes > tonumber(ARGV[2]) then break end
  items[i] = item
end
return items
