-- Stop claims, or allow them again.
-- uses keys
-- KEYS: 1 to 27, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 who, 3 why; without these two: allow them again
-- returns 1 if that changed anything
redis.call('ZREM', key.leases, '') -- allowed when Redis is out of memory: then so is the rest
if #ARGV > 1 then
  return redis.call('HSETNX', key.ctl, 'paused', cmsgpack.pack({ by = ARGV[2], why = ARGV[3], since_ms = now }))
end
redis.call('ZADD', key.marker, 0, 'now')
return redis.call('HDEL', key.ctl, 'paused')
