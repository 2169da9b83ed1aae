-- Note the latest tick of a recurring task; an older one changes nothing.
-- KEYS: 1 ticks (HASH schedule's name -> milliseconds)
-- ARGV: 1 schedule's name, 2 milliseconds
-- returns 1 if it was the latest
local known = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '-1')
if known >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
