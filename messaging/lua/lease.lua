-- Take or renew the lease of the listener in charge.
-- KEYS: 1 lease (STRING)
-- ARGV: 1 owner, 2 milliseconds
-- returns the owner in charge after the call
local owner = redis.call('GET', KEYS[1])
if not owner or owner == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return ARGV[1]
end
return owner
