-- Take items from the right end of a foreign list into a hash, where they stay until their tasks are in a queue. What
-- an earlier taker has left there comes first.
-- KEYS: 1 list (LIST), 2 taken (HASH id -> item)
-- ARGV: 1 most bytes of all items but the first, then an id for each item that may be taken, ascending
-- returns { id, item, ... } of all that is in the hash now
local list, taken = KEYS[1], KEYS[2]
if redis.call('EXISTS', taken) == 0 then
  local bytes = 0
  for i = 2, #ARGV do
    local item = redis.call('LINDEX', list, -1)
    if not item then break end
    bytes = bytes + #item
    if i > 2 and bytes > tonumber(ARGV[1]) then break end
    redis.call('HSET', taken, ARGV[i], item)
    redis.call('RPOP', list)
  end
end
return redis.call('HGETALL', taken)
