-- A step that something has reached -> whether it is ours to tell: the first who asks tells it.
-- KEYS: 1 steps that were told (HASH)
-- ARGV: 1 what, 2 step that is reached now (0: below its threshold), 3 step it has to fall below to be armed again
-- returns 1 tell it, 0 it was told, -1 tell that it is over
local told = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
local now = tonumber(ARGV[2])
if now > told then
  redis.call('HSET', KEYS[1], ARGV[1], now)
  return 1
end
if told > 0 and tonumber(ARGV[3]) < told then
  if now > 0 then
    redis.call('HSET', KEYS[1], ARGV[1], now)
    return 0
  end
  redis.call('HDEL', KEYS[1], ARGV[1])
  return -1
end
return 0
