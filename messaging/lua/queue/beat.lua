-- A worker lives.
-- uses keys
-- KEYS: 1 to 27, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 worker, 3 what it says of itself (JSON), 4 milliseconds after which one is forgotten
-- returns how many are known
redis.call('ZREM', key.leases, '') -- allowed when Redis is out of memory: then so is the rest
redis.call('HSET', key.workers, ARGV[2], ARGV[3])
redis.call('ZADD', key.beats, now, ARGV[2])
local silent = redis.call('ZRANGEBYSCORE', key.beats, '-inf', now - ARGV[4], 'LIMIT', 0, 100)
if #silent > 0 then
  redis.call('ZREM', key.beats, unpack(silent))
  redis.call('HDEL', key.workers, unpack(silent))
end
return redis.call('ZCARD', key.beats)
